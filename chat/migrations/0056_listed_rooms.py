from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds the order in which the admin lists all rooms, those of members too."""

    dependencies = [("chat", "0055_pane_shapes")]

    operations = [
        migrations.AddIndex(
            model_name="room",
            index=models.Index(
                condition=models.Q(("deleted_at", None)), fields=["title_key", "-id"], name="room_listed"
            ),
        ),
    ]
