import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import chat.fields


def make_reactions_edits(apps, schema_editor):
    """Turn reactions into edits that were overtaken, which earlier versions pass over. No number may be missing."""
    events = apps.get_model("chat", "Event").objects.using(schema_editor.connection.alias)
    events.filter(kind=3).update(kind=1, edit_seq=models.F("seq"), body="")


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0010_alerts"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="event",
            name="is_on",
            field=models.BooleanField(null=True),
        ),
        migrations.AddField(
            model_name="event",
            name="reactions",
            field=models.TextField(null=True),
        ),
        migrations.AddField(
            model_name="event",
            name="reply_to",
            field=models.PositiveBigIntegerField(null=True),
        ),
        migrations.AlterField(
            model_name="event",
            name="kind",
            field=models.PositiveSmallIntegerField(
                choices=[(0, "Posted"), (1, "Edited"), (2, "Deleted"), (3, "Reacted")], default=0
            ),
        ),
        migrations.CreateModel(
            name="Reaction",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("emoji", models.CharField(max_length=64)),
                ("username", models.CharField(max_length=150)),
                ("is_on", models.BooleanField(default=True)),
                ("seq", models.PositiveBigIntegerField()),
                (
                    "event",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="chat.event"
                    ),
                ),
                (
                    "user",
                    chat.fields.FormerUserField(
                        db_index=False, null=True, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(condition=models.Q(("is_on", True)), fields=["user", "event"], name="reaction_own")
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("event", "emoji", "user"), name="reaction_event_emoji_user")
                ],
            },
        ),
        migrations.RunPython(migrations.RunPython.noop, make_reactions_edits),
    ]
