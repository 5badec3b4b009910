"""Users' own settings: sent when they change, to sockets that are behind as soon as these have caught up."""

from chat.live import own_settings
from chat.live.own_settings import OwnSetting
from chat.protocol import Frame
from chat.store.concerns import ALL_USERS, Concern

BOB = Concern(frozenset({7}))


class Session:
    """A socket that takes signals, unless it is behind."""

    user_id = 7

    def __init__(self):
        self.is_behind = False
        self.frames = []

    def signal(self, frame):
        if not self.is_behind:
            self.frames.append(frame.payload)
        return not self.is_behind


def setting_of(stored, session, monkeypatch):
    async def read(load, users):
        return load(users)

    monkeypatch.setattr(own_settings.database, "read", read)
    return OwnSetting(
        lambda: {7},
        lambda user: [session],
        load=lambda users: {user: dict(stored) for user in users},
        encode=lambda setting: Frame(repr(setting).encode()),
        default={},
    )


async def read_again(setting, concern):
    setting.users_changed(concern)
    await setting._task


async def test_a_socket_that_was_behind_is_sent_the_setting_when_it_has_caught_up(monkeypatch):
    session = Session()
    setting = setting_of({"3": 1}, session, monkeypatch)
    session.is_behind = True
    await read_again(setting, BOB)
    assert session.frames == []
    session.is_behind = False
    setting.resend(session)
    await setting._task
    assert session.frames == [b"{'3': 1}"]
    # Nothing more is read or sent for a socket that has missed nothing.
    setting.resend(session)
    assert setting._task is None
    await read_again(setting, ALL_USERS)
    assert len(session.frames) == 1


async def test_a_socket_that_was_sent_nothing_hears_that_the_last_set_was_deleted(monkeypatch):
    session = Session()
    setting = setting_of({}, session, monkeypatch)
    await read_again(setting, ALL_USERS)
    assert session.frames == [], "most users have none"
    await read_again(setting, BOB)
    await read_again(setting, BOB)
    assert session.frames == [b"{}"]
