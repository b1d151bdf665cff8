"""`send`: framing, order, wrong messages, streams with backpressure."""

from __future__ import annotations

import asyncio
import hashlib
import time

import pytest

from tests.asgi.apps import PLAIN, Seen, answer, body, http, start
from tests.support.wire import request_bytes

MIB = 1024 * 1024
GET = request_bytes("GET", "/")
HEAD = request_bytes("HEAD", "/")

BOUND_BYTES = 16 * MIB
"""What kernel and server together may hold of an answer that nobody reads; see test_receive."""


@pytest.fixture
def exchange(live, connect):
    """Serves an app, sends it one request, gives the answer and the connection."""

    def run(app, data=GET, method="GET", **settings):
        connection = connect(live(app, **settings))
        return connection.exchange(data, method), connection

    return run


class TestFraming:
    def test_one_body_message_gets_a_length(self, exchange):
        answered, _ = exchange(http(lambda scope, receive, send: answer(send, b"hello")))
        assert (answered.body, answered.framing, answered.header("content-length")) == (b"hello", "length", "5")

    def test_many_body_messages_are_chunked(self, exchange):
        @http
        async def app(scope, receive, send):
            await start(send)
            for piece in (b"a", b"", b"b" * 100_000):
                await body(send, piece, more=True)
            await body(send)

        answered, _ = exchange(app)
        assert (answered.body, answered.framing) == (b"a" + b"b" * 100_000, "chunked")

    def test_a_declared_length_is_kept(self, exchange):
        @http
        async def app(scope, receive, send):
            await start(send, headers=[(b"content-length", b"3")])
            await body(send, b"a", more=True)
            await body(send, b"bc")

        answered, _ = exchange(app)
        assert (answered.body, answered.framing, answered.all_headers("content-length")) == (b"abc", "length", ["3"])

    @pytest.mark.parametrize("sent", [b"ab", b"abcd"], ids=["short", "long"])
    @pytest.mark.parametrize("pieces", [1, 2])
    def test_a_body_of_another_length_is_never_taken_for_whole(self, live, connect, sent, pieces):
        @http
        async def app(scope, receive, send):
            await start(send, headers=[(b"content-length", b"3")])
            if pieces == 2:
                await body(send, sent[:1], more=True)
            await body(send, sent[pieces - 1 :])

        connection = connect(live(app))
        answered = connection.exchange(GET)
        assert answered.status == 500 or answered.is_torn or (len(sent) > 3 and connection.is_closed_by_peer())
        assert b"abcd" not in answered.body

    def test_http_1_0_gets_the_bytes_and_a_close(self, exchange):
        @http
        async def app(scope, receive, send):
            await start(send)
            await body(send, b"a", more=True)
            await body(send, b"b")

        answered, _ = exchange(app, b"GET / HTTP/1.0\r\nhost: x\r\n\r\n")
        assert (answered.body, answered.framing, answered.header("transfer-encoding")) == (b"ab", "close", None)

    def test_http_1_0_with_keep_alive_is_kept(self, live, connect):
        connection = connect(live(http(lambda scope, receive, send: answer(send))))
        data = b"GET / HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\n\r\n"
        for _ in range(2):
            answered = connection.exchange(data)
            assert (answered.body, answered.header("connection")) == (b"ok", "keep-alive")

    @pytest.mark.parametrize("streamed", [False, True])
    def test_head_gets_no_body(self, live, connect, streamed):
        @http
        async def app(scope, receive, send):
            await start(send)
            if streamed:
                await body(send, b"abc", more=True)
            await body(send, b"abc")

        connection = connect(live(app))
        connection.send(HEAD + GET)
        assert connection.read_answer("HEAD").body == b""
        assert connection.read_answer().body in (b"abc", b"abcabc")

    def test_head_keeps_a_declared_length(self, exchange):
        @http
        async def app(scope, receive, send):
            await start(send, headers=[(b"content-length", b"1234")])
            await body(send)

        answered, connection = exchange(app, HEAD, "HEAD")
        assert answered.header("content-length") == "1234"
        assert not connection.is_closed_by_peer(0.2)

    @pytest.mark.parametrize("status", [204, 304])
    @pytest.mark.parametrize("pieces", [[b""], [b"abc"], [b"abc", b"def"]])
    def test_204_and_304_have_no_body(self, live, connect, status, pieces):
        @http
        async def app(scope, receive, send):
            if scope["path"] == "/next":
                return await answer(send, b"next")
            await start(send, status)
            for piece in pieces[:-1]:
                await body(send, piece, more=True)
            await body(send, pieces[-1])

        connection = connect(live(app))
        connection.send(GET)
        answered = connection.read_answer()
        assert (answered.status, answered.header("transfer-encoding")) == (status, None)
        assert status != 204 or answered.header("content-length") is None
        assert connection.exchange(request_bytes("GET", "/next")).body == b"next"

    def test_repeated_headers_are_kept_in_order(self, exchange):
        headers = [(b"set-cookie", b"a=1"), (b"x-a", b"1"), (b"set-cookie", b"b=2"), (b"X-Upper", b"caf\xe9")]
        answered, _ = exchange(http(lambda scope, receive, send: answer(send, headers=headers)))
        assert answered.all_headers("set-cookie") == ["a=1", "b=2"]
        assert answered.header("x-upper") == "caf\xe9"

    def test_date_is_added_once(self, exchange):
        answered, _ = exchange(http(lambda scope, receive, send: answer(send)))
        assert len(answered.all_headers("date")) == 1
        own = [(b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")]
        answered, _ = exchange(http(lambda scope, receive, send: answer(send, headers=own)))
        assert answered.all_headers("date") == ["Thu, 01 Jan 1970 00:00:00 GMT"]

    def test_headers_may_be_any_iterable_of_pairs(self, exchange):
        @http
        async def app(scope, receive, send):
            headers = iter([[b"x-list", b"1"], (b"x-tuple", b"2")])
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await body(send, b"ok")

        answered, _ = exchange(app)
        assert (answered.header("x-list"), answered.header("x-tuple")) == ("1", "2")

    @pytest.mark.parametrize("data", [bytearray(b"abc"), memoryview(b"abc")], ids=["bytearray", "memoryview"])
    def test_body_may_be_any_buffer(self, exchange, data):
        answered, _ = exchange(http(lambda scope, receive, send: answer(send, data)))
        assert answered.body == b"abc"

    def test_missing_keys_have_their_defaults(self, exchange):
        @http
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 202})
            await send({"type": "http.response.body"})

        answered, _ = exchange(app)
        assert (answered.status, answered.body) == (202, b"")

    def test_connection_close_of_the_app_closes(self, exchange):
        answered, connection = exchange(http(lambda s, r, send: answer(send, headers=[(b"connection", b"close")])))
        assert answered.header("connection") == "close"
        assert connection.is_closed_by_peer()

    def test_chunked_set_by_the_app_is_not_doubled(self, exchange):
        headers = [*PLAIN, (b"transfer-encoding", b"chunked")]
        answered, _ = exchange(http(lambda scope, receive, send: answer(send, b"abc", headers=headers)))
        assert answered.status == 500 or (
            answered.body == b"abc" and len(answered.all_headers("transfer-encoding")) <= 1
        )


WRONG = {
    "body before start": [{"type": "http.response.body", "body": b"x"}],
    "start twice": [
        {"type": "http.response.start", "status": 200, "headers": []},
        {"type": "http.response.start", "status": 200, "headers": []},
    ],
    "unknown type": [{"type": "http.response.nonsense"}],
    "no type": [{"status": 200}],
    "type is no text": [{"type": 5}],
    "no status": [{"type": "http.response.start", "headers": []}],
    "status is text": [{"type": "http.response.start", "status": "200", "headers": []}],
    "status 99": [{"type": "http.response.start", "status": 99, "headers": []}],
    "status 600": [{"type": "http.response.start", "status": 600, "headers": []}],
    "status 101": [{"type": "http.response.start", "status": 101, "headers": []}],
    "headers of text": [{"type": "http.response.start", "status": 200, "headers": [("a", "b")]}],
    "headers of one part": [{"type": "http.response.start", "status": 200, "headers": [(b"a",)]}],
    "header with a line break": [{"type": "http.response.start", "status": 200, "headers": [(b"a", b"b\r\nc: d")]}],
    "header with a NUL": [{"type": "http.response.start", "status": 200, "headers": [(b"a", b"b\x00")]}],
    "header name with a space": [{"type": "http.response.start", "status": 200, "headers": [(b"a b", b"c")]}],
    "header name empty": [{"type": "http.response.start", "status": 200, "headers": [(b"", b"c")]}],
    "body of text": [
        {"type": "http.response.start", "status": 200, "headers": []},
        {"type": "http.response.body", "body": "text"},
    ],
    "not a dict": ["http.response.start"],
    "None": [None],
}


class TestWrongMessages:
    @pytest.mark.parametrize("messages", WRONG.values(), ids=WRONG)
    def test_raises_in_the_app_and_answers_500(self, exchange, messages):
        seen = Seen()

        @http
        async def app(scope, receive, send):
            try:
                for message in messages:
                    await send(message)
            except Exception as error:
                seen.put(type(error).__name__)
                raise
            seen.put("nothing raised")

        answered, _ = exchange(app)
        assert seen.next() in (
            "RuntimeError",
            "ValueError",
            "TypeError",
            "KeyError",
            "AttributeError",
            "OverflowError",
            "IndexError",
        )
        assert answered.status == 500
        assert b"c: d" not in answered.body

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("body before start", "before 'http.response.start'"),
            ("start twice", "already started"),
            ("unknown type", "unexpected ASGI message 'http.response.nonsense'"),
            ("no type", "type"),
            ("no status", "status"),
            ("status 99", "outside 200..=599"),
            ("header name with a space", "not a token"),
            ("header with a line break", "control character"),
            ("headers of text", "expected bytes"),
            ("body of text", "expected bytes"),
        ],
    )
    def test_is_named_in_the_log(self, live, connect, capfd, name, says):
        @http
        async def app(scope, receive, send):
            for message in WRONG[name]:
                await send(message)

        server = live(app)
        assert connect(server).exchange(GET).status == 500
        server.stop()
        assert says in capfd.readouterr().err

    @pytest.mark.parametrize("name", [name for name, messages in WRONG.items() if len(messages) == 1])
    def test_an_app_that_catches_may_still_answer(self, exchange, name):
        @http
        async def app(scope, receive, send):
            try:
                await send(WRONG[name][0])
            except Exception:
                await answer(send, b"recovered")

        answered, _ = exchange(app)
        assert answered.body == b"recovered"

    @pytest.mark.parametrize("kind", ["http.response.start", "http.response.body", "http.response.nonsense"])
    def test_anything_after_the_end_raises(self, live, connect, kind):
        seen = Seen()

        @http
        async def app(scope, receive, send):
            await answer(send)
            try:
                await send({"type": kind, "status": 200, "headers": []})
            except Exception as error:
                seen.put(type(error).__name__)
            else:
                seen.put("nothing raised")

        connection = connect(live(app))
        for _ in range(2):
            assert connection.exchange(GET).body == b"ok"
            assert seen.next() == "RuntimeError"

    def test_head_that_is_sent_while_another_is_read_comes_first(self, live, connect):
        """Fields may be made while they are read. The lock that was held meanwhile stopped the worker for ever."""
        seen = Seen()

        @http
        async def app(scope, receive, send):
            def headers():
                with pytest.raises(StopIteration):
                    start(send, 201).send(None)
                yield b"x-late", b"1"

            try:
                await send({"type": "http.response.start", "status": 200, "headers": headers()})
            except RuntimeError as error:
                seen.put(str(error))
            await body(send, b"ok")

        answered = connect(live(app)).exchange(GET)
        assert (answered.status, answered.body, answered.header("x-late")) == (201, b"ok", None)
        assert "already started" in seen.next()


class TestStreams:
    @pytest.mark.in_memory
    def test_an_empty_first_piece_flushes_the_head(self, live, connect):
        seen = Seen()
        go_on = asyncio.Event()

        @http
        async def app(scope, receive, send):
            await start(send)
            await body(send, b"", more=True)
            seen.put(asyncio.get_running_loop())
            await go_on.wait()
            await body(send, b"end")

        connection = connect(live(app))
        connection.send(GET)
        loop = seen.next()
        assert connection.read_some().startswith(b"HTTP/1.1 200")
        loop.call_soon_threadsafe(go_on.set)
        assert b"end" in connection.read_some()

    @pytest.mark.parametrize("pause", [0, 1])
    @pytest.mark.in_memory
    def test_head_leaves_while_the_app_waits_before_its_first_piece(self, live, connect, pause):
        seen = Seen()
        go_on = asyncio.Event()

        @http
        async def app(scope, receive, send):
            for _ in range(pause):
                await asyncio.sleep(0)
            await start(send)
            seen.put(asyncio.get_running_loop())
            await go_on.wait()
            await body(send, b"late")

        connection = connect(live(app))
        connection.send(GET)
        loop = seen.next()
        assert connection.read_some().startswith(b"HTTP/1.1 200")
        loop.call_soon_threadsafe(go_on.set)
        assert b"late" in connection.read_some()

    @pytest.mark.in_memory
    def test_each_piece_is_sent_as_it_comes(self, live, connect):
        steps = [asyncio.Event() for _ in range(3)]
        seen = Seen()

        @http
        async def app(scope, receive, send):
            seen.put(asyncio.get_running_loop())
            await start(send)
            for i, step in enumerate(steps):
                await body(send, b"piece %d" % i, more=True)
                await step.wait()
            await body(send)

        connection = connect(live(app))
        connection.send(GET)
        loop = seen.next()
        for i, step in enumerate(steps):
            read = b""
            while b"piece %d" % i not in read:
                read += connection.read_some()
            loop.call_soon_threadsafe(step.set)

    def test_slow_client_makes_send_wait(self, live, connect):
        seen = Seen()
        sent = 0

        @http
        async def app(scope, receive, send):
            nonlocal sent
            await start(send)
            for _ in range(64):
                await body(send, b"x" * MIB, more=True)
                sent += MIB
            await body(send)
            seen.put("done")

        connection = connect(live(app), receive_buffer_bytes=64 * 1024)
        connection.send(GET)
        before = -1
        while sent != before:
            before = sent
            assert sent < BOUND_BYTES, "an answer that nobody reads is being buffered"
            time.sleep(0.5)
        assert seen.empty()
        connection.set_timeout(20)
        answered = connection.read_answer()
        assert len(answered.body) == 64 * MIB
        assert seen.next() == "done"

    def test_50_mb_go_whole(self, exchange):
        data = bytes(range(241)) * (50 * MIB // 241)

        @http
        async def app(scope, receive, send):
            await answer(send, data)

        answered, _ = exchange(app)
        assert hashlib.sha256(answered.body).digest() == hashlib.sha256(data).digest()

    def test_50_mb_in_pieces_go_whole(self, exchange):
        piece = bytes(range(256)) * 256

        @http
        async def app(scope, receive, send):
            await start(send)
            for _ in range(800):
                await body(send, piece, more=True)
            await body(send)

        answered, _ = exchange(app)
        assert answered.body == piece * 800

    def test_answers_of_pipelined_requests_come_in_order(self, live, connect):
        @http
        async def app(scope, receive, send):
            number = int(scope["path"][1:])
            await asyncio.sleep(0.02 if number % 2 == 0 else 0)
            await answer(send, b"%d" % number)

        connection = connect(live(app))
        connection.send(b"".join(request_bytes("GET", f"/{i}") for i in range(20)))
        assert [connection.read_answer().body for _ in range(20)] == [b"%d" % i for i in range(20)]
