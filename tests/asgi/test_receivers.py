"""Several tasks of one request that await its next message at once, as under other servers: all hear that the client left.

Each `receive` had the one before it forgotten: a stream of Starlette's, whose client it awaits, was not ended by its leaving
once the stream had asked for itself (`Request.is_disconnected`), as sse-starlette's examples do.
"""

from __future__ import annotations

import asyncio
import threading

import pytest
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from tests.asgi.apps import Seen, answer, http, start
from tests.support.wire import request_bytes

GET = request_bytes("GET", "/")


@pytest.mark.parametrize("how", ["close", "reset"])
def test_all_tasks_that_receive_are_told_that_the_client_left(live, connect, how):
    seen = Seen()

    @http
    async def app(scope, receive, send):
        assert (await receive())["type"] == "http.request"
        await start(send)
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        tasks = [asyncio.create_task(receive()) for _ in range(8)]
        await asyncio.sleep(0)
        # Those that are given up are in nobody's way.
        for task in tasks[::2]:
            task.cancel()
        seen.put("waiting")
        found = await asyncio.gather(*tasks, return_exceptions=True)
        seen.put([each["type"] if isinstance(each, dict) else type(each) for each in found])

    connection = connect(live(app))
    connection.send(GET)
    assert seen.next() == "waiting"
    getattr(connection, how)()
    assert seen.next() == [asyncio.CancelledError, "http.disconnect"] * 4


def test_each_piece_of_a_body_goes_to_one_of_many_tasks(live, connect):
    data = [b"%07d;" % number * 100 for number in range(50)]
    taken = Seen()

    @http
    async def app(scope, receive, send):
        pieces, ended = [], asyncio.Event()

        async def take():
            while not ended.is_set():
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                pieces.append(message["body"])
                taken.put(len(message["body"]))
                if not message["more_body"]:
                    ended.set()

        tasks = [asyncio.create_task(take()) for _ in range(4)]
        await ended.wait()
        for task in tasks:
            task.cancel()
        await answer(send, b"".join(pieces))

    connection = connect(live(app))
    connection.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(b"".join(data)))
    for piece in data:
        connection.send(piece)
        count = 0
        while count < len(piece):
            count += taken.next()
    assert connection.read_answer("POST").body == b"".join(data)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_stream_that_asked_for_its_client_ends_when_the_client_leaves(live, connect, how):
    is_silent, ended = threading.Event(), threading.Event()

    async def endpoint(request):
        async def pieces():
            try:
                yield b"first"
                for _ in range(100):
                    assert not await request.is_disconnected()
                is_silent.set()
                await asyncio.sleep(600)
            finally:
                ended.set()

        return StreamingResponse(pieces())

    connection = connect(live(Starlette(routes=[Route("/", endpoint)])))
    connection.send(GET)
    assert is_silent.wait(10)
    getattr(connection, how)()
    assert ended.wait(10)
