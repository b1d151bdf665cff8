"""`RawRequest.is_disconnected`: a raw handler finds out that its client has left, wherever it runs.

Handlers ask again and again, as an application would, and stop when they are told, released, or out of patience.
"""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from turboapi_rs import RawRequest, Server, Upload, blocking
from turboapi_rs.sse import EventSourceResponse

from tests.support.wire import request_bytes

GET = request_bytes("GET", "/")

#: Seconds after which a handler, or a test, gives up.
PATIENCE = 20.0

#: Seconds between two questions.
PAUSE = 0.002

#: Questions that are "again and again".
OFTEN = 10


class Asker:
    """Asks for a handler, and notes what it was told."""

    def __init__(self):
        self.asked, self.request = 0, None
        self.is_asking, self.released, self.told = threading.Event(), threading.Event(), threading.Event()

    def goes_on(self, request):
        """One question. False: told, or released."""
        self.request = request
        if request.is_disconnected():
            self.told.set()
            return False
        self.asked += 1
        if self.asked >= OFTEN:
            self.is_asking.set()
        return not self.released.is_set()

    def waits(self, request):
        deadline = time.monotonic() + PATIENCE
        while self.goes_on(request):
            assert time.monotonic() < deadline
            time.sleep(PAUSE)

    async def awaits(self, request):
        deadline = time.monotonic() + PATIENCE
        try:
            while self.goes_on(request):
                assert time.monotonic() < deadline
                await asyncio.sleep(PAUSE)
        finally:
            # The iterator of a stream is closed at once: it may not come to its next question.
            if request.is_disconnected():
                self.told.set()

    def items(self, request):
        yield "first,"
        self.waits(request)
        yield "here"

    async def async_items(self, request):
        yield "first,"
        await self.awaits(request)
        yield "here"


def coroutine(asker):
    async def handler(request: RawRequest):
        await asker.awaits(request)
        return "here"

    return handler


def awaitable(asker):
    def handler(request: RawRequest):
        return coroutine(asker)(request)

    return handler


def awaitable_from_the_pool(asker):
    return blocking(awaitable(asker))


def pool(asker):
    @blocking
    def handler(request: RawRequest):
        asker.waits(request)
        return "here"

    return handler


def stream_of(asker, request, kind):
    return 200, "text/plain", b"", asker.items(request) if kind == "sync" else asker.async_items(request), {}


def sync_stream(asker):
    def handler(request: RawRequest):
        return stream_of(asker, request, "sync")

    return handler


def async_stream(asker):
    def handler(request: RawRequest):
        return stream_of(asker, request, "async")

    return handler


def sync_stream_of_a_coroutine(asker):
    async def handler(request: RawRequest):
        return stream_of(asker, request, "sync")

    return handler


def async_stream_of_a_coroutine(asker):
    async def handler(request: RawRequest):
        return stream_of(asker, request, "async")

    return handler


def sync_stream_from_the_pool(asker):
    return blocking(sync_stream(asker))


def async_stream_from_the_pool(asker):
    return blocking(async_stream(asker))


def events(asker):
    def handler(request: RawRequest):
        return EventSourceResponse(asker.async_items(request))

    return handler


def upload(asker):
    async def handler(upload: Upload):
        await asker.awaits(upload.request)
        return "here"

    return handler


def upload_on_the_pool(asker):
    def handler(upload: Upload):
        asker.waits(upload.request)
        return "here"

    return handler


def request_beside_an_upload(asker):
    async def handler(upload: Upload, request: RawRequest):
        await asker.awaits(request)
        return "here"

    return handler


SURFACES = [
    coroutine,
    awaitable,
    awaitable_from_the_pool,
    pool,
    sync_stream,
    async_stream,
    sync_stream_of_a_coroutine,
    async_stream_of_a_coroutine,
    sync_stream_from_the_pool,
    async_stream_from_the_pool,
    events,
    upload,
    upload_on_the_pool,
    request_beside_an_upload,
]


def serving(handler):
    server = Server()
    server.route("GET", "/", handler)
    server.route("POST", "/", handler)
    server.route("GET", "/other", lambda: "other")
    return server


def left_by(connect, server, surface, asker, leave, request=GET):
    """Ask as a client that leaves while the handler asks."""
    connection = connect(server)
    connection.send(request)
    assert asker.is_asking.wait(PATIENCE)
    assert not asker.told.is_set()
    getattr(connection, leave)()


@pytest.mark.parametrize("leave", ["close", "reset", "end_sending"])
@pytest.mark.parametrize("surface", SURFACES)
def test_handler_is_told_when_its_client_leaves(live, connect, surface, leave):
    asker = Asker()
    server = live(serving(surface(asker)))
    left_by(connect, server, surface, asker, leave)
    assert asker.told.wait(PATIENCE)
    assert asker.request.is_disconnected()
    assert connect(server).exchange(request_bytes("GET", "/other")).body == b"other"


@pytest.mark.parametrize("surface", SURFACES)
def test_handler_is_told_nothing_while_its_client_is_there(live, connect, surface):
    asker = Asker()
    connection = connect(live(serving(surface(asker))))
    connection.send(GET)
    assert asker.is_asking.wait(PATIENCE)
    asker.released.set()
    answer = connection.read_answer()
    assert (answer.status, answer.is_torn) == (200, False)
    assert b"here" in answer.body
    assert connection.exchange(request_bytes("GET", "/other")).body == b"other"
    # Nor by what the client does once it has its answer.
    connection.close()
    assert not asker.told.is_set()
    assert not asker.request.is_disconnected()


@pytest.mark.parametrize("leave", ["close", "reset", "end_sending"])
@pytest.mark.parametrize("surface", [upload, upload_on_the_pool, request_beside_an_upload])
def test_handler_is_told_when_its_client_leaves_amid_its_body(live, connect, surface, leave):
    asker = Asker()
    request = request_bytes("POST", "/", headers=(("Content-Length", "1000"),), body=b"a part of it")
    left_by(connect, live(serving(surface(asker))), surface, asker, leave, request)
    assert asker.told.wait(PATIENCE)


@pytest.mark.parametrize("surface", [coroutine, pool, sync_stream])
def test_handler_is_told_when_its_client_has_asked_for_more_and_leaves(live, connect, surface):
    asker = Asker()
    left_by(connect, live(serving(surface(asker))), surface, asker, "close", GET + request_bytes("GET", "/other"))
    assert asker.told.wait(PATIENCE)


@pytest.mark.parametrize("surface", [coroutine, pool, sync_stream, async_stream])
def test_client_that_ended_its_sending_is_there_when_the_server_is_told_so(live, connect, surface):
    asker = Asker()
    connection = connect(live(serving(surface(asker)), half_close=True))
    connection.send(GET)
    connection.end_sending()
    assert asker.is_asking.wait(PATIENCE)
    asker.released.set()
    assert b"here" in connection.read_to_end()
    assert not asker.told.is_set()


def test_client_that_ended_its_sending_and_left_is_noticed_by_writing(live, connect):
    asker = Asker()

    def handler(request: RawRequest):
        def items():
            deadline = time.monotonic() + PATIENCE
            try:
                while asker.goes_on(request):
                    assert time.monotonic() < deadline
                    yield "x" * 1000
                    time.sleep(PAUSE)
            finally:
                # Closed where it stands, or in the middle of its pause.
                asker.goes_on(request)

        return 200, "text/plain", b"", items(), {}

    connection = connect(live(serving(handler), half_close=True))
    connection.send(GET)
    connection.end_sending()
    assert asker.is_asking.wait(PATIENCE)
    connection.close()
    assert asker.told.wait(PATIENCE)


def test_one_client_that_leaves_says_nothing_of_another(live, connect):
    askers = {b"a": Asker(), b"b": Asker()}

    async def handler(request: RawRequest):
        await askers[request.query_string].awaits(request)
        return "here"

    server = live(serving(handler))
    leaving, staying = connect(server), connect(server)
    leaving.send(request_bytes("GET", "/?a"))
    staying.send(request_bytes("GET", "/?b"))
    assert all(asker.is_asking.wait(PATIENCE) for asker in askers.values())
    leaving.close()
    assert askers[b"a"].told.wait(PATIENCE)
    askers[b"b"].released.set()
    assert staying.read_answer().body == b"here"
    assert not askers[b"b"].told.is_set()


@pytest.mark.parametrize("surface", [coroutine, pool, sync_stream])
def test_handler_is_told_when_the_server_cuts_its_connection(live, connect, surface):
    asker = Asker()
    server = live(serving(surface(asker)), drain_grace=0.1)
    connection = connect(server)
    connection.send(GET)
    assert asker.is_asking.wait(PATIENCE)
    server.stop()
    assert asker.told.wait(PATIENCE)
    assert b"here" not in connection.read_to_end()


def test_any_thread_may_ask(live, connect):
    released = threading.Event()
    requests = []
    is_there = threading.Event()

    async def handler(request: RawRequest):
        requests.append(request)
        is_there.set()
        while not released.is_set():
            await asyncio.sleep(PAUSE)
        return "here"

    connection = connect(live(serving(handler)))
    connection.send(GET)
    assert is_there.wait(PATIENCE)
    assert not requests[0].is_disconnected()
    connection.close()
    deadline = time.monotonic() + PATIENCE
    while not requests[0].is_disconnected():
        assert time.monotonic() < deadline
        time.sleep(PAUSE)
    released.set()


def test_call_that_waited_for_a_thread_is_told(live, connect):
    first, second = Asker(), Asker()

    @blocking
    def handler(request: RawRequest):
        (second if request.query_string else first).waits(request)
        return "here"

    server = live(serving(handler), offload_threads=1)
    busy = connect(server)
    busy.send(GET)
    assert first.is_asking.wait(PATIENCE)
    waiting = connect(server)
    waiting.send(request_bytes("GET", "/?second"))
    waiting.close()
    first.released.set()
    assert busy.read_answer().body == b"here"
    assert second.told.wait(PATIENCE)


def test_plain_function_on_the_worker_is_not_told(live, connect):
    entered, left, done = threading.Event(), threading.Event(), threading.Event()
    found = []

    def handler(request: RawRequest):
        entered.set()
        left.wait(PATIENCE)
        found.append(request.is_disconnected())
        done.set()
        return "here"

    server = live(serving(handler))
    connection = connect(server)
    connection.send(GET)
    assert entered.wait(PATIENCE)
    connection.close()
    left.set()
    assert done.wait(PATIENCE)
    assert found == [False]


def test_request_is_one_object_however_often_a_handler_asks_for_it(live, connect):
    def handler(request: RawRequest, again: RawRequest):
        return request is again

    assert connect(live(serving(handler))).exchange(GET).body == b"true"
