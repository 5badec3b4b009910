from django.conf import settings
from django.db import migrations, models

from chat.names import SYSTEM_KEY, name_key

PIECE = 500


def keep_display_names(apps, schema_editor):
    """Let users be shown by their first and last name, unless another user has it. The oldest user's name counts."""
    # The model of a migration has no methods. Its functions decide what a display name may be.
    from chat.store import display_names

    using = schema_editor.connection.alias
    users = apps.get_model(settings.AUTH_USER_MODEL)._base_manager.using(using)
    keys = apps.get_model("chat", "UsernameKey")._base_manager.using(using)
    if not display_names.FIELDS:
        return
    owners = dict(keys.values_list("key", "user_id"))
    seen = {"", SYSTEM_KEY}
    for user in users.order_by("pk").only(*display_names.FIELDS).iterator(PIECE):
        name = display_names.full_name(user)
        key = name_key(name)
        if key in seen or display_names.has_invisible(name) or owners.get(key, user.pk) != user.pk:
            continue
        seen.add(key)
        keys.filter(user_id=user.pk).update(display_key=key)
    if schema_editor.connection.vendor == "postgresql":
        # PostgreSQL refuses to alter a table while constraint checks of its rows are pending.
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0047_retention"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField("usernamekey", "display_key", models.CharField(db_index=True, max_length=300, null=True)),
        migrations.RunPython(keep_display_names, migrations.RunPython.noop),
        migrations.AddConstraint(
            "usernamekey", models.UniqueConstraint(fields=("display_key",), name="username_display_key")
        ),
    ]
