"""With the in-memory layer, only one server can run."""

import os
import subprocess
import sys

import pytest
from django.conf import settings

from multichat import claim

SERVE = "from multichat import claim; claim.claim_process(); print('serving', flush=True); input()"


def test_a_second_server_on_the_in_memory_layer_is_refused_until_the_first_is_killed(tmp_path, monkeypatch):
    environment = {**os.environ, "VAR": str(tmp_path)}
    environment.pop("DATABASE_URL", None)
    file = tmp_path / "db.sqlite3"
    # This process is the second server.
    monkeypatch.setattr(settings, "DATABASES", {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)}})
    monkeypatch.setattr(claim, "_claim", None)
    with subprocess.Popen(
        [sys.executable, "-c", SERVE], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout.readline() == "serving\n"
        with pytest.raises(claim.SecondServerError):
            claim.claim_process()
        first.kill()
    claim.claim_process()
    claim._claim.close()
