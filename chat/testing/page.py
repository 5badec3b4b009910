"""A socket client that loads the server like an open page: it watches, reads and stores its layout."""

import asyncio
from typing import Any

from chat.testing.client import Frame, RoomLog, SocketClient

# From static/chat/model/unread.js: read positions are sent this long after messages were seen, for all rooms together.
READ_AFTER_SECONDS = 0.4
# From static/chat/model/connection.js.
PING_EVERY_SECONDS = 20.0


class PageClient(SocketClient):
    """An open page that a user watches: `async with PageClient(url, cookie, name="bob") as bob: …`.

    In addition to a SocketClient it sends `watch` on every connection, asks for the newest page of history of each
    room that it joins for the first time, sends `read` for every open room 400 ms after it saw new messages there,
    and sends its layout when a room is opened or closed. A load test needs these, because pages do them too.
    """

    def __init__(
        self,
        url: str,
        cookie: str,
        *,
        name: str,
        reads: bool = True,
        read_after_seconds: float = READ_AFTER_SECONDS,
        heartbeat_seconds: float = PING_EVERY_SECONDS,
        **options: Any,
    ) -> None:
        super().__init__(url, cookie, name=name, heartbeat_seconds=heartbeat_seconds, **options)
        # From the last frames: every room that the user may enter, by id, and the unread counts.
        self.rooms: dict[str, Frame] = {}
        self.heads: dict[str, Frame] = {}
        # The newest page of history of each room, from when the room was first joined.
        self.pages: dict[str, Frame] = {}
        # Whether a user watches the page. May be changed while it is open.
        self.reads_what_it_sees = reads
        self._read_after_seconds = read_after_seconds
        self._seen: dict[str, int] = {}
        self._unsent: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._layout: list[str] = []
        self._is_layout_unsent = False
        self._asked_history: set[str] = set()

    @property
    def is_current(self) -> bool:
        """Whether the page is connected, has its rooms and counts, and has all events of every open room."""
        return (
            self.is_connected
            and self._is_watching
            and all(log.is_joined and log.cursor is not None and not log.is_behind for log in self.logs.values())
        )

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await super().stop()

    def see(self, room: str, seq: int) -> None:
        """Count everything up to `seq` as seen. The read position is sent a moment later."""
        if seq <= self._seen.get(room, 0):
            return
        self._seen[room] = seq
        self._unsent.add(room)
        self._send_reads_soon()

    def _send_greeting(self) -> None:
        self._is_watching = False
        self._send_command({"command": "watch"})
        # Send again what changed while disconnected, or may have been lost with the last connection.
        self._unsent |= self._seen.keys()
        self._is_layout_unsent = bool(self._layout)
        self._send_reads_soon()

    _is_watching = False

    def _handle_frame(self, frame: Frame) -> None:
        super()._handle_frame(frame)
        if "join" in frame:
            self._on_join(frame)
        elif "rooms" in frame:
            self.rooms = {room["id"]: room for room in frame["rooms"]}
        elif "heads" in frame:
            self._is_watching = True
            self.heads |= frame["heads"]
        elif "history" in frame:
            self.pages[frame["history"]] = frame
            self._see_if_watched(frame["history"], frame["as_of"])
        elif "seq" in frame and "ack" not in frame:
            self._see_if_watched(frame["room"], frame["seq"])
        elif "leave" in frame:
            self._send_layout()

    def _on_join(self, frame: Frame) -> None:
        room = frame["join"]
        if room not in self._asked_history or frame.get("reset"):
            self._asked_history.add(room)
            self._send_command({"command": "history", "room": room})
            self._histories[room].append(asyncio.get_running_loop().create_future())
        self._send_layout()

    def _see_if_watched(self, room: str, seq: int) -> None:
        log: RoomLog | None = self.logs.get(room)
        if self.reads_what_it_sees and log is not None and log.cursor is not None:
            self.see(room, min(seq, log.cursor))

    def _send_layout(self) -> None:
        if list(self.logs) != self._layout:
            self._layout = list(self.logs)
            self._is_layout_unsent = True
            self._send_reads_soon()

    def _send_reads_soon(self) -> None:
        if self._timer is None and (self._unsent or self._is_layout_unsent):
            self._timer = asyncio.get_running_loop().call_later(self._read_after_seconds, self._send_reads)

    def _send_reads(self) -> None:
        self._timer = None
        if not self.is_connected:
            return  # Sent after the next connection is made.
        for room in sorted(self._unsent):
            self._send_command({"command": "read", "room": room, "seq": self._seen[room]})
        self._unsent.clear()
        if self._is_layout_unsent:
            self._send_command({"command": "layout", "rooms": self._layout, "wide": None})
            self._is_layout_unsent = False
