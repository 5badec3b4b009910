"""Where a user is signed in: one row for each web session, so that users see their sessions and can end them."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session as WebSession
from django.db.models.signals import post_delete
from django.utils import timezone
from django.utils.translation import gettext as _

from chat import audit
from chat.models import SignIn

# The name in a session's data of the time when its user signed in, in seconds since 1970. It outlives a new key.
SIGNED_IN_AT = "signed_in_at"
AGENT_LENGTH = 200
# The most sessions that the page shows.
LISTED = 50
BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)


class Listed(NamedTuple):
    """A session as its user sees it."""

    pk: int
    at: Any
    browser: str
    is_this: bool


def connect() -> None:
    """Connect the signal handlers. Called once, when the app is ready."""
    user_logged_in.connect(_on_login, dispatch_uid="sign-ins-login")
    post_delete.connect(_on_session_delete, sender=WebSession, dispatch_uid="sign-ins-session-delete")


def record(user: Any, session: Any, agent: str) -> None:
    """Remember that the user is signed in by this session, since the time that the session's data says."""
    at = session.setdefault(SIGNED_IN_AT, timezone.now().timestamp())
    if session.session_key is None:
        session.save()
    SignIn.objects.update_or_create(
        session_key=session.session_key,
        defaults={
            "user": user,
            "at": datetime.fromtimestamp(at, UTC),
            "agent": agent[:AGENT_LENGTH].replace("\x00", ""),
        },
    )


def list_sessions(user: Any, session_key: str | None) -> list[Listed]:
    """Return the user's sessions that have not expired, this one first, then the newest."""
    alive = WebSession.objects.filter(expire_date__gt=timezone.now()).values("session_key")
    rows = SignIn.objects.filter(user=user, session_key__in=alive).order_by("-at")[:LISTED]
    listed = [Listed(row.pk, row.at, browser_of(row.agent), row.session_key == session_key) for row in rows]
    return sorted(listed, key=lambda row: not row.is_this)


def end_session(user: Any, pk: int) -> None:
    """Sign the user out of one session. A session of another user is left alone."""
    _end(SignIn.objects.filter(user=user, pk=pk))


def end_all_sessions(user: Any) -> None:
    """Sign the user out everywhere."""
    _end(SignIn.objects.filter(user=user))
    audit.write("signed_out_everywhere", user=user.pk)


def end_other_sessions(user: Any, session_key: str | None) -> None:
    """Sign the user out everywhere but in this session."""
    _end(SignIn.objects.filter(user=user).exclude(session_key=session_key))


def _end(rows: Any) -> None:
    keys = list(rows.values_list("session_key", flat=True))
    # One by one, so that chat.store.access hears of each session. Open sockets are closed within a second.
    for session in WebSession.objects.filter(session_key__in=keys):
        session.delete()
    rows.filter(session_key__in=keys).delete()


def browser_of(agent: str) -> str:
    """Return what a User-Agent header means to a user, as in "Firefox on Linux"."""
    browser = next((name for word, name in BROWSERS if word in agent), _("A browser"))
    system = next((name for word, name in SYSTEMS if word in agent), "")
    return _("%(browser)s on %(system)s") % {"browser": browser, "system": system} if system else browser


def _on_login(request: Any, user: Any, **kwargs: Any) -> None:
    if hasattr(request, "session"):
        # A visitor's session may have been short.
        request.session.set_expiry(None)
        record(user, request.session, request.META.get("HTTP_USER_AGENT", ""))


def _on_session_delete(instance: WebSession, **kwargs: Any) -> None:
    SignIn.objects.filter(session_key=instance.session_key).delete()
