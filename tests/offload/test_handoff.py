"""anyio's hand-off of functions to threads, from tasks of a stepped loop: what function and caller can observe."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import json
import sqlite3
import threading
import time
import traceback
import urllib.request
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from anyio._backends._asyncio import AsyncIOBackend
from fastapi import BackgroundTasks, Depends, FastAPI, Request, UploadFile
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.testclient import TestClient
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from turboapi_rs import handoff

from tests.offload.waiting import until
from tests.support.wire import request_bytes

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


def as_asgi(app: Any) -> Any:
    """Hide what an application is, so that none of its routes is compiled."""

    async def hidden(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return hidden


@pytest.fixture
def on_loop(live, connect) -> Callable[..., Any]:
    """Run a coroutine function in a task of a server's loop; gives what it returned."""

    def run(body: Callable[[], Awaitable[Any]], **settings: Any) -> Any:
        found: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            assert scope["type"] == "http"
            try:
                found.append(await body())
            except BaseException as error:
                found.append(error)
            await send({"type": "http.response.start", "status": 204})
            await send({"type": "http.response.body"})

        connection = connect(live(app, lifespan="off", **settings), timeout=60.0)
        assert connection.exchange(request_bytes("GET", "/")).status == 204
        if isinstance(found[0], BaseException):
            raise found[0]
        return found[0]

    return run


def on_pool() -> bool:
    """True on a thread of the server's pool, by the name that the kernel knows it by."""
    return Path(f"/proc/self/task/{threading.get_native_id()}/comm").read_text().startswith("turboapi-off")


def test_function_runs_on_the_pool_with_a_copy_of_the_context(on_loop):
    def function(number: int) -> tuple[bool, str, int]:
        before = VARIABLE.get()
        VARIABLE.set("leaked")
        return on_pool() and threading.get_ident() != loop_thread[0], before, number

    loop_thread = []

    async def body() -> Any:
        loop_thread.append(threading.get_ident())
        VARIABLE.set("of the task")
        return await anyio.to_thread.run_sync(function, 7), VARIABLE.get()

    assert on_loop(body) == ((True, "of the task", 7), "of the task")


def test_exception_reaches_its_caller_with_its_traceback(on_loop):
    def failing() -> None:
        raise LookupError("the reason")

    async def body() -> Any:
        try:
            await run_in_threadpool(failing)
        except LookupError as error:
            return "".join(traceback.format_exception(error))

    told = on_loop(body)
    assert "LookupError: the reason" in told
    assert "in failing" in told
    assert "in body" in told


def test_stop_iteration_becomes_a_runtime_error_with_its_cause(on_loop):
    async def body() -> Any:
        await anyio.to_thread.run_sync(next, iter([]))

    with pytest.raises(RuntimeError, match="coroutine raised StopIteration") as raised:
        on_loop(body)
    assert isinstance(raised.value.__cause__, StopIteration)


def test_function_may_call_back_into_the_loop(on_loop):
    async def on_the_loop(value: int) -> tuple[int, bool]:
        await asyncio.sleep(0)
        return value + 1, asyncio.get_running_loop() is loops[0]

    def function() -> Any:
        return (
            anyio.from_thread.run(on_the_loop, 1),
            anyio.from_thread.run_sync(threading.get_ident) == threads[0],
            anyio.from_thread.run(anyio.to_thread.run_sync, on_pool),
        )

    loops, threads = [], []

    async def body() -> Any:
        loops.append(asyncio.get_running_loop())
        threads.append(threading.get_ident())
        return await anyio.to_thread.run_sync(function)

    assert on_loop(body) == ((2, True), True, True)


def test_thread_is_no_anyio_worker_once_the_function_has_returned(on_loop, live, connect):
    def calls_back() -> None:
        anyio.from_thread.run(anyio.sleep, 0)

    async def body() -> Any:
        await anyio.to_thread.run_sync(calls_back)
        try:
            calls_back()
        except anyio.NoEventLoopError:
            return "no worker"
        return "a worker"

    assert on_loop(body, offload_threads=1) == "no worker"


def test_no_async_library_is_found_inside_the_function(on_loop):
    def function() -> str:
        try:
            anyio.get_cancelled_exc_class()
        except anyio.NoEventLoopError:
            return "none"
        return "one"

    async def body() -> Any:
        return await anyio.to_thread.run_sync(function)

    assert on_loop(body) == "none"


def test_cancelled_scope_waits_for_the_function_and_then_gives_its_end(on_loop):
    began, gate = threading.Event(), threading.Event()
    order = []

    def function() -> str:
        began.set()
        assert gate.wait(60)
        order.append("function")
        return "done"

    async def body() -> Any:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def cancel() -> None:
                    while not began.is_set():
                        await asyncio.sleep(0.001)
                    scope.cancel()
                    gate.set()

                group.start_soon(cancel)
                order.append(await anyio.to_thread.run_sync(function))
                await anyio.sleep(0)
                order.append("not reached")
        return order, scope.cancelled_caught

    assert on_loop(body) == (["function", "done"], True)


def test_abandoned_function_is_left_behind_by_its_cancelled_caller(on_loop):
    began, gate, ended = threading.Event(), threading.Event(), threading.Event()

    def function() -> None:
        began.set()
        assert gate.wait(60)
        ended.set()

    async def body() -> Any:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def cancel() -> None:
                    while not began.is_set():
                        await asyncio.sleep(0.001)
                    scope.cancel()

                group.start_soon(cancel)
                await anyio.to_thread.run_sync(function, abandon_on_cancel=True)
        left = not ended.is_set()
        gate.set()
        return left, scope.cancelled_caught

    assert on_loop(body) == (True, True)
    assert ended.wait(60)


def test_function_sees_that_its_caller_was_cancelled(on_loop):
    def function() -> str:
        began.set()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            anyio.from_thread.check_cancelled()
            time.sleep(0.001)
        return "never told"

    began = threading.Event()

    async def body() -> Any:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def cancel() -> None:
                    while not began.is_set():
                        await asyncio.sleep(0.001)
                    scope.cancel()

                group.start_soon(cancel)
                return await anyio.to_thread.run_sync(function)
        return "cancelled"

    assert on_loop(body) == "cancelled"


@pytest.mark.parametrize("by", ["scope", "task"])
def test_function_of_a_caller_that_is_cancelled_already_is_not_called(on_loop, by):
    calls: list[int] = []

    async def body() -> Any:
        if by == "scope":
            with anyio.CancelScope() as scope:
                scope.cancel()
                await anyio.to_thread.run_sync(calls.append, 1)
        else:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await anyio.to_thread.run_sync(calls.append, 1)
            task.uncancel()
        return await anyio.to_thread.run_sync(lambda: list(calls))

    assert on_loop(body) == []


def test_cancelled_task_leaves_and_the_result_is_dropped(on_loop):
    began, gate = threading.Event(), threading.Event()

    def function() -> None:
        began.set()
        assert gate.wait(60)

    async def body() -> Any:
        task = asyncio.create_task(run_in_threadpool(function))
        while not began.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.set()
        return await run_in_threadpool(lambda: "next")

    assert on_loop(body) == "next"


@pytest.mark.parametrize("limit", ["argument", "default"])
def test_limiter_of_the_application_is_respected(on_loop, limit):
    running, most, lock = 0, 0, threading.Lock()

    def function() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    async def body() -> Any:
        limiter = anyio.CapacityLimiter(2) if limit == "argument" else None
        if limit == "default":
            anyio.to_thread.current_default_thread_limiter().total_tokens = 2
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(functools.partial(anyio.to_thread.run_sync, function, limiter=limiter))
        return most

    assert on_loop(body) == 2


def test_no_limit_of_forty_when_the_application_set_none(on_loop):
    everyone = threading.Barrier(60)

    async def body() -> Any:
        assert anyio.to_thread.current_default_thread_limiter().total_tokens == 40
        met = await asyncio.gather(*(run_in_threadpool(everyone.wait, 60) for _ in range(60)))
        return sorted(met)

    assert on_loop(body) == list(range(60))


def test_functions_that_the_pool_refuses_run_on_threads_of_anyio(on_loop):
    begun, gate = threading.Event(), threading.Event()

    def hold() -> bool:
        begun.set()
        assert gate.wait(60)
        return on_pool()

    async def body() -> Any:
        held = asyncio.create_task(run_in_threadpool(hold))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        elsewhere = await asyncio.gather(*(run_in_threadpool(on_pool) for _ in range(5)))
        gate.set()
        return await held, elsewhere

    assert on_loop(body, offload_threads=1, offload_queue=0) == (True, [False] * 5)


def test_iterator_is_pulled_on_the_pool_item_by_item(on_loop):
    async def body() -> Any:
        return [item async for item in iterate_in_threadpool(iter(on_pool() for _ in range(3)))]

    assert on_loop(body) == [True] * 3


def test_files_of_anyio_work(on_loop, tmp_path):
    async def body() -> Any:
        async with await anyio.open_file(tmp_path / "file", "w") as file:
            await file.write("text")
        return await anyio.Path(tmp_path / "file").read_text(), [
            path.name async for path in anyio.Path(tmp_path).iterdir()
        ]

    assert on_loop(body) == ("text", ["file"])


def test_many_functions_at_once_give_each_its_own_result(on_loop):
    async def body() -> Any:
        return await asyncio.gather(*(run_in_threadpool(lambda n=n: n) for n in range(2_000)))

    assert on_loop(body, offload_threads=8) == list(range(2_000))


def test_starlette_and_fastapi_hand_everything_to_the_pool(live, connect, tmp_path):
    (tmp_path / "file.txt").write_text("from a file")
    seen: list[tuple[str, bool]] = []
    app = FastAPI()

    def dependency() -> Any:
        seen.append(("dependency", on_pool()))
        yield sqlite3.connect(":memory:", check_same_thread=False)
        seen.append(("its end", on_pool()))

    @app.get("/route")
    def route(tasks: BackgroundTasks, database: Any = Depends(dependency)) -> dict[str, Any]:
        seen.append(("route", on_pool()))
        tasks.add_task(lambda: seen.append(("background", on_pool())))
        return {"one": database.execute("select 1").fetchone()[0]}

    @app.get("/file")
    def file() -> FileResponse:
        return FileResponse(tmp_path / "file.txt")

    @app.get("/stream")
    def stream() -> StreamingResponse:
        return StreamingResponse(str(number) for number in range(5))

    @app.post("/upload")
    async def upload(file: UploadFile) -> dict[str, Any]:
        return {"text": (await file.read()).decode()}

    @app.get("/raises")
    def raises() -> None:
        raise LookupError("the reason")

    @app.exception_handler(LookupError)
    def handled(request: Request, error: LookupError) -> Any:
        from fastapi.responses import JSONResponse

        return JSONResponse({"told": str(error), "pool": on_pool()}, 418)

    connection = connect(live(as_asgi(app)))
    assert json.loads(connection.exchange(request_bytes("GET", "/route")).body) == {"one": 1}
    assert connection.exchange(request_bytes("GET", "/file")).body == b"from a file"
    assert connection.exchange(request_bytes("GET", "/stream")).body == b"01234"
    form = (
        b'--x\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n'
        + b"y" * 2_000_000
        + b"\r\n--x--\r\n"
    )
    typed = (("content-type", "multipart/form-data; boundary=x"),)
    uploaded = connection.exchange(request_bytes("POST", "/upload", headers=typed, body=form), "POST")
    assert json.loads(uploaded.body) == {"text": "y" * 2_000_000}
    told = connection.exchange(request_bytes("GET", "/raises"))
    assert (told.status, json.loads(told.body)) == (418, {"told": "the reason", "pool": True})
    # What comes after the answer may come later.
    until(lambda: len(dict(seen)) == 4)
    assert dict(seen) == dict.fromkeys(("dependency", "route", "its end", "background"), True)


def test_other_loops_of_the_process_keep_the_hand_off_of_anyio(live, connect):
    app = FastAPI()
    app.get("/")(lambda: on_pool())
    running = live(as_asgi(app))
    with TestClient(app) as client:
        assert client.get("/").json() is False
        assert connect(running).exchange(request_bytes("GET", "/")).body == b"true"
        assert client.get("/").json() is False
    assert anyio.run(anyio.to_thread.run_sync, on_pool) is False


@pytest.mark.once
def test_hand_off_of_anyio_is_put_back_when_the_last_server_ends():
    from turboapi_rs.testing import LiveServer

    app = as_asgi(FastAPI())
    original = AsyncIOBackend.__dict__["run_sync_in_worker_thread"]
    with LiveServer(app, lifespan="off"):
        assert AsyncIOBackend.__dict__["run_sync_in_worker_thread"] is not original
        with LiveServer(app, lifespan="off"):
            pass
        assert AsyncIOBackend.__dict__["run_sync_in_worker_thread"] is not original
    assert AsyncIOBackend.__dict__["run_sync_in_worker_thread"] is original


@pytest.mark.once
def test_loop_is_freed_with_its_server():
    from turboapi_rs.testing import LiveServer

    loops: list[weakref.ref[Any]] = []
    app = FastAPI()

    @app.get("/")
    async def route() -> str:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        return await run_in_threadpool(str)

    with LiveServer(as_asgi(app)) as live:
        urllib.request.urlopen(live.url).read()
    # The thread of the pool that made the call, and holds the loop's token meanwhile, may have its last steps to take.
    deadline = time.monotonic() + 20
    while [loop() for loop in loops] != [None] and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert [loop() for loop in loops] == [None]


@pytest.mark.once
@pytest.mark.parametrize("unknown", ["version", "attribute"])
def test_anyio_that_is_not_known_is_left_alone(monkeypatch, live, connect, unknown):
    if unknown == "version":
        monkeypatch.setattr(handoff.importlib.metadata, "version", lambda name: "5.0.0")
    else:
        monkeypatch.delattr("anyio._backends._asyncio._default_thread_limiter", raising=True)
    original = AsyncIOBackend.__dict__["run_sync_in_worker_thread"]
    app = FastAPI()
    app.get("/")(lambda: "ok")
    running = live(as_asgi(app))
    assert AsyncIOBackend.__dict__["run_sync_in_worker_thread"] is original
    monkeypatch.undo()
    assert connect(running).exchange(request_bytes("GET", "/")).body == b'"ok"'
