"""Runs a command with a private PostgreSQL: python -m tests.servers.with_postgres pytest tests/test_log.py."""

import os
import subprocess
import sys

from tests import migrated
from tests.servers.services import Postgres, directory

with directory("pg") as path:
    # Durability is not needed: the cluster is not killed, and each test empties all tables.
    postgres = Postgres(path).start(quick=True)
    try:
        # pytest-django takes the database of this name.
        migrated.copy_to_postgres(postgres, "test_multichat")
        postgres.create("multichat")  # what other programs take
        environment = os.environ | {"TEST_DATABASE_URL": postgres.url("multichat"), "KEEP_DATABASE": "1"}
        status = subprocess.run(sys.argv[1:], env=environment).returncode
    finally:
        postgres.stop()
sys.exit(status)
