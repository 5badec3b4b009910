"""Parsing DATABASE_URL: unusual file names work, and a password that is not encoded gets a helpful error."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from multichat.database_url import parse
from tests.servers.quantities import IS_FULL

BASE = Path(__file__).resolve().parent.parent
ODD = ["c++", "a#b", "what?", "100%25", "100%", "a b", "ünï", "a&b=c", "a;b"]


def name_of(url, base, default=Path("/nowhere/db.sqlite3")):
    config = parse("DATABASE_URL", url, base, default)
    assert config["ENGINE"] == "django.db.backends.sqlite3"
    return config["NAME"]


@pytest.mark.parametrize("name", ODD)
def test_without_a_url_the_database_file_is_in_var(tmp_path, name):
    (tmp_path / name).mkdir()
    assert name_of("", BASE, tmp_path / name / "db.sqlite3") == str(tmp_path / name / "db.sqlite3")


@pytest.mark.parametrize(
    ("written", "decoded"),
    [
        ("c++", "c++"),
        ("a#b", "a#b"),
        ("a%23b", "a#b"),
        ("what%3F", "what?"),
        ("100%2525", "100%25"),
        ("100%25", "100%"),
        ("a%20b", "a b"),
    ],
)
def test_a_file_name_is_percent_decoded_only(tmp_path, written, decoded):
    (tmp_path / decoded).mkdir()
    assert name_of(f"sqlite:///{written}/x.db", tmp_path) == str(tmp_path / decoded / "x.db")
    assert name_of(f"sqlite:///{tmp_path}/{written}/x.db", BASE) == str(tmp_path / decoded / "x.db")


def test_options_follow_the_file_name(tmp_path):
    config = parse("DATABASE_URL", "sqlite:///x.db?timeout=7", tmp_path, Path())
    assert (config["NAME"], config["OPTIONS"]) == (str(tmp_path / "x.db"), {"timeout": 7})


@pytest.mark.parametrize("password", ["a/b", "a?b", "a#b", "a[b", "a]b", "a@b", "12/b", "12#b", "12?b", "/", "a/b@c"])
def test_a_password_that_is_not_encoded_gets_a_helpful_error(password):
    with pytest.raises(SystemExit) as refusal:
        parse("DATABASE_URL", f"postgres://u:hunter2{password}@db.example:5432/chat", BASE, Path())
    explanation = str(refusal.value)
    assert "percent-encoded" in explanation
    assert "%2F" in explanation
    assert "hunter2" not in explanation


@pytest.mark.parametrize(
    ("written", "password"), [("a%2Fb", "a/b"), ("a%3Fb%23%5B%5D", "a?b#[]"), ("a+b", "a+b"), ("a%40b", "a@b")]
)
def test_an_encoded_password_is_decoded(written, password):
    assert parse("X", f"postgres://u:{written}@h/d?sslmode=require", BASE, Path())["PASSWORD"] == password


@pytest.mark.parametrize("url", ["postgres://u@/d?host=/run/pg", "postgres://h/d?user=a@b", "postgres://u:p@[::1]:1/d"])
def test_an_unusual_valid_url_is_accepted(url):
    assert parse("X", url, BASE, Path())["NAME"] == "d"


@pytest.mark.parametrize("name", ["a#b 100%25", "c++", "what?"][: 3 if IS_FULL else 1])
def test_a_clone_in_a_directory_with_an_odd_name_keeps_its_database_in_var(tmp_path, name):
    clone = tmp_path / name
    clone.mkdir()
    for part in ("manage.py", "CHANGELOG.md", "multichat", "chat", "templates", "static"):
        source = BASE / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, clone / part)
    environment = {"PATH": os.environ["PATH"]}
    code = "from django.db import connection; connection.cursor().execute('CREATE TABLE t (id integer)')"
    command = [sys.executable, "manage.py", "shell", "--no-imports", "--command", code]
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert (clone / "var/db.sqlite3").stat().st_size > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
