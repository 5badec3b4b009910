"""Private Redis, PostgreSQL and Multichat servers: each in its own directory, and removed after the test."""

import contextlib
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.servers import beside

# Written by tests.servers.probe.
LOOP_STEP = "loop-step"
BASE = Path(__file__).resolve().parents[2]
PASSWORD = "four words, hard to guess"
CAST = ("alice", "bob", "charlie")
# Prints the peak memory of a Python process in bytes. getrusage's ru_maxrss would not do: it is never below the memory
# of the parent process, so it hides everything that takes less than pytest.
PRINT_PEAK = """
import re
from pathlib import Path
print("peak", 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]))
"""


def wait_for(condition, seconds=20.0, what=""):
    """Poll until a condition outside this process holds: of a process, a port, a file."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what or f"{condition} is still false after {seconds} s")
        time.sleep(0.02)


class Program:
    """A program that tests can start, kill, freeze and start again."""

    process = None
    # How long its start may take.
    START_SECONDS = 20.0

    def command(self):
        raise NotImplementedError

    def is_ready(self):
        raise NotImplementedError

    def options(self):
        return {}

    def output(self):
        return Path(os.devnull).open("a")

    def start(self, *, wait=True):
        assert not self.is_running, "it is running already"
        self.process = self.run()
        if wait:
            self.wait_until_ready()
        return self

    def run(self):
        """Start the process, and return it."""
        with self.output() as file:
            return subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=file, stderr=file, **self.options()
            )

    def wait_until_ready(self):
        wait_for(
            lambda: self._has_died() or self.is_ready(), self.START_SECONDS, f"{type(self).__name__} did not start"
        )

    def _has_died(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{type(self).__name__} ended with {self.process.returncode}")
        return False

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        return self.process.pid

    def kill(self):
        """End it with SIGKILL."""
        self._end(signal.SIGKILL)

    def terminate(self):
        self._end(signal.SIGTERM)

    def _end(self, how):
        if self.is_running:
            self.process.send_signal(how)
            self.process.send_signal(signal.SIGCONT)
            self.process.wait(30)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)


class Redis(Program):
    def __init__(self, directory):
        self.path = Path(directory) / "redis.sock"

    @property
    def url(self):
        return f"unix://{self.path}"

    def command(self):
        return ["redis-server", "--port", "0", "--unixsocket", str(self.path), "--save", "", "--loglevel", "warning"]

    def options(self):
        return {"cwd": self.path.parent}

    def is_ready(self):
        return self.send("PING") == b"+PONG"

    def flush(self):
        assert self.send("FLUSHALL") == b"+OK"

    def drop_listeners(self):
        """Cut every connection that subscribes to bells."""
        self.send("CLIENT KILL TYPE pubsub")

    def send(self, command):
        """Send one command and return the first line of the reply; empty if Redis does not answer."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            connection.connect(str(self.path))
            connection.sendall(command.encode() + b"\r\n")
            return connection.recv(1024).split(b"\r\n")[0]
        return b""


def postgres_program(name):
    """Return the path of one of PostgreSQL's programs, which Debian keeps off the PATH."""
    return shutil.which(name) or sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))[-1]


def execute(sql, **address):
    """Run one statement and return its rows."""
    import psycopg

    with psycopg.connect(**address, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def as_postgres(directory):
    """Give the user postgres a directory. Return Popen options for programs that refuse root, as initdb does."""
    directory.chmod(0o755)
    if os.geteuid() != 0:
        return {}
    shutil.chown(directory, "postgres", "postgres")
    return {"user": "postgres", "group": "postgres", "extra_groups": []}


class Postgres:
    """A PostgreSQL cluster, not run as root. It keeps what it has committed, unless it is started `quick`."""

    USER = "multichat"

    def __init__(self, directory):
        self.directory = Path(directory)
        self.data = self.directory / "data"
        self._as = as_postgres(self.directory)

    def start(self, *, quick=False, locale="C"):
        options = ["--auth=trust", f"--username={self.USER}", "--encoding=UTF8", f"--locale={locale}", "--no-sync"]
        self._run("initdb", f"--pgdata={self.data}", *options)
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"listen_addresses = ''\nunix_socket_directories = '{self.directory}'\nmax_connections = 60\n")
            file.write("log_line_prefix = '%d '\n")  # the database's name, for queries()
            if quick:
                file.write("fsync = off\nfull_page_writes = off\n")
        self.start_again()
        return self

    def start_again(self):
        """Start a cluster that was made before and stopped."""
        self._run("pg_ctl", "start", "-w", "-D", str(self.data), "-l", str(self.directory / "log"))

    def restart(self):
        """Restart as after a power cut: connections break without notice."""
        # So that recovery repeats what these servers wrote, and not a minute of databases that earlier tests made.
        self.execute("postgres", "CHECKPOINT")
        log = str(self.directory / "log")
        self._run("pg_ctl", "restart", "-w", "-m", "immediate", "-D", str(self.data), "-l", log)

    def stop(self):
        self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self.data))

    def _run(self, program, *arguments):
        subprocess.run(
            [postgres_program(program), *arguments],
            check=True,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=60,
            **self._as,
        )

    def url(self, name):
        return f"postgres://{self.USER}@/{name}?host={self.directory}"

    def create(self, name, template="template1"):
        """Make a database and return its URL."""
        self.execute("postgres", f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def dump(self, name, file):
        """Write the statements that make a database again."""
        self._run_client("pg_dump", f"--file={file}", name)

    def load(self, name, file):
        """Run the statements of a dump."""
        self._run_client("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={file}", name)

    def _run_client(self, program, *arguments):
        address = [f"--host={self.directory}", f"--username={self.USER}"]
        done = subprocess.run(
            [postgres_program(program), *address, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        assert done.returncode == 0, done.stderr.decode()

    def log_queries(self, name):
        """Log all queries of a database's new connections."""
        self.execute(name, f"ALTER DATABASE \"{name}\" SET log_statement = 'all'")

    def queries(self, name):
        """Return the queries of a database logged so far, without those that begin or end a transaction."""
        lines = (self.directory / "log").read_text(errors="replace").splitlines()
        logged = re.compile(f"{re.escape(name)} LOG:  (?:statement|execute [^:]+): (?!BEGIN|COMMIT|SET |ALTER )(.+)")
        return [match[1] for line in lines if (match := logged.match(line))]

    def execute(self, name, sql):
        return execute(sql, dbname=name, user=self.USER, host=str(self.directory))


class Pooler(Program):
    """PgBouncer in transaction mode, with few connections to a cluster: a client that kept one would block others."""

    CONNECTIONS = 3
    LIMITS = "SET statement_timeout = 30000; SET lock_timeout = 10000; SET idle_in_transaction_session_timeout = 30000"

    def __init__(self, directory, postgres):
        self.directory = Path(directory)
        self.postgres = postgres
        self._as = as_postgres(self.directory)
        (self.directory / "users.txt").write_text(f'"{postgres.USER}" ""\n')
        (self.directory / "pgbouncer.ini").write_text(f"""
[databases]
* = host={postgres.directory} connect_query='{self.LIMITS}'
[pgbouncer]
pool_mode = transaction
listen_addr =
unix_socket_dir = {self.directory}
listen_port = 5432
auth_type = trust
auth_file = {self.directory}/users.txt
admin_users = {postgres.USER}
default_pool_size = {self.CONNECTIONS}
server_round_robin = 1
""")

    def url(self, name):
        return f"postgres://{self.postgres.USER}@/{name}?host={self.directory}&pooler=transaction"

    def command(self):
        # On Debian it is on root's PATH only.
        return [shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", str(self.directory / "pgbouncer.ini")]

    def options(self):
        return {"cwd": self.directory, **self._as}

    def output(self):
        return (self.directory / "log").open("a")

    def is_ready(self):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.directory / ".s.PGSQL.5432"))
            return True
        return False

    def ask(self, sql, name="pgbouncer"):
        """Run one statement through the pooler; without a name, on the pooler itself."""
        return execute(sql, dbname=name, user=self.postgres.USER, host=str(self.directory))


class Server(Program):
    """One server process. The test owns its listening socket, so the port stays when the process is killed."""

    MODULE = "multichat.server"

    def __init__(self, state, *, database_url="", redis_url="", settings=None, log=None, environment=None):
        self.state = Path(state)
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log or self.state / f"server-{self.port}.log"
        self.settings = settings or {}
        self.addresses = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
        # Limits are off unless a test sets them, because tests send faster than people.
        self.own = {"LIMITS": "0", **(environment or {})}

    @property
    def environment(self):
        """The whole environment, so that the developer's settings do not reach the server."""
        return {
            "PATH": os.environ["PATH"],
            "VAR": str(self.state),
            "DJANGO_SETTINGS_MODULE": "tests.servers.settings",
            "TEST_SETTINGS": json.dumps(self.settings),
            **self.addresses,
            **self.own,
        }

    def run(self):
        return beside.serve(self.MODULE, self.environment, self.log, self.listening)

    def output(self):
        return self.log.open("a")

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False

    def close(self):
        self.kill()
        self.listening.close()
        beside.end_workers(self.environment)

    def ask(self, task, *arguments):
        """Run a task of tests.servers.database beside the server, on its database, and return its answer."""
        return beside.ask(self.environment, task, *arguments)

    def cpu_seconds(self):
        """Return the CPU time that the process has used, its threads included."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Return the process's resident memory in bytes."""
        fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def connection_count(self):
        """Return how many connections to its own port the process holds."""
        held = set()
        for path in Path(f"/proc/{self.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                held.add(os.readlink(path))
        table = [line.split() for line in Path(f"/proc/{self.pid}/net/tcp").read_text().splitlines()[1:]]
        # Fields: number, local address and port in hex, remote, state (0A listens), …, inode.
        return sum(
            int(fields[1].split(":")[1], 16) == self.port and fields[3] != "0A" and f"socket:[{fields[9]}]" in held
            for fields in table
        )


class ProbedServer(Server):
    """A server that measures the steps of its event loop."""

    MODULE = "tests.servers.probe"

    def largest_step(self):
        """Return the CPU seconds of the loop's largest step since the last call, and reset it."""
        path = self.state / LOOP_STEP
        largest = float(path.read_text() or 0)
        path.unlink()
        wait_for(path.exists)
        return largest


class WorkersServer(Server):
    """A supervisor and its workers, as in the image. They share a port, which it binds itself, and can be rolled."""

    run = Program.run

    def __init__(self, state, *, workers=2, command=(sys.executable, "-m", "multichat.workers"), **options):
        super().__init__(state, **options)
        self.listening.close()
        self._workers = workers
        self._command = command

    @property
    def environment(self):
        return super().environment | {
            "HOST": "127.0.0.1", "PORT": str(self.port), "WORKERS": str(self._workers)
        }  # fmt: skip

    def command(self):
        return list(self._command)

    def options(self):
        return {"cwd": BASE, "env": self.environment}

    def is_ready(self):
        return super().is_ready() and (self._workers == 1 or f"{self._workers} processes serve" in self.log.read_text())

    def roll(self):
        """Replace the workers, and wait until all are new."""
        before = self.workers()
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(now := self.workers()) == len(before) and not now & before, 60, "old workers are left")

    def workers(self):
        """Return the process ids of the workers."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return {int(pid) for pid in children}


@contextlib.contextmanager
def directory(prefix):
    """Make a temporary directory that other users may read, with a path short enough for Unix sockets."""
    path = Path(tempfile.mkdtemp(prefix=f"multichat-{prefix}-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
