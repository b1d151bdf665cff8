"""Who waits for room, and who looks whether there is any meanwhile: everyone that waits goes on when there is."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from fastapi import FastAPI, sse
from turboapi_rs import Server
from turboapi_rs.sse import EventSourceResponse

from tests.support.wire import request_bytes

GET = request_bytes("GET", "/")

#: More than the buffers between both ends take, in pieces.
PIECE, PIECES = "x" * 16384, 1024

#: Seconds of silence before a comment.
PING = 0.02


class Source:
    """Knows that nobody has asked it for some time: its consumer waits."""

    def __init__(self):
        self.given = 0

    async def pieces(self):
        for _ in range(PIECES):
            self.given += 1
            yield PIECE

    def wait_until_left_alone(self):
        before, deadline = -1, time.monotonic() + 20
        while self.given != before and time.monotonic() < deadline:
            before = self.given
            # Comments are looked for in this time, too.
            time.sleep(20 * PING)
        assert 0 < self.given < PIECES


def read_to_end(connection):
    """Comments would go on for ever."""
    rest, deadline = b"", time.monotonic() + 30
    while not rest.endswith(b"0\r\n\r\n"):
        assert time.monotonic() < deadline
        rest = (rest + connection.read_some())[-8:]


def raw(make):
    server = Server()
    server.route("GET", "/", lambda: EventSourceResponse(make(), ping=PING))
    return server


def plan(make):
    app = FastAPI()

    @app.get("/", response_class=EventSourceResponse)
    async def endpoint():
        async for item in make():
            yield item

    return app


def returned(make):
    app = FastAPI()

    @app.get("/")
    async def endpoint():
        return EventSourceResponse(make(), ping=PING)

    return app


def hosted(make):
    app = returned(make)

    async def wrapped(scope, receive, send):
        await app(scope, receive, send)

    return wrapped


@pytest.mark.parametrize("surface", [raw, plan, returned, hosted])
def test_a_comment_that_finds_no_room_keeps_no_producer_from_going_on(live, connect, monkeypatch, surface):
    monkeypatch.setattr(sse, "_PING_INTERVAL", PING)
    source = Source()
    connection = connect(live(surface(source.pieces)), receive_buffer_bytes=4096)
    connection.send(GET)
    connection.read_some()
    source.wait_until_left_alone()
    read_to_end(connection)
    assert source.given == PIECES


def test_all_tasks_that_send_go_on_when_there_is_room(live, connect):
    """One sends pieces, another comments, as libraries of events have it."""
    sent = {"pieces": 0, "comments": 0}

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

        async def sends(kind, count):
            for _ in range(count):
                await send({"type": "http.response.body", "body": PIECE.encode(), "more_body": True})
                sent[kind] += 1

        await asyncio.gather(sends("pieces", PIECES), sends("comments", PIECES))
        await send({"type": "http.response.body", "body": b""})

    connection = connect(live(app, lifespan="off"), receive_buffer_bytes=4096)
    connection.send(GET)
    connection.read_some()
    before, deadline = {}, time.monotonic() + 20
    while sent != before and time.monotonic() < deadline:
        before = dict(sent)
        time.sleep(0.2)
    assert all(0 < count < PIECES for count in sent.values())
    read_to_end(connection)
    assert sent == {"pieces": PIECES, "comments": PIECES}


@pytest.mark.parametrize("surface", [raw, plan, returned])
def test_closing_is_not_cancelled_by_the_client_that_left(live, connect, surface):
    """An item that nobody takes ends the stream; the client's leaving is told of after that, and ends nothing more."""
    is_waiting, may_go_on, is_closed = threading.Event(), threading.Event(), threading.Event()
    outcome = []

    async def stream():
        try:
            yield "one"
            is_waiting.set()
            # The loop waits: the client leaves meanwhile, of which its watch is told later.
            may_go_on.wait(20)
            while True:
                yield "x" * 100
        finally:
            try:
                for _ in range(20):
                    await asyncio.sleep(0.002)
                outcome.append("closed")
            except asyncio.CancelledError:
                outcome.append("cancelled")
            is_closed.set()

    connection = connect(live(surface(stream), workers=2))
    connection.send(GET)
    assert is_waiting.wait(20)
    connection.close()
    may_go_on.set()
    assert is_closed.wait(20)
    assert outcome == ["closed"]
