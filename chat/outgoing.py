"""The one HTTP client for requests to addresses that users give: Web Push and webhooks.

An address may lead into the site's own network. So only https is spoken, the name is resolved once, each of its
addresses is checked, and the connection goes to the address that was checked. Redirects are not followed, the size is
bounded, and one deadline holds for all of it, from the name to the body. It blocks, so it is called in a thread of its
own.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from django.utils.translation import gettext_noop as _

from chat.conf import conf

# The most bytes of an answer that are read. The sender needs its status, and its text only for a log line.
MAX_ANSWER = 4096
MAX_URL = 2000
# The longest name in DNS.
MAX_HOST = 253
# Networks that carry an IPv4 address in an IPv6 one, by which a public address may lead to a private one.
TRANSLATED = [
    ipaddress.IPv6Network(network) for network in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
]
# What is left of an answer that was cut may fail in any way.
UNREADABLE = (OSError, http.client.HTTPException, ValueError)


class OutgoingError(Exception):
    """A request was not made, or not answered. The sentence names no address inside the network.

    It is in English, because it is stored and logged. It is translated when it is shown (chat.store.webhooks).
    """


class Answer(NamedTuple):
    """The status of an answer, the beginning of its body, and when to come back, in seconds, if it says so."""

    status: int
    body: bytes
    retry_after: float | None = None


def check_url(url: str) -> SplitResult:
    """Return the parts of an address to which requests may go. Its name is resolved only when one is made.

    Raises OutgoingError when it is no https address, or has a user or a password.
    """
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise OutgoingError(_("The address is not valid."))
    try:
        parts = urlsplit(url)
        _port = parts.port
    except ValueError as error:
        raise OutgoingError(_("The address is not valid.")) from error
    is_loopback = conf.OUTGOING_LOOPBACK and parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1")
    if parts.scheme != "https" and not is_loopback:
        raise OutgoingError(_("The address must begin with https://."))
    if not parts.hostname or parts.username is not None or parts.password is not None:
        raise OutgoingError(_("The address must name a host, without a user or a password."))
    if len(parts.hostname) > MAX_HOST:
        raise OutgoingError(_("The name of the host is too long."))
    return parts


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send a POST request and return the answer, whatever its status is.

    Raises OutgoingError when the address is refused, or there is no answer within OUTGOING_SECONDS.
    """
    parts = check_url(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = _Connection(parts)
    # A timeout of the socket begins again with each byte. This one ends a request that answers byte by byte.
    deadline = threading.Timer(conf.OUTGOING_SECONDS, connection.cut)
    deadline.daemon = True
    deadline.start()
    try:
        connection.request("POST", target, body=body, headers={**headers, "Connection": "close"})
        response = connection.getresponse()
        return Answer(response.status, _beginning(response), _seconds(response.getheader("Retry-After")))
    except UNREADABLE as error:
        raise OutgoingError(_sentence(TimeoutError() if connection.is_cut else error)) from error
    finally:
        deadline.cancel()
        connection.close()


def _beginning(response: http.client.HTTPResponse) -> bytes:
    """Return the beginning of a body, as far as it comes. The status is an answer without the rest."""
    body = b""
    with suppress(*UNREADABLE):
        while piece := response.read1(MAX_ANSWER - len(body)):
            body += piece
    return body


def _sentence(error: Exception) -> str:
    """Return in plain words why there was no answer."""
    match error:
        case TimeoutError():
            return _("There was no answer in time.")
        case ConnectionRefusedError():
            return _("The connection was refused.")
        case ssl.SSLCertVerificationError():
            return _("The certificate of the host is not valid.")
        case ssl.SSLError():
            return _("The host does not speak TLS as it should.")
        case ConnectionError() | http.client.RemoteDisconnected():
            return _("The host closed the connection without an answer.")
        case http.client.HTTPException():
            return _("The host did not answer in HTTP.")
    return f"There was no answer: {type(error).__name__}."


class _Connection(http.client.HTTPConnection):
    """A connection to the address that was checked, over TLS for the name that was asked for."""

    def __init__(self, parts: SplitResult) -> None:
        assert parts.hostname is not None, "the address was checked"
        port = parts.port or (443 if parts.scheme == "https" else 80)
        super().__init__(parts.hostname, port, timeout=conf.OUTGOING_SECONDS)
        self._is_secure = parts.scheme == "https"
        self._deadline = time.monotonic() + conf.OUTGOING_SECONDS
        # The client sets its own `sock` to None before the body is read.
        self._open: socket.socket | None = None
        self.is_cut = False

    def connect(self) -> None:
        address = self._resolve()
        self._use(socket.create_connection((address, self.port), self._seconds_left()))
        if self._is_secure:
            # Without the handshake, because wrapping takes the descriptor away from the socket that `cut` would end.
            secure = ssl.create_default_context().wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            self._use(secure)
            secure.do_handshake()
            self._seconds_left()

    def cut(self) -> None:
        """End the request from another thread. What is read or written afterwards fails."""
        self.is_cut = True
        if self._open is not None:
            # Not the method of a TLS socket, which would make this one of plain text. Errors: it has ended already, or
            # is being wrapped, and then `_use` sees that it was cut.
            with suppress(OSError):
                socket.socket.shutdown(self._open, socket.SHUT_RDWR)

    def _use(self, sock: socket.socket) -> None:
        self.sock = self._open = sock
        # After it was set: `cut` either finds this socket, or is seen here.
        sock.settimeout(self._seconds_left())

    def _seconds_left(self) -> float:
        """Return how long the rest may take. Raises TimeoutError when the time is over."""
        left = self._deadline - time.monotonic()
        if self.is_cut or left <= 0:
            raise TimeoutError
        return left

    def _resolve(self) -> str:
        # The system's resolver can't be ended, so it is left behind in a thread that ends with it.
        found: Future[str] = Future()

        def work() -> None:
            try:
                found.set_result(resolve(self.host, self.port))
            except BaseException as error:
                found.set_exception(error)

        threading.Thread(target=work, daemon=True, name="resolver").start()
        return found.result(self._seconds_left())


def resolve(host: str, port: int) -> str:
    """Return the first address of a host. Raises OutgoingError unless all its addresses are public."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise OutgoingError(_("The host was not found.")) from error
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(is_allowed(address) for address in addresses):
        raise OutgoingError(_("The host is not on the public internet."))
    return addresses[0]


def is_allowed(address: str) -> bool:
    """Return whether requests may go to an IP address: it is public, or is loopback and the setting allows that."""
    # A zone, as in fe80::1%eth0, belongs only to addresses of this machine's own networks.
    if "%" in address:
        return False
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_allowed(str(ip.ipv4_mapped))
        if ip.is_site_local or any(ip in network for network in TRANSLATED):
            return False
    if ip.is_loopback:
        return conf.OUTGOING_LOOPBACK
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _seconds(value: str | None) -> float | None:
    return float(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 8 else None
