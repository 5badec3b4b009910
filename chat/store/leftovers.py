"""Rows of second factors and identities on a site that has turned these off: deleting their user has to remove them.

While allauth's apps are installed, Django removes these rows itself. Afterwards the tables are still there, and their
foreign keys would let no such user be deleted.
"""

from functools import cache
from typing import Any

from django.apps import apps
from django.db import connections

# By the app that installs it: the table. Each refers to the user as user_id.
TABLES = {
    "allauth.mfa": "mfa_authenticator",
    "allauth.socialaccount": "socialaccount_socialaccount",
    "allauth.account": "account_emailaddress",
}


def remove(user_id: Any, using: str) -> None:
    """Remove the rows of a user who is being deleted, in the same transaction."""
    for table in left_tables(using):
        with connections[using].cursor() as cursor:
            cursor.execute(f"DELETE FROM {connections[using].ops.quote_name(table)} WHERE user_id = %s", [user_id])


@cache
def left_tables(using: str) -> list[str]:
    """Return the tables of apps that were turned off. Read once in a process, because settings need a restart."""
    unused = [table for app, table in TABLES.items() if not apps.is_installed(app)]
    return sorted(set(unused) & set(connections[using].introspection.table_names())) if unused else []
