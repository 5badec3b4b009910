"""A SQLite database with all tables and no rows, made once for all runs: migrating takes ten seconds of CPU time."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BASE = Path(__file__).resolve().parents[1]
KEPT = BASE / ".pytest_cache/migrated"
# What the tables depend on: the migrations, what they import, and the packages.
SOURCES = ["multichat/settings.py", "chat/fields.py", "chat/models.py", "chat/names.py", "requirements.lock"]


def copy_to(path):
    """Make a migrated database at `path`, without the optional parts, whose migrations can follow."""
    shutil.copyfile(_database(), path)


def _database():
    sources = [BASE / name for name in SOURCES] + sorted((BASE / "chat/migrations").glob("*.py"))
    digest = hashlib.sha256(b"".join(f"{path}\0".encode() + path.read_bytes() for path in sources)).hexdigest()
    made = KEPT / f"{digest[:12]}.sqlite3"
    KEPT.parent.mkdir(exist_ok=True)
    # Of two runs that begin at the same time, the second one waits and uses the database of the first one.
    with KEPT.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(KEPT, ignore_errors=True)
            KEPT.mkdir()
            # Renamed when it is complete, so that a run that is stopped leaves no half of it.
            with tempfile.TemporaryDirectory(dir=KEPT) as folder:
                command = [sys.executable, "manage.py", "migrate", "--verbosity", "0", "--skip-checks"]
                environment = {"PATH": os.environ["PATH"], "VAR": folder}
                done = subprocess.run(command, cwd=BASE, env=environment, capture_output=True, text=True)
                assert done.returncode == 0, done.stderr
                Path(folder, "db.sqlite3").rename(made)
    return made
