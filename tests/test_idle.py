"""Idle connections are bounded, and a flood makes only its own connections close."""

import resource

from multichat.idle import IdleConnections, raise_descriptor_limit


class Connection:
    def __init__(self):
        self.transport = self
        self.is_closed = False

    def abort(self):
        self.is_closed = True


def test_the_oldest_connection_of_the_address_with_the_most_is_closed(settings):
    settings.LIMITS = {"IDLE_CONNECTIONS": 4}
    idle = IdleConnections()
    bob, *flood = [Connection() for _ in range(8)]
    idle.add(bob, "bob")
    for connection in flood:
        idle.add(connection, "flood")
    assert not bob.is_closed
    assert [connection.is_closed for connection in flood] == [True] * 4 + [False] * 3
    assert len(idle) == 4


def test_a_connection_that_is_idle_again_counts_as_the_newest(settings):
    settings.LIMITS = {"IDLE_CONNECTIONS": 2}
    idle = IdleConnections()
    first, second, third = [Connection() for _ in range(3)]
    idle.add(first, "a")
    idle.add(second, "a")
    idle.add(first, "a")
    idle.add(third, "a")
    assert [first.is_closed, second.is_closed, third.is_closed] == [False, True, False]


def test_no_record_of_a_discarded_connection_is_kept(settings):
    settings.LIMITS = {}
    idle = IdleConnections()
    connection = Connection()
    idle.add(connection, "a")
    idle.discard(connection)
    idle.discard(connection)
    assert (len(idle), idle._connections) == (0, {})


def test_a_process_may_open_as_many_files_as_the_system_allows():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        raise_descriptor_limit()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert soft == hard == before[1]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
