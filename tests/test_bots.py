"""Bots: posting and reading by a token, hooks, and what monitoring and GitHub send."""

import hashlib
import hmac
import json
import logging
import re
import shlex
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import URLPattern, get_resolver

from chat import bot_github, limits
from chat.exceptions import ClientError
from chat.models import Bot, Event, Room
from chat.store import bots, log, room_actions

pytestmark = pytest.mark.django_db
PAYLOADS = Path(__file__).parent / "payloads"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def made(rooms, alice):
    return bots.create_bot(rooms.lobby.pk, "grafana", by=alice.pk)


@pytest.fixture
def outside():
    """A client without cookies, which checks CSRF as for browsers."""
    return Client(enforce_csrf_checks=True)


def bearer(made):
    return {"Authorization": f"Bearer {made.token}"}


@pytest.fixture
def post(outside, made):
    def post(body, query="", *, kind=FORM, room=None, headers=None):
        body = body if isinstance(body, str | bytes) else json.dumps(body)
        address = f"/rooms/{room or made.bot.room_id}/messages{query}"
        return outside.post(address, body, content_type=kind, headers=headers or bearer(made))

    return post


def payload(name):
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def messages(room):
    return list(Event.objects.filter(room=room, kind=0).order_by("seq"))


def test_curl_posts_its_body_as_text(post, rooms):
    answer = post("disk full & 100% = bad", "?type=alert&key=disk")
    assert answer.status_code == 200 and answer.json() == {"room": str(rooms.lobby.pk), "seq": 1}
    [message] = messages(rooms.lobby)
    assert (message.body, message.msg_type, message.username) == ("disk full & 100% = bad", 2, "grafana")
    assert post("disk still full", "?type=alert&key=disk").json()["seq"] == 1, "the same key posts once"
    assert post("another", "?key=other").json()["seq"] == 2
    assert len(messages(rooms.lobby)) == 2


TEXTS = [
    ('{"text": "a"}', "application/json", "a", 0),
    ('{"message": "b"}', "application/json; charset=utf-8", "b", 0),
    ('{"text": "c"}', FORM, "c", 0),
    ('{"text": "c"}', "text/plain", '{"text": "c"}', 0),
    ("payload=%7B%22text%22%3A+%22d%22%7D", FORM, "d", 0),
    ("{not json", FORM, "{not json", 0),
    ("Grüße 🎉", "text/plain", "Grüße 🎉", 0),
    (
        '{"text":"e","attachments":[{"color":"danger","title":"t","title_link":"https://a.b/c",'
        '"text":"u","fields":[{"title":"host","value":7}]}]}',
        "application/json",
        "e\n[t](https://a.b/c)\nu\nhost: 7",
        2,
    ),
]


def test_the_forms_of_a_text(post, rooms):
    for body, kind, *_ in TEXTS:
        limits.clear()
        assert post(body, kind=kind).status_code == 200, body
    posted = [(message.body, message.msg_type) for message in messages(rooms.lobby)]
    assert posted == [(text, msg_type) for *_, text, msg_type in TEXTS]


REFUSALS = [
    ("", "", FORM, 400, "MESSAGE_EMPTY"),
    ("x", "?type=shout", FORM, 400, "COMMAND_INVALID"),
    ("x", "?type=resolved", FORM, 400, "COMMAND_INVALID"),
    ("x", f"?key={'k' * 501}", FORM, 400, "COMMAND_INVALID"),
    ("[1]", "", "application/json", 400, "JSON_INVALID"),
    ("[" * 5000, "", "application/json", 400, "JSON_INVALID"),
    ('{"text": 7, "attachments": 3}', "", "application/json", 200, None),
    ('{"text": null}', "", "application/json", 400, "MESSAGE_EMPTY"),
    ('{"alerts": [1, null, {"labels": 3}]}', "", "application/json", 200, None),
    (b"\xff", "", FORM, 400, "MESSAGE_INVALID"),
    ("x\x00", "", FORM, 400, "MESSAGE_INVALID"),
    ("x" * 70_000, "", FORM, 413, "MESSAGE_TOO_LONG"),
]


def test_a_refusal_says_what_to_do(post):
    for body, query, kind, status, error in REFUSALS:
        limits.clear()
        answer = post(body, query, kind=kind)
        assert answer.status_code == status, body[:50]
        if error:
            assert answer.json()["error"] == error, body[:50]
            assert answer.json()["detail"].endswith((".", "}."))


def test_a_replaced_or_revoked_token_is_refused_at_once(post, made, alice, rooms):
    new = bots.rotate(rooms.lobby.pk, made.bot.pk, "token", by=alice.pk)
    answer = post("x")
    assert answer.status_code == 401 and answer["WWW-Authenticate"] == "Bearer"
    assert post("x", headers=bearer(new)).status_code == 200
    bots.revoke(rooms.lobby.pk, made.bot.pk, by=alice.pk)
    assert post("x", headers=bearer(new)).status_code == 401
    assert post("x", headers={"Authorization": "Basic x"}).status_code == 401
    assert [message.body for message in messages(rooms.lobby)] == ["x"], "what it has posted stays"


def test_a_token_that_is_replaced_before_the_commit_writes_nothing(made, alice, rooms):
    key = bots.find_by_token(made.token)
    bots.rotate(rooms.lobby.pk, made.bot.pk, "token", by=alice.pk)
    draft = bots._draft(key, made.bot, rooms.lobby.pk, bots.Post("late", 0))
    [outcome] = bots.actions.commit([draft])
    assert isinstance(outcome, ClientError) and outcome.code == "USER_HAS_TO_LOGIN"


def test_a_token_for_another_room_is_answered_like_a_room_that_does_not_exist(post, outside, made, rooms):
    other, missing = post("x", room=rooms.staff.pk), post("x", room=999_999)
    assert other.status_code == missing.status_code == 404 and other.content == missing.content
    reads = [outside.get(f"/rooms/{room}/messages", headers=bearer(made)) for room in (rooms.staff.pk, 999_999)]
    assert reads[0].status_code == 404 and reads[0].content == reads[1].content


def test_a_token_opens_nothing_else(outside, made, rooms):
    rooms.lobby.send_message("a secret word", None)
    tried = 0
    for pattern in get_resolver().url_patterns:
        if not isinstance(pattern, URLPattern) or pattern.name in ("bot_messages", "healthz"):
            continue
        path = f"/{pattern.pattern}".replace("<int:room_id>", str(rooms.lobby.pk)).replace("<path:title>", "Lobby")
        path = path.replace("<int:pk>", "1").replace("<uidb64>", "MQ").replace("<token>", "x-y")
        path = path.replace("<str:code>", made.token).replace("<str:secret>", made.token)
        for answer in (outside.get(path, headers=bearer(made)), outside.post(path, "x", FORM, headers=bearer(made))):
            tried += 1
            assert "Lobby" not in answer.content.decode() and "secret word" not in answer.content.decode(), path
    assert tried > 40
    assert outside.get("/admin/", headers=bearer(made)).status_code == 302
    assert len(messages(rooms.lobby)) == 1


def test_an_archived_or_deleted_room_refuses(post, rooms):
    room_actions.change_room(rooms.lobby.pk, is_archived=True)
    answer = post("x")
    assert answer.status_code == 409 and answer.json()["error"] == "ROOM_READ_ONLY"
    rooms.lobby.delete()
    assert post("x", room=Room.all_objects.count() and 1).status_code in (401, 404)


def test_reading_gives_the_frames_of_the_socket(outside, post, made, rooms, bob):
    rooms.lobby.send_message("hello", bob)
    post("disk full", "?type=alert&key=x")
    post("", "?type=resolved&key=x")
    answer = outside.get(f"/rooms/{rooms.lobby.pk}/messages?after=1", headers=bearer(made))
    frames = b",".join(event.frame.payload for event in log.read(rooms.lobby.pk, after=1, limit=10))
    assert b'"events":[' + frames + b"]" in answer.content
    page = answer.json()
    assert (page["epoch"], page["head"], page["floor"], page["cursor"]) == (rooms.lobby.epoch, 3, 1, 3)
    assert "reset" not in page
    assert page["events"][1]["resolved"] == 2
    first = outside.get(f"/rooms/{rooms.lobby.pk}/messages?limit=1", headers=bearer(made)).json()
    assert [event["seq"] for event in first["events"]] == [1] and first["cursor"] == 1
    for query in ("?after=99", "?after=1&epoch=other"):
        page = outside.get(f"/rooms/{rooms.lobby.pk}/messages{query}", headers=bearer(made)).json()
        assert page["reset"] is True and page["events"][0]["seq"] == 1


def test_resolving_ends_the_alert_by_an_event(post, rooms):
    assert post("disk full", "?type=alert&key=x").json()["seq"] == 1
    assert post("fine", "?type=resolved&key=x").json()["seq"] == 2
    assert post("fine", "?type=resolved&key=x").json()["seq"] == 2
    event = Event.objects.get(room=rooms.lobby, seq=2)
    assert (event.kind, event.target_seq) == (Event.Kind.RESOLVED, 1)
    assert post("never heard of", "?type=resolved&key=unknown").json()["seq"] == 3
    assert messages(rooms.lobby)[-1].body == "never heard of"


@pytest.mark.parametrize("name", ["grafana", "alertmanager"])
def test_monitoring_posts_without_an_adapter(post, rooms, name):
    firing = payload(name)
    answer = post(firing, kind="application/json")
    assert answer.json() == {"room": str(rooms.lobby.pk), "seq": 2, "seqs": [1, 2]}
    types = [message.msg_type for message in messages(rooms.lobby)]
    assert types == ([2, 2] if name == "grafana" else [2, 1])
    text = messages(rooms.lobby)[0].body
    assert firing["alerts"][0]["annotations"]["summary"] in text and firing["alerts"][0]["generatorURL"] in text
    assert post(firing, kind="application/json").json()["seqs"] == [1, 2], "a repeated notification posts nothing"
    firing["status"] = firing["alerts"][0]["status"] = "resolved"
    firing["alerts"][0]["endsAt"] = "2021-10-12T10:51:03.157076+02:00"
    firing["alerts"] = firing["alerts"][:1]
    assert post(firing, kind="application/json").json()["seq"] == 3
    assert Event.objects.get(room=rooms.lobby, seq=3).target_seq == 1
    firing["alerts"][0] |= {"status": "firing", "startsAt": "2021-10-13T09:51:03.157076+02:00"}
    assert post(firing, kind="application/json").json()["seq"] == 4, "it fires again, as another alert"


def test_alerts_that_were_left_out_are_counted_once(post, rooms):
    # `max_alerts` in Alertmanager, and Max Alerts in Grafana.
    firing = payload("alertmanager") | {"truncatedAlerts": 5}
    for _ in range(2):
        assert post(firing, kind="application/json").json()["seqs"] == [1, 2, 3]
    assert messages(rooms.lobby)[-1].body == "… and 5 more alerts."


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"created": True, "ref": "refs/heads/feature/x"}, "baxterthehacker pushed [1 commit]("),
        ({"created": True, "commits": [], "ref": "refs/tags/v1"}, "baxterthehacker created tag [v1]("),
        ({"created": True, "commits": [], "ref": "refs/heads/x"}, "baxterthehacker created branch [x]("),
        ({"deleted": True, "commits": [], "head_commit": None}, "baxterthehacker deleted branch main in baxterthe"),
        ({"forced": True}, "baxterthehacker force-pushed [1 commit]("),
    ],
)
def test_a_push_says_what_happened_to_the_branch_or_tag(changes, text):
    [line] = bot_github.lines("push", payload("github_push") | changes)
    assert line.startswith(text)
    assert "0 commits" not in line


def test_a_pull_request_that_is_ready_for_review_is_said_to_be():
    [line] = bot_github.lines("pull_request", payload("github_pull_request") | {"action": "ready_for_review"})
    assert line.startswith("baxterthehacker marked pull request [#1 Update the README")
    assert line.endswith(" in baxterthehacker/public-repo as ready for review")


def test_a_hook_of_an_organization_is_connected_by_its_name():
    [line] = bot_github.lines("ping", {"zen": "Keep it simple.", "organization": {"login": "octo-org"}})
    assert line == "GitHub is connected: octo-org will post here."


HOSTILE = [None, 7, "x", [], {}, [None], {"commits": 7}, True]


@pytest.mark.parametrize("event", ["ping", "push", "issues", "pull_request", "issue_comment", "release"])
@pytest.mark.parametrize("action", ["opened", "closed", "created", "published", 7])
def test_github_events_of_another_form_harm_nothing(event, action):
    names = ("issue", "pull_request", "commits", "repository", "sender", "pusher", "release", "comment", "ref")
    for value in HOSTILE:
        for text in bot_github.lines(event, dict.fromkeys(names, value) | {"action": action}):
            assert isinstance(text, str)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("push", "github", "baxterthehacker hat [1 Commit]("),
        ("issues", "github", "baxterthehacker hat Issue [#2 Spelling error in the README file]("),
        ("pull_request", "github", "baxterthehacker hat Pull Request [#1 Update the README with new information]("),
        ("ping", "github", "GitHub ist verbunden: baxterthehacker/public-repo schreibt hier."),
        ("alertmanager", "", "… und 1 weiterer Alarm."),
    ],
)
def test_what_bots_post_is_in_the_language_of_the_site(outside, made, rooms, settings, name, kind, words):
    settings.LANGUAGE_CODE = "de"
    # Whatever language the sender asks for: the message is stored once, for all readers.
    headers = {"Accept-Language": "en"} | ({"X-GitHub-Event": name} if kind else {})
    content = payload(f"{kind}_{name}" if kind else name)
    content |= {} if kind else {"truncatedAlerts": 1}
    assert hook(outside, made, json.dumps(content), **headers).status_code == 200
    assert messages(rooms.lobby)[-1].body.startswith(words)


def test_an_alert_that_is_over_and_was_not_posted_is_named_in_the_language_of_the_site(post, rooms, settings):
    settings.LANGUAGE_CODE = "de"
    over = payload("alertmanager") | {"status": "resolved"}
    over["alerts"] = [over["alerts"][0] | {"status": "resolved"}]
    post(over, kind="application/json")
    post("", "?type=resolved&key=unknown", kind="text/plain")
    first, second = messages(rooms.lobby)
    assert first.body.startswith("Behoben: ") and second.body == "Behoben."


def test_a_refusal_is_in_the_language_of_the_sender_otherwise_of_the_site(post, made, settings):
    def detail(**headers):
        return post("x", "?type=boo", headers=bearer(made) | headers).json()["detail"]

    english = "This type does not exist. Use ?type=message, warning, alert or resolved."
    german = "Diesen Typ gibt es nicht. Verwende ?type=message, warning, alert oder resolved."
    assert (detail(), detail(**{"Accept-Language": "de"})) == (english, german)
    settings.LANGUAGE_CODE = "de"
    assert (detail(), detail(**{"Accept-Language": "en"})) == (german, english)


def hook(outside, made, body, **headers):
    return outside.post(f"/hooks/{made.hook}", body, content_type="application/json", headers=headers)


def test_a_hook_posts_and_reads_nothing(outside, made, rooms, alice):
    assert hook(outside, made, '{"text": "by hook"}').json() == {"room": str(rooms.lobby.pk), "seq": 1}
    assert outside.get(f"/hooks/{made.hook}").status_code == 405
    address = f"/rooms/{rooms.lobby.pk}/messages"
    assert outside.get(address, headers={"Authorization": f"Bearer {made.hook}"}).status_code == 401
    assert outside.post(f"/hooks/{made.token}", "x", content_type=FORM).status_code == 404
    bots.rotate(rooms.lobby.pk, made.bot.pk, "hook", by=alice.pk)
    assert hook(outside, made, '{"text": "late"}').status_code == 404


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ("ping", "GitHub is connected: baxterthehacker/public-repo will post here."),
        ("push", "baxterthehacker pushed [1 commit](https://github.com/baxterthehacker/public-repo/compare/"),
        (
            "issues",
            "baxterthehacker opened issue [#2 Spelling error in the README file]"
            "(https://github.com/baxterthehacker/public-repo/issues/2) in baxterthehacker/public-repo",
        ),
        ("pull_request", "baxterthehacker merged pull request [#1 Update the README with new information]("),
    ],
)
def test_github_is_checked_and_shown_in_words(outside, made, rooms, alice, event, text):
    signing = bots.rotate(rooms.lobby.pk, made.bot.pk, "signature", by=alice.pk)
    body = (PAYLOADS / f"github_{event}.json").read_bytes()
    signature = "sha256=" + hmac.new(signing.signature.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-GitHub-Event": event, "X-GitHub-Delivery": "72d3162e"}
    for wrong in ({}, {"X-Hub-Signature-256": signature[:-1] + "0"}, {"X-Hub-Signature-256": "sha256=ä"}):
        if wrong.get("X-Hub-Signature-256") != signature:
            assert hook(outside, made, body, **headers, **wrong).status_code == 401
    assert hook(outside, made, body + b" ", **headers, **{"X-Hub-Signature-256": signature}).status_code == 401
    for _ in range(2):  # GitHub delivers again
        assert hook(outside, made, body, **headers, **{"X-Hub-Signature-256": signature}).json()["seq"] == 1
    [message] = messages(rooms.lobby)
    assert message.body.startswith(text)
    assert signing.signature not in Bot.objects.get().signing_secret


def test_no_secret_is_stored_or_logged(outside, made, settings, caplog):
    row = Bot.objects.get()
    assert made.token not in str(vars(row)) and made.hook not in str(vars(row))
    with caplog.at_level(logging.DEBUG):
        hook(outside, made, "")
        outside.get(f"/hooks/{made.hook}")
        outside.post(f"/hooks/{made.hook}x", "x", content_type=FORM)
    hidden = settings.LOGGING["filters"]["hidden_codes"]["()"]
    assert hidden == "multichat.hints.HiddenCodes"
    assert "hidden_codes" in settings.LOGGING["handlers"]["stderr"]["filters"]
    from multichat.hints import HiddenCodes

    for record in caplog.records:
        HiddenCodes().filter(record)
        assert made.hook not in record.getMessage()


def test_a_bot_has_limits_of_its_own(post, outside, made, settings):
    settings.LIMITS = settings.LIMITS | {"BOT_POSTS_AT_ONCE": 2, "BOT_REFUSALS_AT_ONCE": 1}
    assert [post("x").status_code for _ in range(3)] == [200, 200, 429]
    assert int(post("x")["Retry-After"]) >= 1
    assert [outside.post("/hooks/wrong", "x", FORM).status_code for _ in range(2)] == [404, 429]


def test_the_name_of_a_bot_is_taken_and_its_user_cannot_sign_in(made, alice, bob, rooms):
    for name in ("Grafana", "bob", "BOB", "", "two words"):
        with pytest.raises(ClientError):
            bots.create_bot(rooms.lobby.pk, name, by=alice.pk)
    with pytest.raises(ValidationError, match="taken"):
        User.objects.create_user("GRAFANA")
    user = User.objects.get(username="grafana")
    assert not user.is_active and not user.has_usable_password()
    other = bots.create_bot(rooms.random.pk, "grafana", by=alice.pk)
    assert other.bot.user_id == user.pk and other.token != made.token
    bots.revoke(rooms.lobby.pk, made.bot.pk, by=alice.pk)
    again = bots.create_bot(rooms.lobby.pk, "grafana", by=alice.pk)
    assert again.bot.user_id == user.pk


def test_a_bot_whose_user_was_deleted_or_can_sign_in_is_refused(post, made):
    User.objects.filter(username="grafana").update(is_active=True)
    assert post("x").status_code == 401
    User.objects.get(username="grafana").delete()
    assert post("x").status_code == 401


def test_only_those_who_manage_a_room_make_bots(rooms, alice, bob, charlie):
    with pytest.raises(ClientError, match="ROOM_ACCESS_DENIED"):
        bots.create_bot(rooms.lobby.pk, "bot", by=bob.pk)
    plans = room_actions.create_room("Plans", who="members", members=[bob.pk, charlie.pk])
    with pytest.raises(ClientError, match="ROOM_INVALID"):
        bots.create_bot(plans.pk, "bot", by=alice.pk)
    with pytest.raises(ClientError, match="ROOM_ACCESS_DENIED"):
        bots.create_bot(plans.pk, "bot", by=charlie.pk)
    made = bots.create_bot(plans.pk, "bot", by=bob.pk)
    for work in (
        lambda: bots.rotate(plans.pk, made.bot.pk, "token", by=alice.pk),
        lambda: bots.revoke(plans.pk, made.bot.pk, by=alice.pk),
        lambda: bots.list_bots(plans.pk, by=alice.pk),
    ):
        with pytest.raises(ClientError, match="ROOM_INVALID"):
            work()


def test_the_page_makes_rotates_and_revokes(client, alice, rooms):
    client.force_login(alice)

    def ask(**body):
        answer = client.post(f"/rooms/{rooms.lobby.pk}/bots/", json.dumps(body), content_type="application/json")
        assert answer.status_code == 200, answer.content
        return answer.json()

    made = ask(add="ci")
    assert made["made"]["address"] == f"http://testserver/rooms/{rooms.lobby.pk}/messages"
    assert bots.find_by_token(made["made"]["token"])
    assert client.get(f"/rooms/{rooms.lobby.pk}/bots/").json() == {"bots": made["bots"], "made": None}
    pk = made["bots"][0]["id"]
    assert bots.find_by_hook(ask(rotate=pk, secret="hook")["made"]["hook"].rpartition("/")[2])
    assert ask(rotate=pk, secret="signature")["bots"][0]["signed"]
    assert ask(revoke=pk)["bots"] == []


def test_the_admin_shows_secrets_once(client, alice, bob, rooms):
    alice.is_superuser = True
    alice.save()
    plans = room_actions.create_room("Plans", who="members", members=[bob.pk])
    client.force_login(alice)
    assert client.get("/admin/chat/bot/add/").status_code == 200
    answer = client.post("/admin/chat/bot/add/", {"room": rooms.lobby.pk, "name": "ci"}).content.decode()
    assert Bot.objects.get().user.get_username() == "ci" and "/hooks/" in answer
    token = answer.split("Bearer ")[1].split("'")[0]
    assert bots.find_by_token(token)
    chosen = {"_selected_action": Bot.objects.get().pk}
    assert token not in client.get("/admin/chat/bot/").content.decode()
    assert (
        "signed with it" in client.post("/admin/chat/bot/", {"action": "new_signing_secret", **chosen}).content.decode()
    )
    client.post("/admin/chat/bot/", {"action": "new_token", **chosen})
    assert bots.find_by_token(token) is None
    assert "bob" in client.post("/admin/chat/bot/add/", {"room": rooms.lobby.pk, "name": "bob"}).content.decode()
    client.post("/admin/chat/bot/add/", {"room": plans.pk, "name": "spy"})
    assert Bot.objects.count() == 1
    client.post("/admin/chat/bot/", {"action": "revoke", **chosen})
    assert Bot.objects.get().revoked_at


def test_the_curl_lines_of_the_document_work(outside, made, rooms):
    document = (Path(__file__).parent.parent / "docs/bots.md").read_text()
    lines = re.findall(r"^    (curl .*)$", document, re.MULTILINE)
    assert len(lines) == 7
    for line in lines:
        line = line.replace("$TOKEN", made.token).replace("$SECRET", made.hook)
        words = iter(shlex.split(line.replace("/rooms/3/", f"/rooms/{rooms.lobby.pk}/"))[1:])
        headers, body, address = {}, None, ""
        for word in words:
            if word == "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            elif word == "-d":
                body = next(words)
            else:
                address = word.removeprefix("http://127.0.0.1:8000")
        kind = headers.pop("Content-Type", FORM)
        if body is None:
            answer = outside.get(address, headers=headers)
        else:
            answer = outside.post(address, body, content_type=kind, headers=headers)
        assert answer.status_code == 200, (line, answer.content)
    shown = [(message.body, message.msg_type) for message in messages(rooms.lobby)]
    assert shown[1:] == [
        ("disk full", 2),
        ("deployed", 0),
        ("build\n[failed](https://ci.example.com/7)", 2),
        ("disk full", 1),
    ]
