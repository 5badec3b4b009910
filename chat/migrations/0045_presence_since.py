from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("chat", "0044_appearance")]

    operations = [migrations.AddField("presence", "at", models.DateTimeField(db_default=Now()))]
