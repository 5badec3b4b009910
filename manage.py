#!/usr/bin/env python
"""Multichat's commands: `.venv/bin/python manage.py help`."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "multichat.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit(
            "Multichat: Django is not installed for this Python. Run script/setup, then .venv/bin/python manage.py."
        )
    from django.db import OperationalError

    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        if "--traceback" in sys.argv:
            raise
        reason = " ".join(str(error).split())
        sys.exit(f"Multichat: the database cannot be used. Is DATABASE_URL right, and the database there? {reason}")


if __name__ == "__main__":
    main()
