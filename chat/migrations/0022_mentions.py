from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0021_username_keys"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="event",
            name="named",
            field=models.TextField(null=True),
        ),
        migrations.AddIndex(
            model_name="mention",
            index=models.Index(fields=["user", "event"], name="mention_user_newest"),
        ),
    ]
