"""Each setting: its default, an empty variable, valid values, and the error for an invalid value."""

import errno
import importlib.util
import os
import runpy
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from multichat import environment
from tests.conftest import SETTINGS
from tests.servers.quantities import IS_FULL

BASE = Path(__file__).resolve().parent.parent
# Processes that make the key at the same time.
AT_ONCE = 3 if IS_FULL else 2


@pytest.fixture
def read(monkeypatch, tmp_path):
    """Read the settings again, with these environment variables only."""

    def read(command="check", **variables):
        for name in SETTINGS.split():
            monkeypatch.delenv(name, raising=False)
        for name, value in {"VAR": str(tmp_path), **variables}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["manage.py", command])
        return runpy.run_path(str(BASE / "multichat/settings.py"), run_name="multichat.settings_again")

    return read


DEFAULTS = {
    "DEBUG": False,
    "HTTPS": False,
    "HOST": "127.0.0.1",
    "PORT": 8000,
    "ALLOWED_HOSTS": ["localhost", "127.0.0.1", "[::1]"],
    "CSRF_TRUSTED_ORIGINS": [],
    "REDIS_URL": "",
    "CHANNEL_LAYERS": {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
}


def test_defaults(read):
    settings = read()
    assert {name: settings[name] for name in DEFAULTS} == DEFAULTS


def test_an_empty_variable_counts_as_unset(read, tmp_path):
    settings = read(**dict.fromkeys(SETTINGS.split(), "") | {"VAR": str(tmp_path)})
    assert {name: settings[name] for name in DEFAULTS} == DEFAULTS
    assert settings["DATABASES"]["default"]["NAME"] == str(tmp_path / "db.sqlite3")


@pytest.mark.parametrize(
    ("variables", "beginning"),
    [
        ({"DEBUG": "ture"}, "DEBUG is 'ture'"),
        ({"DEBUG": "on", "HOST": "0.0.0.0"}, "DEBUG is on and HOST is 0.0.0.0"),
        ({"HTTPS": "2"}, "HTTPS is '2'"),
        ({"HOST": "http://example.com"}, "HOST is 'http://example.com'"),
        ({"HOST": "127.0.0.1:80"}, "HOST is '127.0.0.1:80'"),
        ({"PORT": "http"}, "PORT is 'http'"),
        ({"PORT": "0"}, "PORT is '0'"),
        ({"PORT": "65536"}, "PORT is '65536'"),
        ({"PORT": "9" * 5000}, "PORT is '999"),
        ({"PORT": "²"}, "PORT is '²'"),
        ({"ALLOWED_HOSTS": "a.example, https://b.example"}, "ALLOWED_HOSTS contains 'https://b.example'"),
        ({"ALLOWED_HOSTS": "a.example:8000"}, "ALLOWED_HOSTS contains 'a.example:8000'"),
        ({"CSRF_TRUSTED_ORIGINS": "chat.example.com"}, "CSRF_TRUSTED_ORIGINS contains 'chat.example.com'"),
        ({"CSRF_TRUSTED_ORIGINS": "https://chat.example.com/"}, "CSRF_TRUSTED_ORIGINS contains"),
        ({"CSRF_TRUSTED_ORIGINS": "https://chat.example.com:x"}, "CSRF_TRUSTED_ORIGINS contains"),
        ({"DATABASE_URL": "mysql://u:hunter2@h/d"}, "DATABASE_URL is not an address"),
        ({"DATABASE_URL": "postgres://u:hunter2@h:port/d"}, "DATABASE_URL is not an address"),
        ({"DATABASE_URL": "postgres://u:hunter2@h"}, "DATABASE_URL names no database"),
        ({"DATABASE_URL": "postgres://u@h/d?pooler=yes"}, "DATABASE_URL says pooler=yes"),
        ({"DATABASE_URL": "sqlite:///:memory:"}, "DATABASE_URL names no database"),
        ({"DATABASE_URL": "sqlite:////nowhere/at/all.sqlite3"}, "DATABASE_URL points into /nowhere/at"),
        ({"REDIS_URL": "localhost:6379"}, "REDIS_URL is not an address"),
        ({"REDIS_URL": "redis://:hunter2@h:port"}, "REDIS_URL is not an address"),
        ({"REDIS_URL": "unix://"}, "REDIS_URL is not an address"),
        ({"REDIS_HOST": "redis://localhost"}, "REDIS_HOST is 'redis://localhost'"),
        ({"REDIS_HOST": "localhost:x"}, "REDIS_HOST is 'localhost:x'"),
        ({"VAR": "/proc/nowhere"}, "VAR is '/proc/nowhere'"),
        ({"SECRET_KEY": "x"}, "SECRET_KEY is too easy to guess. Use at least 50 random characters"),
        ({"SECRET_KEY": "hunter2" * 7}, "SECRET_KEY is too easy to guess"),
        ({"SECRET_KEY": "x" * 60}, "SECRET_KEY is too easy to guess"),
        ({"COOKIE_SUFFIX": "a b"}, "COOKIE_SUFFIX is 'a b'"),
        ({"COOKIE_SUFFIX": "x" * 33}, "COOKIE_SUFFIX is 'xxx"),
        ({"SITE_LANGUAGE": "fr"}, "SITE_LANGUAGE is 'fr', but must be one of: en, de."),
        ({"SCRIPT_NAME": "/chat-app"}, "SCRIPT_NAME is '/chat-app', and Multichat works at the root"),
        ({"FORCE_SCRIPT_NAME": "/chat-app/"}, "FORCE_SCRIPT_NAME is '/chat-app/'"),
        ({"UVICORN_ROOT_PATH": "chat"}, "UVICORN_ROOT_PATH is 'chat'"),
    ],
)
def test_an_invalid_value_stops_startup_with_a_one_line_explanation(read, variables, beginning):
    with pytest.raises(SystemExit) as refusal:
        read(**variables)
    explanation = str(refusal.value)
    assert explanation.startswith(f"Multichat: {beginning}")
    assert "\n" not in explanation
    assert "hunter2" not in explanation


@pytest.mark.parametrize(
    "start", [["manage.py", "check"], ["manage.py", "runserver", "--noreload"], ["-c", "import multichat.settings"]]
)
def test_an_invalid_setting_prints_no_traceback(start):
    result = subprocess.run(
        [sys.executable, *start],
        cwd=BASE,
        env={**os.environ, "PORT": "none"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert result.returncode == 1
    assert result.stderr == "Multichat: PORT is 'none', but must be a number from 1 to 65535.\n"


@pytest.mark.parametrize("word", ["on", "ON", "true", "yes", "1", " on "])
def test_a_flag_may_be_spelled_in_several_ways(read, word):
    assert read(DEBUG=word)["DEBUG"] is True


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_on_loopback_https_is_off(read, host):
    settings = read(HOST=host)
    assert settings["HTTPS"] is settings["SECURE_SSL_REDIRECT"] is settings["SESSION_COOKIE_SECURE"] is False
    assert settings["SESSION_COOKIE_NAME"] == "sessionid"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "chat.example.com"])
def test_beyond_loopback_https_is_on(read, host):
    settings = read(HOST=host)
    assert settings["HTTPS"] is settings["SECURE_SSL_REDIRECT"] is settings["CSRF_COOKIE_SECURE"] is True
    assert settings["SECURE_HSTS_SECONDS"] > 0
    assert settings["SESSION_COOKIE_NAME"].startswith("__Host-")
    assert settings["CSRF_COOKIE_NAME"].startswith("__Host-")


def test_https_can_be_turned_off_beyond_loopback(read):
    assert read(HOST="192.0.2.7", HTTPS="off")["SESSION_COOKIE_SECURE"] is False


@pytest.mark.parametrize(
    ("variables", "more"),
    [
        ({"HOST": "192.0.2.7"}, ["192.0.2.7"]),
        ({"HOST": "2001:db8::1"}, ["[2001:db8::1]"]),
        ({"HOST": "0.0.0.0"}, [socket.gethostname().lower()]),
        ({"HOST": "0.0.0.0", "ALLOWED_HOSTS": "a.example,, .b.example"}, ["a.example", ".b.example"]),
        ({"ALLOWED_HOSTS": "*"}, ["*"]),
    ],
)
def test_allowed_hosts(read, variables, more):
    assert read(**variables)["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]", *more]


def test_the_secret_key_is_made_once_and_readable_only_by_its_owner(read, tmp_path):
    key = read()["SECRET_KEY"]
    path = tmp_path / "secret_key"
    assert len(key) > 50
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read()["SECRET_KEY"] == key
    assert {entry.name for entry in tmp_path.iterdir()} == {"secret_key", "vapid_key"}
    given = "0123456789" * 5
    assert read(SECRET_KEY=given)["SECRET_KEY"] == given


def test_processes_that_start_at_once_agree_on_the_key(tmp_path):
    code = "import multichat.settings as s; print(s.SECRET_KEY)"
    environment = {**os.environ, "VAR": str(tmp_path / "new")}
    started = [
        subprocess.Popen([sys.executable, "-c", code], cwd=BASE, env=environment, stdout=subprocess.PIPE)
        for _ in range(AT_ONCE)
    ]
    assert len({process.communicate(timeout=30)[0] for process in started}) == 1


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_the_key_is_made_once_on_a_file_system_without_hard_links(read, tmp_path, monkeypatch, number):
    def link(*arguments, **named):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)
    key = read()["SECRET_KEY"]
    path = tmp_path / "secret_key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    environment.create_once(path, "another")
    assert read()["SECRET_KEY"] == key == path.read_text().strip()
    assert {entry.name for entry in tmp_path.iterdir()} == {"secret_key", "vapid_key"}


def test_processes_that_start_at_once_without_hard_links_agree_on_the_key(tmp_path):
    # Each process waits a long time between creating the file and writing it.
    code = """
import errno, os, pathlib, time
def link(*arguments):
    raise OSError(errno.EPERM, "no hard links here")
os.link, replace = link, pathlib.Path.replace
pathlib.Path.replace = lambda *arguments: (time.sleep(0.3), replace(*arguments))[1]
import multichat.settings as s; print(s.SECRET_KEY)
"""
    variables = {**os.environ, "VAR": str(tmp_path / "new")}
    started = [
        subprocess.Popen([sys.executable, "-c", code], cwd=BASE, env=variables, stdout=subprocess.PIPE)
        for _ in range(AT_ONCE)
    ]
    keys = {process.communicate(timeout=30)[0] for process in started}
    assert len(keys) == 1
    assert len(keys.pop()) > 50


def test_a_database_url_may_name_several_servers(read):
    url = "postgres://u:p@/chat?host=db1,db2&port=5432,5433&target_session_attrs=read-write"
    database = read(DATABASE_URL=url)["DATABASES"]["default"]
    options = database["OPTIONS"]
    assert {name: options[name] for name in ("host", "target_session_attrs")} == {
        "host": "db1,db2",
        "target_session_attrs": "read-write",
    }
    assert str(options["port"]) == "5432,5433"
    assert options["options"] == environment.POSTGRES_SERVER_LIMITS


def test_a_truncated_key_file_is_refused(read, tmp_path):
    (tmp_path / "secret_key").touch()
    with pytest.raises(SystemExit, match="does not hold a secret key"):
        read()


def test_a_suffix_gives_two_sites_on_one_host_different_cookies(read):
    settings = read(COOKIE_SUFFIX="team-2")
    assert (settings["SESSION_COOKIE_NAME"], settings["CSRF_COOKIE_NAME"]) == ("sessionid_team-2", "csrftoken_team-2")
    assert read(COOKIE_SUFFIX="b", HTTPS="on")["SESSION_COOKIE_NAME"] == "__Host-sessionid_b"


def test_a_script_name_of_a_slash_is_accepted(read):
    assert read(SCRIPT_NAME="/")["PORT"] == 8000


def test_limits_are_read_exactly(read):
    assert read()["LIMITS"]["BODY_BYTES"] == 1048576
    assert read(LIMIT_BODY_BYTES="2097153")["LIMITS"]["BODY_BYTES"] == 2097153


def test_limits_off_keeps_the_limits_of_concurrent_work(read):
    limits = read(LIMITS="off")["LIMITS"]
    assert (limits["BODY_BYTES"], limits["MESSAGES_AT_ONCE"]) == (0, 0)
    assert (limits["HTTP_REQUESTS"], limits["PASSWORD_CHECKS"]) == (8, 2)


def test_static_root_may_be_any_directory(read, tmp_path):
    directory = tmp_path / "not/there/yet"
    assert read(STATIC_ROOT=str(directory))["STATIC_ROOT"] == directory
    assert not directory.exists()


def test_sqlite_uses_immediate_transactions_wal_and_full_sync(read):
    options = read()["DATABASES"]["default"]["OPTIONS"]
    assert options["transaction_mode"] == "IMMEDIATE"
    assert options["init_command"] == "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"


def test_postgresql(read):
    database = read(DATABASE_URL="postgres://u:p%40ss@db.example:5433/chat?pool=true&sslmode=require")["DATABASES"][
        "default"
    ]
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert [database[key] for key in ("USER", "PASSWORD", "HOST", "PORT", "NAME")] == [
        "u",
        "p@ss",
        "db.example",
        5433,
        "chat",
    ]
    assert database["OPTIONS"] == environment.postgres_options({"pool": True, "sslmode": "require"}, is_server=True)


def test_postgresql_on_a_unix_socket(read):
    database = read(DATABASE_URL="postgres://u@/chat?host=/run/pg")["DATABASES"]["default"]
    assert (database["NAME"], database["HOST"], database["OPTIONS"]["host"]) == ("chat", "", "/run/pg")


def test_a_server_has_time_limits_for_postgresql(read):
    url = "postgres://u@h/chat?connect_timeout=2&options=-c%20lock_timeout%3D1s"
    options = read(DATABASE_URL=url)["DATABASES"]["default"]["OPTIONS"]
    assert (options["connect_timeout"], options["keepalives_idle"]) == (2, 10)
    # The last value of an option takes effect.
    assert options["options"] == f"{environment.POSTGRES_SERVER_LIMITS} -c lock_timeout=1s"


def test_behind_a_pooler_no_option_needs_a_session(read):
    database = read(DATABASE_URL="postgres://u@h/chat?pooler=transaction")["DATABASES"]["default"]
    assert database["DISABLE_SERVER_SIDE_CURSORS"] is True
    assert database["OPTIONS"] == environment.POSTGRES_OPTIONS
    assert read(DATABASE_URL="postgres://u@h/chat")["DATABASES"]["default"]["DISABLE_SERVER_SIDE_CURSORS"] is False


def test_a_management_command_has_no_statement_timeout(tmp_path, monkeypatch):
    environ = {
        "PATH": os.environ["PATH"],
        "VAR": str(tmp_path),
        "DATABASE_URL": "postgres://u@h/chat",
        "DJANGO_SETTINGS_MODULE": "multichat.settings",
    }
    command = [sys.executable, "-m", "django", "diffsettings"]
    shown = subprocess.run(
        command, cwd=BASE, env=environ, capture_output=True, text=True, check=True, timeout=30
    ).stdout
    # The settings of manage.py, in this process.
    monkeypatch.setattr(sys, "argv", ["manage.py", "diffsettings"])
    monkeypatch.setenv("DATABASE_URL", environ["DATABASE_URL"])
    spec = importlib.util.spec_from_file_location("multichat.settings_again", BASE / "multichat/settings.py")
    settings = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(settings)
    for options in (shown, str(settings.DATABASES)):
        assert "'connect_timeout': 5" in options
        assert "statement_timeout" not in options


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({"REDIS_URL": "redis://:p@h:6380/1"}, "redis://:p@h:6380/1"),
        ({"REDIS_URL": "rediss://h"}, "rediss://h"),
        ({"REDIS_URL": "unix:///run/redis.sock"}, "unix:///run/redis.sock"),
        ({"REDIS_HOST": "redis.example"}, "redis://redis.example:6379/0"),
        ({"REDIS_HOST": "redis.example:6380"}, "redis://redis.example:6380/0"),
        ({"REDIS_HOST": "[::1]"}, "redis://[::1]:6379/0"),
        ({"REDIS_URL": "redis://a", "REDIS_HOST": "b"}, "redis://a"),
    ],
)
def test_redis(read, variables, address):
    settings = read(**variables)
    assert settings["REDIS_URL"] == address
    layer = settings["CHANNEL_LAYERS"]["default"]
    assert layer["BACKEND"] == "channels_redis.pubsub.RedisPubSubChannelLayer"
    host = layer["CONFIG"]["hosts"][0]
    assert host["address"] == address
    assert host["socket_timeout"] is None


def test_daphne_is_loaded_for_runserver_only(read):
    assert "daphne" in read("runserver")["INSTALLED_APPS"]
    assert "daphne" not in read("check")["INSTALLED_APPS"]


def test_collected_static_files_have_hashed_names(read, tmp_path):
    assert read()["STORAGES"]["staticfiles"]["BACKEND"].endswith(".StaticFilesStorage")
    assert read("collectstatic")["STORAGES"]["staticfiles"]["BACKEND"] == "multichat.static.Storage"
    (tmp_path / "static").mkdir()
    (tmp_path / "static/staticfiles.json").write_text('{"hash": "c26f9c6a7f1e"}')
    assert read()["STORAGES"]["staticfiles"]["BACKEND"] == "multichat.static.Storage"
    assert read()["PAGE_VERSION"] == "c26f9c6a7f1e"
    assert read("collectstatic")["PAGE_VERSION"] == read("runserver")["PAGE_VERSION"] == ""
    assert read("runserver")["STORAGES"]["staticfiles"]["BACKEND"].endswith(".StaticFilesStorage")


def test_the_configuration_lists_every_setting():
    configuration = (BASE / "docs/configuration.md").read_text("utf-8")
    assert [name for name in SETTINGS.split() if f"| `{name}` |" not in configuration] == []


OIDC = {"OIDC_ISSUER": "https://login.example.com/team/", "OIDC_CLIENT_ID": "multichat", "OIDC_CLIENT_SECRET": "secret"}


def test_without_their_variables_second_factors_and_single_sign_on_are_not_loaded(read):
    settings = read()
    assert not settings["SECOND_FACTOR"] and not settings["OIDC"].issuer and not settings["OIDC_ONLY"]
    assert not [name for name in settings["INSTALLED_APPS"] + settings["MIDDLEWARE"] if "allauth" in name]
    # This process has the whole site.
    assert not [name for name in sys.modules if name.split(".")[0] in ("allauth", "fido2", "jwt", "oauthlib")]


def test_single_sign_on_by_three_variables(read):
    settings = read(**OIDC, OIDC_STAFF=" groups = chat-admins ")
    assert settings["OIDC"].issuer == "https://login.example.com/team"
    assert settings["OIDC_STAFF"] == ("groups", "chat-admins")
    assert "allauth.mfa" not in settings["INSTALLED_APPS"] and "allauth.socialaccount" in settings["INSTALLED_APPS"]
    assert settings["OIDC"].key != read(**OIDC | {"OIDC_ISSUER": "https://other.example.com"})["OIDC"].key
    only = read(**OIDC, OIDC_ONLY="on")["AUTHENTICATION_BACKENDS"]
    assert only.index("multichat.login.RefusedPasswords") < only.index("django.contrib.auth.backends.ModelBackend")


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"OIDC_ISSUER": "https://login.example.com"}, "OIDC_CLIENT_ID"),
        (OIDC | {"OIDC_CLIENT_SECRET": ""}, "OIDC_CLIENT_SECRET"),
        (OIDC | {"OIDC_ISSUER": "login.example.com"}, "OIDC_ISSUER"),
        (OIDC | {"OIDC_ISSUER": "http://login.example.com"}, "https"),
        (OIDC | {"OIDC_ISSUER": "https://login.example.com/?realm=1"}, "OIDC_ISSUER"),
        (OIDC | {"OIDC_STAFF": "groups"}, "OIDC_STAFF"),
        (OIDC | {"HOST": "0.0.0.0", "HTTPS": "on"}, "SITE_URL"),
        ({"OIDC_ONLY": "on"}, "OIDC_ISSUER"),
    ],
)
def test_incomplete_single_sign_on_is_refused(read, variables, named):
    with pytest.raises(SystemExit, match=named):
        read(**variables)


def test_missing_packages_of_optional_parts_are_named(read, monkeypatch):
    from multichat import optional_accounts

    monkeypatch.setattr(optional_accounts, "PACKAGES", ("no_such_package",))
    with pytest.raises(SystemExit, match=r"requirements-accounts\.lock.*no_such_package"):
        read(SECOND_FACTOR="on")
