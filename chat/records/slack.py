"""Turns Slack's export, a ZIP file of JSON files, into the lines of an export: users, channels, messages, replies.

https://slack.com/help/articles/220556107-How-to-read-Slack-data-exports describes the files. Reactions and the content
of files are left out; a file's name stands in the text of its message.
"""

import html
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from chat.models import TURNING, Event, title_key
from chat.names import SYSTEM_KEY, name_key
from chat.records import FORMAT, AnyLine, EventLine, Header, MemberLine, RecordError, RoomLine, UserLine, importing
from chat.store import own_rooms
from chat.store.room_actions import MAX_DIRECT

# A ZIP file of some megabytes may claim to unfold to terabytes.
MAX_FILE_BYTES = 256 * 1024 * 1024
MAX_NAME = 150
MAX_TITLE = 255
# Messages that say what happened in Slack, and not what a person or a bot wrote.
WRITTEN = {None, "", "thread_broadcast", "bot_message", "me_message", "file_share", "file_comment"}

_LINK = re.compile(r"<([^<>|]+)(?:\|([^<>]*))?>")
_NOT_IN_NAMES = re.compile(r"[^\w.@+-]+")


class User(msgspec.Struct, kw_only=True):
    id: str
    name: str = ""
    real_name: str = ""
    deleted: bool = False
    is_bot: bool = False
    profile: dict[str, Any] = {}


class Channel(msgspec.Struct, kw_only=True):
    id: str
    name: str = ""
    created: int = 0
    is_archived: bool = False
    members: list[str] = []
    topic: dict[str, Any] = {}


class Message(msgspec.Struct, kw_only=True):
    ts: str
    type: str = "message"
    subtype: str | None = None
    user: str | None = None
    username: str | None = None
    text: str = ""
    thread_ts: str | None = None
    files: list[dict[str, Any]] = []
    attachments: list[dict[str, Any]] = []


def load(file: Path) -> tuple[int, int]:
    """Import Slack's export into the empty database; return how many rooms and messages it has. Raises RecordError."""
    try:
        with zipfile.ZipFile(file) as archive:
            return importing.store(lambda: _Export(archive).lines())
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise RecordError(f"{file} is damaged, or encrypted: {error}.") from None


class _Export:
    """One ZIP file, read file by file."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._names = set(archive.namelist())
        if "channels.json" not in self._names or "users.json" not in self._names:
            raise RecordError("This ZIP file is not an export from Slack: it has no channels.json and users.json.")
        self._users: dict[str, UserLine] = {}
        self._user_keys: set[str] = set()
        self._rooms: dict[str, str] = {}
        self._direct_keys: set[str] = set()
        self._days: dict[str, list[str]] = {}
        for name in sorted(self._names):
            folder, _, day = name.rpartition("/")
            if folder and day.endswith(".json"):
                self._days.setdefault(folder, []).append(name)

    def lines(self) -> Iterator[AnyLine]:
        yield Header(format=FORMAT)
        yield from self._read_users()
        kinds = [("channels.json", False), ("groups.json", True), ("mpims.json", True), ("dms.json", True)]
        found = [
            (channel, is_private, name in ("mpims.json", "dms.json"))
            for name, is_private in kinds
            if name in self._names
            for channel in self._read(name, list[Channel])
        ]
        titles = _unique(
            (TURNING.sub("", channel.name) or channel.id for channel, _, _ in found),
            title_key,
            reserved=SYSTEM_KEY,
            most=MAX_TITLE,
        )
        self._rooms = {channel.id: title for (channel, _, _), title in zip(found, titles, strict=True)}
        for number, (channel, is_private, is_direct) in enumerate(found, 1):
            yield from self._read_channel(channel, number, is_private=is_private, is_direct=is_direct)

    def _read_users(self) -> Iterator[UserLine]:
        users = self._read("users.json", list[User])
        names = _unique(
            (_NOT_IN_NAMES.sub("-", user.name or user.id) for user in users),
            name_key,
            reserved=SYSTEM_KEY,
            most=MAX_NAME,
        )
        for number, (user, name) in enumerate(zip(users, names, strict=True), 1):
            first, _, last = (user.real_name or str(user.profile.get("real_name") or "")).partition(" ")
            self._users[user.id] = UserLine(
                id=number,
                username=name,
                first_name=first[:MAX_NAME],
                last_name=last[:MAX_NAME],
                email=str(user.profile.get("email") or "")[:254],
                # Bots stay as authors.
                active=not user.deleted and not user.is_bot,
            )
            self._user_keys.add(name_key(name))
            yield self._users[user.id]

    def _read_channel(self, channel: Channel, number: int, *, is_private: bool, is_direct: bool) -> Iterator[AnyLine]:
        since = datetime.fromtimestamp(channel.created, UTC)
        ids = sorted({self._users[user].id for user in channel.members if user in self._users})
        key = own_rooms.direct_key(ids) if is_direct and 2 <= len(ids) <= MAX_DIRECT else None
        if key in self._direct_keys:
            key = None  # one direct room for each set of people; the others become rooms of members
        elif key is not None:
            self._direct_keys.add(key)
        events = list(self._events(channel, number))
        yield RoomLine(
            id=number,
            title=self._rooms[channel.id],
            topic=" ".join(str(channel.topic.get("value") or "").split())[:250],
            members_only=is_private,
            direct=key,
            archived=datetime.now(UTC).replace(microsecond=0) if channel.is_archived else None,
            floor=1,
            head=len(events),
            members=[
                MemberLine(user=user, owner=index == 0 and key is None, added=since)
                for index, user in enumerate(ids if is_private else [])
            ],
        )
        yield from events

    def _events(self, channel: Channel, number: int) -> Iterator[EventLine]:
        seq_by_ts: dict[str, int] = {}
        seq = 0
        # The files are named by day, so in order. The folder of two people's messages is named by its id.
        for name in self._days.get(channel.name or channel.id, []):
            for message in sorted(self._read(name, list[Message]), key=lambda each: each.ts):
                text = self._text(message)
                if message.type != "message" or message.subtype not in WRITTEN or not text:
                    continue
                seq += 1
                seq_by_ts[message.ts] = seq
                author = self._users.get(message.user or "")
                reply_to = seq_by_ts.get(message.thread_ts or "")
                yield EventLine(
                    room=number,
                    seq=seq,
                    kind=Event.Kind.POSTED,
                    at=_time(message.ts),
                    user=author.id if author else None,
                    username=author.username if author else self._name_of_bot(message),
                    text=text,
                    reply_to=reply_to if reply_to != seq else None,
                )

    def _name_of_bot(self, message: Message) -> str:
        name = (message.username or "Slack")[: MAX_NAME - 6]
        # Not to be taken for a user, who may have the same name.
        return f"{name} (bot)" if name_key(name) in {*self._user_keys, "", SYSTEM_KEY} else name

    def _text(self, message: Message) -> str:
        parts = [message.text]
        parts += [str(each.get("text") or each.get("fallback") or "") for each in message.attachments]
        parts += [f"[{each.get('name') or each.get('title') or 'file'}]" for each in message.files]
        text = "\n".join(part for part in parts if part)
        # Slack escapes these three characters, and marks links and names by angle brackets.
        return html.unescape(_LINK.sub(self._link, text)).replace("\x00", "").strip()

    def _link(self, match: re.Match[str]) -> str:
        target, label = match[1], match[2]
        if target.startswith("@"):
            user = self._users.get(target[1:])
            return f"@{user.username}" if user else f"@{label or target[1:]}"
        if target.startswith("#"):
            return f"#{label or self._rooms.get(target[1:], target[1:])}"
        if target.startswith("!"):
            return f"@{label or target[1:]}".replace("@@", "@")
        return f"{label} ({target})" if label and label != target else target

    def _read(self, name: str, kind: Any) -> Any:
        if self._archive.getinfo(name).file_size > MAX_FILE_BYTES:
            raise RecordError(f"{name} in the ZIP file is larger than {MAX_FILE_BYTES} bytes.")
        try:
            return msgspec.json.decode(self._archive.read(name), type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RecordError(f"{name} in the ZIP file can't be read: {error}.") from None


def _time(text: str) -> datetime:
    try:
        seconds = float(text)
        return datetime.fromtimestamp(int(seconds * 1000) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise RecordError(f"A message has the time {text!r}, which is not a time of Slack.") from None


def _unique(names: Iterable[str], key: Callable[[str], str], *, reserved: str, most: int) -> Iterator[str]:
    """Yield the names, with a number where two would be taken for each other."""
    taken = {"", reserved}
    for name in names:
        number, candidate = 1, name[:most]
        while key(candidate) in taken:
            number += 1
            candidate = f"{name[: most - 12]}-{number}"
        taken.add(key(candidate))
        yield candidate
