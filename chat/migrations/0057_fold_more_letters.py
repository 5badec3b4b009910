from django.db import migrations

PIECE = 1000


def fold(apps, schema_editor):
    """Store the searchable texts in their new form, in pieces. SQLite's index follows by its trigger."""
    from chat.store.search import searchable

    rows = apps.get_model("chat", "SearchText").objects.using(schema_editor.connection.alias).order_by("pk")
    last = 0
    while piece := list(rows.filter(pk__gt=last)[:PIECE]):
        changed = []
        for row in piece:
            if not row.text.isascii() and (text := searchable(row.text)) != row.text:
                row.text = text
                changed.append(row)
        rows.bulk_update(changed, ["text"], batch_size=100)
        last = piece[-1].pk


class Migration(migrations.Migration):
    dependencies = [("chat", "0056_listed_rooms")]

    operations = [migrations.RunPython(fold, migrations.RunPython.noop)]
