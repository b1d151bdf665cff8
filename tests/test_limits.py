"""Limits and time limits of DESIGN section 6, over real sockets: status, close, and that nothing reached Python."""

from __future__ import annotations

import threading
import time

import pytest
from turboapi_rs import Server

from tests.support.wire import NoAnswer, request_bytes


def counting():
    """A server that knows how often it was called."""
    calls: list[bytes] = []
    server = Server()

    @server.route("POST", "/")
    def take(body: bytes):
        calls.append(body)
        return len(body)

    server.route("GET", "/", lambda: "hello")
    return server, calls


def post(body: bytes = b"", *fields: str, line: str = "POST / HTTP/1.1", host: str = "host: x") -> bytes:
    return "\r\n".join([line, host, *fields, "", ""]).encode("latin-1") + body


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (post(line="POST / HTTP/2.0"), 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400),
        (b"GET /\r\n", 400),
        (post(host="x: y"), 400),
        (post(b"", "host: y"), 400),
        (post(host="host: a@b"), 400),
        (post(host="host: a/b"), 400),
        (post(host="host: a,b"), 400),
        (post(b"abc", "content-length: 3", "content-length: 3"), 400),
        (post(b"abc", "content-length: 3", "transfer-encoding: chunked"), 400),
        (post(b"abc", "content-length: +3"), 400),
        (post(b"abc", "content-length: 3,3"), 400),
        (post(b"", "transfer-encoding: gzip"), 501),
        (post(b"", "transfer-encoding: chunked, chunked"), 400),
        (post(b"", "transfer-encoding:"), 400),
        (post(b"", "transfer-encoding: chunked", line="POST / HTTP/1.0"), 400),
        (post(b"", "x : y"), 400),
        (post(b"", "x: a", " folded"), 400),
        (post(b"", "x: a\x00b"), 400),
        (post(b"", "x: a\nb: c"), 400),
        (post(b"", "expect: tea"), 417),
        (post(b"", line="CONNECT a:1 HTTP/1.1"), 501),
        (post(b"", line="GET /a#b HTTP/1.1"), 400),
        (post(b"", line="GET * HTTP/1.1"), 400),
        (post(b"", line="GET /" + "a" * 9000 + " HTTP/1.1"), 414),
        (post(b"", "x: " + "a" * 17000), 431),
        (post(b"", *(f"x{number}: y" for number in range(101))), 431),
        (post(b"", "content-length: 16777217"), 413),
        (post(b"fffffff\r\n", "transfer-encoding: chunked"), 413),
        (post(b"g\r\n", "transfer-encoding: chunked"), 400),
        (post(b"3\r\nabcX", "transfer-encoding: chunked"), 400),
        (post(b"3;=\r\nabc\r\n0\r\n\r\n", "transfer-encoding: chunked"), 400),
        (post(b"0\r\nbad trailer\r\n\r\n", "transfer-encoding: chunked"), 400),
    ],
)
def test_broken_request_gets_its_status_and_a_close_and_never_reaches_python(live, connect, sent, status):
    server, calls = counting()
    connection = connect(live(server))
    connection.send(sent + request_bytes("GET", "/"))
    answer = connection.read_answer()
    assert answer.status == status
    assert answer.header("connection") == "close"
    assert connection.is_closed_by_peer()
    assert calls == []


@pytest.mark.in_memory
def test_body_at_the_limit_is_taken_and_0_is_unlimited(live, connect):
    server, calls = counting()
    connection = connect(live(server, max_body=1000))
    assert connection.exchange(post(b"x" * 1000, "content-length: 1000")).body == b"1000"
    assert connection.exchange(post(b"", "content-length: 1001")).status == 413
    server, calls = counting()
    body = b"x" * 20_000_000
    assert connect(live(server, max_body=0)).exchange(request_bytes("POST", "/", body=body)).body == b"20000000"
    assert len(calls[0]) == len(body)


def test_slow_head_is_408(live, connect):
    server, _ = counting()
    connection = connect(live(server, head_timeout=0.2))
    connection.send(b"GET / HTTP/1.1\r\nhos")
    answer = connection.read_answer()
    assert (answer.status, answer.header("connection")) == (408, "close")


def test_dripping_head_is_408_all_the_same(live, connect):
    server, _ = counting()
    connection = connect(live(server, head_timeout=0.5))
    started = time.monotonic()
    for byte in b"GET / HTTP/1.1\r\nx: " + b"y" * 10_000:
        try:
            connection.send(bytes([byte]))
        except ConnectionError:
            break
        if time.monotonic() - started > 5:
            pytest.fail("the connection outlived its head timeout")
        threading.Event().wait(0.01)
    assert time.monotonic() - started < 5


def test_stalled_body_is_408(live, connect):
    server, calls = counting()
    connection = connect(live(server, body_timeout=0.2))
    connection.send(post(b"abc", "content-length: 10"))
    assert connection.read_answer().status == 408
    assert connection.is_closed_by_peer()
    assert calls == []


def test_idle_connection_is_closed_without_a_word(live, connect):
    server, _ = counting()
    connection = connect(live(server, keep_alive_timeout=0.2))
    assert connection.exchange(request_bytes("GET", "/")).body == b"hello"
    assert connection.is_closed_by_peer()


def test_reader_that_takes_nothing_is_cut(live, connect):
    server = Server()
    ended = threading.Event()

    def endless():
        try:
            while True:
                yield b"x" * 65536
        finally:
            ended.set()

    server.route("GET", "/", lambda: (200, "text/plain", b"", endless(), {}))
    connection = connect(live(server, write_timeout=0.5), receive_buffer_bytes=4096)
    connection.send(request_bytes("GET", "/"))
    assert ended.wait(20)


def test_100_continue_is_sent_when_the_body_is_wanted(live, connect):
    server, calls = counting()
    connection = connect(live(server))
    connection.send(post(b"", "content-length: 3", "expect: 100-continue"))
    assert connection.read_some() == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.send(b"abc")
    assert connection.read_answer().body == b"3"
    # A body that was not waited for, and one that is refused at once.
    connection.send(post(b"abcd", "content-length: 4", "expect: 100-continue"))
    answer = connection.read_answer()
    assert (answer.body, answer.interim) == (b"4", ())
    connection.send(post(b"", "content-length: 3", "expect: 100-continue", line="POST /none HTTP/1.1"))
    assert connection.read_answer().status == 404


def test_unwanted_body_is_read_or_the_connection_closed(live, connect):
    server, _ = counting()
    live_server = live(server)
    connection = connect(live_server)
    connection.send(post(b"x" * 1000, "content-length: 1000", line="POST /none HTTP/1.1") + request_bytes("GET", "/"))
    assert connection.read_answer().status == 404
    assert connection.read_answer().body == b"hello"
    connection = connect(live_server)
    connection.send(post(b"x" * 1000, "content-length: 1000000", line="POST /none HTTP/1.1"))
    assert connection.read_answer().status == 404
    with pytest.raises(NoAnswer):
        connection.read_answer()


def test_too_many_requests_in_flight_are_503_with_retry_after(live, connect):
    import asyncio

    server = Server()
    gate = threading.Event()

    async def wait():
        while not gate.is_set():
            await asyncio.sleep(0.01)
        return "done"

    server.route("GET", "/", wait)
    live_server = live(server, max_in_flight=1, workers=1)
    first, idle, second = connect(live_server), connect(live_server), connect(live_server)
    first.send(request_bytes("GET", "/"))
    answer = None
    for _ in range(100):
        answer = second.exchange(request_bytes("HEAD", "/none"), "HEAD")
        if answer.status == 503:
            break
    assert (answer.status, answer.header("retry-after")) == (503, "1")
    gate.set()
    assert first.read_answer().body == b"done"
    assert idle.exchange(request_bytes("GET", "/")).body == b"done"


def test_too_many_connections_are_503_and_closed(live, connect):
    server, _ = counting()
    live_server = live(server, max_connections=1, workers=1)
    first = connect(live_server)
    assert first.exchange(request_bytes("GET", "/")).body == b"hello"
    second = connect(live_server)
    answer = second.read_answer()
    assert (answer.status, answer.header("retry-after"), answer.header("connection")) == (503, "1", "close")
    assert first.exchange(request_bytes("GET", "/")).body == b"hello"


def test_http_1_0_is_closed_unless_it_asks_to_be_kept(live, connect):
    server, _ = counting()
    live_server = live(server)
    connection = connect(live_server)
    answer = connection.exchange(b"GET / HTTP/1.0\r\n\r\n")
    assert (answer.body, answer.header("connection")) == (b"hello", "close")
    assert connection.is_closed_by_peer()
    connection = connect(live_server)
    for _ in range(2):
        answer = connection.exchange(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        assert (answer.body, answer.header("connection")) == (b"hello", "keep-alive")
