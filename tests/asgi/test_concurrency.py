"""Many requests at once: none waits for another, none sees another's context."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time

import pytest

from tests.asgi.apps import answer, http, read_body
from tests.support.wire import Connection, request_bytes

GET = request_bytes("GET", "/")
current = contextvars.ContextVar("current", default="unset")


def test_50_slow_requests_take_as_long_as_one(live):
    @http
    async def app(scope, receive, send):
        await asyncio.sleep(0.5)
        await answer(send)

    server = live(app)
    connections = [Connection(("127.0.0.1", server.port)) for _ in range(50)]
    started = time.monotonic()
    for connection in connections:
        connection.send(GET)
    assert {connection.read_answer().status for connection in connections} == {200}
    assert time.monotonic() - started < 5
    for connection in connections:
        connection.close()


def test_all_run_on_the_loop_of_the_lifespan(live, connect):
    threads = {}

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            threads["lifespan"] = (threading.get_ident(), asyncio.get_running_loop())
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            return await send({"type": "lifespan.shutdown.complete"})
        assert (threading.get_ident(), asyncio.get_running_loop()) == threads["lifespan"]
        return await answer(send)

    server = live(app)
    for _ in range(8):
        assert connect(server).exchange(GET).status == 200


@pytest.mark.in_memory
def test_context_is_fresh_for_each_request(live, connect):
    @http
    async def app(scope, receive, send):
        before = current.get()
        current.set(scope["path"])
        await asyncio.sleep(0)
        await answer(send, f"{before} {current.get()}".encode())

    connection = connect(live(app))
    for i in range(5):
        assert connection.exchange(request_bytes("GET", f"/{i}")).body == b"unset /%d" % i


@pytest.mark.in_memory
def test_context_is_not_mixed_between_requests_at_once(live):
    @http
    async def app(scope, receive, send):
        current.set(scope["path"])
        for _ in range(5):
            await asyncio.sleep(0.001)
            assert current.get() == scope["path"]
        inner = await asyncio.create_task(read_context())
        await answer(send, inner.encode())

    async def read_context():
        return current.get()

    server = live(app)
    connections = [Connection(("127.0.0.1", server.port)) for _ in range(20)]
    for i, connection in enumerate(connections):
        connection.send(request_bytes("GET", f"/{i}"))
    assert [connection.read_answer().body for connection in connections] == [b"/%d" % i for i in range(20)]
    for connection in connections:
        connection.close()


@pytest.mark.in_memory
def test_context_of_the_test_is_not_changed_by_a_request(live, connect):
    @http
    async def app(scope, receive, send):
        current.set("request")
        await answer(send)

    assert connect(live(app)).exchange(GET).status == 200
    assert current.get() == "unset"


def test_answers_go_to_those_who_asked(live):
    """own_reply: each of 16 clients, at once, gets its own echo 200 times."""

    @http
    async def app(scope, receive, send):
        data = await read_body(receive)
        if len(data) % 3 == 0:
            await asyncio.sleep(0)
        await answer(send, data)

    server = live(app)
    wrong = []

    def client(number):
        with Connection(("127.0.0.1", server.port)) as connection:
            for i in range(200):
                data = b"%d-%d" % (number, i) * (1 + i % 50)
                if connection.exchange(request_bytes("POST", "/", body=data), "POST").body != data:
                    wrong.append((number, i))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_task_left_behind_goes_on_after_the_answer(live, connect):
    done = threading.Event()
    kept = set()

    @http
    async def app(scope, receive, send):
        async def later():
            await asyncio.sleep(0.05)
            done.set()

        kept.add(asyncio.create_task(later()))
        await answer(send)

    assert connect(live(app)).exchange(GET).status == 200
    assert done.wait(10)


def test_asyncio_works_as_everywhere(live, connect):
    """Timers, threads, subprocesses, sockets, timeouts: the loop is a whole asyncio loop."""

    @http
    async def app(scope, receive, send):
        assert asyncio.current_task() is not None
        assert await asyncio.to_thread(lambda: 7) == 7
        try:
            async with asyncio.timeout(0.02):
                await asyncio.sleep(5)
        except TimeoutError:
            pass
        process = await asyncio.create_subprocess_exec("echo", "hi", stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()

        async def serve(reader, writer):
            writer.write(await reader.readexactly(3))
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"abc")
            echoed = await reader.read()
            writer.close()
        await answer(send, out + echoed)

    assert connect(live(app)).exchange(GET).body == b"hi\nabc"
