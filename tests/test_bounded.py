"""The limits of what HTTP requests use: threads, password checks and memory."""

import asyncio

import pytest

from multichat import bounded
from multichat.bounded import BoundedRequests
from tests.fakes import translate

LIMITS = {
    "HTTP_REQUESTS": 2,
    "HTTP_REQUESTS_WAITING": 10,
    "HTTP_REQUESTS_WAIT_SECONDS": 5,
    "PASSWORD_CHECKS": 1,
    "PASSWORD_CHECKS_WAITING": 10,
    "PASSWORD_CHECKS_WAIT_SECONDS": 5,
    "BODY_BYTES": 2**20,
    "SIGN_INS_AT_ONCE": 5,
    "SIGN_INS_PER_SECOND": 1,
}
LOGIN = "/accounts/login/"


@pytest.fixture(autouse=True)
def limited(settings):
    settings.LIMITS = LIMITS


class Site:
    """An application that works until `done` is set, and counts the requests that it works on."""

    def __init__(self):
        self.bodies = []
        self.now = self.most = 0
        self.done = asyncio.Event()

    async def __call__(self, scope, receive, send):
        message = await receive()
        assert not message["more_body"]
        self.bodies.append((scope["path"], scope["client"][0], message["body"]))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.done.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})
        finally:
            self.now -= 1


class Request:
    """A request from an address, with its response."""

    def __init__(self, application, path="/", *, address="192.0.2.1", method="GET", body=(b"",), headers=()):
        self.sent = []
        self.read = 0
        self.gone = asyncio.Event()
        self._body = list(body)
        scope = {"type": "http", "method": method, "path": path, "client": (address, 1), "headers": headers}
        self.task = asyncio.create_task(application(scope, self.receive, self.send))

    async def receive(self):
        if self._body:
            part = self._body.pop(0)
            self.read += len(part)
            return {"type": "http.request", "body": part, "more_body": bool(self._body)}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)

    @property
    def status(self):
        return self.sent[0]["status"] if self.sent else None

    @property
    def headers(self):
        return dict(self.sent[0]["headers"])


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def site():
    return Site()


@pytest.fixture
def application(site):
    return BoundedRequests(site)


async def test_django_works_on_a_few_requests_at_once(site, application):
    requests = [Request(application) for _ in range(10)]
    await settle()
    assert site.now == 2
    site.done.set()
    await asyncio.gather(*(request.task for request in requests))
    assert [request.status for request in requests] == [200] * 10
    assert site.most == 2


async def test_a_refusal_is_in_the_language_of_the_browser(application, settings, monkeypatch):
    translate(monkeypatch, "de", {("The body may have at most {most} byte.", 1): "Höchstens {most} Bytes."})
    settings.LIMITS = {**LIMITS, "BODY_BYTES": 2}
    texts = []
    for asked in (b"de-AT,de;q=0.9,en;q=0.8", b"tlh", b"\xff"):
        request = Request(application, method="POST", body=[b"xxx"], headers=[(b"accept-language", asked)])
        await request.task
        texts.append(request.sent[1]["body"].decode())
    assert texts == ["Höchstens 2 Bytes.\n", *["The body may have at most 2 bytes.\n"] * 2]


async def test_a_flood_from_one_address_does_not_delay_another(site, application):
    flood = [Request(application) for _ in range(12)]
    await settle()
    bob = Request(application, address="192.0.2.2")
    await settle()
    site.done.set()
    await asyncio.gather(*(request.task for request in [*flood, bob]))
    addresses = [address for _, address, _ in site.bodies]
    assert addresses.index("192.0.2.2") <= 3
    # The queue was full when bob's request came, so the flood's newest request was refused with a time to retry.
    assert [request.status for request in flood].count(503) == 1
    refused = next(request for request in flood if request.status == 503)
    assert int(refused.headers[b"retry-after"]) > 0
    assert refused.headers[b"connection"] == b"close"
    assert bob.status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/login/",
        "/admin/login/",
        "/admin/password_change/",
        "/admin/auth/user/add/",
        "/admin/auth/user/7/password/",
    ],
)
async def test_password_checks_run_one_at_a_time_and_do_not_delay_pages(site, application, path):
    signing_in = [Request(application, path, method="POST", address=f"192.0.2.{n}") for n in range(5)]
    await settle()
    assert site.now == 1
    page = Request(application, "/")
    await settle()
    assert site.now == 2
    site.done.set()
    await asyncio.gather(*(request.task for request in [*signing_in, page]))


def test_every_url_that_checks_or_hashes_a_password_is_known(settings):
    from django.urls import reverse

    names = ["login", "admin:login", "admin:password_change", "admin:auth_user_add"]
    paths = [reverse(name) for name in names] + [reverse("admin:auth_user_password_change", args=[7])]
    assert all(bounded.PASSWORDS.fullmatch(path) for path in paths)
    assert all(bounded.SIGN_IN.fullmatch(reverse(name)) for name in names[:2])


async def test_sign_ins_from_one_address_are_limited(site, application):
    site.done.set()
    requests = [Request(application, LOGIN, method="POST") for _ in range(7)]
    other = Request(application, LOGIN, method="POST", address="192.0.2.2")
    await asyncio.gather(*(request.task for request in [*requests, other]))
    assert [request.status for request in requests] == [200] * 5 + [429] * 2
    assert int(requests[-1].headers[b"retry-after"]) >= 1
    assert other.status == 200
    page = Request(application, LOGIN)
    await page.task
    assert page.status == 200


async def test_a_body_is_limited_in_size_and_read_before_a_slot_is_taken(site, application):
    site.done.set()
    right = Request(application, "/x", method="POST", body=[b"a" * 1000] * 3)
    large = Request(application, "/x", method="POST", body=[b"a" * 65536] * 100)
    await asyncio.gather(right.task, large.task)
    assert site.bodies == [("/x", "192.0.2.1", b"a" * 3000)]
    assert (right.status, large.status) == (200, 413)
    assert large.read <= 2**20 + 65536


async def test_all_bodies_together_use_a_bounded_amount_of_memory(site, application, monkeypatch):
    monkeypatch.setattr(bounded, "SHARED_BODY_BYTES", 2**20)
    held = [Request(application, "/x", method="POST", body=[b"a" * 2**19]) for _ in range(4)]
    await settle()
    assert [request.status for request in held].count(503) == 2
    # A sign-in is small, and sign-ins have a share of memory of their own.
    small = Request(application, LOGIN, method="POST", body=[b"a" * 1000], address="192.0.2.2")
    site.done.set()
    await asyncio.gather(*(request.task for request in [*held, small]))
    assert small.status == 200
    assert application._shared_bytes == 0


async def test_a_request_whose_client_disconnects_while_it_waits_is_dropped(site, application):
    working = [Request(application) for _ in range(2)]
    await settle()
    gone = Request(application, "/gone")
    await settle()
    gone.gone.set()
    await gone.task
    site.done.set()
    await asyncio.gather(*(request.task for request in working))
    assert gone.sent == []
    assert "/gone" not in [path for path, _, _ in site.bodies]
    assert (application._requests._taken, application._requests._waiting) == (0, 0)


async def test_a_view_is_not_cancelled_when_its_client_disconnects(site, application):
    request = Request(application)
    await settle()
    request.gone.set()
    await settle()
    assert site.now == 1, "its thread would go on without being counted"
    site.done.set()
    await request.task


class StuckRequest(Request):
    """A client that reads no byte of its response."""

    async def send(self, message):
        await self.gone.wait()


async def test_a_slow_reader_of_a_response_holds_no_slot(site, application):
    site.done.set()
    stuck = [StuckRequest(application) for _ in range(3)]
    await settle()
    other = Request(application, address="192.0.2.2")
    await other.task
    assert other.status == 200
    for request in stuck:
        request.gone.set()
    await asyncio.gather(*(request.task for request in stuck))
