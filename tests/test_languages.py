"""English and German: chosen by the browser and by the user, and complete."""

import ast
import gettext
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import InterfaceError
from django.utils import translation

from chat import audit
from chat.consumers import language_of
from chat.exceptions import ClientError, ErrorCode
from chat.store import appearances, files, room_actions
from chat.views import EMOJI_LANGUAGES
from multichat import catalogues

ROOT = Path(__file__).parent.parent
FOLDERS = ("chat", "multichat", "templates", "static")
PLACEHOLDERS = re.compile(r"%\((\w+)\)[sd]|\{(\w+)\}")
REFUSALS = {"ClientError", "SearchError", "ValidationError", "too_fast", "too_large", "unavailable"}
COLLECT = """
import sys
from django.core.management import execute_from_command_line
for domain in ("django", "djangojs"):
    execute_from_command_line(["manage.py", "makemessages", "--domain", domain, *sys.argv[1:]])
"""
GERMAN = {"HTTP_ACCEPT_LANGUAGE": "de-AT,de;q=0.9,en;q=0.5"}


def entries(file):
    """Return the entries of a catalogue: context, sentence and plural, and their translations, each as a tuple."""
    found = []
    for block in re.split(r"\n\s*\n", file.read_text()):
        texts = {}
        for line in block.splitlines():
            if match := re.match(r'(msg\w+(?:\[\d\])?) (".*")$', line):
                current = match[1]
                texts[current] = ""
                line = match[2]
            if line.startswith('"'):
                texts[current] += line[1:-1].replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
        if texts.get("msgid"):
            key = tuple(texts[name] for name in ("msgctxt", "msgid", "msgid_plural") if name in texts)
            found.append((key, tuple(text for name, text in texts.items() if name.startswith("msgstr"))))
    return found


def placeholders(text):
    return {name for names in PLACEHOLDERS.findall(text) for name in names if name}


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """The catalogues after the sentences have been collected again."""
    place = tmp_path_factory.mktemp("site")
    for folder in FOLDERS:
        (place / folder).symlink_to(ROOT / folder)
    shutil.copytree(ROOT / "locale", place / "locale")
    # As `manage.py makemessages` for both domains, in one process.
    command = [sys.executable, "-c", COLLECT, "--all", "--symlinks", "--no-obsolete", "--no-wrap", "--verbosity", "0"]
    ignored = ["--ignore", "static/chat/languages/*"]
    subprocess.run([*command, *ignored], cwd=place, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    return place / "locale"


@pytest.mark.parametrize("domain", ["django", "djangojs"])
@pytest.mark.parametrize("language", catalogues.CATEGORIES)
def test_every_sentence_is_translated_with_its_placeholders(collected, language, domain):
    folder = f"{language}/LC_MESSAGES"
    stored = dict(entries(ROOT / "locale" / folder / f"{domain}.po"))
    needed = entries(collected / folder / f"{domain}.po")
    assert [key for key, _ in needed if key not in stored] == [], "run script/languages, then translate these"
    assert [key for key in stored if key not in dict(needed)] == [], "these are not used any more: run script/languages"
    assert [key for key, texts in stored.items() if not all(texts)] == []
    for key, texts in stored.items():
        wanted = placeholders(key[-1])
        for text in texts:
            assert wanted - placeholders(text) <= {"count", "number"} and placeholders(text) <= wanted, (key, text)


@pytest.mark.parametrize("language", catalogues.CATEGORIES)
def test_what_servers_and_pages_read_is_made_from_the_catalogues(language):
    folder = ROOT / "locale" / language / "LC_MESSAGES"
    for domain in ("django", "djangojs"):
        with (folder / f"{domain}.mo").open("rb") as file:
            compiled = gettext.GNUTranslations(file)._catalog
        texts = {text for _, texts in entries(folder / f"{domain}.po") for text in texts}
        assert {text for key, text in compiled.items() if key} == texts, "run script/languages"
    assert (catalogues.STATIC / f"{language}.js").read_text() == catalogues.make(language), "run script/languages"
    assert "fuzzy" not in (folder / "django.po").read_text() + (folder / "djangojs.po").read_text()


def plain_sentences(source):
    """Return the sentences with which refusals are made, and which are in English for all users."""
    found = []
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] in REFUSALS:
            given = [*call.args, *(keyword.value for keyword in call.keywords)]
            found += [text for text in given if isinstance(text, ast.JoinedStr | ast.Constant)]
    return [text for text in map(ast.unparse, found) if " " in text]


def test_every_refusal_is_translated():
    for file in sorted((ROOT / "chat").rglob("*.py")):
        assert plain_sentences(file.read_text()) == [], file
    assert plain_sentences('raise exceptions.unavailable("It is away.")') == ["'It is away.'"]
    assert plain_sentences('ClientError(code, detail=f"Use {most} words.")') == ["f'Use {most} words.'"]
    assert plain_sentences('ClientError(code, detail=_("It is away."), room=7)') == []


# What the admin is made of.
OTHERS = ("django.contrib.admin", "django.contrib.auth", "axes")
# Not shown by our site, the same in German, or without a word.
SAME = {"Administration", "Filter", "%(class_name)s %(instance)s", "In case you’ve forgotten, you are:"}


def sentences_of_others():
    for name in OTHERS:
        folder = Path(importlib.import_module(name).__file__).parent
        for file in folder.rglob("*.html"):
            found = re.findall(r"""\{% trans(?:late)? (["'])(.+?)\1""", file.read_text())
            yield from (sentence for _, sentence in found)
        for file in folder.rglob("*.py"):
            for call in ast.walk(ast.parse(file.read_text())):
                if isinstance(call, ast.Call) and ast.unparse(call.func) in ("_", "gettext", "gettext_lazy"):
                    yield from (text.value for text in call.args if isinstance(text, ast.Constant))


def test_what_django_and_axes_have_in_english_alone_is_translated_here():
    found = {sentence for sentence in sentences_of_others() if re.search("[a-z]{3}", sentence)} - SAME
    assert len(found) > 200
    with translation.override("de"):
        assert [sentence for sentence in sorted(found) if translation.gettext(sentence) == sentence] == []


@pytest.mark.django_db
def test_the_browser_chooses_the_language_of_a_visitor(client):
    german = client.get("/accounts/login/", **GERMAN)
    assert german.headers["Content-Language"] == "de" and "Accept-Language" in german.headers["Vary"]
    assert '<html lang="de"' in german.text and "chat/languages/de.js" in german.text and "Anmelden" in german.text
    for headers in ({}, {"HTTP_ACCEPT_LANGUAGE": "fr"}):
        english = client.get("/accounts/login/", **headers)
        assert '<html lang="en"' in english.text and "languages" not in english.text and "Log in" in english.text


@pytest.mark.django_db
def test_a_visitor_who_asks_for_no_language_of_ours_sees_that_of_the_site(client, settings, caplog):
    settings.LANGUAGE_CODE = "de"
    for headers in ({}, {"HTTP_ACCEPT_LANGUAGE": "fr"}):
        german = client.get("/accounts/login/", **headers)
        assert '<html lang="de"' in german.text and "chat/languages/de.js" in german.text and "Anmelden" in german.text
    english = client.get("/accounts/login/", HTTP_ACCEPT_LANGUAGE="en")
    assert '<html lang="en"' in english.text and "languages" not in english.text and "Log in" in english.text
    assert [language_of({"query_string": query}) for query in (b"", b"language=en", b"language=fr")] == [
        "de",
        "en",
        "de",
    ]
    # Logs stay in English.
    translation.deactivate()
    refusal = ClientError(ErrorCode.FILE_INVALID, detail=files.GONE)
    assert "no longer on the server" in str(refusal) and "nicht mehr auf dem Server" in refusal.detail
    with caplog.at_level("INFO"):
        audit.write("refused", detail=refusal.detail, sentence=files.GONE)
    assert '"sentence": "An attached file is no longer on the server.' in caplog.text


@pytest.mark.django_db(transaction=True)
def test_the_user_chooses_the_language_in_all_browsers(client, bob):
    client.force_login(bob)
    assert '<html lang="de"' in client.get("/", **GERMAN).text
    choices = {"theme": "dark", "density": "compact", "clock": ""}
    client.post("/accounts/appearance/", choices | {"language": "en"}, **GERMAN)
    assert appearances.of(bob.pk).language == "en"
    assert '<html lang="en"' in client.get("/", **GERMAN).text
    client.post("/accounts/appearance/", choices | {"language": "de"})
    page = client.get("/").text
    assert '<html lang="de"' in page and 'data-theme="dark"' in page
    refused = client.get("/search/", {"q": "x"})
    assert refused.json() == {"detail": "Gib mindestens zwei Buchstaben ein."}
    # Another user of the same process is not affected.
    client.logout()
    assert '<html lang="en"' in client.get("/accounts/login/").text


@pytest.mark.django_db(transaction=True)
def test_answers_without_a_sentence_read_no_user_and_set_no_cookie(client, bob, django_assert_num_queries):
    client.force_login(bob)
    with django_assert_num_queries(0):
        manifest = client.get("/manifest.webmanifest", **GERMAN)
    assert not manifest.cookies and "Content-Language" not in manifest.headers and "Vary" not in manifest.headers
    assert not client.get("/service_worker.js").cookies
    assert "Cookie" in client.get("/service_worker.js").headers["Vary"]


@pytest.mark.django_db
def test_a_view_that_needs_no_database_is_answered_while_it_is_away(client, monkeypatch):
    def fail(*args):
        raise InterfaceError("the connection is closed")

    monkeypatch.setattr(appearances, "of", fail)
    monkeypatch.setattr("chat.store.web_sessions.SessionStore.load", fail)
    client.cookies["sessionid"] = "x" * 32
    answer = client.get("/chat/", **GERMAN)  # a redirect, which needs no database
    assert answer.status_code == 302 and answer.headers["Content-Language"] == "de"


@pytest.mark.django_db(transaction=True)
def test_a_mail_is_in_the_language_of_its_reader(client, bob, settings, mailoutbox):
    settings.EMAIL_URL, settings.EMAIL_BACKEND = "smtp://x", "django.core.mail.backends.locmem.EmailBackend"
    settings.SITE_URL = "https://chat.example.com"
    bob.email = "bob@example.com"
    bob.save()
    for chosen, headers, words in (("de", {}, "Passwort"), ("en", GERMAN, "password"), ("", GERMAN, "Passwort")):
        appearances.save(bob.pk, {"language": chosen})
        client.post("/accounts/password_reset/", {"email": bob.email}, **headers)
        assert words in mailoutbox.pop().body


@pytest.mark.django_db(transaction=True)
def test_a_direct_room_whose_other_person_was_deleted_has_a_title_in_the_language_of_the_page(client, alice, bob):
    room = room_actions.open_direct([bob.pk], by=alice.pk)
    bob.delete()
    client.force_login(alice)
    titles = [
        {item.pk: item.title for item in client.get("/", headers=headers).context["rooms"]}[room.pk]
        for headers in ({}, {"accept-language": "de"})
    ]
    assert titles == ["Deleted user", "Gelöschte Person"]


@pytest.mark.django_db(transaction=True)
def test_emoji_have_names_in_the_language_of_the_page(client, bob):
    client.force_login(bob)
    assert "emoji.de.json" in client.get("/", **GERMAN).text and "emoji.json" in client.get("/").text
    for language in EMOJI_LANGUAGES:
        assert (ROOT / f"static/chat/emoji.{language}.json").exists()


@pytest.mark.django_db(transaction=True)
def test_a_choice_of_a_language_that_is_no_longer_offered_counts_as_none(client, bob, settings):
    appearances.save(bob.pk, {"language": "tlh"})
    client.force_login(bob)
    assert '<html lang="de"' in client.get("/", **GERMAN).text


@pytest.mark.django_db(transaction=True)
def test_the_service_worker_speaks_the_language_of_the_user(client, bob):
    client.force_login(bob)
    assert "You have new messages." in client.get("/service_worker.js").text.splitlines()[0]
    appearances.save(bob.pk, {"language": "de"})
    assert "Du hast neue Nachrichten." in client.get("/service_worker.js").text.splitlines()[0]
