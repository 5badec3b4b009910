from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chat", "0052_webhooks")]

    operations = [
        migrations.AddField(
            model_name="appearance",
            name="language",
            # The default stays in the database, so that a process of the version before can go on writing.
            field=models.CharField(blank=True, db_default="", default="", max_length=12),
        ),
    ]
