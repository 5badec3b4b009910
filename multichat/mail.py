"""Sends mail through the server that EMAIL_URL names, in a thread of its own.

A request never waits for the mail server, so the time of an answer does not reveal whether a mail was sent.
"""

import logging
import queue
import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend

from multichat import environment

logger = logging.getLogger(__name__)

# Mails that may wait for the mail server. Further mails are left out, with a line in the log.
QUEUE_MAILS = 200
TIMEOUT_SECONDS = 10
# By scheme: Django's setting for TLS, and the port.
SCHEMES = {"smtp": ("", 25), "smtp+tls": ("EMAIL_USE_TLS", 587), "smtps": ("EMAIL_USE_SSL", 465)}


def parse(name: str, url: str) -> dict[str, Any]:
    """Return Django's settings for the mail server at `url`; none if it is empty."""
    if not url:
        return {}
    parts = environment.urlsplit_or_none(url)
    if not parts or parts.scheme not in SCHEMES or not parts.hostname or parts.path.strip("/") or parts.query:
        # The value may contain a password, so the sentence does not repeat it.
        environment.refuse(
            f"{name} is not an address of a mail server. Use smtp+tls://user:password@host:587, smtps://… (TLS from "
            "the beginning) or smtp://… (without TLS)."
        )
    tls, port = SCHEMES[parts.scheme]
    return {
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or port,
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        **({tls: True} if tls else {}),
    }


class Backend(EmailBackend):
    """Django's SMTP backend, which queues mails for the thread."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        return sum(_outbox.put(self, message) for message in email_messages)

    def send_now(self, message: EmailMessage) -> None:
        """Send one mail in this thread. Errors are logged, without the address of its reader."""
        try:
            super().send_messages([message])
        except Exception as error:
            logger.warning("A mail could not be sent through %s: %s", self.host, type(error).__name__)


class _Outbox:
    def __init__(self) -> None:
        self._mails: queue.Queue[tuple[Backend, EmailMessage]] = queue.Queue(QUEUE_MAILS)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def put(self, backend: Backend, message: EmailMessage) -> bool:
        with self._lock:
            if self._thread is None:
                # A daemon, because a mail server that hangs must not keep the process from ending.
                self._thread = threading.Thread(target=self._send_always, name="mail", daemon=True)
                self._thread.start()
        try:
            self._mails.put_nowait((backend, message))
        except queue.Full:
            logger.warning("A mail was left out, because %s mails wait for %s", QUEUE_MAILS, backend.host)
            return False
        return True

    def _send_always(self) -> None:
        while True:
            backend, message = self._mails.get()
            backend.send_now(message)


_outbox = _Outbox()
