"""The commands and environment of the image and compose.yaml, run outside Docker."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.quantities import IS_FULL, TIMEOUT
from tests.servers.services import BASE, WorkersServer, directory

pytestmark = pytest.mark.timeout(TIMEOUT)

DATABASE = "image"
DOCKERFILE = (BASE / "Dockerfile").read_text()
COMPOSE = (BASE / "compose.yaml").read_text()


def command(instruction):
    """Return the last command of the Dockerfile for CMD or HEALTHCHECK."""
    text = DOCKERFILE.replace("\\\n", "")
    return json.loads(re.findall(rf"^{instruction}\b[^\[\n]*(\[.*\])$", text, re.MULTILINE)[-1])


def environment_of_compose():
    block = re.search(r"\n  web:\n.*?    environment:\n(.*?)\n    ports:", COMPOSE, re.DOTALL)[1]
    return dict(re.findall(r"^ {6}(\w+): \"?(.*?)\"?$", block, re.MULTILINE))


class Image(WorkersServer):
    """The image's start command in the environment of compose.yaml, with our own services, port and PATH."""

    # It runs migrations first.
    START_SECONDS = 60.0

    @property
    def environment(self):
        own = super().environment
        return own | environment_of_compose() | self.addresses | {
            # As in the image, the Python with the packages comes first.
            "PATH": f"{Path(sys.executable).parent}:{own['PATH']}",
            "HOST": "0.0.0.0",
            "PORT": str(self.port),
        }  # fmt: skip

    def run_command(self, *arguments):
        return subprocess.run(
            arguments, cwd=BASE, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture
def image(postgres, redis):
    url = postgres.create(DATABASE)
    with directory("state") as state:
        image = Image(state, command=command("CMD"), database_url=url, redis_url=redis.url)
        yield image
        image.terminate()
        image.close()


def migrate_most(postgres):
    """Run all migrations but those of the admin. To run all takes most of this test's time (tests.migrated does so)."""
    postgres.execute("postgres", f'DROP DATABASE "{DATABASE}"')
    postgres.create(DATABASE, template="empty")
    postgres.execute(DATABASE, "DROP TABLE django_admin_log; DELETE FROM django_migrations WHERE app = 'admin'")


def test_a_new_database_is_migrated_and_served_by_two_processes_and_gets_its_first_admin(image, postgres):
    early = image.run_command("python", "manage.py", "first_run")
    assert "has no tables yet" in early.stderr
    assert "Traceback" not in early.stderr
    if not IS_FULL:
        migrate_most(postgres)
    image.start()
    assert postgres.execute(DATABASE, "SELECT count(*) FROM django_admin_log") == [(0,)], "the image migrates"
    # The command uses `exec`, so the supervisor is the container's first process and gets SIGTERM.
    assert b"multichat.workers" in Path(f"/proc/{image.pid}/cmdline").read_bytes()
    assert len(image.workers()) == int(environment_of_compose()["WORKERS"]) == 2
    assert image.run_command(*command("HEALTHCHECK")).returncode == 0
    first = image.run_command("python", "manage.py", "first_run")
    assert "Password" in first.stdout, first.stderr
    assert f"http://localhost:{image.port}/" in first.stdout
    assert "Password" not in image.log.read_text()
    image.terminate()
    assert image.run_command(*command("HEALTHCHECK")).returncode != 0


def test_the_container_is_published_on_loopback_only_and_does_not_run_as_root():
    assert re.findall(r'^ +- "(.*:8000)"$', COMPOSE, re.MULTILINE) == ["127.0.0.1:8000:8000"]
    assert COMPOSE.count("ports:") == 1
    environment = environment_of_compose()
    assert (environment["HTTPS"], environment["ALLOWED_HOSTS"]) == ("0", "localhost,127.0.0.1")
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER (?!0|root)\S+$", last_stage, re.MULTILINE)


def test_all_files_that_the_image_copies_exist_and_are_in_the_build_context():
    sources = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert [path for line in sources for path in line.split() if not (BASE / path).exists()] == []
    kept = re.findall(r"^!(.+)$", (BASE / ".dockerignore").read_text(), re.MULTILINE)
    assert sorted(kept) == sorted({path for line in sources for path in line.split()})
