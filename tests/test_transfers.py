"""Files on their way up and down: temporary files in place of memory, and no slot for slow readers."""

import asyncio
import re

import pytest

from chat.file_streams import BODY, STREAMED
from multichat import transfers
from multichat.bounded import BoundedRequests
from tests.test_bounded import Request, Site, settle

LIMITS = {
    **{"HTTP_REQUESTS": 1, "HTTP_REQUESTS_WAITING": 10, "HTTP_REQUESTS_WAIT_SECONDS": 5},
    **{"FILE_CHECKS": 1, "FILE_CHECKS_WAITING": 10, "FILE_CHECKS_WAIT_SECONDS": 5},
    **{"FILE_MB": 1, "BODY_BYTES": 1000, "UPLOADS_PER_ADDRESS": 1, "UPLOADS_PER_PROCESS": 2},
}
UPLOAD = "/rooms/3/files/"


@pytest.fixture(autouse=True)
def limited(settings):
    settings.LIMITS = LIMITS


def status(request):
    return request.sent[0]["status"]


def body(request):
    return b"".join(message.get("body", b"") for message in request.sent)


class Files:
    """An application that takes uploads, and answers every other request with a stream."""

    def __init__(self, stream=None):
        self.received = []
        self.stream = stream

    async def __call__(self, scope, receive, send):
        if BODY in scope:
            assert (await receive())["body"] == b""
            self.received.append(scope[BODY].read())
        elif self.stream is not None:
            scope[STREAMED].append(self.stream)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


class Stream:
    """Pieces that are read one at a time."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)
        self.is_closed = False

    def __iter__(self):
        return self

    def __next__(self):
        if not self.pieces:
            raise StopIteration
        return self.pieces.pop(0)

    def close(self):
        self.is_closed = True


async def test_an_upload_may_be_larger_than_other_bodies_and_comes_as_a_file():
    files = Files()
    content = [b"x" * 300_000, b"y" * 300_000]
    request = Request(BoundedRequests(files), UPLOAD, method="POST", body=content)
    await request.task
    assert status(request) == 200
    assert files.received == [b"".join(content)]
    other = Request(BoundedRequests(files), "/rooms/", method="POST", body=[b"x" * 2000])
    await other.task
    assert status(other) == 413


async def test_an_upload_beyond_the_limit_is_refused():
    files = Files()
    request = Request(BoundedRequests(files), UPLOAD, method="POST", body=[b"x" * 600_000] * 2)
    await request.task
    assert (status(request), files.received) == (413, [])
    assert "1048576" in body(request).decode()


async def test_a_full_disk_is_answered_with_a_sentence(monkeypatch):
    async def fail(file, pieces):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(transfers, "_write", fail)
    request = Request(BoundedRequests(Files()), UPLOAD, method="POST", body=[b"x"])
    await request.task
    assert status(request) == 503
    assert re.search("disk is full", body(request).decode())


async def test_an_address_has_a_few_uploads_at_a_time():
    started = asyncio.Event()

    async def endless():
        started.set()
        await asyncio.get_running_loop().create_future()
        yield b""

    async def hold():
        async with transfers.upload("192.0.2.1", endless()):
            pass

    held = asyncio.create_task(hold())
    await started.wait()
    refused = Request(BoundedRequests(Files()), UPLOAD, method="POST", body=[b"x"])
    await refused.task
    assert status(refused) == 429
    held.cancel()
    await asyncio.gather(held, return_exceptions=True)
    again = Request(BoundedRequests(Files()), UPLOAD, method="POST", body=[b"x"])
    await again.task
    assert status(again) == 200


async def test_copies_of_files_count_as_uploads_and_leave_slots_for_other_requests(settings):
    settings.LIMITS = {**LIMITS, "HTTP_REQUESTS": 2, "UPLOADS_PER_ADDRESS": 2}
    site = Site()
    application = BoundedRequests(site)
    path = "/files/1c0e4f52-93a0-4a3e-8c6b-0f5d8a7be9d1/copy/"
    copies = [Request(application, path, method="POST") for _ in range(2)]
    await settle()
    # One works, and one waits for its end.
    assert site.now == 1
    refused = Request(application, path, method="POST")
    await refused.task
    assert status(refused) == 429
    other = Request(application, "/")
    await settle()
    assert site.now == 2
    site.done.set()
    await asyncio.gather(other.task, *(request.task for request in copies))
    assert [status(request) for request in (other, *copies)] == [200] * 3
    again = Request(application, path, method="POST")
    await again.task
    assert status(again) == 200


async def test_a_slow_reader_of_a_file_holds_no_slot():
    stream = Stream(b"one", b"two")
    application = BoundedRequests(Files(stream))
    may_go_on = asyncio.Event()
    slow = Request(application, "/files/1/")
    send = slow.send

    async def send_slowly(message):
        if message.get("body"):
            await may_go_on.wait()
        await send(message)

    slow.task.cancel()
    await asyncio.gather(slow.task, return_exceptions=True)
    scope = {"type": "http", "method": "GET", "path": "/files/1/", "client": ("192.0.2.1", 1), "headers": []}
    slow.task = asyncio.create_task(application(scope, slow.receive, send_slowly))
    while stream.pieces == [b"one", b"two"]:  # noqa: ASYNC110
        await asyncio.sleep(0)
    application.application = Files()
    other = Request(application, "/")
    await other.task
    assert status(other) == 200
    assert not slow.task.done()
    may_go_on.set()
    await slow.task
    assert body(slow) == b"onetwo" and stream.is_closed
