"""The rules of the architecture: which modules may import which, and what may be written where."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# The modules that a reader of Django and Channels looks for, and those that live/ and store/ share.
TOP = {
    "accounts",
    "admin",
    "admin_lists",
    "admin_names",
    "appearance",
    "apps",
    "audit",
    "bot_admin",
    "bot_github",
    "bot_payloads",
    "bot_views",
    "byte_ranges",
    "checks",
    "conf",
    "confirming",
    "consumers",
    "doorbell",
    "exceptions",
    "fields",
    "file_streams",
    "file_views",
    "invitations",
    "limits",
    "login_steps",
    "models",
    "my_account",
    "made_in_admin",
    "names",
    "outgoing",
    "own_password",
    "picture_views",
    "own_second_factor",
    "pane_set_views",
    "protocol",
    "provider_requests",
    "push_views",
    "room_views",
    "second_factor",
    "single_sign_on",
    "sealing",
    "views",
    "web_push",
    "webhook_admin",
}


def modules(folder):
    """Return the modules of a folder of chat/, by name."""
    return {path.stem: path for path in (ROOT / "chat" / folder).glob("*.py") if path.stem != "__init__"}


@functools.cache
def read(text):
    """Return a module's docstring, and the full names of its imports, type-only imports included."""
    tree = ast.parse(text)
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return ast.get_docstring(tree), frozenset(found)


def imports(text):
    return read(text)[1]


def is_within(name, *packages):
    """Tell whether a full name is one of the packages, or in one of them."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def store_faults(text):
    """Return what a module in store/ must not have, because it runs in a database thread without an event loop."""
    return {name for name in imports(text) if is_within(name, "asyncio", "chat.live")}


def live_faults(text):
    """Return what a module in live/ must not have, because it runs on the event loop and must not use the ORM."""
    managers = set(re.findall(r"\.(?:objects|all_objects|_default_manager)\b", text))
    return {name for name in imports(text) if is_within(name, "chat.models", "django.db.models")} | managers


def shared_faults(text):
    """Return what a module that live/ and store/ share must not import."""
    return {name for name in imports(text) if is_within(name, "chat.live", "chat.store")}


@pytest.mark.parametrize("path", modules("store").values(), ids=lambda path: path.stem)
def test_store_imports_neither_asyncio_nor_live(path):
    assert not store_faults(path.read_text())


@pytest.mark.parametrize("path", modules("live").values(), ids=lambda path: path.stem)
def test_live_does_not_use_the_orm(path):
    assert not live_faults(path.read_text())


@pytest.mark.parametrize("name", ["protocol", "conf", "exceptions"])
def test_modules_that_live_and_store_share_import_neither(name):
    assert not shared_faults((ROOT / "chat" / f"{name}.py").read_text())


@pytest.mark.parametrize(
    ("faults", "text"),
    [
        (store_faults, "import asyncio"),
        (store_faults, "from asyncio import sleep"),
        (store_faults, "from chat.live import hub"),
        (store_faults, "from chat.live.hub import Hub"),
        (store_faults, "from chat import live"),
        (live_faults, "from chat.models import Room"),
        (live_faults, "from chat import models"),
        (live_faults, "def f(room): return type(room).objects.count()"),
        (shared_faults, "def f():\n    from chat.store import log"),
    ],
)
def test_a_violation_of_these_rules_is_found(faults, text):
    assert faults(text)


def test_only_the_listed_modules_are_at_the_top_level():
    assert set(modules("")) == TOP


def test_hub_feed_and_session_import_no_actions_commands_or_writer():
    banned = {f"chat.live.{name}" for name in ("commands", "writer")} | {"chat.store.actions", "chat.consumers"}
    for name in ("hub", "feed", "session"):
        assert not imports(modules("live")[name].read_text()) & banned


def test_models_import_actions_only_inside_a_method():
    tree = ast.parse(modules("")["models"].read_text())
    top = ast.Module([node for node in tree.body if isinstance(node, ast.ImportFrom)], [])
    assert "chat.store.actions" not in imports(ast.unparse(top))


def sources():
    return [path for folder in ("chat", "multichat") for path in (ROOT / folder).rglob("*.py")]


def test_only_the_doorbell_touches_the_channel_layer():
    users = {path.relative_to(ROOT) for path in sources() if re.search(r"channels\.layers", path.read_text())}
    assert users <= {Path("chat/doorbell.py"), Path("chat/testing/layers.py"), Path("multichat/settings.py")}


def test_only_the_log_writes_events_and_heads():
    for path in sources():
        if path.name == "log.py" or "migrations" in path.parts or "testing" in path.parts:
            continue
        text = path.read_text()
        assert not re.search(r"Event\.objects\.(create|bulk_create|bulk_update|update)", text), path
        assert not re.search(r"\.head_seq\s*[+-]?=[^=]|update\([^)]*head_seq|SET head_seq", text), path


def test_only_the_log_inserts_rows_of_events_past_the_models():
    ways = {"chat.store.inserting.insert"}
    users = {path.stem for path in sources() if ways & set(imports(path.read_text()))}
    assert users == {"log"}


def test_requests_to_addresses_that_users_give_are_made_by_one_client():
    clients = {"http.client", "urllib.request", "requests", "httpx", "aiohttp", "urllib3"}
    users = {path.stem for path in sources() if imports(path.read_text()) & clients and "testing" not in path.parts}
    # The provider of single sign-on is a setting.
    assert users == {"outgoing", "provider_requests", "single_sign_on"}


def test_no_module_or_folder_has_a_catch_all_name():
    banned = {"utils", "helpers", "services", "managers", "signals", "common", "misc"}
    assert not {path.stem for path in sources()} & banned
    assert not {path.name for path in (ROOT / "chat").rglob("*") if path.is_dir()} & banned


def test_every_module_has_a_docstring():
    for path in sources():
        if "migrations" in path.parts or (path.name == "__init__.py" and not path.read_text().strip()):
            continue
        assert read(path.read_text())[0], path


def test_the_page_makes_no_markup_or_code_from_strings():
    banned = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setHTMLUnsafe")
    for path in (ROOT / "static" / "chat").rglob("*.js"):
        assert not banned.search(path.read_text()), path
    for path in (ROOT / "templates").rglob("*.html"):
        assert not re.search(r"\|\s*safe\b|autoescape off|\son\w+=", path.read_text()), path


def test_a_template_has_no_line_over_120_characters():
    for path in (ROOT / "templates").rglob("*.html"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert len(line) <= 120, f"{path}:{number}"


def test_the_style_sheets_and_the_scripts_agree_on_what_a_phone_is():
    """A media query cannot read a variable, so its number stands in every style sheet that needs it."""
    static = ROOT / "static" / "chat"
    sheets = "".join(path.read_text() for path in (static / "styles").glob("*.css"))
    scripts = "".join(path.read_text() for path in static.rglob("*.js"))
    for side in ("width", "height"):
        query = re.compile(rf"\(max-{side}: ([^)]+)\)")
        assert len({*query.findall(sheets), *query.findall(scripts)}) == 1
