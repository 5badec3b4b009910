"""Nothing tells a user of a room of members that they may not enter: no command, frame, page or error.

Staff and superusers are no exception. Members see such a room come, change and go.
"""

import io
import json
import re
import uuid

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import get_resolver

from chat.exceptions import ClientError
from chat.live import audiences, database
from chat.models import Membership, Room
from chat.protocol import AnyCommand
from chat.store import actions, room_actions
from tests.sockets import connected, login_of

pytestmark = pytest.mark.django_db(transaction=True)

TITLE, TOPIC, TEXT = "Acquisition of Initech", "Codename Falcon", "the price is secret"
SECRETS = re.compile("|".join([TITLE, TOPIC, TEXT]), re.IGNORECASE)
PERSON = "zacharias"  # of the room of members, and of the direct room
MISSING = 987_654


@pytest.fixture(autouse=True)
def quick(settings):
    settings.GRACE_SECONDS = 0
    settings.SWEEP_SECONDS = 0.05
    settings.POSITIONS_SECONDS = 0.02


@pytest.fixture
def person(db):
    return User.objects.create_user(PERSON)


@pytest.fixture
def hidden_rooms(person, charlie, rooms):
    """A room of members and a direct one, each with a message that mentions everyone."""
    made = [
        room_actions.create_room(TITLE, topic=TOPIC, who="members", members=[person.pk, charlie.pk]),
        room_actions.open_direct([charlie.pk], by=person.pk),
    ]
    for room in made:
        room.send_message(f"{TEXT} @bob @root @alice", person)
    return list(Room.objects.filter(pk__in=[room.pk for room in made]).order_by("pk"))


# A superuser is staff too, so what would be told to staff alone is told to a superuser as well.
@pytest.fixture(params=[pytest.param("staff", marks=pytest.mark.full_size), "superuser", "user"])
def outsider(request, db):
    """A user who is no member."""
    if request.param == "superuser":
        return User.objects.create_superuser("root")
    return User.objects.create_user("alice" if request.param == "staff" else "bob", is_staff=request.param == "staff")


def without_room(frame, room):
    """Return a frame as text with the room's id replaced, so that answers about two rooms can be compared."""
    return re.sub(rf'"{room}"', '"ROOM"', json.dumps(frame, sort_keys=True))


def commands_about(room):
    """Return a command of each kind about a room."""
    return [
        {"command": "join", "room": room},
        {"command": "join", "room": room, "since": 0},
        {"command": "resume", "rooms": {str(room): {"since": 0}}},
        {"command": "history", "room": room},
        {"command": "send", "room": room, "message": "hi", "client_id": "0f8e3d6c-2b1a-4c5d-9e8f-7a6b5c4d3e2f"},
        {"command": "edit", "room": room, "seq": 1, "message": "hi"},
        {"command": "delete", "room": room, "seq": 1},
        {"command": "react", "room": room, "seq": 1, "emoji": "👍", "on": True},
        {"command": "leave", "room": room},
    ]


async def test_no_command_or_frame_tells_an_outsider_of_a_hidden_room(outsider, hidden_rooms):
    async with connected(outsider) as socket:
        await socket.send(command="watch")
        frames = await socket.until(lambda frame: "heads" in frame)
        expected = [without_room(await socket.ask(**command), MISSING) for command in commands_about(MISSING)]
        for hidden in hidden_rooms:
            answers = [await socket.ask(**command) for command in commands_about(hidden.pk)]
            assert [without_room(answer, hidden.pk) for answer in answers] == expected
            frames += answers
        # A position is refused only when it is written.
        for hidden in hidden_rooms:
            await socket.send(command="read", room=hidden.pk, seq=1)
            await socket.send(command="layout", rooms=[str(hidden.pk)], wide=str(hidden.pk))
            await socket.send(command="layout", put=[{"room": str(hidden.pk)}])
            await database.write(hidden.send_message, TEXT, None)
        await database.write(room_actions.create_room, "Seen by all")
        frames += await socket.until(lambda frame: "Seen by all" in str(frame))
        frames += await socket.rest()
        # Everything that was to be stored for the outsider is stored when the socket has gone.
    seen = [frame for frame in frames if frame.get("room") is None and "leave" not in frame]
    assert not SECRETS.search(json.dumps(frames)) and PERSON not in json.dumps(frames)
    assert not {str(hidden.pk) for hidden in hidden_rooms} & {room for frame in seen for room in frame.get("heads", {})}
    rows = Membership.objects.filter(room__in=hidden_rooms, user=outsider)
    assert not await database.read(rows.exists), "no trace of the outsider is stored in the room"


# Commands about no room, or about none that the client names.
ROOMLESS = {"ping", "watch", "users", "mentions", "copies", "read_older"}


def further_commands_about(room):
    """Return a command of each kind that `commands_about` has not, or has in other words."""
    return [
        {"command": "confirm", "room": room, "seq": 1},
        {"command": "resolve", "room": room, "seq": 1},
        {"command": "people", "room": room, "prefix": PERSON[:3]},
        {"command": "people", "room": room},
        {"command": "typing", "room": room},
        {"command": "notify", "room": room, "seq": 1},
        {"command": "quote", "room": room, "seqs": [1]},
        {"command": "level", "room": room, "level": "quiet"},
        {"command": "read", "room": room, "seq": 1},
        {"command": "layout", "put": [{"room": room}], "shapes": [{"room": room, "strip": True}]},
        {"command": "history", "room": room, "around": 1},
        {"command": "history", "room": room, "from": "2020-01-01T00:00:00Z"},
        {"command": "edit", "room": room, "seq": 1, "message": "hi", "across": "0f8e3d6c-2b1a-4c5d-9e8f-7a6b5c4d3e2f"},
        {"command": "delete", "room": room, "seq": 1, "across": "0f8e3d6c-2b1a-4c5d-9e8f-7a6b5c4d3e2f"},
    ]


def test_each_command_about_a_room_is_compared():
    compared = {command["command"] for command in [*commands_about(1), *further_commands_about(1)]}
    assert compared | ROOMLESS == {kind.__struct_config__.tag for kind in AnyCommand.__args__}


async def test_every_answer_about_a_hidden_room_is_that_about_a_missing_one(outsider, hidden_rooms, rooms):
    async def answers(room):
        """Return what all commands about a room are answered. A read position and a level are refused when written."""
        for command in further_commands_about(room):
            await socket.send(**command)
        late = {"read", "level"}
        frames = await socket.until(lambda frame: late.discard(frame.get("command")) or not late)
        await socket.send(command="ping")
        frames += await socket.until(lambda frame: "pong" in frame)
        return sorted(without_room(frame, room) for frame in frames)

    async with connected(outsider) as socket:
        await socket.ask(command="join", room=rooms.lobby.pk)
        await socket.rest()
        expected = await answers(MISSING)
        for hidden in hidden_rooms:
            assert await answers(hidden.pk) == expected
        # A message that quotes it, as a source.
        for room in (MISSING, *(hidden.pk for hidden in hidden_rooms)):
            await socket.send(command="send", room=rooms.lobby.pk, message="look", source={"room": room, "seq": 1})
        frames = await socket.rest()
    texts = [json.dumps(frame) for frame in frames]
    assert not SECRETS.search("".join(texts)) and PERSON not in "".join(texts)
    assert not [text for text in texts if '"source"' in text], "a source that its author may not read is refused"


def test_no_page_tells_an_outsider_of_a_hidden_room(outsider, hidden_rooms):
    client = Client()
    client.force_login(outsider)
    shown = client.get("/").content.decode()
    for place in (lambda room, title: f"/?rooms={room}", lambda room, title: f"/?rooms=1&at={room}.1", chat):
        expected = client.get(place(MISSING, "Nothing here"))
        for hidden in hidden_rooms:
            page = client.get(place(hidden.pk, hidden.title))
            assert page.status_code == expected.status_code
            text = page.content.decode()
            shown += text.replace(hidden.title, "")
            notices = [re.findall(r'"notice": "([^"]*)"', body) for body in (text, expected.content.decode())]
            assert notices[0][0].replace(hidden.title, "Nothing here") == notices[1][0]
    for hidden in hidden_rooms:
        answer = client.get(chat(hidden.pk, hidden.title), headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json()["error"]) == (404, "ROOM_INVALID")
        assert f'data-room="{hidden.pk}"' not in shown
    assert not SECRETS.search(shown) and PERSON not in shown


def chat(room, title):
    return f"/chat/{title}/"


async def test_commands_about_no_room_tell_an_outsider_of_no_hidden_one(outsider, hidden_rooms, person):
    across = "0f8e3d6c-2b1a-4c5d-9e8f-7a6b5c4d3e2f"
    login = await database.read(login_of, person)
    copies = [
        actions.Draft(room=hidden.pk, author=person.pk, login=login, body=TEXT, across=uuid.UUID(across))
        for hidden in hidden_rooms
    ]
    assert not any(isinstance(outcome, ClientError) for outcome in await database.write(actions.commit, copies))
    async with connected(outsider) as socket:
        await socket.send(command="mentions")
        await socket.send(command="copies", across=across)
        await socket.send(command="read_older", before="2090-01-01T00:00:00Z")
        frames = await socket.until(lambda frame: "copies" in frame)
        frames += await socket.rest()
    assert [frame["mentioned"] for frame in frames if "mentioned" in frame] == [[]]
    assert [frame["messages"] for frame in frames if "copies" in frame] == [[]]
    assert not SECRETS.search(json.dumps(frames))
    assert not any(f'"{hidden.pk}"' in json.dumps(frames) for hidden in hidden_rooms)
    rows = Membership.objects.filter(room__in=hidden_rooms, user=outsider)
    assert not await database.read(rows.exists), "no trace of the outsider is stored in the room"


JSON = "application/json"
# What a page may send to each address of a room that takes JSON: a body for each branch of its view.
BODIES = {
    "/rooms/<int:room_id>/": [{"title": "Mine", "topic": "", "archived": True}],
    "/rooms/<int:room_id>/members/": [{"add": ["alice"]}, {"remove": PERSON}],
    "/rooms/<int:room_id>/bots/": [
        {"add": "deploys"},
        {"rotate": 1, "secret": "token"},
        {"rotate": 1, "secret": "hook"},
        {"rotate": 1, "secret": "signature"},
        {"revoke": 1},
    ],
    "/rooms/<int:room_id>/webhooks/": [
        {"add": "https://example.com/", "with_bots": True},
        {"rotate": 1},
        {"pause": 1},
        {"resume": 1, "from_now": True},
        {"remove": 1},
    ],
}


def test_each_address_of_a_room_answers_as_if_it_were_missing(outsider, hidden_rooms):
    """The addresses come from the urlconf, so that a new one is compared too."""
    client = Client()
    client.force_login(outsider)

    def answers(path, room):
        """Return what an address of a room answers to each request, without what differs between all answers."""
        bodies = BODIES.get(path, [{}])
        path = path.replace("<int:room_id>", str(room)).replace("<int:seq>", "1")
        asked = [client.get(path), client.post(path), client.post(path, {"file": io.BytesIO(b"hello")})]
        asked += [client.post(path, json.dumps(body), content_type=JSON) for body in bodies]
        differing = dict.fromkeys(("Expires", "Content-Security-Policy", "Server-Timing"))
        headers = [{**answer.headers, **differing} for answer in asked]
        texts = [b"".join(answer).decode() for answer in asked]
        return [(answer.status_code, *rest) for answer, *rest in zip(asked, headers, texts, strict=True)]

    paths = [
        f"/{pattern.pattern}" for pattern in get_resolver().url_patterns if "<int:room_id>" in str(pattern.pattern)
    ]
    assert len(paths) >= 7 and {*BODIES} <= {*paths}
    for path in paths:
        missing = answers(path, MISSING)
        for hidden in hidden_rooms:
            about = answers(path, hidden.pk)
            assert about == missing, path
            assert all(status >= 400 for status, *_ in about), path
            assert not SECRETS.search(str(about)) and PERSON not in str(about), path


def test_each_body_about_a_room_is_valid_for_its_address(hidden_rooms, person):
    """Otherwise it would be refused before any room is looked up, so the answers above would prove nothing."""
    client = Client()
    client.force_login(person)
    for hidden in hidden_rooms:
        for path, bodies in BODIES.items():
            # Removing the member is last.
            for body in sorted(bodies, key=lambda body: body.get("remove") == PERSON):
                answer = client.post(path.replace("<int:room_id>", str(hidden.pk)), json.dumps(body), content_type=JSON)
                assert "request is invalid" not in answer.content.decode(), (path, body)


def test_no_page_about_rooms_in_general_tells_an_outsider_of_a_hidden_room(outsider, hidden_rooms, charlie):
    client = Client()
    client.force_login(outsider)
    word = TEXT.split()[1]
    queries = [word, *(f'{word} in:"{hidden.title}"' for hidden in hidden_rooms)]
    is_staff = outsider.is_staff
    ids = [hidden.pk for hidden in hidden_rooms]
    saved = json.dumps({"do": "save", "name": "x", "rooms": ids})
    asked = [
        *((200, client.get("/search/", {"q": query})) for query in queries),
        (200, client.get("/people/around/")),
        (200 if is_staff else 403, client.get("/invite/")),
        (200 if is_staff else 403, client.post("/invite/", {"days": 1, "uses": 1, "rooms": ids})),
        (200, client.get("/accounts/")),
        (200, client.get("/accounts/workspaces/")),
        (200, client.post("/accounts/workspaces/", saved, JSON)),
    ]
    assert [answer.status_code for _, answer in asked] == [status for status, _ in asked]
    shown = "".join(answer.content.decode() for _, answer in asked)
    assert not SECRETS.search(shown) and PERSON not in shown
    # A member finds the message by the same queries.
    client.force_login(charlie)
    for query in queries:
        assert TEXT in client.get("/search/", {"q": query}).content.decode(), query


def test_members_see_their_rooms_on_the_page(hidden_rooms, person, charlie):
    client = Client()
    client.force_login(charlie)
    page = client.get(f"/chat/{TITLE}/")
    assert (page.status_code, client.get(f"/chat/{PERSON}/").status_code) == (200, 200)
    shown = {room["id"]: room for room in page.context["config"]["rooms"]}
    members, direct = (shown[str(hidden.pk)] for hidden in hidden_rooms)
    assert (members["kind"], members["topic"]) == ("members", TOPIC)
    assert direct == {
        "id": str(hidden_rooms[1].pk),
        "title": PERSON,
        "staff_only": False,
        "kind": "direct",
        "people": [PERSON],
    }


async def test_members_see_a_room_of_theirs_come_and_go_on_open_pages(rooms, bob, charlie):
    async with connected(bob) as socket:
        await socket.send(command="watch")
        await socket.until(lambda frame: "heads" in frame)
        room = await database.write(room_actions.create_room, TITLE, topic=TOPIC, who="members", members=[charlie.pk])
        await database.write(room.send_message, "before", charlie)
        await database.write(room.add_member, bob)
        frames = await socket.until(lambda frame: str(room.pk) in frame.get("heads", {}))
        listed = next(frame["rooms"] for frame in frames if "rooms" in frame)
        assert listed[-1] == {
            **{"id": str(room.pk), "title": TITLE, "staff_only": False, "kind": "members", "topic": TOPIC}
        }
        assert [entry["title"] for entry in listed] == ["Lobby", "Random", TITLE]
        await socket.send(command="join", room=room.pk)
        # The counts may be sent again meanwhile.
        joined = (await socket.until(lambda frame: "join" in frame))[-1]
        assert (joined["join"], joined["kind"], joined["topic"]) == (str(room.pk), "members", TOPIC)
        await database.write(lambda: room_actions.change_room(room.pk, title="Initech", topic=""))
        frames = await socket.until(lambda frame: "Initech" in str(frame.get("rooms")))
        await database.write(room.remove_member, bob)
        left = {"leave": str(room.pk), "reason": "ROOM_ACCESS_DENIED"}
        frames = await socket.until(lambda frame: frame == left)
        if not any("rooms" in frame for frame in frames):
            await socket.until(lambda frame: "rooms" in frame)
        await database.write(room.send_message, "after", charlie)
        await database.write(rooms.lobby.send_message, "for all", charlie)
        later = await socket.until(lambda frame: str(rooms.lobby.pk) in frame.get("heads", {}))
        assert str(room.pk) not in json.dumps(later + await socket.rest()).replace(f'"{rooms.lobby.pk}"', "")


async def test_every_message_in_a_direct_room_counts_as_for_its_reader(alice, bob):
    async with connected(bob) as socket:
        await socket.send(command="watch")
        await socket.until(lambda frame: "rooms" in frame)
        room = await database.write(lambda: room_actions.open_direct([bob.pk], by=alice.pk))
        [frame] = [frame for frame in await socket.until(lambda frame: frame.get("rooms")) if "rooms" in frame]
        assert frame["rooms"] == [
            {"id": str(room.pk), "title": "alice", "staff_only": False, "kind": "direct", "people": ["alice"]}
        ]
        await database.write(room.send_message, "hello", alice)
        frames = await socket.until(lambda frame: frame.get("heads", {}).get(str(room.pk), {}).get("unread") == 1)
        assert frames[-1]["heads"][str(room.pk)]["mentions"] == 1
        await socket.send(command="join", room=room.pk)
        # The room's alerts or counts may come first.
        [*_, joined] = await socket.until(lambda frame: "join" in frame)
        assert (joined["title"], joined["kind"], joined["people"]) == ("alice", "direct", ["alice"])


async def test_a_room_that_becomes_one_of_members_stays_with_its_members_alone(rooms, bob, charlie):
    def close():
        rooms.lobby.members_only = True
        rooms.lobby.save()
        rooms.lobby.add_member(bob)

    async with connected(bob) as first, connected(charlie) as second:
        for socket in (first, second):
            await socket.send(command="watch")
            await socket.until(lambda frame: "rooms" in frame)
        await second.send(command="join", room=rooms.lobby.pk)
        await second.until(lambda frame: "join" in frame)
        await database.write(close)
        # In any order: the first sweep reads the lists too, and may do so before the right is checked.
        frames = await second.until(lambda frame: "Lobby" not in str(frame.get("rooms", "Lobby")))
        left = {"leave": str(rooms.lobby.pk), "reason": "ROOM_ACCESS_DENIED"}
        if left not in frames:
            await second.until(lambda frame: frame == left)
        await first.until(lambda frame: "members" in str(frame.get("rooms")))


def test_a_list_of_shared_rooms_is_encoded_once_however_many_users_have_rooms_of_their_own(rooms, bob, charlie):
    room = room_actions.create_room(TITLE, who="members", members=[bob.pk])
    own = audiences.load_own([bob.pk, charlie.pk])
    shared = audiences.load({"kind": bob})["kind"]
    assert own[charlie.pk] is audiences.NO_ROOMS
    assert audiences.UserList(shared, own[charlie.pk]).frame() is shared.frame
    frame = json.loads(audiences.UserList(shared, own[bob.pk]).frame().payload)
    assert [entry["id"] for entry in frame["rooms"]] == [str(pk) for pk in (rooms.lobby.pk, rooms.random.pk, room.pk)]
    no_shared = audiences.RoomList({}, audiences._EMPTY)
    alone = json.loads(audiences.UserList(no_shared, own[bob.pk]).frame().payload)
    assert [entry["id"] for entry in alone["rooms"]] == [str(room.pk)]
