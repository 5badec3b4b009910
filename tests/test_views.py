"""The views: the page, a room by its address, and the health check."""

import json
import re
from urllib.parse import quote

from django.db import OperationalError

from chat import protocol, views
from chat.models import Room
from chat.store import memberships


def config_of(response):
    found = re.search(r'<script id="config" type="application/json">(.*?)</script>', response.content.decode())
    return json.loads(found.group(1))


def buttons_of(response):
    return re.findall(
        r'<span class="title" data-part="title" dir="auto"[^>]*>(.*?)</span>',
        response.content.decode().split("<template")[0],
    )


def without_secrets(response):
    """Return the page without nonces and CSRF tokens, which differ in each response."""
    text = re.sub(r'nonce="[^"]+"', "", response.content.decode())
    text = re.sub(r'"now": \d+', "", text)
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", text)


def test_pages_redirect_to_the_login_and_back(client, rooms, bob, password):
    for path in ("/", "/?rooms=1,3", "/chat/Lobby/"):
        response = client.get(path)
        assert response.status_code == 302
        assert response["Location"] == f"/accounts/login/?next={quote(path)}"
    login = {"username": "bob", "password": password, "next": "/chat/Lobby/"}
    assert client.post("/accounts/login/", login)["Location"] == "/chat/Lobby/"
    assert client.post("/accounts/logout/")["Location"] == "/"
    assert client.get("/").status_code == 302


def test_the_login_does_not_redirect_to_another_site(client, bob, password):
    login = {"username": "bob", "password": password, "next": "https://elsewhere.example/"}
    assert client.post("/accounts/login/", login)["Location"] == "/"


def test_the_rooms_that_a_user_may_enter_are_listed_by_title(client, rooms, alice, bob):
    Room.objects.create(title="annex")
    client.force_login(bob)
    response = client.get("/?rooms=")
    assert buttons_of(response) == ["annex", "Lobby", "Random"]
    assert [room["title"] for room in config_of(response)["rooms"]] == ["annex", "Lobby", "Random"]
    assert "Staff" not in without_secrets(response).split("<template")[0]
    client.force_login(alice)
    assert buttons_of(client.get("/?rooms=")) == ["annex", "Lobby", "Random", "Staff"]


def test_the_page_has_its_user_and_its_limit_of_rooms(client, rooms, bob, settings):
    settings.LIMITS = {"ROOMS_PER_SOCKET": 3}
    client.force_login(bob)
    config = config_of(client.get("/"))
    since = config["user"].pop("since")
    assert config["user"] == {"id": bob.pk, "username": "bob", "staff": False}
    assert since == protocol.timestamp(bob.date_joined)
    assert config["limits"]["rooms"] == 3
    assert config["session"] == "/accounts/session/"


def test_the_page_is_made_with_few_queries(client, rooms, bob, django_assert_max_num_queries):
    client.force_login(bob)
    with django_assert_max_num_queries(6):  # session, user, rooms, sets of panes, who is around, appearance
        client.get("/chat/Lobby/")


def test_browsers_do_not_store_the_page(client, rooms, bob):
    client.force_login(bob)
    assert "no-store" in client.get("/")["Cache-Control"]


def test_without_rooms_the_page_says_so_and_links_the_admin_for_staff(client, alice, bob):
    for user, link in ((bob, "admin"), (alice, '<a href="/admin/">admin</a>')):
        client.force_login(user)
        sentence = f"No chat rooms defined. Maybe make some in the {link}?"
        assert sentence in client.get("/").content.decode()
    Room.objects.create(title="Lobby")
    assert "No chat rooms defined" not in client.get("/").content.decode()


def test_rooms_open_in_the_order_of_the_address(client, rooms, bob):
    client.force_login(bob)
    response = client.get(f"/?rooms={rooms.random.pk},{rooms.lobby.pk},{rooms.random.pk}")
    assert config_of(response)["open"] == [str(rooms.random.pk), str(rooms.lobby.pk)]
    assert config_of(response)["notice"] == ""


def test_an_address_with_thousands_of_rooms_opens_only_the_maximum(client, rooms, bob, settings):
    client.force_login(bob)
    settings.LAYOUT_PANES = 2
    many = ",".join(map(str, [rooms.lobby.pk, rooms.random.pk, *range(1000, 11_000)]))
    response = client.get("/", {"rooms": many})
    assert config_of(response)["open"] == [str(rooms.lobby.pk), str(rooms.random.pk)]
    assert config_of(response)["notice"] == "You can open at most 2 rooms at once. The others stay closed."


def test_with_many_rooms_the_page_has_few_buttons_but_all_titles(client, bob):
    # With ids of their own, because those that the database gives grow from test to test.
    Room.objects.bulk_create([Room(pk=10_000 + n, title=f"Room {n:04}", title_key=f"room {n:04}") for n in range(1000)])
    last = Room.objects.get(title="Room 0999")
    client.force_login(bob)
    response = client.get(f"/?rooms={last.pk}")
    assert len(config_of(response)["rooms"]) == 1000
    assert len(buttons_of(response)) == views.LISTED_ROOMS + 1
    assert buttons_of(response)[-2:] == [f"Room {views.LISTED_ROOMS - 1:04}", "Room 0999"], "an open room has a button"
    # The titles take about 115 bytes each, the buttons 500, and the templates of the page 38,000 in all.
    assert len(response.content) < 252_000


def test_a_newcomer_finds_the_lobby_open_and_later_the_own_layout(client, rooms, bob):
    client.force_login(bob)
    config = config_of(client.get("/"))
    assert (config["open"], config["newcomer"]) == ([str(Room.objects.get(title="Lobby").pk)], True)
    assert config_of(client.get("/?rooms="))["open"] == []
    memberships.store_first_visits([bob.pk])
    config = config_of(client.get("/"))
    assert (config["open"], config["newcomer"]) == ([], False)


def test_without_a_lobby_a_newcomer_finds_the_oldest_room_for_everybody_open(client, bob):
    client.force_login(bob)
    assert config_of(client.get("/"))["open"] == []
    Room.objects.create(title="Aardvarks", staff_only=True)
    oldest = Room.objects.create(title="Zebras")
    Room.objects.create(title="Ants")
    assert config_of(client.get("/"))["open"] == [str(oldest.pk)]


def test_forbidden_and_unknown_rooms_get_the_same_sentence(client, rooms, bob):
    client.force_login(bob)
    for unknown in (rooms.staff.pk, 999, "x", "0" * 5000, "１"):
        response = client.get("/", {"rooms": f"{unknown},{rooms.lobby.pk}"})
        assert config_of(response)["open"] == [str(rooms.lobby.pk)]
        assert config_of(response)["notice"] == "Some of these rooms don't exist, or you don't have access to them."


def test_links_to_messages_in_forbidden_and_unknown_rooms_get_the_same_sentence(client, rooms, bob):
    client.force_login(bob)
    for unknown in (f"{rooms.staff.pk}.1", "999.1", f"{rooms.lobby.pk}", f"{rooms.lobby.pk}.x", "x", "１.1"):
        config = config_of(client.get("/", {"at": unknown}))
        assert (config["at"], config["notice"]) == (None, "The linked message doesn't exist.")
    config = config_of(client.get("/", {"at": f"{rooms.lobby.pk}.7"}))
    assert (config["at"], config["notice"]) == ({"room": str(rooms.lobby.pk), "seq": 7}, "")


def test_a_rooms_address_is_case_insensitive(client, bob):
    client.force_login(bob)
    titles = ("a b", "a/b", "日本語", "100%?#", "<b>&amp;\"'", "../up", "ẞtraße")
    for room in [Room.objects.create(title=title) for title in titles]:
        # A script without cases has one spelling.
        for typed in sorted({room.title, room.title.upper(), room.title.casefold()}):
            response = client.get(f"/chat/{quote(typed)}/")
            assert response.status_code == 200
            assert config_of(response)["open"] == [str(room.pk)], typed


def test_a_forbidden_room_gets_the_same_answer_as_a_room_that_does_not_exist(client, rooms, bob):
    client.force_login(bob)
    answers = []
    for title in ("Staff", "Wharf"):
        response = client.get(f"/chat/{title}/")
        assert response.status_code == 404
        assert f"There is no room called “{title}”." in response.content.decode()
        as_json = client.get(f"/chat/{title}/", headers={"Accept": "application/json"})
        assert as_json.status_code == 404
        answers.append((without_secrets(response).replace(title, "X"), as_json.content.decode().replace(title, "X")))
    assert answers[0] == answers[1]


def test_a_title_that_the_database_refuses_is_not_found(client, rooms, bob):
    client.force_login(bob)
    assert client.get("/chat/%00/").status_code == 404


def test_a_room_can_be_loaded_by_title_as_json(client, rooms, alice):
    client.force_login(alice)
    response = client.get("/chat/sTAFF/", headers={"Accept": "application/json"})
    assert response.json() == {"id": str(rooms.staff.pk), "title": "Staff", "staff_only": True}


def test_the_address_of_all_rooms_redirects_to_the_page(client):
    assert client.get("/chat/")["Location"] == "/"


def test_titles_and_names_are_never_markup(client, django_user_model, password):
    markup = "</script><img src=x onerror=alert(1)>"
    Room.objects.create(title=markup)
    client.force_login(django_user_model.objects.create_user(markup, password=password))
    for path in ("/", f"/chat/{quote('<img src=x>')}/"):
        assert "<img src=x" not in client.get(path).content.decode()


def test_healthz_answers_while_the_database_does(client, db, monkeypatch):
    assert client.get("/healthz").status_code == 200

    class Gone:
        def cursor(self):
            raise OperationalError("gone")

    monkeypatch.setattr(views, "connection", Gone())
    assert client.get("/healthz").status_code == 503


def test_other_methods_get_405_and_unknown_addresses_a_404_page(client, rooms, bob):
    client.force_login(bob)
    assert client.post("/").status_code == 405
    response = client.get("/nowhere/")
    assert response.status_code == 404
    assert "Page not found" in response.content.decode()
