from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds the index by which a search for some days finds the ids of their messages."""

    dependencies = [("chat", "0058_file_client_id")]

    operations = [
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                models.F("id") / 4096,
                models.F("at"),
                condition=models.Q(("kind", 0)),
                name="event_time_of_ids",
            ),
        ),
    ]
