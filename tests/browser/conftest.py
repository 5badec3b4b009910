"""The real server on a database of its own, and visitors in real Chromium."""

import contextlib
import functools
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
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

import pytest
from playwright.sync_api import BrowserContext, Page, StorageState, ViewportSize, expect

from tests import migrated
from tests.browser.ports import free_port
from tests.kept import keep, manage
from tests.servers import beside

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "four words that are secret"
# The users of most tests: alice is on the staff.
CAST = ("alice", "bob", "charlie")
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
# The pages of a browser context share a process, because all are of one site. The process stays between two tests, so
# it has compiled the page's scripts already.
ONE_RENDERER = ["--renderer-process-limit=1", "--disable-site-isolation-trials"]
WINDOW: ViewportSize = {"width": 1280, "height": 720}
# How a page looks to a test that changes nothing of it. Motion takes a third of the processor's time, and no test needs
# it but those that ask for it.
MEDIA = {
    "media": "null",
    "color_scheme": "light",
    "reduced_motion": "reduce",
    "forced_colors": "none",
    "contrast": "no-preference",
}
# The development server. The other kind, uvicorn, is forked with the libraries, because tests start it often.
DAPHNE = ["-m", "daphne", "-v", "0", "-b", "127.0.0.1", "-p", "{port}", "multichat.asgi:application"]


class PageKind(NamedTuple):
    """What pages must have in common so that a test can use one of another test."""

    user: str
    # Options of the browser context, such as its locale.
    options: frozenset[tuple[str, Any]]


class Site:
    """A server process that can be stopped and started on the same port and database.

    It serves the static files that `static` holds, as collected, or without it the sources as they are written.
    """

    # The database that each site begins with: migrated and filled once in a run.
    seeded = b""

    def __init__(self, folder, kind="uvicorn", *, static=None):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.kind = kind
        self.database = folder / "db.sqlite3"
        own = {
            "DATABASE_URL": f"sqlite:///{self.database}",
            "VAR": str(folder),
            "STATIC_ROOT": str(static or folder / "static"),
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "LIMITS": "0",
        }
        self.environment = {key: value for key, value in os.environ.items() if key != "REDIS_URL"} | own
        self.log = folder / "server.log"
        self.process: subprocess.Popen[bytes] | beside.Fork | None = None
        self.python: subprocess.Popen[str] | None = None
        # By user: the cookies of their session.
        self.states: dict[str, StorageState] = {}
        # By user and options of the context: pages, each in a context of its own, that no test uses now.
        self.pages: defaultdict[PageKind, list[Page]] = defaultdict(list)
        self._fill_database()
        with self._sql() as sql:
            self.rooms = sql.execute("SELECT id, title, title_key, staff_only FROM chat_room").fetchall()

    def _fill_database(self):
        if Site.seeded:
            self.database.write_bytes(Site.seeded)
            return
        migrated.copy_to(self.database)
        self.shell(SEED)
        with self._sql() as sql:
            Site.seeded = sql.serialize()

    @contextlib.contextmanager
    def _sql(self):
        with contextlib.closing(sqlite3.connect(self.database, timeout=10)) as connection, connection:
            yield connection

    def clean(self):
        """Make the rooms as they were at first, without messages: beside the server, as a restore would."""
        with self._sql() as sql:
            for table in ("mention", "searchtext", "storedfile", "event", "visit", "appearance", "paneset"):
                sql.execute(f"DELETE FROM chat_{table}")
            last = max(self.rooms)[:1]
            for table, column in (("presence", "room_id"), ("membership", "room_id"), ("room", "id")):
                sql.execute(f"DELETE FROM chat_{table} WHERE {column} > ?", last)
            # Presences stay, because the server knows what it has written.
            sql.execute(
                "UPDATE chat_membership SET read_seq = NULL, position = NULL, is_wide = 0, shape = NULL, level = 0,"
                " notified_seq = 0"
            )
            sql.executemany(
                "INSERT OR REPLACE INTO chat_room (id, title, title_key, staff_only, head_seq, floor_seq, epoch)"
                " VALUES (?, ?, ?, ?, 0, 1, lower(hex(randomblob(4))))",
                self.rooms,
            )
            sql.execute("INSERT INTO chat_accesschange (id) VALUES (lower(hex(randomblob(16))))")

    def address(self, *rooms):
        """Return the path of a page with these rooms open, by title or id. A click for each room takes longer."""
        ids = {title: str(room) for room, title, *_ in self.rooms}
        return f"/?rooms={','.join(ids.get(room, room) for room in rooms)}"

    def manage(self, *arguments):
        """Run a management command beside the server, without the start of another Python."""
        return self.shell(f"from django.core.management import call_command\ncall_command(*{arguments!r})")

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
        if self.kind == "uvicorn":
            self.process = beside.serve("multichat.server", environment, self.log)
        else:
            command = [sys.executable, *(part.format(port=self.port) for part in DAPHNE)]
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
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


def collect_static():
    """Collect the static files as `script/server` does, and keep them until one changes. Returns the folder."""
    sources = [ROOT / f"multichat/{name}.py" for name in ("settings", "static")]
    sources += [ROOT / name for name in ("tests/browser/collecting.py", "requirements.lock", "package-lock.json")]
    sources += sorted(path for path in (ROOT / "static").rglob("*") if path.is_file())
    return keep("collected", sources, _collect_static)


def _collect_static(folder):
    environment = {"VAR": str(folder), "STATIC_ROOT": str(folder / "static")}
    manage("collectstatic", "--no-input", DJANGO_SETTINGS_MODULE="tests.browser.collecting", **environment)
    return folder / "static"


class Visitor:
    """A user at the page, whose parts are found by role and name as a screen reader finds them."""

    def __init__(self, page, site):
        self.page = page
        self.site = site
        self.sockets = []
        self.sent = []
        self.received = []
        self.problems = []
        self.main = page.get_by_role("main")
        # How often the browser may ask whether to leave the page; the answer is yes.
        self.may_leave = 0
        self._listeners = {
            "websocket": self._listen,
            "pageerror": self._fail,
            "dialog": self._answer,
            "console": self._hear,
        }
        for event, listener in self._listeners.items():
            listen(page, event, listener)

    def leave(self):
        for event, listener in self._listeners.items():
            self.page.remove_listener(event, listener)

    def _listen(self, socket):
        self.sockets.append(socket)
        socket.on("framesent", lambda frame: self.sent.append(json.loads(frame)))
        socket.on("framereceived", lambda frame: self.received.append(json.loads(frame)))

    def _fail(self, error):
        self.problems.append(str(error))

    def _answer(self, dialog):
        if dialog.type == "beforeunload" and self.may_leave:
            self.may_leave -= 1
            return dialog.accept()
        self.problems.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _hear(self, message):
        # A server that a test has stopped and addresses that do not exist are no faults of the page.
        # Nor is it that a browser context of a test has no push service.
        expected = ("WebSocket connection", "Failed to load resource", "does not support the Push API in incognito")
        if message.type == "error" and not any(words in message.text for words in expected):
            self.problems.append(message.text)

    def commands(self, name):
        return [command for command in self.sent if command["command"] == name]

    def goto(self, path):
        self.page.goto(self.site.url + path)

    def button(self, title):
        return self.page.get_by_role("navigation", name="Rooms").get_by_role("button", name=title, exact=True)

    def toggle(self, title):
        """Return the button beside a room's own, which opens its pane or closes it."""
        return self.button(title).locator("xpath=following-sibling::button")

    def pane(self, title):
        return self.page.get_by_role("region", name=title, exact=True)

    def box(self, title):
        return self.page.get_by_role("textbox", name=f"Message {title}", exact=True)

    def log(self, title):
        return self.pane(title).get_by_role("log")

    def texts(self, title):
        """Return the messages of a pane, without those that are not acknowledged yet."""
        return self.log(title).locator("[data-part=messages] [data-part=text]")

    def unsent(self, title):
        return self.log(title).locator("[data-part=unsent] .message")

    def open(self, *titles):
        for title in titles:
            self.button(title).click()
            expect(self.box(title)).to_be_focused()

    def until_counted(self):
        """Wait until the page has its counts. Messages from before a user's first visit count as read, and the server
        notes the visit when the page asks for them."""
        for _ in range(100):
            if any("heads" in frame for frame in self.received):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError("the page got no counts")

    def say(self, title, text):
        self.box(title).fill(text)
        self.box(title).press("Enter")

    def expect_state(self, words):
        expect(self.page.get_by_role("status")).to_contain_text(words)


def until(page, condition):
    """Wait until a JavaScript expression is true. (The page's content policy forbids Playwright's own way.)"""
    poll = "const timer = setInterval(() => { if (%s) { clearInterval(timer); done(); } }, 20);" % condition
    page.evaluate("() => new Promise((done) => { %s })" % poll)


def pytest_collection_modifyitems(items):
    """Let the timeout count a test alone: its set-up may collect files, migrate a database and start a server."""
    for item in items:
        if Path(__file__).parent in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(60, func_only=True))


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    # The headless shell is the same engine without the desktop's parts, and takes two thirds of the processor's time.
    names = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"]
    browser = next(filter(None, map(shutil.which, names)), "/usr/bin/chromium")
    return browser_type_launch_args | {
        "executable_path": Path(__file__).with_name("chromium.sh"),
        "env": os.environ | {"CHROMIUM": browser},
        "args": ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", *ONE_RENDERER],
    }


@pytest.fixture(scope="session")
def collected():
    """The static files with hashed names, which a browser context fetches once for all its pages."""
    return collect_static()


@pytest.fixture(scope="session", params=["uvicorn"])
def site(request, tmp_path_factory, collected):
    # Daphne is the development server, so it serves the sources.
    static = collected if request.param == "uvicorn" else None
    site = Site(tmp_path_factory.mktemp("site"), request.param, static=static)
    site.start()
    yield site
    site.end()


listen = Page.on
emulate_media = Page.emulate_media
# What a test does to a page lasts as long as the page. These calls undo it, last first.
undoing: WeakKeyDictionary[Page, list[Callable[[PageKind], object]]] = WeakKeyDictionary()
# Pages with a change that cannot be undone.
spoilt_pages: WeakSet[Page] = WeakSet()
# Pages whose media are emulated, which one call undoes, however many there were.
emulating_pages: WeakSet[Page] = WeakSet()


def _note_changes():
    """Let each method that changes a page for good note how the change is undone."""

    def noting(method, note):
        @functools.wraps(method)
        def change(*arguments, **options):
            result = method(*arguments, **options)
            note(result, *arguments)
            return result

        return change

    def undo_by(page, undo):
        undoing.setdefault(page, []).append(undo)

    def stop_listening(_, page, event, listener):
        undo_by(page, lambda kind: page.remove_listener(event, listener))

    def detach(devtools, _, page):
        undo_by(page, lambda kind: devtools.detach())

    Page.on = noting(Page.on, stop_listening)
    Page.add_init_script = noting(
        Page.add_init_script, lambda script, page, *_: undo_by(page, lambda kind: script.close())
    )
    Page.route = noting(
        Page.route, lambda _, page, *__: undo_by(page, lambda kind: page.unroute_all(behavior="ignoreErrors"))
    )
    Page.emulate_media = noting(Page.emulate_media, lambda _, page: emulating_pages.add(page))
    BrowserContext.new_cdp_session = noting(BrowserContext.new_cdp_session, detach)
    for name in ("expose_function", "once", "route_web_socket"):
        setattr(Page, name, noting(getattr(Page, name), lambda _, page, *__: spoilt_pages.add(page)))


def _reset_media(page, kind):
    # Not the method that notes each call, because the page would be reset after each later test.
    emulate_media(page, **MEDIA | {name: value for name, value in kind.options if name in MEDIA})
    emulating_pages.discard(page)


_note_changes()


@pytest.fixture
def visit(browser, site):
    """Open an address for a user, signed in, in a browser context that no other visitor of the test has.

    The page is one of an earlier test whose context had the same options, if there is one: it has fetched the static
    files, and its process has compiled the scripts. A test that changes the context itself, such as its clock, asks for
    one that is not kept.
    """
    visitors = []
    kept = []
    site.clean()

    def visit(name, path="/?rooms=", *, context=None, keep=True, viewport=None, **options):
        page = None
        if context is None:
            state = signed_in(browser, site, name)
            kind = PageKind(name, frozenset(options.items()))
            is_kept = keep and name in CAST
            if is_kept and site.pages[kind]:
                page = site.pages[kind].pop()
                context = page.context
                # Another test may have ended the session that this page was kept with.
                context.clear_cookies()
                context.add_cookies(state["cookies"])
            else:
                context = browser.new_context(storage_state=state, **({"reduced_motion": "reduce"} | options))
                page = context.new_page()
            if is_kept:
                kept.append((kind, page))
        visitor = Visitor(page or context.new_page(), site)
        visitors.append(visitor)
        visitor.page.set_viewport_size(viewport or WINDOW)
        visitor.goto(path)
        return visitor

    yield visit
    pages = [page for context in {visitor.page.context for visitor in visitors} for page in context.pages]
    # Another page takes the place of one that is closed, or was changed for good.
    kept = [(kind, page) for kind, page in kept if kind.user in site.states]
    reused = {page: kind for kind, page in kept if page in pages and page not in spoilt_pages}
    for page, kind in reused.items():
        for undo in reversed(undoing.pop(page, [])):
            undo(kind)
        if page in emulating_pages:
            _reset_media(page, kind)
    # Chromium at times never answers when a context is disposed of while a page of it is being loaded.
    for page in pages:
        page.goto(f"{site.url}/healthz" if page in reused else "about:blank")
    for visitor in visitors:
        visitor.leave()
    for kind, page in kept:
        forget(page if page in reused else page.context.new_page(), site, kind)
    for page in pages:
        if page not in reused:
            page.close()
    assert [problem for visitor in visitors for problem in visitor.problems] == []


def forget(page, site, kind):
    """Keep a page for another test, without what its site stores in the browser, and without permissions."""
    if page.url == "about:blank":
        page.goto(f"{site.url}/healthz")
    page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
    page.context.clear_permissions()
    site.pages[kind].append(page)


def signed_in(browser, site, name):
    """Return the cookies of a user, who signs in once per server."""
    if name not in site.states:
        context = browser.new_context()
        address = f"{site.url}/accounts/login/"
        context.request.get(address)
        token = next(cookie["value"] for cookie in context.cookies() if cookie["name"].startswith("csrftoken"))
        form = {"username": name, "password": PASSWORD, "csrfmiddlewaretoken": token, "next": "/healthz"}
        answer = context.request.post(address, form=form, headers={"Referer": address})
        assert answer.url == f"{site.url}/healthz", answer.text()
        site.states[name] = context.storage_state()
        context.close()
    return site.states[name]


def sign_in(page, site, name, path="/"):
    page.goto(site.url + path)
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(site.url + path)
