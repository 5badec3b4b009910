"""The house's rules: who imports whom, and what is written where."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = {path.stem: path for path in (ROOT / "chat").glob("*.py") if path.stem != "__init__"}
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}

# What each module may import of the house: the table of docs/architecture.md. Imports for types alone are free.
MAY_IMPORT = {
    "access": "concerns doorbell models",
    "accounts": "policies",
    "actions": "conf exceptions faults graphemes lock_waits log models policies",
    "admin": "deletion models",
    "alerts": "conf log protocol",
    "apps": "access audit checks deletion",
    "audiences": "models policies protocol session",
    "audit": "limits",
    "checks": "",
    "claim": "doorbell",
    "commands": (
        "actions concerns conf database events exceptions hub limits"
        " log models policies presence protocol rights session writer"
    ),
    "concerns": "",
    "conf": "",
    "consumers": "audit commands conf database exceptions hub limits policies protocol session",
    "counting": "audiences database positions reading unread",
    "database": "conf faults lock_waits threads",
    "deletion": "access fields models",
    "doorbell": "concerns conf",
    "events": "models protocol",
    "exceptions": "",
    "faults": "",
    "feed": "alerts audit conf database events exceptions log protocol session",
    "fields": "",
    "graphemes": "",
    "held": "actions",
    "hub": (
        "access concerns conf database doorbell events exceptions feed janitor leases"
        " log policies positions presence protocol reading rights session sweep watch"
    ),
    "janitor": "conf database deletion",
    "jobs": "",
    "layouts": "conf models policies protocol",
    "lease_keeper": "database leases",
    "leases": "conf models",
    "limits": "conf exceptions",
    "lock_waits": "",
    "log": "conf doorbell events faults lock_waits mentions models protocol",
    "memberships": "exceptions models policies protocol reading",
    "mentions": "models",
    "models": "actions conf deletion fields",
    "policies": "exceptions models web_sessions",
    "positions": "conf database exceptions layouts memberships policies protocol reading session",
    "presence": "conf database lease_keeper leases protocol",
    "protocol": "exceptions",
    "reading": "models",
    "rights": "access audit concerns conf database exceptions models policies session",
    "session": "conf database events exceptions log policies protocol",
    "sweep": "log",
    "threads": "conf faults jobs",
    "unread": "models reading",
    "views": "conf memberships models positions protocol",
    "watch": "audiences conf counting database memberships positions protocol reading session",
    "web_sessions": "",
    "writer": "actions conf database exceptions held log",
}


def imports(tree):
    """Return the modules of the house that a module imports when it runs."""
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if node in for_types or not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        if node.module == "chat":
            found |= {alias.name for alias in node.names}
        elif node.module.startswith("chat."):
            found.add(node.module.split(".")[1])
    return found


@pytest.mark.parametrize("name", TREES)
def test_a_module_imports_only_what_it_may(name):
    assert name in MAY_IMPORT, f"{name} is new: say here and in docs/architecture.md what it may import"
    assert imports(TREES[name]) <= set(MAY_IMPORT[name].split())


def test_the_hub_does_no_action_and_the_log_knows_no_hub():
    for name in ("hub", "feed", "session"):
        assert not imports(TREES[name]) & {"actions", "commands", "writer", "consumers"}
    assert not imports(TREES["log"]) & {"hub", "feed", "session"}


def test_models_import_actions_inside_one_method_alone():
    top = ast.Module([node for node in TREES["models"].body if isinstance(node, ast.ImportFrom)], [])
    assert "actions" not in imports(top)


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
        assert not re.search(r"\.head_seq\s*[+-]?=[^=]|update\([^)]*head_seq", text), path


def test_there_is_no_drawer_for_odds_and_ends():
    banned = {"utils", "helpers", "services", "managers", "signals", "common", "misc"}
    assert not {path.stem for path in sources()} & banned
    assert not {path.name for path in (ROOT / "chat").iterdir()} & banned


def test_every_module_says_what_it_is_for():
    for path in sources():
        if "migrations" in path.parts or (path.name == "__init__.py" and not path.read_text().strip()):
            continue
        assert ast.get_docstring(ast.parse(path.read_text())), path


def test_the_page_makes_nothing_from_strings():
    banned = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setHTMLUnsafe")
    for path in (ROOT / "static" / "chat").rglob("*.js"):
        assert not banned.search(path.read_text()), path
    for path in (ROOT / "templates").rglob("*.html"):
        assert not re.search(r"\|\s*safe\b|autoescape off|\son\w+=", path.read_text()), path
