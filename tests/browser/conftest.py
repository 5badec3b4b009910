"""The real server on a database of its own, and visitors in real Chromium."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "four words nobody guesses"
MARKUP = "<img src=x onerror=alert(1)>"
ODD_TITLE = "日本語/チーム ✓ 100%?"
SEED = f"""
from django.contrib.auth.models import User
from chat.models import Room
for name, is_staff in [("alice", True), ("bob", False), ("charlie", False), ({MARKUP!r}, False)]:
    User.objects.create_user(name, password={PASSWORD!r}, is_staff=is_staff, is_superuser=is_staff)
for title in ["Lobby", "Random", "Third", "Here", "There", {MARKUP!r}, {ODD_TITLE!r}]:
    Room.objects.create(title=title)
Room.objects.create(title="Staff", staff_only=True)
"""
SERVERS = {
    "uvicorn": ["-m", "multichat.server"],
    "daphne": ["-m", "daphne", "-v", "0", "-b", "127.0.0.1", "-p", "{port}", "multichat.asgi:application"],
}


class Site:
    """A server process that can be stopped and started on the same port and database."""

    def __init__(self, folder, kind="uvicorn"):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.command = [sys.executable, *(part.format(port=self.port) for part in SERVERS[kind])]
        database = f"sqlite:///{folder}/db.sqlite3"
        own = {"DATABASE_URL": database, "VAR": str(folder), "HOST": "127.0.0.1", "PORT": str(self.port), "LIMITS": "0"}
        self.environment = {key: value for key, value in os.environ.items() if key != "REDIS_URL"} | own
        self.log = folder / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.python: subprocess.Popen[str] | None = None
        self.states: dict[str, str] = {}
        self.database = folder / "db.sqlite3"
        self.manage("migrate", "--verbosity", "0")
        self.shell(SEED)
        with self._sql() as sql:
            self.rooms = sql.execute("SELECT id, title, title_key, staff_only FROM chat_room").fetchall()

    @contextlib.contextmanager
    def _sql(self):
        with contextlib.closing(sqlite3.connect(self.database, timeout=10)) as connection, connection:
            yield connection

    def clean(self):
        """Make the rooms as they were at first, with nothing said in them: beside the server, as a restore would."""
        with self._sql() as sql:
            for table in ("mention", "event", "visit"):
                sql.execute(f"DELETE FROM chat_{table}")
            last = max(self.rooms)[:1]
            for table, column in (("presence", "room_id"), ("membership", "room_id"), ("room", "id")):
                sql.execute(f"DELETE FROM chat_{table} WHERE {column} > ?", last)
            # Who is here stays: the server knows what it has written.
            sql.execute("UPDATE chat_membership SET read_seq = NULL, position = NULL, is_wide = 0")
            sql.executemany(
                "INSERT OR REPLACE INTO chat_room (id, title, title_key, staff_only, head_seq, floor_seq, epoch)"
                " VALUES (?, ?, ?, ?, 0, 1, lower(hex(randomblob(4))))",
                self.rooms,
            )
            sql.execute("INSERT INTO chat_accesschange (id) VALUES (lower(hex(randomblob(16))))")

    def manage(self, *arguments):
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def shell(self, code):
        """Run Python beside the server, as a site's own script would. Returns what it printed."""
        if self.python is None:
            environment = self.environment | {"DJANGO_SETTINGS_MODULE": "multichat.settings"}
            command = [sys.executable, "-m", "tests.browser.shell"]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self.python = subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)
        self.python.stdin.write(json.dumps(code) + "\n")
        self.python.stdin.flush()
        done = json.loads(self.python.stdout.readline())
        assert done["failed"] is None, done["failed"]
        return done["printed"]

    def start(self, redis_url=""):
        environment = self.environment | {"REDIS_URL": redis_url}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        for _ in range(400):
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=5):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.05)
        raise AssertionError(f"the server did not come up: {self.log.read_text()}")

    def stop(self, how=signal.SIGTERM):
        if self.process is None:
            return
        self.process.send_signal(how)
        self.process.wait(20)
        self.process = None

    def end(self):
        self.stop()
        if self.python is not None:
            self.python.communicate()


class Visitor:
    """Somebody who looks at the page, found by role and name as a screen reader finds it."""

    def __init__(self, page, site):
        self.page = page
        self.site = site
        self.sockets = []
        self.sent = []
        self.received = []
        self.problems = []
        self.main = page.get_by_role("main")
        page.on("websocket", self._listen)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: (self.problems.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("console", self._hear)

    def _listen(self, socket):
        self.sockets.append(socket)
        socket.on("framesent", lambda frame: self.sent.append(json.loads(frame)))
        socket.on("framereceived", lambda frame: self.received.append(json.loads(frame)))

    def _hear(self, message):
        # A server that was stopped on purpose, and pages that are not there, are no fault of the page.
        expected = "WebSocket connection" in message.text or "Failed to load resource" in message.text
        if message.type == "error" and not expected:
            self.problems.append(message.text)

    def commands(self, name):
        return [command for command in self.sent if command["command"] == name]

    def goto(self, path):
        self.page.goto(self.site.url + path)

    def button(self, title):
        return self.page.get_by_role("navigation", name="Rooms").get_by_role("button", name=title, exact=True)

    def pane(self, title):
        return self.page.get_by_role("region", name=title, exact=True)

    def box(self, title):
        return self.page.get_by_role("textbox", name=f"Message {title}", exact=True)

    def log(self, title):
        return self.pane(title).get_by_role("log")

    def texts(self, title):
        """The messages of a pane, without those on their way."""
        return self.log(title).locator("[data-part=messages] [data-part=text]")

    def unsent(self, title):
        return self.log(title).locator("[data-part=unsent] .message")

    def open(self, *titles):
        for title in titles:
            self.button(title).click()
            expect(self.box(title)).to_be_focused()

    def say(self, title, text):
        self.box(title).fill(text)
        self.box(title).press("Enter")

    def expect_state(self, words):
        expect(self.page.get_by_role("status")).to_contain_text(words)


def until(page, condition):
    """Wait until a JavaScript expression holds. (The page's content policy forbids Playwright's own way.)"""
    poll = "const timer = setInterval(() => { if (%s) { clearInterval(timer); done(); } }, 20);" % condition
    page.evaluate("() => new Promise((done) => { %s })" % poll)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    path = "/usr/bin/chromium"
    if not os.path.exists(path):
        path = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), path)
    return browser_type_launch_args | {
        "executable_path": path,
        "args": ["--no-sandbox", "--disable-dev-shm-usage"],
    }


@pytest.fixture(scope="session", params=["uvicorn"])
def site(request, tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site"), request.param)
    site.start()
    yield site
    site.end()


@pytest.fixture
def visit(browser, site):
    """Let somebody look at an address, signed in, in a browser context of their own."""
    visitors = []
    site.clean()

    def visit(name, path="/?rooms=", *, context=None, **options):
        if context is None:
            context = browser.new_context(storage_state=signed_in(browser, site, name), **options)
        visitor = Visitor(context.new_page(), site)
        visitors.append(visitor)
        visitor.goto(path)
        return visitor

    yield visit
    # Chromium at times never answers when a context is disposed of while a page of it is being loaded.
    for context in {visitor.page.context for visitor in visitors}:
        for page in context.pages:
            page.goto("about:blank")
            page.close()
    assert [problem for visitor in visitors for problem in visitor.problems] == []


def signed_in(browser, site, name):
    """The cookies of a user, who signs in at the page once per server."""
    if name not in site.states:
        context = browser.new_context()
        page = context.new_page()
        sign_in(page, site, name)
        site.states[name] = context.storage_state()
        context.close()
    return site.states[name]


def sign_in(page, site, name, path="/"):
    page.goto(site.url + path)
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(site.url + path)
