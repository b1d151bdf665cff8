"""Where the calls of FastAPI's `def` routes run once they are compiled."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import asynccontextmanager

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from fastapi import FastAPI, Request
from turboapi_rs import blocking, direct
from turboapi_rs.serving import running

from tests.support.wire import request_bytes


def test_def_route_of_fastapi_earns_direct_calls_and_loses_them(live, connect, capfd):
    pause = 0.0
    threads: dict[str, list[int]] = {"/earned/1": [], "/blocking/1": [], "/direct/1": []}
    app = FastAPI()

    @app.get("/earned/{item_id}")
    def earned(item_id: int):
        threads["/earned/1"].append(threading.get_native_id())
        time.sleep(pause)
        return {"id": item_id}

    @app.get("/blocking/{item_id}")
    @blocking
    def pinned(item_id: int):
        threads["/blocking/1"].append(threading.get_native_id())
        return {"id": item_id}

    @app.get("/direct/{item_id}")
    @direct
    def never(item_id: int):
        threads["/direct/1"].append(threading.get_native_id())
        return {"id": item_id}

    # Bounds that a loaded machine keeps.
    server = live(app, workers=1, direct_after=4, direct_under=5.0, direct_over=0.1)
    connection = connect(server)

    def call(path: str) -> None:
        answer = connection.exchange(request_bytes("GET", path))
        assert (answer.status, answer.body) == (200, b'{"id":1}')

    for _ in range(6):
        for path in threads:
            call(path)
    (worker,) = set(threads["/direct/1"])
    assert worker not in threads["/blocking/1"] + threads["/earned/1"][:4]
    assert threads["/earned/1"][4:] == [worker] * 2
    pause = 0.2
    call("/earned/1")
    assert threads["/earned/1"][-1] == worker
    pause = 0.0
    call("/earned/1")
    assert threads["/earned/1"][-1] != worker
    found = {route["path"]: route for route in server.routes_state() if "/{item_id}" in route["path"]}
    told = {
        path: (route["pin"], route["mode"], route["direct_calls"], route["offloaded_calls"])
        for path, route in found.items()
    }
    assert told == {
        "/earned/{item_id}": ("earned", "offload", 3, 5),
        "/blocking/{item_id}": ("blocking", "offload", 0, 6),
        "/direct/{item_id}": ("direct", "direct", 6, 0),
    }
    assert (found["/earned/{item_id}"]["promotions"], found["/earned/{item_id}"]["demotions"]) == (1, 1)
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "ms on a worker" in line]
    assert "GET /earned/{item_id} (" in line


def test_application_reads_the_counters_of_its_own_server(live, connect):
    app = FastAPI()

    @app.get("/counters")
    @blocking
    def counters():
        (mine,) = [server for server in running() if server.addresses == addresses]
        (route,) = [route for route in mine.routes_state() if route["path"] == "/counters"]
        return [route["offloaded_calls"], mine.offload_state()["running"] > 0]

    server = live(app)
    addresses = [server.address]
    connection = connect(server)
    for calls in range(3):
        assert connection.exchange(request_bytes("GET", "/counters")).body == b"[%d,true]" % calls


async def plus_one(number: int) -> int:
    await anyio.sleep(0)
    return number + 1


@pytest.mark.parametrize(
    ("call_back", "body"),
    [
        (lambda: anyio.from_thread.run(plus_one, 1), b"2"),
        (lambda: anyio.from_thread.run_sync(plus_one.__name__.upper), b'"PLUS_ONE"'),
        (lambda: anyio.from_thread.check_cancelled(), b"null"),
    ],
)
def test_def_route_that_calls_back_into_the_loop_stays_on_the_pool(live, connect, capfd, call_back, body):
    app = FastAPI()

    @app.get("/")
    def route():
        return call_back()

    server = live(app, log_level="info", direct_after=2, direct_under=5.0)
    connection = connect(server)
    for _ in range(6):
        answer = connection.exchange(request_bytes("GET", "/"))
        assert (answer.status, answer.body) == (200, body)
    (state,) = [route for route in server.routes_state() if route["path"] == "/"]
    assert (state["mode"], state["offloaded_calls"], state["promotions"]) == ("offload", 6, 0)
    lines = [line for line in capfd.readouterr().err.splitlines() if "calls back into the event loop" in line]
    assert len(lines) == 1


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("call_back", "body"),
    [
        (lambda: anyio.from_thread.run(plus_one, 1), b"2"),
        (lambda: anyio.from_thread.run(anyio.to_thread.run_sync, lambda: 3), b"3"),
        (lambda: anyio.from_thread.run_sync(plus_one.__name__.upper), b'"PLUS_ONE"'),
        (lambda: anyio.from_thread.check_cancelled(), b"null"),
    ],
)
def test_route_that_was_promoted_may_still_call_back_into_the_loop(live, connect, call_back, body, workers):
    """The thread that steps the loop ran the function, and nobody else could: it was an error, once."""
    app, wanted = FastAPI(), False

    @app.get("/")
    def route():
        return call_back() if wanted else 0

    server = live(app, workers=workers, direct_after=2, direct_under=5.0)
    connections = [connect(server) for _ in range(2 * workers)]
    for connection in connections * 3:
        assert connection.exchange(request_bytes("GET", "/")).body == b"0"
    (state,) = [route for route in server.routes_state() if route["path"] == "/"]
    assert state["mode"] == "direct"
    wanted = True
    for connection in connections:
        answer = connection.exchange(request_bytes("GET", "/"))
        assert (answer.status, answer.body) == (200, body)
    (state,) = [route for route in server.routes_state() if route["path"] == "/"]
    assert (state["mode"], state["demotions"]) == ("offload", 1)


def test_route_that_gives_the_loop_a_coroutine_stays_on_the_pool(live, connect):
    """It may wait for the coroutine, for which the thread that steps the loop must go on."""
    loops = []

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        loops.append(asyncio.get_running_loop())
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    def route():
        return asyncio.run_coroutine_threadsafe(plus_one(4), loops[0]).result(10)

    server = live(app, direct_after=2, direct_under=5.0)
    connection = connect(server)
    for _ in range(6):
        assert connection.exchange(request_bytes("GET", "/")).body == b"5"
    (state,) = [route for route in server.routes_state() if route["path"] == "/"]
    assert (state["mode"], state["promotions"]) == ("offload", 0)


def test_coroutine_on_the_loop_may_not_wait_for_it(live, connect):
    app, raised = FastAPI(), []

    @app.get("/")
    async def route(request: Request):
        try:
            anyio.from_thread.run(plus_one, 1)
        except anyio.NoEventLoopError as error:
            raised.append(error)

    assert connect(live(app)).exchange(request_bytes("GET", "/")).status == 200
    assert len(raised) == 1
