"""The edges of a streamed body, on each surface: what is on the wire, and what becomes of the iterator.

(surface) x (sync, async) x (edge). Raw bytes where the framing is the matter.
"""

from __future__ import annotations

import asyncio
import threading

import pytest
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse
from turboapi_rs import Server

from tests.support.wire import request_bytes

GET, HEAD = request_bytes("GET", "/"), request_bytes("HEAD", "/")
OLD = b"GET / HTTP/1.0\r\nhost: x\r\n\r\n"
METHODS = ["GET", "HEAD"]


class Source:
    """Items from a list, as a sync or an async iterator; an exception in the list is raised."""

    def __init__(self, kind, items, *, hangs=False, status=200, length=None):
        self.kind, self.items, self.hangs, self.status, self.length = kind, items, hangs, status, length
        self.closes = 0
        self.closed, self.released, self.hung = threading.Event(), threading.Event(), threading.Event()

    @property
    def headers(self):
        return {} if self.length is None else {"content-length": str(self.length)}

    def close(self):
        self.closes += 1
        self.closed.set()

    def sync(self):
        try:
            for item in self.items:
                if isinstance(item, Exception):
                    raise item
                yield item
            if self.hangs:
                self.hung.set()
                self.released.wait(20)
        finally:
            self.close()

    async def asynchronous(self):
        try:
            for item in self.items:
                if isinstance(item, Exception):
                    raise item
                yield item
            if self.hangs:
                self.hung.set()
                await asyncio.sleep(3600)
        finally:
            self.close()

    def make(self):
        return self.sync() if self.kind == "sync" else self.asynchronous()


def raw(source):
    server = Server()
    for method in METHODS:
        server.route(method, "/", lambda: (source.status, "text/plain", b"", source.make(), source.headers))
    server.route("GET", "/other", lambda: "other")
    return server


def with_other(app):
    @app.get("/other")
    async def other():
        return "other"

    return app


def returned(source):
    app = with_other(FastAPI())

    @app.api_route("/", methods=METHODS)
    async def endpoint():
        return StreamingResponse(source.make(), source.status, source.headers, "text/plain")

    return app


def returned_by_def(source):
    app = with_other(FastAPI())

    @app.api_route("/", methods=METHODS)
    def endpoint():
        return StreamingResponse(source.make(), source.status, source.headers, "text/plain")

    return app


def yielded(source):
    """A path operation that yields what its response class sends as it is."""
    app = with_other(FastAPI())
    options = {"methods": METHODS, "response_class": StreamingResponse, "status_code": source.status}

    async def asynchronous(response: Response):
        response.headers.update(source.headers)
        items = source.make()
        try:
            async for item in items:
                yield item
        finally:
            await items.aclose()

    def sync(response: Response):
        response.headers.update(source.headers)
        yield from source.make()

    app.api_route("/", **options)(sync if source.kind == "sync" else asynchronous)
    return app


def asgi(source):
    app = returned(source)

    async def hosted(scope, receive, send):
        await app(scope, receive, send)

    return hosted


def bare_asgi(source):
    """No framework: an application that sends messages, and closes its iterator itself."""
    app = with_other(FastAPI())

    async def hosted(scope, receive, send):
        if scope["type"] != "http" or scope["path"] != "/":
            return await app(scope, receive, send)
        headers = [(name.encode(), value.encode()) for name, value in source.headers.items()]
        await send({"type": "http.response.start", "status": source.status, "headers": headers})
        items = source.make()
        if source.kind == "sync":
            try:
                for item in items:
                    await send({"type": "http.response.body", "body": item, "more_body": True})
            finally:
                items.close()
        else:
            try:
                async for item in items:
                    await send({"type": "http.response.body", "body": item, "more_body": True})
            finally:
                await items.aclose()
        await send({"type": "http.response.body", "body": b""})

    return hosted


SURFACES = [raw, returned, returned_by_def, yielded, asgi, bare_asgi]


@pytest.fixture(params=SURFACES)
def serve(request, live, connect):
    def start(source):
        return connect(live(request.param(source)))

    start.surface = request.param
    return start


@pytest.fixture(params=["sync", "async"])
def kind(request):
    return request.param


def assert_closed_once(serve, source):
    assert source.closed.wait(20)
    assert source.closes == 1


def body_of(data: bytes) -> bytes:
    return data.split(b"\r\n\r\n", 1)[1]


def is_usable(connection) -> bool:
    return connection.exchange(request_bytes("GET", "/other")).body in (b"other", b'"other"')


def test_empty_items_are_no_end(serve, kind):
    source = Source(kind, [b"", b"one", b"", b"two", b""])
    connection = serve(source)
    answer = connection.exchange(GET)
    assert (answer.status, answer.framing, answer.body) == (200, "chunked", b"onetwo")
    assert is_usable(connection)
    assert_closed_once(serve, source)


def test_no_items_are_an_empty_body(serve, kind):
    source = Source(kind, [])
    connection = serve(source)
    connection.send(GET)
    answer = connection.read_answer()
    assert (answer.status, answer.body) == (200, b"")
    assert is_usable(connection)
    assert_closed_once(serve, source)


def test_huge_items_arrive_whole(serve, kind):
    items = [bytes([65 + index]) * (4 * 1024 * 1024 + index) for index in range(3)]
    source = Source(kind, items)
    connection = serve(source)
    assert connection.exchange(GET).body == b"".join(items)
    assert is_usable(connection)
    assert_closed_once(serve, source)


@pytest.mark.parametrize("bad", [ValueError("mid-stream"), 7, None], ids=["raises", "int", "none"])
def test_a_fault_after_the_head_leaves_the_body_open(serve, kind, bad, capfd):
    source = Source(kind, [b"one", bad, b"never"])
    connection = serve(source)
    connection.send(GET)
    data = connection.read_to_end()
    assert data.startswith(b"HTTP/1.1 200 ")
    assert body_of(data) == b"3\r\none\r\n"
    assert "ERROR" in capfd.readouterr().err
    assert_closed_once(serve, source)


def test_a_fault_before_the_first_item_is_no_whole_body(serve, kind, capfd):
    source = Source(kind, [ValueError("at once")])
    connection = serve(source)
    connection.send(GET)
    answer = connection.read_answer()
    # Where the head was held back, it is not sent any more.
    assert answer.status == 500 or (answer.status, answer.body, answer.is_torn) == (200, b"", True)
    assert "at once" in capfd.readouterr().err
    assert_closed_once(serve, source)


def test_head_gets_no_body(serve, kind):
    source = Source(kind, [b"one", b"two"])
    connection = serve(source)
    connection.send(HEAD)
    answer = connection.read_answer("HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert is_usable(connection)
    assert_closed_once(serve, source)


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_has_none(serve, kind, status):
    source = Source(kind, [b"one", b"two"], status=status)
    connection = serve(source)
    connection.send(GET)
    answer = connection.read_answer()
    assert (answer.status, answer.body, answer.header("transfer-encoding")) == (status, b"", None)
    assert is_usable(connection)
    assert_closed_once(serve, source)


def test_http_1_0_gets_raw_bytes_and_a_close(serve, kind):
    source = Source(kind, [b"one", b"two"])
    connection = serve(source)
    connection.send(OLD)
    data = connection.read_to_end()
    assert b"transfer-encoding" not in data.lower()
    assert body_of(data) == b"onetwo"
    assert_closed_once(serve, source)


def test_a_length_that_holds_is_the_framing(serve, kind):
    source = Source(kind, [b"one", b"two"], length=6)
    connection = serve(source)
    answer = connection.exchange(GET)
    if serve.surface is raw:
        # Framing is not a raw handler's to say.
        assert answer.status == 500
        return
    if serve.surface is yielded:
        # FastAPI leaves a length out that such a function sets.
        assert (answer.framing, answer.header("content-length"), answer.body) == ("chunked", None, b"onetwo")
        return
    assert (answer.framing, answer.body) == ("length", b"onetwo")
    assert is_usable(connection)
    assert_closed_once(serve, source)


@pytest.mark.parametrize("length", [4, 7], ids=["too much", "too little"])
def test_a_length_that_does_not_hold_tears_the_response(serve, kind, length, capfd):
    source = Source(kind, [b"one", b"two"], length=length)
    connection = serve(source)
    connection.send(GET)
    if serve.surface is raw:
        assert connection.read_answer().status == 500
        return
    if serve.surface is yielded:
        answer = connection.read_answer()
        assert (answer.framing, answer.header("content-length"), answer.body) == ("chunked", None, b"onetwo")
        return
    data = connection.read_to_end()
    assert b"content-length: %d" % length in data.lower()
    assert b"onetwo".startswith(body_of(data))
    assert len(body_of(data)) != 6 if length == 4 else len(body_of(data)) < 7
    assert "ERROR" in capfd.readouterr().err
    assert_closed_once(serve, source)


def test_the_head_does_not_wait_for_the_first_item(serve, kind):
    if kind == "sync" and serve.surface is bare_asgi:
        # It would block its own event loop.
        return
    source = Source(kind, [], hangs=True)
    connection = serve(source)
    connection.send(GET)
    read = b""
    while b"\r\n\r\n" not in read:
        read += connection.read_some()
    assert read.startswith(b"HTTP/1.1 200 ")
    assert source.hung.wait(20)
    connection.close()
    source.released.set()
    if serve.surface is not bare_asgi:
        # It is told by a cancellation that only `receive` would have told.
        assert_closed_once(serve, source)
