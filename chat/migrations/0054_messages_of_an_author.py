from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chat", "0053_language")]

    operations = [
        migrations.AddIndex(
            model_name="event",
            index=models.Index(condition=models.Q(("kind", 0)), fields=["author", "id"], name="event_author_newest"),
        ),
    ]
