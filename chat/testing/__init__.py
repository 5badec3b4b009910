"""Faulty channel layers, a socket client, a page client, and a checker of recorded runs, for users' tests too."""

from chat.testing.checker import check
from chat.testing.client import Refusal, RoomLog, SocketClient, sign_in
from chat.testing.layers import FaultyChannelLayer, FaultyRedisChannelLayer
from chat.testing.page import PageClient
from chat.testing.recording import Recording, Row, Seen, Sent, record, rows

__all__ = [
    "FaultyChannelLayer",
    "FaultyRedisChannelLayer",
    "PageClient",
    "Recording",
    "Refusal",
    "RoomLog",
    "Row",
    "Seen",
    "Sent",
    "SocketClient",
    "check",
    "record",
    "rows",
    "sign_in",
]
