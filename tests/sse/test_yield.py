"""Path operations with `yield`, compiled, beside FastAPI's own on uvicorn's protocol: the same bytes, the same order of ends."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import threading
import time
from collections.abc import AsyncIterable, Iterable

import fastapi.sse
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from pydantic import BaseModel
from starlette.testclient import TestClient
from turboapi_rs.sse import EventSourceResponse, ServerSentEvent

from tests.support.wire import request_bytes


class Item(BaseModel):
    n: int
    name: str = "x"


def make_app(log=None):
    app = FastAPI()
    log = [] if log is None else log

    async def session():
        log.append("open")
        yield "session"
        log.append("close")

    @app.get("/plain", response_class=EventSourceResponse)
    async def plain():
        for item in ({"n": 1, "t": ["a", 2.5, None, True]}, "text", "caf\u00e9", 7, [], {"k": "\u2028"}, float("nan"),
                     Item(n=3), {"nested": Item(n=4)}, (1, 2), None, "a\nb"):  # fmt: skip
            await asyncio.sleep(0)
            yield item

    @app.get("/sync", response_class=EventSourceResponse)
    def sync():
        yield {"n": 1}
        yield Item(n=2)

    @app.get("/typed", response_class=fastapi.sse.EventSourceResponse)
    async def typed() -> AsyncIterable[Item]:
        yield Item(n=1)
        yield {"n": 2, "name": "y"}

    @app.get("/events", response_class=EventSourceResponse)
    async def events():
        yield ServerSentEvent(data={"a": 1}, event="e", id="i", retry=5, comment="c")
        yield ServerSentEvent(raw_data="a\nb")
        yield ServerSentEvent(data="quoted")
        yield ServerSentEvent(data=Item(n=1))
        yield ServerSentEvent()
        yield {"plain": True}

    @app.get("/lines")
    async def lines() -> AsyncIterable[Item]:
        yield Item(n=1)
        yield Item(n=2)

    @app.get("/sync-lines")
    def sync_lines() -> Iterable[Item]:
        yield Item(n=1)

    @app.post("/body/{times}", response_class=EventSourceResponse, status_code=201)
    async def body(
        times: int, item: Item, response: Response, tasks: BackgroundTasks, by=Depends(session), q: str = "z"
    ):
        response.headers["x-by"] = by
        tasks.add_task(log.append, "background")
        log.append("begin")
        for _ in range(times):
            yield {"item": item.n, "q": q}
        log.append("end")

    @app.get("/invalid")
    async def invalid() -> AsyncIterable[Item]:
        yield Item(n=1)
        yield {"n": "no number"}

    return app


REQUESTS = [
    request_bytes("GET", path) for path in ("/plain", "/sync", "/typed", "/events", "/lines", "/sync-lines")
] + [
    request_bytes("POST", "/body/2?q=w", headers=[("content-type", "application/json")], body=b'{"n": 5}'),
    request_bytes("POST", "/body/two", headers=[("content-type", "application/json")], body=b'{"n": []}'),
]  # fmt: skip


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda raw: raw.split(b" ")[1].decode())
def test_answers_are_fastapis_own(live, connect, request_):
    app, log, reference_log = None, [], []
    app = make_app(log)
    answer = connect(live(app)).exchange(request_)
    method, target = request_.split(b" ")[:2]
    body = request_.partition(b"\r\n\r\n")[2]
    headers = {"content-type": "application/json"} if body else {}
    expected = TestClient(make_app(reference_log)).request(
        method.decode(), target.decode(), content=body or None, headers=headers
    )
    assert answer.status == expected.status_code
    assert answer.body == expected.content
    for name in ("content-type", "cache-control", "x-accel-buffering", "x-by"):
        assert answer.header(name) == expected.headers.get(name)
    # Background tasks and dependencies end after the last byte.
    deadline = time.monotonic() + 10
    while log != reference_log and time.monotonic() < deadline:
        time.sleep(0.01)
    assert log == reference_log


def test_such_routes_are_compiled():
    from turboapi_rs.plans import explain

    assert explain is not None
    app = make_app()
    from turboapi_rs.plans.streams import compile_stream

    assert all(
        compile_stream(route, route) is not None for route in app.routes if getattr(route, "stream_item_field", 0) is None
        and getattr(route, "response_class", None) in (EventSourceResponse, fastapi.sse.EventSourceResponse)
    )  # fmt: skip


def test_an_item_that_does_not_fit_tears_the_stream(live, connect, capfd):
    answer = connect(live(make_app())).exchange(request_bytes("GET", "/invalid"))
    assert answer.is_torn
    assert b"no number" not in answer.body
    assert "ResponseValidationError" in capfd.readouterr().err


def test_comments_come_while_the_generator_is_silent(live, connect, monkeypatch):
    monkeypatch.setattr(fastapi.sse, "_PING_INTERVAL", 0.05)
    released = threading.Event()
    app = FastAPI()

    @app.get("/", response_class=EventSourceResponse)
    async def silent():
        while not released.is_set():
            await asyncio.sleep(0.01)
        yield {"n": 1}

    connection = connect(live(app))
    connection.send(request_bytes("GET", "/"))
    read = b""
    while read.count(b": ping\n\n") < 2:
        read += connection.read_some()
    released.set()
    while not read.endswith(b"0\r\n\r\n"):
        read += connection.read_some()
    assert json.loads(read.partition(b"data: ")[2].split(b"\n")[0]) == {"n": 1}


def test_a_client_that_leaves_ends_the_generator_then_dependencies(live, connect):
    log, ended = [], threading.Event()
    app = FastAPI()

    async def session():
        yield
        log.append("dependency")
        ended.set()

    @app.get("/", response_class=EventSourceResponse)
    async def endless(tasks: BackgroundTasks, by=Depends(session)):
        tasks.add_task(log.append, "background")
        try:
            yield {"n": 1}
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            log.append("generator")

    connection = connect(live(app))
    connection.send(request_bytes("GET", "/"))
    read = b""
    while b"data" not in read:
        read += connection.read_some()
    connection.close()
    assert ended.wait(10)
    assert log == ["generator", "background", "dependency"]


def test_contextvars_and_timeouts_work_in_generators(live, connect):
    app = FastAPI()

    @app.get("/", response_class=EventSourceResponse)
    async def timed():
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(3600)
        except TimeoutError:
            yield "timed out"
        yield asyncio.current_task() is not None

    answer = connect(live(app)).exchange(request_bytes("GET", "/"))
    assert answer.body == b'data: "timed out"\n\ndata: true\n\n'


@pytest.mark.parametrize("compresses", [False, True])
def test_middleware_sees_what_is_yielded(live, connect, compresses):
    app = FastAPI()
    app.add_middleware(CORSMiddleware, allow_origins=["https://b.example", "http://a.example"], allow_credentials=True)
    if compresses:
        app.add_middleware(GZipMiddleware, minimum_size=10)
    pulled = []

    @app.get("/events", response_class=EventSourceResponse)
    async def events():
        pulled.append(sys._getframe(1).f_code.co_filename)
        yield {"n": 1}

    @app.get("/lines")
    async def lines() -> AsyncIterable[Item]:
        for n in range(50):
            yield Item(n=n)

    server, client = live(app), TestClient(app)
    wanted = {"origin": "http://a.example", "accept-encoding": "gzip"}
    for path in ("/events", "/lines", "/events"):
        theirs = client.get(path, headers=wanted)
        ours = connect(server).exchange(request_bytes("GET", path, headers=tuple(wanted.items())))
        for name in ("access-control-allow-origin", "access-control-allow-credentials", "content-type",
                     "content-encoding", "vary"):  # fmt: skip
            assert ours.header(name) == theirs.headers.get(name), (path, name)
        body = gzip.decompress(ours.body) if ours.header("content-encoding") else ours.body
        assert body == theirs.content
    ours_own = [name for name in pulled if name.endswith("turboapi_rs/pulling.py")]
    assert bool(ours_own) is not compresses
