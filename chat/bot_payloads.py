"""Turns what bots send into messages: plain text, JSON, and what Slack's clients, Alertmanager and Grafana send.

Nothing here touches the database. The words that it adds are in the active language. GitHub's events are in bot_github.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec
from django.utils.text import format_lazy
from django.utils.translation import gettext, ngettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from chat import bot_github
from chat.conf import conf
from chat.exceptions import ClientError, ErrorCode, Sentence
from chat.store.bots import Post

TYPES = {
    "message": conf.MSG_TYPE_MESSAGE,
    "warning": conf.MSG_TYPE_WARNING,
    "alert": conf.MSG_TYPE_ALERT,
}
# What monitoring calls severity, and Slack a colour. An alert without a severity that is known here is an alert.
SEVERITIES = {
    "warning": "warning",
    "warn": "warning",
    "minor": "warning",
    "info": "message",
    "information": "message",
    "informational": "message",
    "none": "message",
    "debug": "message",
    "ok": "message",
    "low": "message",
}
COLOURS = {"danger": "alert", "warning": "warning"}
RESOLVED = "resolved"
MAX_KEY = 500
# The most alerts of one request that become messages, and the most lines and characters of each.
MAX_ALERTS = 30
MAX_FIELDS = 20
MAX_TEXT = 3000

Fields = Mapping[str, Any]


def parse(
    body: bytes, *, content_type: str, query: Mapping[str, str], github: tuple[str, str] | None = None
) -> list[Post]:
    """Return what a request posts; none for a minor event of GitHub. `github` is its event and delivery.

    Raises ClientError: JSON_INVALID, COMMAND_INVALID, MESSAGE_INVALID, each with what to do.
    """
    asked, key = query.get("type", ""), query.get("key", "")
    if asked not in ("", RESOLVED) and asked not in TYPES:
        raise _invalid(_("This type does not exist. Use ?type=message, warning, alert or resolved."))
    if len(key) > MAX_KEY:
        sentence = ngettext_lazy(
            "This key is too long. Use at most {most} character.",
            "This key is too long. Use at most {most} characters.",
            MAX_KEY,
        )
        raise _invalid(format_lazy(sentence, most=MAX_KEY))
    if asked == RESOLVED and not key:
        raise _invalid(_("Say which alert is over: add &key= with the key that it was posted with."))
    content = _content(body, content_type)
    if isinstance(content, str):
        posts = [Post(content, TYPES["message"], key)]
    elif github is not None:
        event, delivery = github
        posts = [Post(text, TYPES["message"], delivery) for text in bot_github.lines(event, content)]
    elif isinstance(content.get("alerts"), list):
        posts = list(_alerts(content))
    else:
        posts = [_slack(content, key)]
    if asked == RESOLVED:
        text = posts[0].text.strip() if posts else ""
        return [Post(text or gettext("Resolved."), TYPES["message"], key, is_resolved=True)]
    if asked:
        posts = [item._replace(msg_type=TYPES[asked]) for item in posts]
    if key:
        # Several alerts of one request need keys that differ.
        posts = [item._replace(key=key if len(posts) == 1 else f"{key}\n{item.key}") for item in posts]
    return posts


def _content(body: bytes, content_type: str) -> str | Fields:
    kind = content_type.partition(";")[0].strip().lower()
    try:
        text = body.decode()
    except UnicodeDecodeError:
        detail = _("The body is not UTF-8 text. Send it as UTF-8.")
        raise ClientError(ErrorCode.MESSAGE_INVALID, detail=detail) from None
    is_json = kind == "application/json" or kind.endswith("+json")
    if kind == "application/x-www-form-urlencoded":
        if text.startswith("payload="):
            # As GitHub and older clients of Slack send JSON in a form.
            text, is_json = parse_qs(text, max_num_fields=10).get("payload", [""])[0], True
        elif text.startswith("{") and _is_object(text):
            # curl says that it sends a form, whatever it sends.
            is_json = True
    if not is_json:
        return text
    try:
        content = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        sentence = _("The body is not valid JSON: {error}. To post plain text, send it as text/plain.")
        raise ClientError(ErrorCode.JSON_INVALID, detail=format_lazy(sentence, error=str(error))) from None
    if not isinstance(content, dict):
        raise ClientError(ErrorCode.JSON_INVALID, detail=_('The body is not a JSON object. Send {"text": "…"}.'))
    return content


def _is_object(text: str) -> bool:
    try:
        content = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return False
    return isinstance(content, dict) and any(name in content for name in ("text", "message", "attachments", "alerts"))


def _slack(content: Fields, key: str) -> Post:
    """Read {"text": …} or {"message": …}, and Slack's attachments."""
    lines = [_text(content.get("text") or content.get("message"))]
    kind = "message"
    attachments = content.get("attachments")
    for item in attachments[:MAX_ALERTS] if isinstance(attachments, list) else ():
        if isinstance(item, dict):
            lines += _attachment(item)
            kind = COLOURS.get(_text(item.get("color")), kind)
    text = "\n".join(line for line in lines if line.strip())
    if not text:
        raise ClientError(ErrorCode.MESSAGE_EMPTY, detail=_('There is no text. Send {"text": "…"}, or plain text.'))
    # A text that is too long is refused, so that its sender knows. What we made ourselves is cut.
    return Post(text if not attachments else cut(text), TYPES[kind], key)


def _attachment(item: Fields) -> Iterator[str]:
    title, link = _text(item.get("title")), _text(item.get("title_link"))
    shown = [_text(item.get("pretext")), bot_github.link(title, link) if title else "", _text(item.get("text"))]
    fields = item.get("fields")
    for field in fields[:MAX_FIELDS] if isinstance(fields, list) else ():
        if isinstance(field, dict):
            shown.append(f"{_text(field.get('title'))}: {_text(field.get('value'))}")
    yield from shown if any(shown) else [_text(item.get("fallback"))]


def _alerts(content: Fields) -> Iterator[Post]:
    """Read the alerts of Alertmanager or Grafana. Repeated notifications of an alert have the same key."""
    alerts = [alert for alert in content["alerts"] if isinstance(alert, dict)]
    key = ""
    for alert in alerts[:MAX_ALERTS]:
        labels, notes = _object(alert.get("labels")), _object(alert.get("annotations"))
        name = _text(labels.get("alertname")) or _text(content.get("title")) or gettext("Alert")
        is_resolved = _text(alert.get("status") or content.get("status")) == RESOLVED
        link = _text(alert.get("dashboardURL")) or _text(alert.get("generatorURL"))
        summary = _text(notes.get("summary")) or _text(notes.get("message"))
        about = [f"{name}: {summary}" if summary else name, _text(notes.get("description"))]
        shown = [f"{key}={_text(labels[key])}" for key in sorted(labels)[:MAX_FIELDS] if key != "alertname"]
        about += [", ".join(shown), _text(notes.get("runbook_url")), link]
        text = "\n".join(line for line in about if line)
        severity = _text(labels.get("severity")).lower()
        # An alert that fires again begins at another time, so it is another one.
        identity = _text(alert.get("fingerprint")) or msgspec.json.encode(labels, order="sorted").decode()
        key = f"{identity} {_text(alert.get('startsAt'))}"[:MAX_KEY]
        shown_text = cut(gettext("Resolved: {alert}").format(alert=text) if is_resolved else text)
        yield Post(shown_text, TYPES[SEVERITIES.get(severity, "alert")], key, is_resolved)
    # Alertmanager and Grafana leave alerts out too, if they are set to send at most some, and say how many.
    cut_off = content.get("truncatedAlerts")
    more = max(len(alerts) - MAX_ALERTS, 0) + (cut_off if type(cut_off) is int and cut_off > 0 else 0)
    if more:
        text = ngettext("… and {count} more alert.", "… and {count} more alerts.", more).format(count=more)
        # A repeated notification has the same last alert, so it says this once.
        yield Post(text, TYPES["warning"], f"{more} more {key}"[:MAX_KEY])


def cut(text: str) -> str:
    """Return a text that is short enough for a message, without the characters that no message may have."""
    text = text.replace("\x00", "")
    most = min(MAX_TEXT, conf.MESSAGE_MAX_GRAPHEMES, conf.MESSAGE_MAX_BYTES // 4)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _object(value: Any) -> Fields:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _invalid(detail: Sentence) -> ClientError:
    return ClientError(ErrorCode.COMMAND_INVALID, detail=detail)
