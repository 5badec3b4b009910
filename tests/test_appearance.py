"""Theme, density and clock: kept by the server for each user, in the page from the start, and live in open pages."""

import json

import pytest

from chat.live import database
from chat.store import appearances
from chat.store.appearances import Look
from tests.sockets import connected

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/accounts/appearance/"


def test_the_choices_are_in_every_page_from_the_start(client, bob, rooms):
    client.force_login(bob)
    assert 'data-theme="system" data-density="comfortable" data-clock=""' in client.get("/").content.decode()
    assert client.post(PATH, {"theme": "dark", "density": "compact", "clock": "24"})["Location"] == "/accounts/"
    for path in ("/", "/accounts/"):
        assert 'data-theme="dark" data-density="compact" data-clock="24"' in client.get(path).content.decode()
    assert '<option value="dark" selected>' in client.get("/accounts/").content.decode()
    # What the page's script sends changes one choice alone.
    answer = client.post(PATH, json.dumps({"density": "comfortable"}), content_type="application/json")
    assert answer.json() == {"theme": "dark", "density": "comfortable", "clock": "24", "language": ""}


@pytest.mark.parametrize("body", ['{"theme":"<b>"}', '{"user":1}', "[]", "\ud800".encode("utf-8", "surrogatepass")])
def test_other_choices_are_refused(client, bob, body):
    client.force_login(bob)
    assert client.post(PATH, body, content_type="application/json").status_code == 400
    client.post(PATH, {"theme": "x", "density": "compact"})
    assert appearances.of(bob.pk) == Look()


def test_it_needs_a_user_and_a_post(client, bob):
    assert client.post(PATH, {}).status_code == 302
    client.force_login(bob)
    assert client.get(PATH).status_code == 405


async def test_open_pages_of_the_user_follow_and_no_others(alice, bob):
    async with connected(bob) as bobs, connected(bob) as tab, connected(alice) as alices:
        for socket in (bobs, tab, alices):
            await socket.ask(command="watch")
            await socket.rest()
        await database.write(appearances.save, bob.pk, {"theme": "dark"})
        for socket in (bobs, tab):
            assert (await socket.until(lambda frame: "appearance" in frame))[-1] == {
                "appearance": {"theme": "dark", "density": "comfortable", "clock": ""}
            }
        assert not [frame for frame in await alices.rest() if "appearance" in frame]
