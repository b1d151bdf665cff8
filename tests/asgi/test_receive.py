"""`receive`: the body as it comes, backpressure, the disconnect, and the ways in which frameworks call it."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import time

import pytest

from tests.asgi.apps import Seen, answer, body, http, read_body, start
from tests.support.wire import Answer, chunked, request_bytes

MIB = 1024 * 1024

BOUND_BYTES = 16 * MIB
"""What kernel and server together may take of a body that nobody reads. Linux grows a loopback socket's two buffers to
about 10 MiB; the server's own share is far below one."""


def post(data: bytes = b"", *fields: tuple[str, str]) -> bytes:
    return request_bytes("POST", "/", headers=fields, body=data)


@pytest.mark.parametrize(
    "data",
    [
        post(),
        post(b"abc"),
        post(b"x" * 300_000),
        request_bytes("POST", "/", headers=(("transfer-encoding", "chunked"),), body=chunked(b"abc", b"d" * 100_000)),
        request_bytes("POST", "/", headers=(("transfer-encoding", "chunked"),), body=chunked()),
    ],
    ids=["empty", "short", "long", "chunked", "chunked empty"],
)
def test_body_comes_whole(live, connect, data):
    seen = Seen()

    @http
    async def app(scope, receive, send):
        seen.put(await read_body(receive))
        await answer(send)

    assert connect(live(app)).exchange(data, "POST").status == 200
    sent = data.split(b"\r\n\r\n", 1)[1]
    if b"chunked" in data:
        sent = b"" if sent.startswith(b"0") else b"abc" + b"d" * 100_000
    assert seen.next() == sent


def test_get_without_body_gets_one_empty_message(live, connect):
    seen = Seen()

    @http
    async def app(scope, receive, send):
        seen.put(await receive())
        await answer(send)

    assert connect(live(app)).exchange(request_bytes("GET", "/")).status == 200
    assert seen.next() == {"type": "http.request", "body": b"", "more_body": False}


def test_body_is_passed_on_before_it_is_whole(live, connect):
    seen = Seen()

    @http
    async def app(scope, receive, send):
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            if message["body"]:
                seen.put(message["body"])
        await answer(send)

    connection = connect(live(app))
    connection.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\none")
    assert seen.next() == b"one"
    connection.send(b"two")
    assert seen.next() == b"two"
    assert connection.read_answer("POST").status == 200


def test_chunks_are_passed_on_as_they_come(live, connect):
    seen = Seen()

    @http
    async def app(scope, receive, send):
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            seen.put(message["body"])
        await answer(send)

    connection = connect(live(app))
    connection.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
    assert seen.next() == b"one"
    connection.send(b"3;ext=1\r\ntwo\r\n0\r\nx-trailer: 1\r\n\r\n")
    assert seen.next() == b"two"
    assert connection.read_answer("POST").status == 200


@pytest.mark.in_memory
def test_slow_reader_makes_the_sender_wait(live, connect):
    go_on = asyncio.Event()
    seen = Seen()

    @http
    async def app(scope, receive, send):
        seen.put(asyncio.get_running_loop())
        await go_on.wait()
        seen.put(hashlib.sha256(await read_body(receive)).hexdigest())
        await answer(send)

    connection = connect(live(app, max_body=0))
    data = bytes(range(256)) * (64 * MIB // 256)
    connection.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(data))
    loop = seen.next()
    sent = 0
    connection.set_timeout(1.0)
    while taken := connection.send_some(data[sent : sent + MIB]):
        sent += taken
        assert sent < BOUND_BYTES, "a body that nobody reads is being buffered"
    loop.call_soon_threadsafe(go_on.set)
    connection.set_timeout(30.0)
    connection.send(data[sent:])
    assert connection.read_answer("POST").status == 200
    assert seen.next() == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("kind", ["length", "chunked"])
def test_50_mb_come_whole(live, connect, kind):
    seen = Seen()

    @http
    async def app(scope, receive, send):
        digest, more = hashlib.sha256(), True
        while more:
            message = await receive()
            digest.update(message["body"])
            more = message["more_body"]
        seen.put(digest.hexdigest())
        await answer(send)

    data = bytes(range(251)) * (50 * MIB // 251)
    connection = connect(live(app, max_body=0))
    if kind == "length":
        connection.send(post(data))
    else:
        connection.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        connection.send(chunked(*(data[i : i + 100_003] for i in range(0, len(data), 100_003))))
    assert connection.read_answer("POST").status == 200
    assert seen.next() == hashlib.sha256(data).hexdigest()


def test_body_that_the_app_leaves_is_not_the_next_request(live, connect):
    @http
    async def app(scope, receive, send):
        await answer(send, scope["path"].encode())

    connection = connect(live(app))
    inner = request_bytes("GET", "/inner")
    connection.send(post(inner) + request_bytes("GET", "/next"))
    assert connection.read_answer("POST").body == b"/"
    answered = connection.read_answer()
    assert answered.body == b"/next"


class TestContinue:
    """`100 Continue` is sent when the app first asks for the body, not before."""

    HEAD = b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"

    def test_sent_when_the_app_receives(self, live, connect):
        @http
        async def app(scope, receive, send):
            await answer(send, await read_body(receive))

        connection = connect(live(app))
        connection.send(self.HEAD)
        assert connection.read_some() == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(b"abc")
        assert connection.read_answer("POST").body == b"abc"

    def test_not_sent_when_the_app_answers_without(self, live, connect):
        @http
        async def app(scope, receive, send):
            await answer(send, b"no", 413)

        connection = connect(live(app))
        answered = connection.exchange(self.HEAD, "POST")
        assert (answered.status, answered.interim) == (413, ())

    def test_not_sent_when_the_body_is_there_already(self, live, connect):
        @http
        async def app(scope, receive, send):
            await answer(send, await read_body(receive))

        answered = connect(live(app)).exchange(self.HEAD + b"abc", "POST")
        assert (answered.status, answered.body) == (200, b"abc")


class TestDisconnect:
    """The client leaves; the app is told by `http.disconnect`, once it asks."""

    @pytest.mark.parametrize("leave", ["close", "reset"])
    def test_before_the_answer(self, live, connect, leave):
        seen = Seen()

        @http
        async def app(scope, receive, send):
            seen.put("called")
            seen.put((await receive())["type"])
            seen.put((await receive())["type"])
            seen.put((await receive())["type"])
            # Sending to nobody does nothing.
            await answer(send, b"to nobody")
            seen.put("done")

        connection = connect(live(app))
        connection.send(request_bytes("GET", "/"))
        assert seen.next() == "called"
        assert seen.next() == "http.request"
        getattr(connection, leave)()
        assert seen.next() == "http.disconnect"
        assert seen.next() == "http.disconnect"
        assert seen.next() == "done"

    def test_in_the_middle_of_the_body(self, live, connect):
        seen = Seen()

        @http
        async def app(scope, receive, send):
            while True:
                message = await receive()
                seen.put(message["type"])
                if message["type"] == "http.disconnect":
                    return

        connection = connect(live(app))
        connection.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
        assert seen.next() == "http.request"
        connection.close()
        assert seen.next() == "http.disconnect"

    def test_in_the_middle_of_the_answer(self, live, connect):
        seen = Seen()

        @http
        async def app(scope, receive, send):
            await receive()
            await start(send)
            await body(send, b"first", more=True)
            seen.put((await receive())["type"])
            await body(send, b"to nobody", more=True)
            await body(send)
            seen.put("done")

        connection = connect(live(app))
        connection.send(request_bytes("GET", "/"))
        while b"first" not in connection.read_some():
            pass
        connection.close()
        assert seen.next() == "http.disconnect"
        assert seen.next() == "done"

    def test_after_the_answer_is_complete(self, live, connect):
        seen = Seen()

        @http
        async def app(scope, receive, send):
            await receive()
            await answer(send)
            seen.put(await receive())

        connection = connect(live(app))
        # It is told of the answer's end, which is not the connection's.
        for data in (request_bytes("GET", "/"), post(b"y")):
            assert connection.exchange(data, "POST").status == 200
            assert seen.next() == {"type": "http.disconnect"}

    def test_of_one_client_is_not_told_to_another(self, live, connect):
        seen = Seen()

        @http
        async def app(scope, receive, send):
            await receive()
            seen.put(scope["path"])
            if scope["path"] == "/leaves":
                seen.put((await receive())["type"])
            else:
                waiting = asyncio.ensure_future(receive())
                done, _ = await asyncio.wait({waiting}, timeout=0.3)
                waiting.cancel()
                await answer(send, b"told" if done else b"not told")

        server = live(app)
        leaves, stays = connect(server), connect(server)
        leaves.send(request_bytes("GET", "/leaves"))
        assert seen.next() == "/leaves"
        stays.send(request_bytes("GET", "/stays"))
        assert seen.next() == "/stays"
        leaves.close()
        assert seen.next() == "http.disconnect"
        assert stays.read_answer().body == b"not told"

    def test_wakes_a_task_that_listens_while_another_sends(self, live, connect):
        seen = Seen()

        @http
        async def app(scope, receive, send):
            await receive()
            await start(send)

            async def listen():
                seen.put((await receive())["type"])

            async def produce():
                while True:
                    await body(send, b"x" * 1000, more=True)
                    await asyncio.sleep(0.01)

            producing = asyncio.create_task(produce())
            await listen()
            producing.cancel()

        connection = connect(live(app))
        connection.send(request_bytes("GET", "/"))
        assert connection.read_some()
        connection.close()
        assert seen.next() == "http.disconnect"


class TestWaysToCall:
    """What frameworks do with `receive` and `send`: await, tasks, timeouts, other threads."""

    async def _by_create_task(receive):
        return await asyncio.create_task(receive())

    async def _by_ensure_future(receive):
        return await asyncio.ensure_future(receive())

    async def _by_gather(receive):
        return (await asyncio.gather(receive(), asyncio.sleep(0)))[0]

    async def _by_wait_for(receive):
        return await asyncio.wait_for(receive(), 5)

    async def _by_timeout(receive):
        async with asyncio.timeout(5):
            return await receive()

    async def _by_task_group(receive):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(receive())
        return task.result()

    async def _by_anyio(receive):
        import anyio

        found = []

        async def run():
            found.append(await receive())

        async with anyio.create_task_group() as group:
            group.start_soon(run)
        return found[0]

    async def _from_a_thread(receive):
        loop = asyncio.get_running_loop()
        return await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(receive(), loop).result(5))

    async def _by_asgiref(receive):
        from asgiref.sync import async_to_sync, sync_to_async

        return await sync_to_async(async_to_sync(receive), thread_sensitive=False)()

    WAYS = (
        _by_create_task,
        _by_ensure_future,
        _by_gather,
        _by_wait_for,
        _by_timeout,
        _by_task_group,
        _by_anyio,
        _from_a_thread,
        _by_asgiref,
    )

    @pytest.mark.parametrize("whole", [True, False], ids=["body is there", "body is on its way"])
    @pytest.mark.parametrize("way", WAYS, ids=[way.__name__.lstrip("_") for way in WAYS])
    def test_receive(self, live, connect, way, whole):
        seen = Seen()

        @http
        async def app(scope, receive, send):
            seen.put("called")
            message = await way(receive)
            await answer(send, message["body"])

        connection = connect(live(app))
        connection.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n" + (b"abc" if whole else b""))
        assert seen.next() == "called"
        if not whole:
            time.sleep(0.05)
            connection.send(b"abc")
        assert connection.read_answer("POST").body == b"abc"

    @pytest.mark.parametrize("way", WAYS, ids=[way.__name__.lstrip("_") for way in WAYS])
    def test_send(self, live, connect, way):
        @http
        async def app(scope, receive, send):
            messages = [
                {"type": "http.response.start", "status": 201, "headers": []},
                {"type": "http.response.body", "body": b"a" * 100_000, "more_body": True},
                {"type": "http.response.body", "body": b"b"},
            ]
            for message in messages:

                async def deliver(message=message):
                    return await send(message)

                await way(deliver)

        answered: Answer = connect(live(app)).exchange(request_bytes("GET", "/"))
        assert (answered.status, answered.body, answered.is_torn) == (201, b"a" * 100_000 + b"b", False)

    def test_receive_that_is_never_awaited_takes_nothing(self, live, connect):
        @http
        async def app(scope, receive, send):
            unused = receive()
            if hasattr(unused, "close"):
                unused.close()
            await answer(send, await read_body(receive))

        assert connect(live(app)).exchange(post(b"abc"), "POST").body == b"abc"

    def test_receive_that_was_cancelled_loses_nothing(self, live, connect):
        seen = Seen()

        @http
        async def app(scope, receive, send):
            waiting = asyncio.ensure_future(receive())
            await asyncio.sleep(0.05)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            seen.put("cancelled")
            await answer(send, await read_body(receive))

        connection = connect(live(app))
        connection.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n")
        assert seen.next() == "cancelled"
        connection.send(b"abc")
        assert connection.read_answer("POST").body == b"abc"

    def test_receive_and_send_return_coroutines(self, live, connect):
        @http
        async def app(scope, receive, send):
            calls = [receive(), send({"type": "http.response.start", "status": 200, "headers": []})]
            kinds = [asyncio.iscoroutine(call) for call in calls]
            kinds += [inspect.iscoroutinefunction(function) for function in (receive, send)]
            for call in calls:
                await call
            await body(send, repr(kinds).encode())

        assert connect(live(app)).exchange(request_bytes("GET", "/")).body == b"[True, True, True, True]"
