"""Who is here: enter and leave, told once per user and not once per tab."""

from chat import conf
from chat.feed import Feed
from chat.session import Session


def entered(feed: Feed, session: Session) -> None:
    """Tell the others that the session's user entered, if this is the user's first session here."""
    if conf.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS and feed.users[session.user_id] == 1:
        feed.hub.came(feed, session, conf.MSG_TYPE_ENTER)


def leaves(feed: Feed, session: Session) -> None:
    """Tell the others that the session's user leaves, if this is the user's last session here."""
    if conf.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS and feed.users[session.user_id] == 1:
        feed.hub.came(feed, session, conf.MSG_TYPE_LEAVE)
