"""With the in-memory layer, only one server can run."""

import os
import subprocess
import sys

SERVE = "from multichat import claim; claim.claim_process(); print('serving', flush=True); input()"


def test_a_second_server_on_the_in_memory_layer_is_refused_until_the_first_is_killed(tmp_path):
    environment = {**os.environ, "VAR": str(tmp_path)}
    environment.pop("DATABASE_URL", None)

    def serve():
        return subprocess.Popen(
            [sys.executable, "-c", SERVE],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    with serve() as first:
        assert first.stdout.readline() == "serving\n"
        with serve() as second:
            assert "SecondServerError" in second.communicate(timeout=20)[1]
        first.kill()
    with serve() as third:
        assert third.stdout.readline() == "serving\n"
        third.kill()
