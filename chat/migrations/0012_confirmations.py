import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import chat.fields


def make_confirmations_edits(apps, schema_editor):
    """Turn these events into edits that were overtaken, which earlier versions pass over. No number may be missing."""
    events = apps.get_model("chat", "Event").objects.using(schema_editor.connection.alias)
    events.filter(kind__in=(4, 5)).update(kind=1, edit_seq=models.F("seq"), body="")


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0011_reactions"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="event",
            name="confirmations",
            field=models.TextField(null=True),
        ),
        migrations.AddField(
            model_name="event",
            name="resolved",
            field=models.TextField(null=True),
        ),
        migrations.AlterField(
            model_name="event",
            name="kind",
            field=models.PositiveSmallIntegerField(
                choices=[
                    (0, "Posted"),
                    (1, "Edited"),
                    (2, "Deleted"),
                    (3, "Reacted"),
                    (4, "Confirmed"),
                    (5, "Resolved"),
                ],
                default=0,
            ),
        ),
        migrations.CreateModel(
            name="Confirmation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("username", models.CharField(max_length=150)),
                ("seq", models.PositiveBigIntegerField()),
                (
                    "event",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="chat.event"
                    ),
                ),
                ("user", chat.fields.FormerUserField(null=True, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("event", "user"), name="confirmation_event_user")],
            },
        ),
        migrations.RunPython(migrations.RunPython.noop, make_confirmations_edits),
    ]
