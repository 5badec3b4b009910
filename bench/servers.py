"""Starts the contenders, each pinned to one core, and what they need: Redis and PostgreSQL on the other core."""

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import ejabberd
from bench.load import Dialect
from tests import migrated
from tests.servers.services import Postgres, Redis, directory

BASE = Path(__file__).resolve().parents[1]
CONTENDERS = BASE / "bench" / "contenders"
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]
START_SECONDS = 60
# The load program opens sockets from one process, and all of them wait until a server accepts them.
BACKLOG = 4096


@dataclass
class Running:
    """A contender that serves: its port, and the protocol of its clients."""

    name: str
    port: int
    dialects: list[Dialect]
    processes: list[subprocess.Popen[bytes]]
    environment: dict[str, str] = field(default_factory=dict)
    # Starts one more process on the same listening socket.
    start: Callable[[], None] = lambda: None

    @property
    def is_own(self) -> bool:
        """Tell whether this is Multichat, which has to be fast enough to be measured. Others may be too slow."""
        return self.name.startswith("Multichat")

    def kill(self) -> None:
        """Kill all processes. Connections wait in the listening socket until others are started."""
        for process in self.processes:
            process.kill()
            process.wait()
        self.processes.clear()

    def cpu_seconds(self) -> float:
        """Return the CPU time that its processes have used, their threads included."""
        return sum(_cpu_seconds(process.pid) for process in self.processes)

    def memory(self) -> int:
        """Return the resident memory of its processes in bytes."""
        page = os.sysconf("SC_PAGE_SIZE")
        return sum(int(Path(f"/proc/{one.pid}/statm").read_text().split()[1]) * page for one in self.processes)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Plan:
    """How a contender is started, and how its clients speak."""

    command: list[str]
    dialects: list[Dialect]
    environment: dict[str, str] = field(default_factory=dict)
    processes: int = 1
    # The port of a contender that cannot be given a listening socket.
    port: int | None = None


# Gets the port, the number of clients, and a stack for what has to run beside the contender.
Make = Callable[[int, int, contextlib.ExitStack], Plan]


@contextlib.contextmanager
def started(name: str, make: Make, clients: int) -> Iterator[Running]:
    """Start a contender with what it needs, and end all of it afterwards."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=BACKLOG))
        plan = make(listening.getsockname()[1], clients, stack)
        log = stack.enter_context(directory("bench-log")) / "log"
        port = plan.port or listening.getsockname()[1]
        running = Running(name, port, plan.dialects, [], plan.environment)

        def start() -> None:
            command = plan.command if plan.port else [*plan.command, str(listening.fileno())]
            running.processes.append(_start(command, plan.environment, log, listening))
            stack.callback(_end, running.processes[-1])

        running.start = start
        for _ in range(plan.processes):
            running.start()
        _wait_for(running, log)
        try:
            yield running
        except Exception:
            if text := log.read_text(errors="replace")[-1000:]:
                print(f"bench: the last lines of {name}:\n{text}", file=sys.stderr)
            raise


def pinned(core: int, command: list[str]) -> list[str]:
    """Return the command that runs a program on one core."""
    return ["taskset", "--cpu-list", str(core), *command] if shutil.which("taskset") else command


def _start(
    command: list[str], environment: dict[str, str], log: Path, listening: socket.socket
) -> subprocess.Popen[bytes]:
    with log.open("ab") as file:
        return subprocess.Popen(
            pinned(SERVER_CORE, command),
            cwd=BASE,
            env=os.environ | environment,
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for(running: Running, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and all(process.poll() is None for process in running.processes):
        # The bare protocol answers every request with a handshake.
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", running.port), 5) as connection:
            connection.settimeout(5)
            connection.sendall(
                b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nSec-WebSocket-Key: AAAA\r\nConnection: close\r\n\r\n"
            )
            if connection.recv(12).startswith(b"HTTP/1.1"):
                return
        time.sleep(0.05)
    raise RuntimeError(f"{running.name} did not start: {log.read_text(errors='replace')[-2000:]}")


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """Start a Redis of our own and return its URL."""
    with directory("bench-redis") as path:
        program: Any = Redis(path)  # type: ignore[no-untyped-call]
        program.start()
        try:
            yield program.url
        finally:
            program.terminate()


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Start a PostgreSQL of our own, with fsync and synchronous_commit on; return the URL of a migrated database."""
    with directory("bench-pg") as path:
        cluster: Any = Postgres(path)  # type: ignore[no-untyped-call]
        cluster.start()
        try:
            yield migrated.copy_to_postgres(cluster, "bench")  # type: ignore[no-untyped-call]
        finally:
            cluster.stop()


def plain(*command: str, environment: dict[str, str] | None = None) -> Make:
    """Return a contender that needs nothing beside it."""
    return lambda port, clients, stack: Plan(list(command), [Dialect() for _ in range(clients)], environment or {})


def socket_io(port: int, clients: int, stack: contextlib.ExitStack) -> Plan:
    dialect = Dialect(
        path="/socket.io/?EIO=4&transport=websocket",
        answers={b"0": b"40", b"40": b'42["join","1"]'},
        ready=b'42["joined"',
        wrap=lambda text: b'42["send",' + json.dumps(text).encode() + b"]",
    )
    return Plan(["node", str(CONTENDERS / "socketio.js")], [dialect] * clients)


def ejabberd_room(port: int, clients: int, stack: contextlib.ExitStack) -> Plan:
    state = stack.enter_context(directory("bench-ejabberd"))
    # It opens its own listening socket.
    with socket.create_server(("127.0.0.1", 0)) as free:
        own = free.getsockname()[1]
    environment = {"EJABBERD_LOG_PATH": str(state / "log")}
    dialects = [ejabberd.dialect(number) for number in range(clients)]
    return Plan(ejabberd.command(state, own), dialects, environment, port=own)


def tutorial(server: str) -> Make:
    """Return the tutorials' way on uvicorn or daphne, with Redis."""

    def make(port: int, clients: int, stack: contextlib.ExitStack) -> Plan:
        command = [sys.executable, "-m", "bench.contenders.tutorial", server]
        return Plan(command, [Dialect() for _ in range(clients)], {"REDIS_URL": stack.enter_context(redis())})

    return make


def multichat(
    *, grown: bool = False, rooms: int = 1, joined: int = 1, module: str = "multichat.server", processes: int = 1
) -> Make:
    """Return Multichat on SQLite, or grown to Redis and PostgreSQL. Each client joins `joined` of the rooms."""

    def make(port: int, clients: int, stack: contextlib.ExitStack) -> Plan:
        state = stack.enter_context(directory("bench"))
        environment = multichat_environment(state)
        if grown:
            environment["DATABASE_URL"] = stack.enter_context(postgres())
            environment["REDIS_URL"] = stack.enter_context(redis())
        else:
            migrated.copy_to(state / "db.sqlite3")  # type: ignore[no-untyped-call]
        cookies = ask(environment, "prepare", clients, rooms)
        dialects = [
            chat_dialect(port, cookie, [str(1 + (joined * number + step) % rooms) for step in range(joined)])
            for number, cookie in enumerate(cookies)
        ]
        return Plan([sys.executable, "-m", module, "--fd"], dialects, environment, processes)

    return make


def multichat_environment(state: Path) -> dict[str, str]:
    return {
        "VAR": str(state),
        "LIMITS": "off",
        "LOG_SERVED": "off",
        "DJANGO_SETTINGS_MODULE": "multichat.settings",
        # Collected by script/bench.
        "STATIC_ROOT": str(BASE / "var" / "static"),
        "DATABASE_URL": "",
        "REDIS_URL": "",
    }


def chat_dialect(port: int, cookie: str, rooms: list[str], *, path: str = "/chat/stream/") -> Dialect:
    """Return how a client of Multichat signs in and joins rooms."""
    headers = f"Origin: http://127.0.0.1:{port}\r\nCookie: {cookie}\r\n"
    # One join after the other: the next one is sent when the last is answered.
    answers: dict[bytes | None, bytes] = {}
    before: bytes | None = None
    for room in rooms:
        answers[before] = b'{"command":"join","room":"%s"}' % room.encode()
        before = b'{"join":"%s"' % room.encode()
    farewell = b'{"command":"leave","room":"%s"}' % rooms[0].encode() if len(rooms) == 1 else None
    return Dialect(path=path, headers=headers, answers=answers, ready=before, farewell=farewell)


def ask(environment: dict[str, str], task: str, *arguments: object) -> Any:
    """Run a task of bench.prepare beside a server, and return its answer."""
    done = subprocess.run(
        pinned(LOAD_CORE, [sys.executable, "-m", "bench.prepare", task, *map(str, arguments)]),
        cwd=BASE,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def has_node_packages() -> bool:
    """Return whether script/bench has installed the packages of the Node contenders."""
    return (BASE / "bench" / "node_modules").is_dir() and shutil.which("node") is not None


def has_daphne() -> bool:
    return importlib.util.find_spec("daphne") is not None


def contenders() -> dict[str, Make]:
    """Return all contenders for fan-out that can run here, by name."""
    python = [sys.executable, "-m"]
    found: dict[str, Make] = {
        "the limit": plain(*python, "bench.contenders.limit"),
        "websockets.broadcast": plain(*python, "bench.contenders.broadcast"),
    }
    if has_node_packages():
        found["Node ws"] = plain("node", str(CONTENDERS / "ws.js"))
        found["socket.io"] = socket_io
    if ejabberd.code_path() is not None:
        found["ejabberd"] = ejabberd_room
    found["tutorials' way, uvicorn"] = tutorial("uvicorn")
    if has_daphne():
        found["tutorials' way, daphne"] = tutorial("daphne")
    found["Multichat, SQLite"] = multichat()
    found["Multichat, PostgreSQL and Redis"] = multichat(grown=True)
    return found
