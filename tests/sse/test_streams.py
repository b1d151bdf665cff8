"""Streams of raw handlers: bytes on the wire, errors mid-way, disconnects, backpressure, the drain."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from turboapi_rs import Server

from tests.support.wire import request_bytes

GET = request_bytes("GET", "/")


class Watched:
    """An iterator that knows how it went: items given, times closed."""

    def __init__(self, items, *, wait_before=None, endless=False):
        self.items = items
        self.wait_before = wait_before
        self.endless = endless
        self.given = 0
        self.closed = 0
        self.is_closed = threading.Event()

    def note_close(self):
        self.closed += 1
        self.is_closed.set()


def sync_stream(watched):
    def produce():
        try:
            while True:
                for item in watched.items:
                    if isinstance(item, Exception):
                        raise item
                    watched.given += 1
                    yield item
                if not watched.endless:
                    return
        finally:
            watched.note_close()

    return produce()


def async_stream(watched):
    async def produce():
        try:
            while True:
                for item in watched.items:
                    if isinstance(item, Exception):
                        raise item
                    if watched.wait_before == watched.given:
                        await asyncio.sleep(3600)
                    watched.given += 1
                    yield item
                if not watched.endless:
                    return
                await asyncio.sleep(0)
        finally:
            watched.note_close()

    return produce()


KINDS = pytest.mark.parametrize("stream", [sync_stream, async_stream], ids=["sync", "async"])


def read_until(connection, wanted):
    read = b""
    while wanted not in read:
        piece = connection.read_some()
        assert piece, read
        read += piece


def serve(live, stream, watched, **settings):
    server = Server()
    server.route("GET", "/", lambda: (200, "text/plain", b"", stream(watched), {"x-a": "b"}))
    server.route("GET", "/fine", lambda: "fine")
    return live(server, **settings)


@KINDS
def test_each_item_is_one_chunk_and_empty_ones_are_skipped(live, connect, stream):
    watched = Watched([b"one", "tw\u00f6", b"", "", b"three"])
    connection = connect(serve(live, stream, watched))
    connection.send(GET)
    raw = b""
    while not raw.endswith(b"0\r\n\r\n"):
        raw += connection.read_some()
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert b"x-a: b" in head
    assert body == b"3\r\none\r\n4\r\ntw\xc3\xb6\r\n5\r\nthree\r\n0\r\n\r\n"
    assert connection.exchange(request_bytes("GET", "/fine")).body == b"fine"
    assert watched.is_closed.wait(5)
    assert watched.closed == 1


@KINDS
def test_http_1_0_gets_raw_bytes_and_a_close(live, connect, stream):
    connection = connect(serve(live, stream, Watched([b"a", b"b"])))
    connection.send(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
    head, _, body = connection.read_to_end().partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body == b"ab"


@KINDS
def test_head_gets_no_body_and_the_iterator_is_closed(live, connect, stream):
    watched = Watched([b"a"] * 10)
    connection = connect(serve(live, stream, watched))
    answer = connection.exchange(request_bytes("HEAD", "/"), "HEAD")
    assert answer.status == 200
    assert connection.exchange(request_bytes("GET", "/fine")).body == b"fine"
    assert watched.is_closed.wait(5)
    assert watched.closed == 1


@KINDS
@pytest.mark.parametrize("bad", [ValueError("mid-stream"), 7, None], ids=["raises", "int", "none"])
def test_fault_after_the_head_closes_without_the_last_chunk(live, connect, capfd, stream, bad):
    watched = Watched([b"first", bad, b"never"])
    connection = connect(serve(live, stream, watched))
    answer = connection.exchange(GET)
    assert answer.is_torn
    assert answer.body in (b"first", b"")
    assert watched.is_closed.wait(5)
    assert watched.closed == 1
    log = capfd.readouterr().err
    assert "GET /" in log
    assert ("mid-stream" if isinstance(bad, Exception) else "must be bytes or str") in log


@KINDS
def test_disconnect_closes_an_endless_iterator_once(live, connect, stream):
    watched = Watched([b"x" * 1000], endless=True)
    connection = connect(serve(live, stream, watched))
    connection.send(GET)
    # A generator that was never begun has no `finally` to run: wait for its first item.
    read_until(connection, b"xxx")
    connection.close()
    assert watched.is_closed.wait(5)
    assert watched.closed == 1


def test_disconnect_is_noticed_while_the_producer_is_silent(live, connect):
    watched = Watched([b"one", b"two"], wait_before=1)
    connection = connect(serve(live, async_stream, watched))
    connection.send(GET)
    read_until(connection, b"one")
    started = time.monotonic()
    connection.close()
    assert watched.is_closed.wait(5)
    assert time.monotonic() - started < 1.0
    assert watched.closed == 1


@KINDS
def test_slow_reader_makes_the_producer_wait(live, connect, stream):
    watched = Watched([b"x" * 16384], endless=True)
    connection = connect(serve(live, stream, watched), receive_buffer_bytes=4096)
    connection.send(GET)
    connection.read_some()
    before = -1
    # The producer stops by itself: what it gave comes to rest far below what it could give.
    deadline = time.monotonic() + 10
    while watched.given != before and time.monotonic() < deadline:
        before = watched.given
        time.sleep(0.3)
    assert watched.given == before
    assert watched.given * 16384 < 16 * 1024 * 1024
    connection.close()
    assert watched.is_closed.wait(5)
    assert watched.closed == 1


def test_silent_streams_hold_no_worker(live, connect):
    watched = [Watched([b"one"], wait_before=0) for _ in range(50)]
    queue = list(watched)
    server = Server()
    server.route("GET", "/", lambda: (200, "text/plain", b"", async_stream(queue.pop()), {}))
    server.route("GET", "/fine", lambda: "fine")
    live_server = live(server)
    connections = [connect(live_server) for _ in watched]
    for connection in connections:
        connection.send(GET)
        assert b"200 OK" in connection.read_some()
    assert connect(live_server).exchange(request_bytes("GET", "/fine")).body == b"fine"
    for connection in connections:
        connection.close()
    assert all(one.is_closed.wait(5) for one in watched)


def test_drain_ends_streams_within_its_grace(live, connect):
    watched = Watched([b"one", b"two"], wait_before=1)
    server = serve(live, async_stream, watched, drain_grace=20.0)
    connection = connect(server)
    connection.send(GET)
    read_until(connection, b"one")
    started = time.monotonic()
    server.stop()
    assert time.monotonic() - started < 5.0
    assert watched.closed == 1
    assert not connection.read_to_end().endswith(b"0\r\n\r\n")
