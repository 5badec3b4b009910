from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds the shape of a pane: the width of its column, a strip, or the lower half of a column."""

    dependencies = [("chat", "0054_messages_of_an_author")]

    operations = [
        migrations.AddField(
            model_name="membership",
            name="shape",
            field=models.JSONField(null=True),
        ),
    ]
