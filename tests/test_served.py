"""The log says which process served which user, and never contains message text."""

import logging
import os
import uuid

import pytest

from tests.sockets import connected

pytestmark = pytest.mark.django_db(transaction=True)


async def act(bob, room):
    async with connected(bob) as socket:
        await socket.send(command="join", room=str(room.pk))
        await socket.until(lambda frame: "join" in frame)
        await socket.send(command="send", room=str(room.pk), message="a secret", client_id=str(uuid.uuid4()))
        await socket.until(lambda frame: "ack" in frame)


async def test_each_join_and_each_send_logs_one_line_without_the_text(rooms, bob, caplog):
    with caplog.at_level(logging.INFO, logger="chat.served"):
        await act(bob, rooms.lobby)
    lines = [record for record in caplog.records if record.name == "chat.served"]
    where = f"room={rooms.lobby.pk}"
    assert [line.getMessage() for line in lines] == [
        f"join {where} user={bob.pk}",
        f"send {where} seq=1 user={bob.pk}",
    ]
    assert "secret" not in caplog.text
    formatter = logging.Formatter("{process}", style="{")
    assert {formatter.format(line) for line in lines} == {str(os.getpid())}


def test_every_log_line_names_its_process_and_log_served_can_be_turned_off(settings, monkeypatch):
    import importlib

    import multichat.settings as ours

    assert "{process}" in settings.LOGGING["formatters"]["line"]["format"]
    assert settings.LOGGING["loggers"]["chat.served"]["level"] == "INFO"
    monkeypatch.setenv("LOG_SERVED", "off")
    try:
        assert importlib.reload(ours).LOGGING["loggers"]["chat.served"]["level"] == "WARNING"
    finally:
        monkeypatch.delenv("LOG_SERVED")
        importlib.reload(ours)
