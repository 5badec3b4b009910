"""Stores what users want to hear of their rooms: all messages, those for them, or nothing (Membership.Level)."""

from collections.abc import Collection, Mapping

from django.db import connection, transaction

from chat.exceptions import ClientError
from chat.models import Membership
from chat.store import memberships, policies, values
from chat.store.policies import Login
from chat.store.room_user import RoomUser

_UPSERT = """
INSERT INTO chat_membership (room_id, user_id, is_here, is_wide, level, read_change) {rows}
ON CONFLICT (room_id, user_id) DO UPDATE SET level = excluded.level, read_change = excluded.read_change
"""


def check_levels(
    asked: Mapping[RoomUser, tuple[Login, int]],
) -> tuple[dict[RoomUser, int], dict[RoomUser, ClientError]]:
    """Return the levels that may be written, and the refusals.

    They are refused with USER_HAS_TO_LOGIN, ROOM_INVALID or ROOM_ACCESS_DENIED, and then change nothing.
    """
    answers = policies.load_enterable_rooms({(login, pair.room) for pair, (login, _) in asked.items()})
    allowed: dict[RoomUser, int] = {}
    refused: dict[RoomUser, ClientError] = {}
    for pair, (login, level) in asked.items():
        answer = answers[login, pair.room]
        if isinstance(answer, ClientError):
            refused[pair] = answer
        else:
            allowed[pair] = level
    return allowed, refused


def store_levels(levels: Mapping[RoomUser, int]) -> None:
    """Write levels, in one transaction. It takes a number, as moved read positions do, so all processes hear of it."""
    if not levels:
        return
    with transaction.atomic():
        change = memberships.next_change()
        # In the order in which presence locks the rows; new rows come last.
        rows = _known(levels) | dict.fromkeys(sorted(levels))
        written = [(*pair, False, False, levels[pair], change) for pair in rows]
        text, parameters = values.source(written, ["bigint", "bigint", "boolean", "boolean", "smallint", "bigint"])
        with connection.cursor() as cursor:
            cursor.execute(_UPSERT.format(rows=text), parameters)


def _known(pairs: Collection[RoomUser]) -> dict[RoomUser, None]:
    users, rooms = {pair.user for pair in pairs}, {pair.room for pair in pairs}
    found = Membership.objects.filter(user__in=users, room__in=rooms).order_by("pk").values_list("room_id", "user_id")
    return {pair: None for row in found if (pair := RoomUser(*row)) in pairs}
