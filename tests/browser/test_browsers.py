"""The page's main job in each supported browser: Chromium, Firefox and WebKit."""

import contextlib
import json
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.browser import engines
from tests.browser.conftest import PASSWORD

WIDE = (1320, 740)
ROOMS = ("Lobby", "Random", "Third")


@pytest.fixture(scope="module")
def starting():
    """Start Firefox and WebKit at the same time."""
    with contextlib.ExitStack() as stack, ThreadPoolExecutor() as pool:
        yield {
            engine: pool.submit(stack.enter_context, engines.running(engine))
            for engine in (engines.Firefox, engines.WebKit)
        }


@pytest.fixture
def firefox(starting):
    return starting[engines.Firefox].result()


@pytest.fixture
def webkit(starting):
    return starting[engines.WebKit].result()


@pytest.fixture
def chromium(browser):
    context = browser.new_context()
    yield engines.Chromium(context.new_page())
    context.close()


# All other tests are in Chromium, so script/soak alone runs this one there too.
@pytest.fixture(params=[pytest.param("chromium", marks=pytest.mark.full_size), "firefox", "webkit"])
def user(request, site, starting):
    site.clean()
    return User(request.getfixturevalue(request.param), site)


class User:
    """A user at the page in one of the browsers."""

    def __init__(self, driver, site):
        self.driver = driver
        self.site = site
        self.ids = {title: room for room, title, *_ in site.rooms}

    def sign_in(self, name):
        self.driver.open(f"{self.site.url}/accounts/login/?next=/?rooms=")
        self.driver.click("#id_username")
        self.driver.type(name)
        self.driver.click("#id_password")
        self.driver.type(PASSWORD)
        self.driver.press("Enter")
        self.is_connected()

    def sign_out(self):
        self.driver.resize(*WIDE)
        self.driver.click("[data-part=sign-out] button")
        self.driver.wait_for("document.querySelector('#id_username') !== null")

    def is_connected(self):
        self.driver.wait_for("document.querySelector('[data-part=state]')?.dataset.state === 'open'", 30)

    def open(self, title):
        self.driver.click(f'button[data-room="{self.ids[title]}"]')
        self.driver.wait_for(f"document.activeElement === {self.box(title)}")

    def write(self, title, *lines):
        """Click into a room's composer and type lines there, with Shift+Enter between them."""
        self.driver.click(f'textarea[aria-label="Message {title}"]')
        for number, line in enumerate(lines):
            if number:
                self.driver.press("Shift", "Enter")
            self.driver.type(line)

    def say(self, title, text):
        self.write(title, text)
        self.driver.press("Enter")

    def box(self, title):
        return f"document.querySelector('textarea[aria-label=\"Message {title}\"]')"

    def pane(self, title):
        return f"document.querySelector('room-pane[aria-label=\"{title}\"]')"

    def texts(self, title, part="messages"):
        return (
            f"[...{self.pane(title)}.querySelectorAll('[data-part={part}] [data-part=text]')].map((e) => e.innerText)"
        )

    def sees(self, title, *texts):
        wanted = json.dumps(texts, ensure_ascii=False)
        self.driver.wait_for(f"JSON.stringify({self.texts(title)}) === JSON.stringify({wanted})")

    def height_of_box(self, title):
        return self.driver.evaluate(f"{self.box(title)}.getBoundingClientRect().height")


def test_the_page_does_its_main_job_in_every_browser(user, site):
    driver = user.driver
    driver.resize(*WIDE)
    user.sign_in("bob")
    assert not driver.evaluate("document.getElementById('start-trouble')"), "the browser counts as too old"

    # Open three rooms, and talk in both directions.
    for title in ROOMS:
        user.open(title)
    user.say("Lobby", "hello from here")
    user.sees("Lobby", "hello from here")
    site.shell(
        "from chat.models import Room\n"
        "from django.contrib.auth.models import User\n"
        "Room.objects.get(title='Random').send_message('hello from there', User.objects.get(username='alice'))"
    )
    user.sees("Random", "hello from there")
    days = "[...document.querySelectorAll('.day')].map((e) => e.textContent.trim())"
    assert set(driver.evaluate(days)) == {"Today"}, "every version of ICU names days"

    # Edit the last own message.
    driver.click('textarea[aria-label="Message Lobby"]')
    driver.press("ArrowUp")
    driver.wait_for(f"{user.box('Lobby')}.value === 'hello from here'")
    driver.type(", again")
    driver.press("Enter")
    user.sees("Lobby", "hello from here, again")

    # A draft survives a reload, and its box has the same height as before.
    user.write("Third", "one", "two", "three")
    height = user.height_of_box("Third")
    driver.reload()
    user.is_connected()
    for title, text in (("Lobby", "hello from here, again"), ("Random", "hello from there")):
        user.sees(title, text)
    assert driver.evaluate(f"{user.box('Third')}.value") == "one\ntwo\nthree"
    assert height > 50
    driver.wait_for(f"Math.abs({user.box('Third')}.getBoundingClientRect().height - {height}) < 2")

    # A message that is written offline is sent once when the server is back.
    site.stop(signal.SIGKILL)
    driver.wait_for("document.querySelector('[data-part=state]').dataset.state !== 'open'")
    user.say("Random", "written offline")
    driver.wait_for(f"{user.texts('Random', 'unsent')}.length === 1")
    site.start()
    driver.evaluate("dispatchEvent(new Event('online'))")
    user.sees("Random", "hello from there", "written offline")
    driver.wait_for(f"{user.texts('Random', 'unsent')}.length === 0")

    # A phone shows one pane, and tabs for the others.
    width = max(360, driver.narrowest)
    driver.resize(width, 740)
    visible = "[...document.querySelectorAll('room-pane')].filter((e) => e.checkVisibility()).map((e) => e.ariaLabel)"
    driver.wait_for(f"{visible}.length === 1")
    driver.click(f'button[data-room="{user.ids["Lobby"]}"]')
    driver.wait_for(f"{visible}.join() === 'Lobby'")
    user.say("Lobby", "from the train")
    user.sees("Lobby", "hello from here, again", "from the train")
    assert driver.evaluate("document.documentElement.scrollWidth <= innerWidth")
    user.sign_out()
