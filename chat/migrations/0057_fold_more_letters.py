import re
import unicodedata

from django.db import migrations, transaction

PIECE = 1000
_ACCENTS = re.compile("[\u0300-\u036f]")
_LETTER_OF_UNSPACED = re.compile(
    "([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff])"
)


def earlier_form(text):
    """Return the form in which the version before this migration stored a text, and looks for it."""
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text)).casefold()
    spaced = _LETTER_OF_UNSPACED.sub(r" \1 ", unicodedata.normalize("NFC", plain))
    return f" {' '.join(spaced.split())} "


def fold(apps, schema_editor):
    """Store the searchable texts in their new form. SQLite's index follows by its trigger.

    Each piece commits, so that no lock is held for the whole migration. It can be run again, because the new form does
    not change any more.
    """
    from chat.store.search_text import searchable

    rows, pieces = _stored(apps, schema_editor)
    for piece in pieces:
        with transaction.atomic(using=rows.db):
            for pk, text in piece:
                if not text.isascii() and (folded := searchable(text)) != text:
                    # A text that was edited since it was read is left alone.
                    rows.filter(pk=pk, text=text).update(text=folded)


def unfold(apps, schema_editor):
    """Store the searchable texts in their earlier form, which is made from the messages again.

    Otherwise the version before this migration would not find messages with these letters and signs any more.
    """
    from chat.store import files

    rows, pieces = _stored(apps, schema_editor)
    events = apps.get_model("chat", "Event").objects.using(rows.db)
    for piece in pieces:
        with transaction.atomic(using=rows.db):
            for event in events.filter(pk__in=[pk for pk, _ in piece]).only("body", "files"):
                text = files.text_with_names(event)
                if not text.isascii():
                    rows.filter(pk=event.pk).update(text=earlier_form(text))


def _stored(apps, schema_editor):
    """Return the searchable texts, and the keys and texts of all of them in pieces."""
    rows = apps.get_model("chat", "SearchText").objects.using(schema_editor.connection.alias)

    def pieces():
        last = 0
        while piece := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", "text")[:PIECE]):
            yield piece
            last = piece[-1][0]

    return rows, pieces()


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("chat", "0056_listed_rooms")]

    operations = [migrations.RunPython(fold, unfold)]
