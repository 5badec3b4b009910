"""The lists of packages agree, and the scripts are valid and explain what is missing."""

import json
import os
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

BASE = Path(__file__).resolve().parent.parent
SCRIPTS = [*sorted((BASE / "script").iterdir()), BASE / ".ci/run", *sorted((BASE / "tests").rglob("*.sh"))]
REQUIREMENT = re.compile(r"^([a-z0-9-]+)(\[[a-z,]+\])?(.*)$")


def requirements(name):
    """Return {package: condition} of a hand-written list."""
    lines = (BASE / name).read_text("utf-8").splitlines()
    matches = [REQUIREMENT.match(line) for line in lines if line and line[0] not in "#-"]
    return {match[1]: match[3] for match in matches}


def lock(name):
    """Return {package: version} of a locked list."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (BASE / name).read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize(
    ("listed", "locked"),
    [
        ("requirements.txt", "requirements.lock"),
        ("requirements-dev.txt", "requirements-dev.lock"),
        ("requirements-uv.txt", "requirements-uv.lock"),
    ],
)
def test_each_listed_package_is_locked_as_listed(listed, locked):
    from packaging.specifiers import SpecifierSet

    versions = lock(locked)
    wrong = [
        name
        for name, condition in requirements(listed).items()
        if not SpecifierSet(condition).contains(versions.get(name, "0"))
    ]
    assert wrong == []


def test_development_has_the_same_package_versions_as_production():
    runtime, development = lock("requirements.lock"), lock("requirements-dev.lock")
    assert {name: development.get(name) for name in runtime} == runtime


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-uv.txt"])
def test_each_listed_package_has_a_reason(name):
    lines = (BASE / name).read_text("utf-8").splitlines()
    without_reason = [line for before, line in pairwise(lines) if line[:1].isalnum() and before[:2] != "# "]
    assert without_reason == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "requirements-uv.lock"])
def test_locked_packages_have_hashes_and_no_urls(name):
    text = (BASE / name).read_text("utf-8")
    assert not re.search(r"^[a-z0-9-]+==(?!.*\\$)", text, re.MULTILINE)
    assert "://" not in text
    assert "index-url" not in text


def test_npm_packages_are_locked_without_urls():
    package = json.loads((BASE / "package.json").read_text("utf-8"))
    packages = json.loads((BASE / "package-lock.json").read_text("utf-8"))["packages"]
    for name, version in {**package["dependencies"], **package["devDependencies"]}.items():
        assert packages[f"node_modules/{name}"]["version"] == version
    assert [path for path, entry in packages.items() if "resolved" in entry] == []
    # Every optional package must be in the lock, because otherwise `npm ci` refuses. npm leaves out packages for other
    # platforms that a registry does not have.
    optional = {name for entry in packages.values() for name in entry.get("optionalDependencies", ())}
    assert [name for name in optional if f"node_modules/{name}" not in packages] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_posix_shell(path):
    text = path.read_text("utf-8")
    shell = shutil.which("dash") or "sh"
    assert subprocess.run([shell, "-n", path], capture_output=True).stderr == b""
    if path.name != "lib.sh":
        assert text.startswith("#!/bin/sh\n")
        assert "\nset -eu\n" in text
        assert os.access(path, os.X_OK)


@pytest.fixture
def bare(tmp_path):
    """A copy of the files that script/setup reads, with a directory `bin` for its PATH."""
    for name in ("requirements.lock", "requirements-dev.lock", "requirements-uv.lock", "package-lock.json"):
        shutil.copy(BASE / name, tmp_path)
    shutil.copytree(BASE / "script", tmp_path / "script")
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for tool in ("sh", "dirname", "basename", "cat", "cksum", "id", "rm"):
        (bin_ / tool).symlink_to(shutil.which(tool))
    return tmp_path


def put(path, script):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)


def cksum(*names, cwd):
    return " ".join(
        subprocess.check_output(["sh", "-c", f"cksum < {name}"], cwd=cwd, text=True).strip() for name in names
    )


def set_up(bare, *arguments):
    return subprocess.run(
        [bare / "script/setup", *arguments], env={"PATH": str(bare / "bin")}, capture_output=True, text=True, timeout=30
    )


def put_python_stamp(bare, kind):
    put(bare / ".venv/bin/python", "exit 0")
    locks = cksum("requirements.lock", "requirements-dev.lock", cwd=bare)
    (bare / ".venv/.stamp").write_text(f"{locks} {kind}", "utf-8")


@pytest.mark.parametrize("kind", ["dev", "runtime"])
def test_a_repeated_setup_does_nothing(bare, kind):
    put_python_stamp(bare, "dev")
    (bare / "node_modules").mkdir()
    (bare / "node_modules/.stamp").write_text(cksum("package-lock.json", cwd=bare) + " dev", "utf-8")
    result = set_up(bare, kind)  # no pip, no npm, no network on this PATH
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize(("uv", "installs"), [("exit 0", "uv"), ("exit 1", "pip")])
def test_packages_are_installed_by_uv_and_otherwise_by_pip(bare, uv, installs):
    put(bare / "bin/python3", "exit 0")
    put(bare / ".venv/bin/python", 'echo "pip $*" >> calls')
    put(bare / ".venv/bin/uv", f'echo "uv $* from $UV_DEFAULT_INDEX" >> calls; {uv}')
    set_up(bare, "runtime")
    calls = (bare / "calls").read_text("utf-8").splitlines()
    assert [call for call in calls if "requirements-uv.lock" in call]
    assert calls[-1].startswith(installs)
    assert "--require-hashes -r requirements.lock" in calls[-1]


def test_pip_installs_the_packages_where_it_has_no_uv(bare):
    put(bare / "bin/python3", "exit 0")
    put(bare / ".venv/bin/python", 'case "$*" in *requirements-uv.lock*) exit 1 ;; esac; echo "$*" >> calls')
    set_up(bare, "runtime")
    [*_, last] = (bare / "calls").read_text("utf-8").splitlines()
    assert last.endswith("--require-hashes -r requirements.lock")


def test_uv_asks_the_registry_that_pip_is_set_to(bare):
    put(bare / "bin/python3", "exit 0")
    put(bare / ".venv/bin/python", 'case "$*" in *"config get"*) echo https://registry.example/simple ;; esac')
    put(bare / ".venv/bin/uv", 'echo "$UV_DEFAULT_INDEX" > registry')
    set_up(bare, "runtime")
    assert (bare / "registry").read_text("utf-8") == "https://registry.example/simple\n"


def test_setup_names_a_python_that_is_too_old(bare):
    put(bare / "bin/python3", 'case "$1" in -V) echo Python 3.9.2 ;; *) exit 1 ;; esac')
    result = set_up(bare)
    assert result.returncode == 1
    assert result.stderr.startswith("setup: Multichat needs Python 3.11 or newer (found: Python 3.9.2).")
    assert result.stderr.count("\n") == 1


def test_setup_names_a_missing_node(bare):
    put_python_stamp(bare, "dev")
    result = set_up(bare)
    assert result.returncode == 1
    assert result.stderr.startswith("setup: Multichat needs Node.js 20 or newer with npm")
    assert result.stderr.count("\n") == 1


def test_setup_names_a_node_that_is_too_old(bare):
    put_python_stamp(bare, "dev")
    put(bare / "bin/npm", "exit 0")
    put(bare / "bin/node", 'case "$1" in -v) echo v18.1.0 ;; *) exit 1 ;; esac')
    assert set_up(bare).stderr == "setup: Multichat needs Node.js 20 or newer (found: v18.1.0).\n"


@pytest.mark.parametrize(
    ("tools", "advice"),
    [
        (
            [],
            "please install these packages (Debian's names):"
            " redis-server postgresql pgbouncer chromium firefox-esr webkit2gtk-driver xvfb gettext",
        ),
        (
            ["apt-get", "chromium", "firefox"],
            "please run: sudo apt-get install redis-server postgresql pgbouncer webkit2gtk-driver xvfb gettext",
        ),
    ],
)
def test_a_script_names_the_missing_services(bare, tools, advice):
    (bare / "bin/id").unlink()
    put(bare / "bin/id", "echo 1000")
    (bare / "bin/ls").symlink_to("/bin/false")  # neither /usr/lib/postgresql nor /usr/sbin/pgbouncer
    for tool in tools:
        put(bare / "bin" / tool, "exit 1")
    script = "set -eu; . script/lib.sh; ensure_services"
    result = subprocess.run(
        ["/bin/sh", "-c", script, "test"], cwd=bare, env={"PATH": str(bare / "bin")}, capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (1, f"test: {advice}\n")


def test_apt_install_updates_the_package_lists_after_a_failure(bare):
    log = bare / "log"
    (bare / "bin/id").unlink()
    put(bare / "bin/id", "echo 0")
    (bare / "bin/env").symlink_to(shutil.which("env"))
    # The first install fails, as on an image without package lists.
    put(
        bare / "bin/apt-get",
        f'echo "$@" >> {log}; case "$*" in *update) touch {bare}/updated ;; *) [ -e {bare}/updated ] ;; esac',
    )
    (bare / "bin/touch").symlink_to(shutil.which("touch"))
    script = "set -eu; . script/lib.sh; apt_install chromium"
    result = subprocess.run(
        ["/bin/sh", "-c", script, "test"], cwd=bare, env={"PATH": str(bare / "bin")}, capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "==> Installing chromium (apt)\n")
    install = "-qq install -y --no-install-recommends chromium"
    assert log.read_text("utf-8").splitlines() == [install, "-qq update", install]


def test_the_version_is_the_first_one_in_the_changelog():
    import multichat

    assert re.fullmatch(r"\d+\.\d+\.\d+", multichat.__version__)
    assert f"## v{multichat.__version__}\n" in (BASE / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("variables", "directory"),
    [({}, "var/static"), ({"VAR": "state"}, "state/static"), ({"STATIC_ROOT": "out/of/here"}, "out/of/here")],
)
def test_static_files_are_collected_once_into_static_root(bare, variables, directory):
    for tool in ("find", "sort", "mkdir"):
        (bare / "bin" / tool).symlink_to(shutil.which(tool))
    for name in ("multichat/static.py", "static/page.js"):
        (bare / name).parent.mkdir()
        (bare / name).write_text("x")
    log = bare / "log"
    put(bare / ".venv/bin/python", f'echo "$@" >> {log}')

    def collect(**more):
        return subprocess.run(
            ["/bin/sh", "-c", "set -eu; . script/lib.sh; ensure_static", "server"],
            cwd=bare,
            env={"PATH": str(bare / "bin"), **variables, **more},
            capture_output=True,
            text=True,
        )

    for _ in range(2):
        assert collect().returncode == 0
    assert log.read_text("utf-8") == "manage.py collectstatic --no-input --verbosity 0\n"
    assert (bare / directory / ".stamp").is_file()
    (bare / "a file").touch()
    refused = collect(STATIC_ROOT="a file/static")
    assert refused.returncode == 1
    assert "STATIC_ROOT is a file/static, but this directory cannot be created." in refused.stderr
