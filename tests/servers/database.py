"""What a test asks of a server's database, in a process of its own: python -m tests.servers.database make 6."""

import sys
from pathlib import Path

import django
import msgspec

django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402

from chat import actions, testing  # noqa: E402
from chat.models import Room  # noqa: E402
from tests.servers.services import CAST, PASSWORD  # noqa: E402


def make(count="6"):
    """Make the tables, the cast and rooms numbered from 1 on."""
    call_command("migrate", interactive=False, verbosity=0)
    for name in CAST:
        User.objects.create_user(name, password=PASSWORD, is_staff=name == "alice")
    for number in range(1, int(count) + 1):
        Room.objects.create(title=f"Room {number}")


def rows():
    """Return the events of all rooms."""
    return testing.rows()


def fill(room, count):
    """Post many messages, quickly."""
    author = User.objects.get(username="bob")
    texts = [f"message {number}" for number in range(int(count))]
    for start in range(0, len(texts), 500):
        drafts = [
            actions.Draft(room=int(room), author=author.pk, username=author.username, body=text, trusted=True)
            for text in texts[start : start + 500]
        ]
        actions.commit(drafts)


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    if name == "rows":
        Path("/dev/stdout").write_bytes(msgspec.json.encode(rows()))
    elif name == "make":
        make(*arguments)
    else:
        fill(*arguments)
