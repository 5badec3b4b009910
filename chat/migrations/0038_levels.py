from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0022_mentions"),
    ]

    operations = [
        migrations.AddField(
            model_name="membership",
            name="level",
            field=models.PositiveSmallIntegerField(
                choices=[(0, "All"), (1, "Mentions"), (2, "Quiet")], db_default=0, default=0
            ),
        ),
        migrations.AddField(
            model_name="membership",
            name="notified_seq",
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
    ]
