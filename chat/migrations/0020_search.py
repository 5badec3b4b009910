import django.db.models.deletion
from django.db import DatabaseError, migrations, models

PIECE = 1000

SQLITE = [
    "CREATE VIRTUAL TABLE chat_search USING fts5(text, content='chat_searchtext', content_rowid='event_id', "
    "tokenize='trigram')",
    # Triggers, so that every way to change the texts (a restored copy, a deleted room) changes the index too.
    "CREATE TRIGGER chat_search_insert AFTER INSERT ON chat_searchtext BEGIN "
    "INSERT INTO chat_search(rowid, text) VALUES (new.event_id, new.text); END",
    "CREATE TRIGGER chat_search_delete AFTER DELETE ON chat_searchtext BEGIN "
    "INSERT INTO chat_search(chat_search, rowid, text) VALUES ('delete', old.event_id, old.text); END",
    "CREATE TRIGGER chat_search_update AFTER UPDATE OF text ON chat_searchtext BEGIN "
    "INSERT INTO chat_search(chat_search, rowid, text) VALUES ('delete', old.event_id, old.text); "
    "INSERT INTO chat_search(rowid, text) VALUES (new.event_id, new.text); END",
]
SQLITE_BACK = [
    "DROP TRIGGER chat_search_update",
    "DROP TRIGGER chat_search_delete",
    "DROP TRIGGER chat_search_insert",
    "DROP TABLE chat_search",
]


def fill(apps, schema_editor):
    """Store the texts of the messages that are there already, in pieces."""
    from chat.store.search_text import searchable

    alias = schema_editor.connection.alias
    search_text = apps.get_model("chat", "SearchText")
    messages = apps.get_model("chat", "Event").objects.using(alias).filter(kind=0, deleted_at=None).order_by("pk")
    last = 0
    while piece := list(messages.filter(pk__gt=last).values_list("pk", "room_id", "body")[:PIECE]):
        search_text.objects.using(alias).bulk_create(
            [search_text(event_id=pk, room_id=room_id, text=searchable(body)) for pk, room_id, body in piece]
        )
        last = piece[-1][0]


def create_index(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        for statement in SQLITE:
            schema_editor.execute(statement)
        return
    try:
        schema_editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except DatabaseError as error:
        raise DatabaseError(
            "Multichat's search needs PostgreSQL's extension pg_trgm (Debian: package postgresql). Let an "
            "administrator run CREATE EXTENSION pg_trgm in this database, then migrate again."
        ) from error


def create_trigrams(apps, schema_editor):
    # After the texts were stored: one pass over all of them is faster than one entry at a time.
    if schema_editor.connection.vendor == "postgresql":
        # The foreign keys of the stored texts are checked now. PostgreSQL makes no index while checks are due.
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        schema_editor.execute("CREATE INDEX search_trigrams ON chat_searchtext USING gin (text gin_trgm_ops)")


def drop_index(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        for statement in SQLITE_BACK:
            schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("chat", "0015_accounts")]

    operations = [
        migrations.CreateModel(
            name="SearchText",
            fields=[
                (
                    "event",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="chat.event",
                    ),
                ),
                ("room_id", models.PositiveBigIntegerField()),
                ("text", models.TextField()),
            ],
            options={"indexes": [models.Index(fields=["room_id", "event"], name="search_room_event")]},
        ),
        migrations.RunPython(create_index, drop_index),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RunPython(create_trigrams, migrations.RunPython.noop),
    ]
