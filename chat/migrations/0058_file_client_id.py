from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds the idempotency keys of uploads. Files that were uploaded before have none."""

    dependencies = [("chat", "0057_fold_more_letters")]

    operations = [
        migrations.AddField(model_name="storedfile", name="client_id", field=models.UUIDField(null=True)),
        migrations.AddConstraint(
            model_name="storedfile",
            constraint=models.UniqueConstraint(
                condition=models.Q(("client_id__isnull", False)),
                fields=("author", "room", "client_id"),
                name="file_author_room_client_id",
            ),
        ),
    ]
