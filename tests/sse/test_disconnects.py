"""Clients that leave: (surface) x (sync, async) x (before the first item, between items, while the producer is silent).

The iterator is closed once, at once, on its own loop or a thread, and no task and no descriptor is left. A sync producer
that blocks is closed when its `next()` returns: no thread can be interrupted.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
import re
import socket
import threading
import time
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from starlette.requests import Request
from turboapi_rs import RawRequest, Server, blocking
from turboapi_rs.sse import EventSourceResponse

from tests.support.wire import request_bytes

GET = request_bytes("GET", "/")

#: Seconds from the close to the `finally` of the producer.
SOON = 0.1


class Producer:
    """Counts how often it was closed, and says what it waits for."""

    def __init__(self, moment):
        self.moment = moment
        self.closes = 0
        self.closed_at = 0.0
        self.is_waiting, self.is_closed, self.released = threading.Event(), threading.Event(), threading.Event()

    def close(self):
        self.closed_at = time.monotonic()
        self.closes += 1
        self.is_closed.set()

    def sync(self):
        try:
            if self.moment != "first":
                yield "one"
            if self.moment == "between":
                while True:
                    self.is_waiting.set()
                    yield "x" * 100
                    time.sleep(0.001)
            self.is_waiting.set()
            self.released.wait(20)
            while True:
                yield "late"
                time.sleep(0.001)
        finally:
            self.close()

    async def asynchronous(self):
        try:
            if self.moment != "first":
                yield "one"
            self.is_waiting.set()
            while self.moment == "between":
                yield "x" * 100
                await asyncio.sleep(0.001)
            await asyncio.sleep(3600)
        finally:
            self.close()


def raw(make, kind):
    server = Server()
    server.route("GET", "/", lambda: (200, "text/plain", b"", make(), {}))
    return with_tasks(server)


def raw_events(make, kind):
    server = Server()
    server.route("GET", "/", lambda: EventSourceResponse(make()))
    return with_tasks(server)


def with_tasks(server):
    async def tasks():
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    async def loop():
        await asyncio.sleep(0)  # One that cannot suspend runs wherever its request is.
        return threading.get_ident()

    server.route("GET", "/tasks", tasks)
    server.route("GET", "/loop", loop)
    server.route("GET", "/thread", blocking(lambda: "a thread's"))
    return server


def hosted(app):
    async def wrapped(scope, receive, send):
        await app(scope, receive, send)

    return wrapped


def with_routes(add):
    app = FastAPI()
    add(app)

    @app.get("/tasks")
    async def tasks():
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    @app.get("/loop")
    async def loop():
        await asyncio.sleep(0)  # One that cannot suspend runs wherever its request is.
        return threading.get_ident()

    @app.get("/thread")
    @blocking
    def thread():
        return "a thread's"

    return app


def plan(make, kind):
    async def endpoint():
        stream = make()
        try:
            async for item in stream:
                yield item
        finally:
            await stream.aclose()

    def sync_endpoint():
        yield from make()

    def add(app):
        chosen = endpoint if kind == "async" else sync_endpoint
        app.get("/", response_class=EventSourceResponse)(chosen)

    return with_routes(add)


def returned(make, kind):
    async def endpoint():
        return StreamingResponse(make(), media_type="text/event-stream")

    return with_routes(lambda app: app.get("/")(endpoint))


def returned_by_def(make, kind):
    return with_routes(lambda app: app.get("/")(lambda: StreamingResponse(make(), media_type="text/event-stream")))


def returned_events(make, kind):
    async def endpoint():
        return EventSourceResponse(make())

    return with_routes(lambda app: app.get("/")(endpoint))


def asgi(make, kind):
    return hosted(with_routes(lambda app: app.get("/")(lambda: StreamingResponse(make()))))


def asgi_events(make, kind):
    return hosted(with_routes(lambda app: app.get("/")(lambda: EventSourceResponse(make()))))


def asgi_yield(make, kind):
    return hosted(plan(make, kind))


DIRECT = [raw, raw_events, plan, returned, returned_by_def, returned_events]
SURFACES = [*DIRECT, asgi, asgi_events, asgi_yield]


def tasks_of(connection):
    return int(connection.exchange(request_bytes("GET", "/tasks")).body)


def descriptors():
    """What this process has open, by kind: a file by its path, sockets without their numbers. Nothing where no /proc is."""
    kinds = collections.Counter()
    folder = Path("/proc/self/fd")
    for name in os.listdir(folder) if folder.exists() else ():
        with contextlib.suppress(OSError):  # The one that the folder was read through.
            kinds[re.sub(r":\[\d+\]", "", os.readlink(folder / name))] += 1
    return kinds


@pytest.mark.parametrize("moment", ["first", "between", "silent"])
@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("surface", SURFACES)
def test_a_client_that_leaves_closes_the_iterator_once(live, connect, surface, kind, moment):
    producer = Producer(moment)
    make = producer.sync if kind == "sync" else producer.asynchronous
    server = live(surface(make, kind))
    asking = connect(server)
    # The first request of each kind, so that what the process opens once and keeps is counted before.
    asking.exchange(request_bytes("GET", "/thread"))
    tasks_before, open_before = tasks_of(asking), descriptors()
    connection = connect(server)
    connection.send(GET)
    read = b""
    while b"\r\n\r\n" not in read or (moment != "first" and b"one" not in read):
        read += connection.read_some()
    assert producer.is_waiting.wait(20)
    started = time.monotonic()
    connection.close()
    if kind == "sync":
        producer.released.set()
    # What the machine makes this server wait for at this moment: another client's request needs the same loop, and where
    # a thread closes the iterator, a thread.
    with connect(server) as other:
        tasks_of(other)
    if kind == "sync":
        with connect(server) as other:
            other.exchange(request_bytes("GET", "/thread"))
    machine = time.monotonic() - started
    assert producer.is_closed.wait(20)
    assert producer.closed_at - started < SOON + machine
    deadline = time.monotonic() + 10
    while (tasks_of(asking) != tasks_before or not descriptors() <= open_before) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert tasks_of(asking) == tasks_before
    # Fewer is well: what a test before this one left to the garbage collector.
    assert descriptors() - open_before == collections.Counter()
    assert producer.closes == 1


class Items:
    """Endless items, which note where they are asked for, where they are closed, and whether by two at once."""

    def __init__(self, moment):
        self.moment = moment
        self.asked, self.closed, self.has_overlapped = [], [], False
        self.is_asked, self.is_closed, self.released = threading.Event(), threading.Event(), threading.Event()
        self._is_inside = False

    @contextlib.contextmanager
    def noted(self, places):
        self.has_overlapped |= self._is_inside
        self._is_inside = True
        places.append((threading.get_ident(), asyncio._get_running_loop()))
        try:
            yield
        finally:
            self._is_inside = False

    def note_close(self):
        with self.noted(self.closed):
            self.is_closed.set()


class SyncItems(Items):
    def __iter__(self):
        return self

    def __next__(self):
        with self.noted(self.asked):
            self.is_asked.set()
            if self.moment == "asked":
                self.released.wait(20)
            time.sleep(0.001)
            return "x" * 100

    def close(self):
        self.note_close()


class AsyncItems(Items):
    def __aiter__(self):
        return self

    async def __anext__(self):
        with self.noted(self.asked):
            self.is_asked.set()
            await asyncio.sleep(3600 if self.moment == "asked" else 0.001)
            return "x" * 100

    async def aclose(self):
        self.note_close()

    async def as_generator(self):
        try:
            async for item in self:
                yield item
        finally:
            await self.aclose()


@pytest.mark.parametrize("moment", ["asked", "between"])
@pytest.mark.parametrize("kind", [SyncItems, AsyncItems])
@pytest.mark.parametrize("surface", SURFACES)
def test_an_iterator_is_closed_where_it_is_asked(live, connect, surface, kind, moment):
    """An async one by the loop that asks it; a sync one by a thread that is no loop's, and not while another asks it."""
    items = kind(moment)
    # Starlette itself asks there, and never closes; of async iterators the loop knows generators alone.
    make = items.as_generator if surface is asgi and kind is AsyncItems else lambda: items
    server = live(surface(make, "async" if kind is AsyncItems else "sync"))
    loop_thread = int(connect(server).exchange(request_bytes("GET", "/loop")).body)
    connection = connect(server)
    connection.send(GET)
    assert items.is_asked.wait(20)
    if moment == "between":
        while b"xxx" not in connection.read_some():
            pass
    connection.close()
    if moment == "asked" and kind is SyncItems:
        connect(server).exchange(request_bytes("GET", "/loop"))
        assert not items.closed
        items.released.set()
    assert items.is_closed.wait(20)
    server.stop()
    assert len(items.closed) == 1
    assert not items.has_overlapped
    if kind is AsyncItems:
        assert set(items.closed) == set(items.asked)
        assert {thread for thread, _ in items.closed} == {loop_thread}
    else:
        assert {loop for _, loop in items.closed + items.asked} == {None}
        assert loop_thread not in {thread for thread, _ in items.closed + items.asked}


@pytest.mark.parametrize("moment", ["first", "silent"])
@pytest.mark.parametrize("surface", [*DIRECT, asgi, asgi_events])
def test_a_half_closed_connection_counts_as_left(live, connect, surface, moment):
    producer = Producer(moment)
    connection = connect(live(surface(producer.asynchronous, "async")))
    connection.send(GET)
    assert producer.is_waiting.wait(20)
    connection.end_sending()
    assert producer.is_closed.wait(20)
    assert producer.closes == 1


class Endless:
    """An application of messages that sends on and on, and never asks for any."""

    def __init__(self, pause=None, catches=False):
        self.pause, self.catches = pause, catches
        self.ended, self.sent, self.error = threading.Event(), 0, None

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await lifespan(receive, send)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/other":
            return await send({"type": "http.response.body", "body": b"other"})
        try:
            while True:
                await self.send_piece(send)
        except OSError as error:
            self.error = error
            raise
        finally:
            self.ended.set()

    async def send_piece(self, send):
        try:
            await send({"type": "http.response.body", "body": b"x" * 100, "more_body": True})
        except OSError:
            if not self.catches:
                raise
            self.ended.set()
        self.sent += 1
        if self.pause is not None:
            await asyncio.sleep(self.pause)


async def lifespan(receive, send):
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})


@pytest.mark.parametrize("pause", [None, 0.001])
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_an_application_that_only_sends_is_ended(live, connect, pause, leave, capfd):
    app = Endless(pause)
    server = live(app, workers=1)
    connection = connect(server)
    connection.send(GET)
    connection.read_some()
    getattr(connection, leave)()
    assert app.ended.wait(20)
    assert isinstance(app.error, ConnectionResetError)
    assert connect(server).exchange(request_bytes("GET", "/other")).body == b"other"
    assert "ERROR" not in capfd.readouterr().err


def test_an_application_that_will_not_be_ended_leaves_the_loop_to_others(live, connect):
    app = Endless(catches=True)
    server = live(app, workers=1, drain_grace=0.5)
    connection = connect(server)
    connection.send(GET)
    connection.read_some()
    connection.close()
    assert app.ended.wait(20)
    assert connect(server).exchange(request_bytes("GET", "/other")).body == b"other"
    # Nor does it keep the server.
    server.stop()


@pytest.mark.parametrize("pause", [None, 0.001])
def test_drain_ends_an_application_that_only_sends(live, connect, pause):
    app = Endless(pause)
    server = live(app, workers=1, drain_grace=0.5)
    connection = connect(server)
    connection.send(GET)
    connection.read_some()
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    rest = connection.read_to_end()
    stopping.join(20)
    assert not stopping.is_alive()
    assert not rest.endswith(b"0\r\n\r\n")
    assert app.ended.wait(20)


def test_is_disconnected_tells_every_kind_of_handler(live, connect):
    seen, told = threading.Event(), threading.Event()
    app = FastAPI()

    @app.get("/")
    async def poll(request: Request):
        seen.set()
        while not await request.is_disconnected():
            await asyncio.sleep(0.005)
        told.set()
        return "nobody reads this"

    connection = connect(live(app))
    connection.send(GET)
    assert seen.wait(20)
    connection.close()
    assert told.wait(20)


def test_is_disconnected_may_be_asked_inside_a_stream(live, connect):
    seen, told = threading.Event(), threading.Event()
    app = FastAPI()

    @app.get("/", response_class=EventSourceResponse)
    async def poll(request: Request):
        try:
            while not await request.is_disconnected():
                yield {"n": 1}
                seen.set()
                await asyncio.sleep(0.005)
        finally:
            told.set()

    connection = connect(live(app))
    connection.send(GET)
    assert seen.wait(20)
    connection.close()
    assert told.wait(20)


@pytest.mark.parametrize("surface", [raw_events, plan, returned, returned_by_def, returned_events])
def test_a_producer_that_will_not_hear_is_ended_by_its_next_item(live, connect, surface):
    waiting, closed = threading.Event(), threading.Event()

    async def stubborn():
        try:
            yield "one"
            while True:
                try:
                    waiting.set()
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass
                yield "after"
        finally:
            closed.set()

    connection = connect(live(surface(stubborn, "async")))
    connection.send(GET)
    assert waiting.wait(20)
    connection.close()
    assert closed.wait(20)


def drained(producer_surface, live, connect, stream):
    server = live(producer_surface(stream, "async"), drain_grace=20.0)
    connection = connect(server)
    connection.send(GET)
    read = b""
    while b"one" not in read:
        read += connection.read_some()
    stopping = threading.Thread(target=server.stop)
    started = time.monotonic()
    stopping.start()
    rest = connection.read_to_end()
    stopping.join(20)
    assert time.monotonic() - started < 10
    return rest


def asgi_feed(make, kind):
    return hosted(returned(make, kind))


@pytest.mark.parametrize("surface", [*DIRECT, asgi_feed, asgi_events])
def test_drain_tells_streams_and_one_that_returns_ends_well(live, connect, surface):
    async def polite():
        yield "one"
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            yield "goodbye"

    rest = drained(surface, live, connect, polite)
    assert b"goodbye" in rest
    assert rest.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("surface", [*DIRECT, asgi_feed, asgi_events, asgi_yield])
def test_drain_tears_a_stream_whose_producer_does_not_return(live, connect, surface):
    producer = Producer("silent")
    rest = drained(surface, live, connect, producer.asynchronous)
    assert not rest.endswith(b"0\r\n\r\n")
    assert producer.closes == 1


def test_drain_leaves_a_returned_stream_its_grace(live, connect):
    draining = threading.Event()

    async def finite():
        yield "one"
        while not draining.is_set():
            await asyncio.sleep(0.005)
        yield "two"

    app = FastAPI()

    @app.get("/")
    async def endpoint():
        return StreamingResponse(finite(), media_type="application/octet-stream")

    server = live(app, drain_grace=20.0)
    connection = connect(server)
    connection.send(GET)
    read = b""
    while b"one" not in read:
        read += connection.read_some()
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    wait_until_refused(server)
    draining.set()
    assert connection.read_to_end().endswith(b"two\r\n0\r\n\r\n")
    stopping.join(20)


def wait_until_refused(server):
    """The drain has begun once nobody accepts."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", server.port), 5).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.005)
    raise TimeoutError("the server still accepts")


@pytest.mark.parametrize("surface", [raw_events, plan, returned, returned_by_def, returned_events])
def test_a_slow_reader_makes_the_producer_wait(live, connect, surface):
    given = 0

    async def endless():
        nonlocal given
        while True:
            given += 1
            yield "x" * 16384

    connection = connect(live(surface(endless, "async")), receive_buffer_bytes=4096)
    connection.send(GET)
    connection.read_some()
    before, deadline = -1, time.monotonic() + 20
    while given != before and time.monotonic() < deadline:
        before = given
        time.sleep(0.5)
    assert given == before
    assert given * 16384 < 16 * 1024 * 1024


def test_a_handler_that_was_told_may_use_its_raw_request(live, connect):
    server = Server()

    def handler(request: RawRequest):
        async def lines():
            yield request.path

        return EventSourceResponse(lines())

    server.route("GET", "/", handler)
    assert connect(live(server)).exchange(GET).body == b"data: /\n\n"
