"""One iterator given to many responses, by mistake: each item goes to one of them, and the others are served on.

An iterator that is asked by threads of the pool is one that may be asked by several: CPython's own sync generators may not
be, on free-threaded builds.
"""

from __future__ import annotations

import asyncio
import threading

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.background import BackgroundTask
from turboapi_rs import Server
from turboapi_rs.sse import EventSourceResponse

from tests.support.wire import Connection, request_bytes

WORKERS = pytest.mark.parametrize("workers", [1, 2])
ITEMS = 400
CLIENTS = 8


class Shared:
    """A sync iterator that any number of threads may ask."""

    def __init__(self) -> None:
        self._lock, self._next, self.closes = threading.Lock(), 0, 0

    def __iter__(self) -> Shared:
        return self

    def __next__(self) -> str:
        with self._lock:
            if self._next == ITEMS:
                raise StopIteration
            self._next += 1
            return f"{self._next - 1};"

    def close(self) -> None:
        with self._lock:
            self.closes += 1


async def numbers():
    for number in range(ITEMS):
        yield f"{number};"
        await asyncio.sleep(0)


def raw(items) -> Server:
    server = Server()
    server.route("GET", "/", lambda: (200, "text/plain", b"", items, {}))
    server.static_response("/well", "well")
    return server


def events(items) -> Server:
    server = Server()
    server.route("GET", "/", lambda: EventSourceResponse(items))
    server.static_response("/well", "well")
    return server


def of_fastapi(response):
    def make(items) -> FastAPI:
        app = FastAPI(openapi_url=None)

        @app.get("/")
        async def stream():
            return response(items)

        @app.get("/well")
        async def well():
            return "well"

        return app

    return make


KINDS = {
    "raw": raw,
    "events": events,
    "streaming": of_fastapi(StreamingResponse),
    "fastapi-events": of_fastapi(EventSourceResponse),
}


def numbers_in(body: bytes) -> list[int]:
    """The items of a response, whole ones."""
    text = body.decode().replace("data: ", "").replace("\n", "")
    return [int(each) for each in text.split(";")[:-1]]


def all_of(at_once, port: int) -> tuple[list[int], int]:
    """What all clients were sent, and how many of their responses came whole."""

    def ask(number: int):
        with Connection(("127.0.0.1", port)) as connection:
            return connection.exchange(request_bytes("GET", "/"))

    found = at_once(ask, CLIENTS)
    assert {answer.status for answer in found} <= {200, 500}
    for answer in found:
        mine = numbers_in(answer.body) if answer.status == 200 else []
        assert mine == sorted(mine)
    with Connection(("127.0.0.1", port)) as connection:
        assert b"well" in connection.exchange(request_bytes("GET", "/well")).body
    sent = sorted(number for answer in found if answer.status == 200 for number in numbers_in(answer.body))
    return sent, sum(answer.status == 200 and not answer.is_torn for answer in found)


@WORKERS
@pytest.mark.parametrize("kind", KINDS)
def test_items_of_a_shared_iterator_go_to_one_response_each(at_once, live, workers, kind):
    shared = Shared()
    serving = live(KINDS[kind](shared), workers=workers, log_level="off")
    assert all_of(at_once, serving.port) == (list(range(ITEMS)), CLIENTS)
    serving.stop()
    if kind != "streaming":
        # Starlette closes none.
        assert shared.closes == CLIENTS


@WORKERS
@pytest.mark.parametrize("kind", KINDS)
def test_async_generator_that_is_shared_gives_each_item_once(at_once, live, workers, kind):
    """asyncio refuses the second of two that ask it at once; that response is cut, and closes it for all."""
    serving = live(KINDS[kind](numbers()), workers=workers, log_level="off")
    sent, _ = all_of(at_once, serving.port)
    assert sent == list(range(len(sent)))
    # It is at its end, or closed.
    assert all_of(at_once, serving.port) == ([], CLIENTS)


# ---- Background tasks. ----


@WORKERS
@pytest.mark.parametrize("kind", ["def", "async"])
def test_background_tasks_added_by_many_threads_each_run_once(at_once, live, workers, kind):
    lock, ran, left = threading.Lock(), [], threading.Semaphore(0)
    app = FastAPI(openapi_url=None)

    def task(name: str, tasks: BackgroundTasks | None = None) -> None:
        with lock:
            ran.append(name)
        if tasks is not None:
            # Added while they run.
            tasks.add_task(task_later, f"{name} more")
        left.release()

    async def task_later(name: str) -> None:
        task(name)

    def add(tasks: BackgroundTasks, name: str) -> None:
        at_once(lambda number: [tasks.add_task(task, f"{name} {number} {turn}", tasks) for turn in range(5)], 4)

    @app.get("/def/{name}")
    def plain(name: str, tasks: BackgroundTasks):
        add(tasks, name)
        return name

    @app.get("/async/{name}")
    async def later(name: str, tasks: BackgroundTasks):
        await asyncio.to_thread(add, tasks, name)
        return name

    serving = live(app, workers=workers)

    def ask(number: int) -> None:
        with Connection(("127.0.0.1", serving.port)) as connection:
            for turn in range(3):
                found = connection.exchange(request_bytes("GET", f"/{kind}/{number}-{turn}"))
                assert found.body == f'"{number}-{turn}"'.encode()

    at_once(ask, 4)
    for _ in range(4 * 3 * 20 * 2):
        assert left.acquire(timeout=10)
    serving.stop()
    names = [f"{number}-{turn} {adder} {index}" for number in range(4) for turn in range(3)
             for adder in range(4) for index in range(5)]  # fmt: skip
    assert sorted(ran) == sorted([*names, *(f"{name} more" for name in names)])


@WORKERS
def test_background_task_of_many_responses_runs_after_each(at_once, live, workers):
    lock, ran = threading.Lock(), []

    def task() -> None:
        with lock:
            ran.append(1)

    app, shared = FastAPI(openapi_url=None), BackgroundTask(task)

    @app.get("/")
    def plain():
        return JSONResponse("there", background=shared)

    @app.get("/async")
    async def later():
        return JSONResponse("there", background=shared)

    serving = live(app, workers=workers)

    def ask(number: int) -> None:
        with Connection(("127.0.0.1", serving.port)) as connection:
            for turn in range(20):
                assert connection.exchange(request_bytes("GET", ("/", "/async")[turn % 2])).body == b'"there"'

    at_once(ask)
    # The drain waits for them.
    serving.stop()
    assert len(ran) == 8 * 20
