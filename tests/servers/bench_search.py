"""Measures search among a million messages: python -m tests.servers.bench_search [MESSAGES [--make]].

It uses the database of DATABASE_URL, or SQLite in VAR, which has to be empty, or made by this program before. On
PostgreSQL: python -m tests.servers.with_postgres python -m tests.servers.bench_search.

The words are drawn as in natural language: a few are in most messages, and most are rare. A tenth of the messages is
in a room for staff, with a word of its own, and the user who searches is not staff. A part of the messages is made, and
then copied by SQL, with later times.
"""

import os
import random
import sys
import time
import uuid
from datetime import timedelta
from typing import NamedTuple

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "multichat.settings")
if url := os.environ.get("TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = url
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.db.models import F  # noqa: E402
from django.utils import timezone  # noqa: E402

from chat.models import Event, Room  # noqa: E402
from chat.protocol import AttachedFile  # noqa: E402
from chat.store import files, log, search, search_query  # noqa: E402
from tests.servers.figures import percentile  # noqa: E402

PIECE = 2000
ROOMS, USERS, WORDS = 100, 200, 30_000
TIMES = 15
SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe qui ro su ta ve wi xo zu bra cle dri flo gru sta tre plo"
JAPANESE = ["東京の会議は明日の午後三時からです", "資料を確認してください", "サーバーが落ちました", "障害対応中"]
COPIES = 20
YEAR = timedelta(days=365)


def vocabulary() -> list[str]:
    """Return different words, the most frequent first."""
    drawn, syllables = random.Random(1), SYLLABLES.split()
    found = {"".join(drawn.choices(syllables, k=2 + number % 3)): None for number in range(2 * WORDS)}
    return list(found)[:WORDS]


def make(words: list[str], count: int) -> None:
    """Make a part of the messages, and copies of it."""
    random.seed(1)
    # By Zipf's law.
    weights = [1 / (rank + 1) for rank in range(len(words))]
    users = User.objects.bulk_create(User(username=f"user{number}") for number in range(USERS))
    rooms = Room.objects.bulk_create(
        Room(title=f"Room {number}", title_key=f"room {number}", staff_only=number == 0) for number in range(ROOMS)
    )
    start = timezone.now() - YEAR
    for first in range(0, count, PIECE):
        drawn = random.choices(words, weights, k=PIECE * 12)
        events = []
        for place in range(PIECE):
            number = first + place
            room = rooms[0] if number % 10 == 0 else rooms[random.randrange(1, ROOMS)]
            body = " ".join(drawn[place * 12 : place * 12 + random.randrange(3, 13)])
            if number % 10 == 0:
                body += " budget"
            if number % 50 == 7:
                body += f" https://example.com/{number}"
            if number % 20 == 3:
                body += f" {random.choice(JAPANESE)}"
            author = random.choice(users)
            room.head_seq += 1
            file = None
            if number % 200 == 9:
                file = files.encode([AttachedFile(id=uuid.uuid4(), name=f"{drawn[place]}.pdf", type="x", size=1)])
            events.append(
                Event(
                    room=room,
                    seq=room.head_seq,
                    author=author,
                    username=author.username,
                    body=body,
                    client_id=uuid.uuid4(),
                    at=start + YEAR / COPIES * (number / count),
                    files=file,
                )
            )
        with transaction.atomic():
            log.import_events(events)
    Room.objects.bulk_update(rooms, ["head_seq"])
    for copy in range(1, COPIES):
        _copy(copy, count)
    Room.objects.update(head_seq=F("head_seq") * COPIES)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def _copy(copy: int, count: int) -> None:
    later = round(YEAR.total_seconds() / COPIES * copy)
    if connection.vendor == "postgresql":
        at = f"event.at + interval '{later} seconds'"
    else:
        at = f"strftime('%Y-%m-%d %H:%M:%f', event.at, '+{later} seconds')"
    values = {"id": f"event.id + {copy * count}", "seq": f"event.seq + {copy} * room.head_seq", "at": at}
    values["client_id"] = "NULL"
    columns = [field.column or "" for field in Event._meta.concrete_fields]
    chosen = ", ".join(values.get(column, f'event."{column}"') for column in columns)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO chat_event ({', '.join(map(connection.ops.quote_name, columns))}) SELECT {chosen} "
            f"FROM chat_event event JOIN chat_room room ON room.id = event.room_id WHERE event.id <= {count}"
        )
        cursor.execute(
            f"INSERT INTO chat_searchtext (event_id, room_id, text) SELECT event_id + {copy * count}, room_id, text "
            f"FROM chat_searchtext WHERE event_id <= {count}"
        )


class Measured(NamedTuple):
    """How long queries of one kind took in ms, and how many messages of the first page each found."""

    kind: str
    example: str
    p50: float
    p95: float
    # The CPU time of this program, in ms; 0 on PostgreSQL, which works in another process.
    cpu: float
    found: list[int | str]


def measure(words: list[str]) -> list[Measured]:
    """Search for queries of each kind; the last entry has all kinds together."""
    user = User.objects.get(username="user1")
    common, often, other, seldom, rare, rarest = (words[rank] for rank in (0, 3, 40, 200, 9000, -5))
    kinds = {
        "rare word": [rare, rarest],
        "common word": [common, often],
        "middling word": [seldom, other],
        "two words": [f"{common} {often}", f"{often} {seldom}"],
        "part of a word": [seldom[1:5], rare[1:6]],
        "Japanese": ["会議", "障害", "サーバー", "午後三時"],
        "a phrase": [f'"{common} {often}"'],
        "from:": ["from:user7", f"from:user9 {common}", f"from:user9 {seldom}"],
        "in:": ['in:"Room 7"', f'in:"Room 7" {common}', f'in:"Room 7" {seldom}'],
        "after:": [f"after:yesterday {common}", f"after:monday {often}", f"after:2026-01-01 {rare}"],
        "before:": [f"before:2026-03-01 {common}"],
        "has:link": ["has:link", f"has:link {common}", f"has:link {seldom}"],
        "has:file": ["has:file", f"has:file {common}"],
        "a word of a hidden room": ["budget"],
        "no match": ["zyxwvut"],
        "two letters": [common[:2]],
        "best first": [common, seldom],
    }
    zone = timezone.get_default_timezone()
    measured: list[Measured] = []
    all_times: list[float] = []
    for kind, queries in kinds.items():
        times: list[float] = []
        cpu: list[float] = []
        found: list[int | str] = []
        for text in queries:
            query = search_query.parse(text, now=timezone.now(), zone=zone, is_best_first=kind == "best first")
            for _ in range(TIMES):
                began, cpu_began = time.perf_counter(), time.thread_time()
                try:
                    messages = len(search.find(user, query).messages)
                except search.SearchTimeoutError:
                    messages = -1
                times.append(time.perf_counter() - began)
                cpu.append(time.thread_time() - cpu_began)
            found.append("gave up" if messages < 0 else messages)
        all_times += times
        p50, p95 = (1000 * percentile(times, share) for share in (0.5, 0.95))
        # SQLite works in this thread, so its CPU time holds on a busy machine too.
        own = 1000 * percentile(cpu, 0.5) if connection.vendor == "sqlite" else 0.0
        measured.append(Measured(kind, queries[0], p50, p95, own, found))
    p50, p95 = (1000 * percentile(all_times, share) for share in (0.5, 0.95))
    return [*measured, Measured("all kinds", "", p50, p95, 0.0, [])]


def main(count: int, *, measures: bool = True) -> None:
    words = vocabulary()
    call_command("migrate", interactive=False, verbosity=0)
    if not Event.objects.exists():
        began = time.perf_counter()
        make(words, count // COPIES)
        print(f"{count:,} messages made in {time.perf_counter() - began:.0f} s")
    if not measures:
        return
    print(f"Search on {connection.vendor}:", flush=True)
    for each in measure(words):
        print(f"  {each.kind:24} p50 {each.p50:7.1f}  p95 {each.p95:7.1f}  CPU {each.cpu:7.1f} ms  found {each.found}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, measures="--make" not in sys.argv)
