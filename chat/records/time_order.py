"""Gives the events of an import ids in the order of their times, whatever room they belong to.

Search and the list of mentions show the newest first by the id, because an index has it. A site that runs gives ids in
the order of time by itself. The lines of an export are in the order of rooms.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

from chat.records import AnyLine, EventLine, RecordError


@contextmanager
def ids_by_time(lines: Iterable[AnyLine]) -> Iterator[Iterator[int]]:
    """Yield the ids of the events of `lines`, in the order of the lines.

    A file of SQLite's own, which ends with the block, sorts them, so that a log of any length takes no memory.
    Raises RecordError when a time has no zone, and when the file cannot be written, because its disk is full.
    """
    try:
        with closing(sqlite3.connect("")) as database:
            database.execute("CREATE TABLE event (place INTEGER PRIMARY KEY, at INTEGER)")
            times = ((_microseconds(line),) for line in lines if isinstance(line, EventLine))
            database.executemany("INSERT INTO event (at) VALUES (?)", times)
            # Events of the same time keep the order of the lines, which is that of their room's log.
            database.execute(
                "CREATE TABLE ranked AS SELECT place, row_number() OVER (ORDER BY at, place) AS id FROM event"
                " ORDER BY place"
            )
            # Also an error while the ids are read comes back here. Those of the site's own database are Django's.
            yield (key for (key,) in database.execute("SELECT id FROM ranked ORDER BY rowid"))
    except sqlite3.Error as error:
        raise RecordError(
            f"The events could not be sorted in a temporary file: {error}. Free space in the temporary directory, or"
            " set SQLITE_TMPDIR to a directory with more space, and try again."
        ) from error


def _microseconds(line: EventLine) -> int:
    if line.at.tzinfo is None:
        raise RecordError(f"The time of event {line.seq} of room {line.room} has no time zone.")
    return round(line.at.timestamp() * 1_000_000)
