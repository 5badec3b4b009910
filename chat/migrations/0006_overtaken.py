from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0005_unread"),
    ]

    operations = [
        migrations.AddField(
            model_name="event",
            name="edit_seq",
            field=models.PositiveBigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="event",
            name="first_body",
            field=models.TextField(null=True),
        ),
        # One index for both history and counts, because each message has to update every index.
        migrations.RemoveIndex(model_name="event", name="event_unread"),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                condition=models.Q(("kind", 0)), fields=["room", "seq", "author", "deleted_at"], name="event_posted"
            ),
        ),
    ]
