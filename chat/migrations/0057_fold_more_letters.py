from django.db import migrations, transaction

PIECE = 1000


def fold(apps, schema_editor):
    """Store the searchable texts in their new form. SQLite's index follows by its trigger.

    Each piece commits, so that no lock is held for the whole migration. It can be run again, because the new form does
    not change any more.
    """
    from chat.store.search import searchable

    rows = apps.get_model("chat", "SearchText").objects.using(schema_editor.connection.alias)
    last = 0
    while piece := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", "text")[:PIECE]):
        with transaction.atomic(using=schema_editor.connection.alias):
            for pk, text in piece:
                if not text.isascii() and (folded := searchable(text)) != text:
                    # A text that was edited since it was read is left alone.
                    rows.filter(pk=pk, text=text).update(text=folded)
        last = piece[-1][0]


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("chat", "0056_listed_rooms")]

    operations = [migrations.RunPython(fold, migrations.RunPython.noop)]
