"""Unread counts in memory: after news and reads they equal what the database would count."""

from hypothesis import given
from hypothesis import strategies as st

from chat.live.unread_counts import Counts, RoomNews
from chat.models import Event
from chat.store.alerts import AT_MOST
from chat.store.mentions import EVERYONE
from chat.store.unread import MOST, News, Unread

Kind = Event.Kind
ME, OTHER = 1, 2


def news(seq, author=OTHER, *named, kind=Kind.POSTED, message=None, **fields):
    return News(7, seq, kind, message or seq, author, frozenset(named), **fields)


def added(known, *events):
    return RoomNews(events, events[-1].seq).added_to(ME, known)


def test_news_add_messages_of_others_and_count_mentions_separately():
    known = Unread(head=4, read=2, unread=1, mentions=0)
    events = [news(5), news(6, OTHER, ME), news(7, ME, ME), news(8, None, ME, 3)]
    assert added(known, *events) == Unread(head=8, read=2, unread=4, mentions=2)


def test_a_mention_of_all_users_counts_for_all_but_its_author():
    events = [news(5, OTHER, EVERYONE), news(6, ME, EVERYONE), news(7, None, EVERYONE), news(8, OTHER, ME)]
    known = Unread(head=4, read=2, unread=1, mentions=0)
    assert added(known, *events) == Unread(head=8, read=2, unread=4, mentions=3)
    # The same one by one.
    assert added(known._replace(head=5), *events) == Unread(head=8, read=2, unread=3, mentions=2)
    assert added(known, news(9, OTHER, EVERYONE, kind=Kind.EDITED, message=5)) is None


def test_news_up_to_the_counted_head_are_not_added_again():
    assert added(Unread(6, 2, 3, 0), news(5), news(6)) == Unread(6, 2, 3, 0)
    assert added(Unread(5, 2, 3, 0), news(5), news(6)) == Unread(6, 2, 4, 0)


def test_news_up_to_the_read_position_are_not_added():
    assert added(Unread(4, 6, 0, 0), news(5), news(6), news(7)) == Unread(7, 6, 1, 0)


def test_a_delete_of_an_unread_message_of_another_user_lowers_the_count():
    def deleted(message, author=OTHER):
        return added(Unread(9, 4, 3, 0), news(10, author, kind=Kind.DELETED, message=message))

    assert deleted(7) == Unread(10, 4, 2, 0)
    assert deleted(4) == Unread(10, 4, 3, 0)
    assert deleted(7, ME) == Unread(10, 4, 3, 0)


def test_a_change_needs_a_query_only_if_mentions_may_have_changed():
    edit = news(10, OTHER, kind=Kind.EDITED, message=7)
    assert added(Unread(9, 4, 3, 0), edit) == Unread(10, 4, 3, 0)
    assert added(Unread(9, 4, 3, 1), edit) is None
    assert added(Unread(9, 4, 3, 0), news(10, OTHER, ME, kind=Kind.EDITED, message=7)) is None
    assert added(Unread(9, 7, 2, 1), edit) == Unread(10, 7, 2, 1)
    assert added(Unread(9, 4, 3, 1), news(10, OTHER, kind=Kind.DELETED, message=7)) is None


def test_alerts_of_others_wait_until_the_user_confirms_them_or_they_are_over():
    alerts = [news(10, is_alert=True), news(11, ME, is_alert=True), news(12, None, is_alert=True)]
    known = added(Unread(9, 9, 0, 0, (4,)), *alerts)
    assert known == Unread(12, 9, 2, 0, (4, 10, 12))
    confirmed = [news(13, kind=Kind.CONFIRMED, message=10, by=ME), news(14, kind=Kind.CONFIRMED, message=4, by=OTHER)]
    assert added(known, *confirmed) == Unread(14, 9, 2, 0, (4, 12))
    assert added(known, news(13, kind=Kind.RESOLVED, message=4, by=OTHER)) == Unread(13, 9, 2, 0, (10, 12))
    assert added(known, news(13, None, kind=Kind.DELETED, message=12, is_alert=True)).alerts == (4, 10)
    # Reading a room confirms nothing.
    counts = Counts()
    counts.put(ME, 7, known)
    counts.read(ME, 7, 12)
    assert counts.get(ME, 7) == Unread(12, 12, 0, 0, (4, 10, 12))


def test_an_alert_that_ends_before_a_position_that_was_read_ahead_of_the_news_does_not_wait():
    counts = Counts()
    counts.put(ME, 7, Unread(9, 2, 4, 1, (4,)))
    assert counts.read(ME, 7, 11)
    known = added(counts.get(ME, 7), news(10, kind=Kind.RESOLVED, message=4), news(11))
    assert known == Unread(11, 11, 0, 0)


def test_a_count_that_reached_the_maximum_stays_there():
    many = added(Unread(0, 0, 0, 0), *(news(seq, OTHER, ME) for seq in range(1, MOST + 5)))
    assert many == Unread(MOST + 4, 0, MOST, MOST)
    full = Unread(2000, 0, MOST, 0)
    assert added(full, news(2001, kind=Kind.DELETED, message=9)) == Unread(2001, 0, MOST, 0)


def test_a_read_to_the_head_needs_no_count():
    counts = Counts()
    assert counts.read(ME, 7, 5) is False
    counts.put(ME, 7, Unread(9, 2, 4, 1))
    assert counts.read(ME, 7, 2) is False
    assert counts.read(ME, 7, 5) is None
    assert counts.read(ME, 7, 9) is True
    assert counts.get(ME, 7) == Unread(9, 9, 0, 0)


def test_messages_read_before_their_news_arrive_are_not_added():
    counts = Counts()
    counts.put(ME, 7, Unread(9, 2, 4, 1))
    assert counts.read(ME, 7, 11) is True
    assert added(counts.get(ME, 7), news(10), news(11, OTHER, ME), news(12)) == Unread(12, 11, 1, 0)


def test_counts_of_one_user_can_be_removed():
    counts = Counts()
    for user in (ME, OTHER):
        counts.put(user, 7, Unread(1, 1, 0, 0))
        counts.put(user, 8, Unread(1, 1, 0, 0))
    counts.forget(ME, [7, 99])
    assert counts.rooms(ME) == [8]
    counts.forget(ME)
    assert (counts.rooms(ME), counts.rooms(OTHER)) == ([], [7, 8])


# Steps of a log: (kind, author, whether the user is named, index of the message to change).
steps = st.lists(
    st.tuples(
        st.sampled_from([Kind.POSTED, Kind.POSTED, Kind.EDITED, Kind.DELETED, Kind.CONFIRMED, Kind.RESOLVED]),
        st.sampled_from([ME, OTHER, None]),
        st.booleans(),
        st.integers(0, 30),
    ),
    max_size=30,
)


class PlainLog:
    """A naive log: the messages by seq, and all events."""

    def __init__(self):
        self.messages = {}
        # The kind, message and author of each event.
        self.events = []

    def add(self, kind, author, is_named, index):
        seq = len(self.events) + 1
        undeleted = [target for target, message in self.messages.items() if not message["deleted"]]
        if kind == Kind.POSTED or not undeleted:
            # As many alerts as a frame carries.
            is_alert = index % 3 == 0 and sum(message["alert"] for message in self.messages.values()) < AT_MOST
            self.messages[seq] = {
                **{"author": author, "named": is_named, "deleted": False, "alert": is_alert},
                "waits": is_alert and author != ME,
            }
            self.events.append((Kind.POSTED, seq, author))
            return
        target = undeleted[index % len(undeleted)]
        message = self.messages[target]
        if kind in (Kind.EDITED, Kind.DELETED):
            message["named"] = is_named and kind == Kind.EDITED
            message["deleted"] = kind == Kind.DELETED
        if kind in (Kind.DELETED, Kind.RESOLVED) or (kind == Kind.CONFIRMED and author == ME):
            message["waits"] = False
        self.events.append((kind, target, author))

    def count(self, read):
        later = [
            message
            for seq, message in self.messages.items()
            if seq > read and not message["deleted"] and message["author"] != ME
        ]
        alerts = tuple(seq for seq, message in self.messages.items() if message["waits"])
        return Unread(len(self.events), read, len(later), sum(message["named"] for message in later), alerts)

    def news(self, after):
        """Return the events after a seq as the database would return them now."""
        found = []
        for seq, (kind, target, author) in list(enumerate(self.events, 1))[after:]:
            message = self.messages[target]
            named = frozenset({ME} if message["named"] else ())
            found.append(News(7, seq, kind, target, message["author"], named, author, message["alert"]))
        return found


@given(steps, steps, steps, st.integers(0, 30))
def test_a_count_plus_later_news_equals_a_fresh_count(before, then, later, read):
    log = PlainLog()
    for step in before:
        log.add(*step)
    snapshot = log.count(min(read, len(log.events)))
    for step in then:
        log.add(*step)
    # The news may be read after later events, and then describe messages as of the later time.
    up_to = len(log.events)
    expected = log.count(snapshot.read)
    for step in later:
        log.add(*step)
    news = [event for event in log.news(snapshot.head) if event.seq <= up_to]
    known = RoomNews(news, up_to).added_to(ME, snapshot) if news else snapshot
    if later:
        # A wrong count does not last, because the next news correct it.
        rest = log.news(up_to)
        known = known and RoomNews(rest, len(log.events)).added_to(ME, known)
        expected = log.count(snapshot.read)
    assert known is None or known == expected
