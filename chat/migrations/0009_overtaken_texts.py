"""Removes the texts of edits that a later edit has replaced, in databases from before `edit_seq`."""

from django.db import migrations
from django.db.models import Max, Min, OuterRef, Subquery

from chat.conf import conf

POSTED, EDITED = 0, 1
# The most rows for one statement, so that it neither holds locks for long nor exceeds a time limit.
PIECE = 10_000


def mark_overtaken_edits(apps, schema_editor):
    """Set `edit_seq` in every edited message, and in every edit except the latest, and blank those edits.

    Each statement commits by itself, and a second run changes nothing.
    """
    events = apps.get_model("chat", "Event").objects.using(schema_editor.connection.alias)
    pks = events.aggregate(first=Min("pk"), last=Max("pk"))
    if pks["first"] is None:
        return
    pieces = range(pks["first"], pks["last"] + 1, PIECE)
    edits = events.filter(room=OuterRef("room"), target_seq=OuterRef("seq"), kind=EDITED)
    latest = edits.order_by().values("target_seq").annotate(latest=Max("seq")).values("latest")
    for start in pieces:
        messages = events.filter(pk__gte=start, pk__lt=start + PIECE, kind=POSTED, edited_at__isnull=False)
        # An empty first text tells a later delete to look for texts that were kept.
        messages.update(edit_seq=Subquery(latest), **({"first_body": ""} if conf.KEEP_EDITED_TEXT else {}))
    message = events.filter(room=OuterRef("room"), seq=OuterRef("target_seq"))
    for start in pieces:
        overtaken = events.filter(pk__gte=start, pk__lt=start + PIECE, kind=EDITED, edit_seq=None).filter(
            seq__lt=Subquery(message.values("edit_seq"))
        )
        texts = {} if conf.KEEP_EDITED_TEXT else {"body": ""}
        overtaken.update(edit_seq=Subquery(message.values("edit_seq")), **texts)


class Migration(migrations.Migration):
    # Each piece commits, so that no lock is held for the whole migration.
    atomic = False

    dependencies = [
        ("chat", "0008_access_changes"),
    ]

    operations = [migrations.RunPython(mark_overtaken_edits, migrations.RunPython.noop)]
