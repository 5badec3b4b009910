"""Keeps what takes long to make in .pytest_cache, for all runs, until something that it is made from changes."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

BASE = Path(__file__).resolve().parents[1]
CACHE = BASE / ".pytest_cache"


def keep(name: str, sources: Iterable[Path], make: Callable[[Path], Path]) -> Path:
    """Return the file or folder that `make` made of these sources, in a folder that it is given."""
    digest = hashlib.sha256(b"".join(f"{path}\0".encode() + path.read_bytes() for path in sources)).hexdigest()
    folder = CACHE / name
    kept = folder / digest[:12]
    CACHE.mkdir(exist_ok=True)
    # Of two runs that begin at the same time, the second one waits and uses what the first one made.
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            # Renamed when it is complete, so that a run that is stopped leaves no half of it.
            with tempfile.TemporaryDirectory(dir=folder) as unfinished:
                make(Path(unfinished)).rename(kept)
    return kept


def manage(*arguments: str, **environment: str) -> None:
    """Run manage.py in a process of its own."""
    command = [sys.executable, "manage.py", *arguments, "--verbosity", "0"]
    environment = {"PATH": os.environ["PATH"]} | environment
    done = subprocess.run(command, cwd=BASE, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
