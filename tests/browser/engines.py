"""Firefox and WebKitGTK as Debian has them, driven with the interface that the smoke test needs.

Firefox speaks WebDriver BiDi, WebKitGTK classic WebDriver. Both take the same input actions, so a driver is a way to
open an address, to evaluate JavaScript and to perform actions.
"""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from websockets.sync.client import connect

from tests.browser.ports import free_port

# The keys of WebDriver that the smoke test presses.
KEYS = {"Enter": "\ue007", "Shift": "\ue008", "ArrowUp": "\ue013", "Escape": "\ue00c", "Tab": "\ue004"}
# A browser may start slowly while other programs use the machine.
START_SECONDS = 60
ANSWER_SECONDS = 20
FIREFOX_PREFERENCES = {
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "browser.startup.page": 0,
    # What it does when it starts that has nothing to do with a page: a third of the processor's time until it answers.
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.aboutwelcome.enabled": False,
    "browser.newtabpage.enabled": False,
    "browser.region.network.url": "",
    "browser.safebrowsing.downloads.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.search.update": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "dom.push.connection.enabled": False,
    "extensions.systemAddon.update.enabled": False,
    "extensions.update.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "toolkit.telemetry.enabled": False,
    "toolkit.telemetry.unified": False,
    # All pages are of one site, so one process is enough for them.
    "dom.ipc.processCount": 1,
    "dom.ipc.processPrelaunch.enabled": False,
    "fission.autostart": False,
    # The test is about no motion, and motion takes time.
    "toolkit.cosmeticAnimations.enabled": False,
    "ui.prefersReducedMotion": 1,
}


def program(package, *names):
    """Return the path of a program. Fails with the package to install."""
    path = next(filter(None, map(shutil.which, names)), None)
    assert path, f"{names[0]} is not installed; on Debian: apt-get install {package}"
    return path


class Driver:
    """The interface of a browser that the smoke test needs."""

    # The smallest width that the page can have, in pixels.
    narrowest = 360

    def open(self, url):
        raise NotImplementedError

    def resize(self, width, height):
        raise NotImplementedError

    def _evaluate(self, expression):
        """Return the JSON text that an expression gives."""
        raise NotImplementedError

    def _perform(self, sources):
        raise NotImplementedError

    def evaluate(self, expression):
        return json.loads(self._evaluate(f"JSON.stringify(({expression}) ?? null)"))

    def wait_for(self, expression, seconds=15):
        """Wait until an expression is true, also across the loading of a page. Returns its value."""
        until = time.monotonic() + seconds
        value = last = None
        while time.monotonic() < until:
            try:
                value = self.evaluate(expression)
            except Gone as error:
                value, last = None, error
            if value:
                return value
            time.sleep(0.03)
        raise AssertionError(f"after {seconds} s: {expression} is {value!r} ({last})\n{self.text()}")

    def text(self):
        with contextlib.suppress(Gone):
            return self.evaluate("document.body.innerText")
        return ""

    def reload(self):
        """Reload as a user does, and wait for the new document. A page that hangs fails the test."""
        self.evaluate("(window.isOld = true, setTimeout(() => location.reload()), true)")
        self.wait_for("!window.isOld && document.readyState === 'complete'", 20)

    def click(self, selector):
        x, y = self.wait_for(
            f"""(() => {{
              const element = document.querySelector({json.dumps(selector)});
              element?.scrollIntoView({{block: 'nearest', inline: 'nearest'}});
              const {{left, top, width, height}} = element?.getBoundingClientRect() ?? {{}};
              const [x, y] = [Math.round(left + width / 2), Math.round(top + height / 2)];
              return width && element.contains(document.elementFromPoint(x, y)) ? [x, y] : null;
            }})()"""
        )
        moves = [{"type": "pointerMove", "x": x, "y": y}, {"type": "pointerDown", "button": 0}]
        self._perform(
            [
                {
                    "type": "pointer",
                    "id": "mouse",
                    "parameters": {"pointerType": "mouse"},
                    "actions": [*moves, {"type": "pointerUp", "button": 0}],
                }
            ]
        )

    def press(self, *keys):
        """Press keys together: press("Shift", "Enter")."""
        values = [KEYS.get(key, key) for key in keys]
        down = [{"type": "keyDown", "value": value} for value in values]
        up = [{"type": "keyUp", "value": value} for value in reversed(values)]
        self._perform([{"type": "key", "id": "keyboard", "actions": down + up}])

    def type(self, text):
        strokes = [{"type": kind, "value": character} for character in text for kind in ("keyDown", "keyUp")]
        self._perform([{"type": "key", "id": "keyboard", "actions": strokes}])


class Gone(Exception):
    """The document is being replaced, so it cannot answer."""


class Chromium(Driver):
    """Playwright's page behind the same interface."""

    def __init__(self, page):
        self.page = page

    def open(self, url):
        self.page.goto(url)

    def resize(self, width, height):
        self.page.set_viewport_size({"width": width, "height": height})

    def _evaluate(self, expression):
        from playwright.sync_api import Error

        try:
            return self.page.evaluate(expression)
        except Error as error:
            raise Gone(str(error)) from error

    def click(self, selector):
        self.page.click(selector)

    def press(self, *keys):
        self.page.keyboard.press("+".join(keys))

    def type(self, text):
        self.page.keyboard.type(text)


class Installed(Driver):
    """An installed browser, in processes and with a home directory of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []

    def run(self, command, *, environment=None, **options):
        """Start a program in its own process group, so that its children end with it. Returns its output's file."""
        with (self.folder / f"{Path(command[0]).name}.log").open("w") as output:
            process = subprocess.Popen(
                command,
                env=os.environ | {"HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder)} | (environment or {}),
                stdout=output,
                stderr=output,
                start_new_session=True,
                **options,
            )
        self.processes.append(process)
        return Path(output.name)

    def wait_until(self, ask, what):
        """Wait until a starting browser answers. Returns the result of `ask`."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                if answer := ask():
                    return answer
            assert self.processes[-1].poll() is None, f"{what} ended"
            time.sleep(0.05)
        raise AssertionError(f"{what} did not start")

    def start(self):
        raise NotImplementedError

    def end(self):
        for process in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


class Firefox(Installed):
    """Headless Firefox over WebDriver BiDi."""

    def start(self):
        preferences = "".join(
            f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in FIREFOX_PREFERENCES.items()
        )
        (self.folder / "user.js").write_text(preferences)
        binary = program("firefox-esr", "firefox-esr", "firefox")
        log = self.run(
            [binary, "--headless", "--no-remote", "--profile", str(self.folder), "--remote-debugging-port", "0"]
        )
        listening = re.compile(r"WebDriver BiDi listening on (ws://\S+)")
        found = self.wait_until(lambda: listening.search(log.read_text()), "Firefox")
        self._last_id = 0
        self._socket = connect(f"{found[1]}/session", max_size=None, legacy=True)
        self._ask("session.new", capabilities={})
        # The first window of a headless Firefox never gets the focus, a second one does.
        self._context = self._ask("browsingContext.create", type="window")["context"]

    def _ask(self, method, **params):
        self._last_id += 1
        self._socket.send(json.dumps({"id": self._last_id, "method": method, "params": params}))
        while (answer := json.loads(self._socket.recv(ANSWER_SECONDS))).get("id") != self._last_id:
            pass
        if answer["type"] == "error":
            raise Gone(answer["message"])
        return answer["result"]

    def open(self, url):
        self._ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def resize(self, width, height):
        viewport = {"width": width, "height": height}
        self._ask("browsingContext.setViewport", context=self._context, viewport=viewport)

    def _evaluate(self, expression):
        target = {"context": self._context}
        answer = self._ask("script.evaluate", expression=expression, target=target, awaitPromise=True)
        if answer["type"] == "exception":
            raise Gone(answer["exceptionDetails"]["text"])
        return answer["result"]["value"]

    def _perform(self, sources):
        self._ask("input.performActions", context=self._context, actions=sources)


class WebKit(Installed):
    """WebKitGTK's MiniBrowser on a display of its own, over classic WebDriver."""

    narrowest = 460  # its toolbar is not narrower

    _session = ""

    def start(self):
        self._port = free_port()
        environment = {
            "DISPLAY": f":{self._start_display()}",
            # Its sandbox needs namespaces, which containers and root do not have.
            "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1",
            "LIBGL_ALWAYS_SOFTWARE": "1",
            # Layers that a graphics card would put together are drawn by the processor here, and in one layer sooner.
            "WEBKIT_DISABLE_COMPOSITING_MODE": "1",
            "NO_AT_BRIDGE": "1",
        }
        command = [program("webkit2gtk-driver", "WebKitWebDriver"), f"--port={self._port}"]
        self.run(command, environment=environment)
        self.wait_until(lambda: self._ask("GET", "/status"), "WebKitWebDriver")
        self._session = f"/session/{self._ask('POST', '/session', {'capabilities': {}})['sessionId']}"

    def _start_display(self):
        """Return the number of a display that is free."""
        reading, writing = os.pipe()
        display = ["-displayfd", str(writing), "-screen", "0", "1500x1100x24", "-nolisten", "tcp"]
        self.run([program("xvfb", "Xvfb"), *display], pass_fds=[writing])
        os.close(writing)
        with os.fdopen(reading) as pipe:
            return pipe.readline().strip()

    def _ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
        with contextlib.closing(connection):
            text = None if body is None else json.dumps(body)
            connection.request(method, self._session + path, text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            value = json.loads(answer.read())["value"]
        if answer.status != 200:
            raise Gone(value["message"])
        return value

    def open(self, url):
        self._ask("POST", "/url", {"url": url})

    def resize(self, width, height):
        # The window's size includes its toolbar.
        self._ask("POST", "/window/rect", {"width": width, "height": height + 38})
        self.wait_for(f"Math.abs(innerWidth - {width}) < 30")

    def _evaluate(self, expression):
        return self._ask("POST", "/execute/sync", {"script": f"return {expression}", "args": []})

    def _perform(self, sources):
        self._ask("POST", "/actions", {"actions": sources})

    def end(self):
        if self._session:
            # MiniBrowser is not in a process group that we started.
            with contextlib.suppress(Gone, OSError):
                self._ask("DELETE", "")
        super().end()


@contextlib.contextmanager
def running(engine):
    """Run a browser with a home directory of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        driver = engine(Path(folder))
        try:
            driver.start()
            yield driver
        finally:
            driver.end()
