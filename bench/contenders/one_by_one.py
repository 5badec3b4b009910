"""Multichat with one ORM transaction for each message, as most Django applications save: the same sockets and rights.

Only the write differs: no batches, and models that are saved one at a time. A message has no mentions and no search
row here, so this contender does less work for each message than Multichat.
"""

import runpy
from collections.abc import Sequence

from multichat.asgi import application  # noqa: F401  sets Django up

from django.db import transaction  # isort: skip
from django.utils import timezone  # isort: skip
from chat import doorbell  # isort: skip
from chat.conf import conf  # isort: skip
from chat.exceptions import ClientError  # isort: skip
from chat.models import Event, Room  # isort: skip
from chat.store import actions, log, policies  # isort: skip
from chat.store.actions import Draft, Outcome  # isort: skip
from chat.store.log import Committed  # isort: skip


def commit(drafts: Sequence[Draft]) -> list[Outcome]:
    """Save each draft in a transaction of its own."""
    return [_save(draft) for draft in drafts]


def _save(draft: Draft) -> Outcome:
    assert draft.login is not None, "every draft comes from a socket"
    with transaction.atomic():
        room = Room.objects.select_for_update(no_key=True).filter(pk=draft.room).first()
        client_id = draft.unique_id
        known = Event.objects.filter(author_id=draft.author, client_id=client_id).first()
        if known is not None:
            return Committed(known.room_id, known.seq)
        standing = policies.load_standings([draft.login]).get(draft.login)
        try:
            room = policies.check_writable(standing and standing.user, room, msg_type=draft.msg_type)
        except ClientError as refusal:
            return refusal
        assert standing is not None, "the policy refuses a login that is not valid"
        now = timezone.now()
        room.head_seq += 1
        event = Event(
            room=room,
            seq=room.head_seq,
            author_id=draft.author,
            username=standing.user.get_username(),
            body=draft.body,
            msg_type=draft.msg_type,
            client_id=client_id,
            client_id_given=draft.client_id is not None,
            at=now.replace(microsecond=now.microsecond // 1000 * 1000),
        )
        event.save(force_insert=True)
        room.save(update_fields=["head_seq"])
        transaction.on_commit(lambda: doorbell.ring({event.room_id: event.seq}))
    return Committed(event.room_id, event.seq, room.epoch, log.logged(event))


if __name__ == "__main__":
    actions.commit = commit
    conf.BATCH_DRAFTS = 1
    runpy.run_module("multichat.server", run_name="__main__", alter_sys=True)
