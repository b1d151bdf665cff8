"""Compiled routes on a real socket: where FastAPI's own answer is not in question, how it comes about.

That the answers are FastAPI's is what tests/parity shows.
"""

import asyncio
import threading
from contextvars import ContextVar
from typing import Annotated

from fastapi import BackgroundTasks, Body, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from turboapi_rs import plans

from tests.support.wire import request_bytes

current: ContextVar[str] = ContextVar("current", default="nobody")


def direct_app() -> FastAPI:
    return FastAPI(openapi_url=None)


def test_nothing_of_the_user_runs_twice_when_a_parameter_is_wrong(live, connect):
    app, calls = direct_app(), []

    def counted():
        calls.append(1)

    @app.get("/{n}")
    async def item(n: int, c: Annotated[None, Depends(counted)]):
        return n

    connection = connect(live(app))
    assert connection.exchange(request_bytes("GET", "/x")).status == 422
    assert calls == [1], "FastAPI itself calls the dependency once before it reports the parameter"
    assert connection.exchange(request_bytes("GET", "/3")).body == b"3"
    assert calls == [1, 1]


def test_override_of_a_dependency_is_seen_while_serving(live, connect):
    app = direct_app()

    def found():
        return "own"

    @app.get("/")
    async def root(value: Annotated[str, Depends(found)]):
        return value

    connection = connect(live(app))
    assert connection.exchange(request_bytes("GET", "/")).body == b'"own"'
    app.dependency_overrides[found] = lambda: "other"
    assert connection.exchange(request_bytes("GET", "/")).body == b'"other"'
    app.dependency_overrides.clear()
    assert connection.exchange(request_bytes("GET", "/")).body == b'"own"'


def test_task_is_made_by_a_coroutine_that_does_not_wait(live, connect):
    """A coroutine without an await runs on any worker; what it asks of the loop must reach the home loop."""
    app, ran = direct_app(), threading.Event()

    async def later():
        await asyncio.sleep(0)
        ran.set()

    @app.get("/")
    async def root():
        kept.append(asyncio.create_task(later()))
        asyncio.get_running_loop().call_later(0, timers.append, 1)
        return {}

    kept: list[asyncio.Task[None]] = []
    timers: list[int] = []
    running = live(app, workers=2)
    for number in range(8):
        connection = connect(running)
        ran.clear()
        assert connection.exchange(request_bytes("GET", "/")).status == 200
        assert ran.wait(10), f"the task of request {number} did not run"


def test_def_function_finds_no_running_loop(live, connect):
    app = direct_app()

    async def gives():
        return 7

    @app.get("/")
    def root():
        return asyncio.run(gives())

    connection = connect(live(app, direct_after=2))
    for _ in range(5):
        assert connection.exchange(request_bytes("GET", "/")).body == b"7"


def test_context_of_a_def_dependency_is_its_own(live, connect):
    app = direct_app()

    def sets():
        current.set("leaked")

    async def keeps():
        current.set("kept")

    @app.get("/def")
    async def after_def(d: Annotated[None, Depends(sets)]):
        return current.get()

    @app.get("/async")
    async def after_async(d: Annotated[None, Depends(keeps)]):
        return current.get()

    @app.get("/fresh")
    async def fresh():
        return current.get()

    connection = connect(live(app))
    for path, value in (("/def", b'"nobody"'), ("/async", b'"kept"'), ("/fresh", b'"nobody"')):
        assert connection.exchange(request_bytes("GET", path)).body == value


def test_generators_are_left_once_and_in_order_whatever_happens(live, connect):
    app, log = direct_app(), []

    def outer():
        log.append("+outer")
        try:
            yield "o"
        except BaseException as error:
            log.append(f"outer saw {type(error).__name__}")
            raise
        finally:
            log.append("-outer")

    async def inner(o: Annotated[str, Depends(outer)]):
        log.append("+inner")
        try:
            yield o + "i"
        finally:
            log.append("-inner")

    @app.get("/good")
    async def good(i: Annotated[str, Depends(inner)]):
        return i

    @app.get("/refused")
    async def refused(i: Annotated[str, Depends(inner)]):
        raise HTTPException(409)

    @app.get("/broken")
    async def broken(i: Annotated[str, Depends(inner)]):
        raise ValueError("broken")

    connection = connect(live(app, log_level="off"))
    for path, status, seen in (
        ("/good", 200, []),
        ("/refused", 409, ["outer saw HTTPException"]),
        ("/broken", 500, ["outer saw ValueError"]),
    ):
        log.clear()
        assert connection.exchange(request_bytes("GET", path)).status == status
        assert log == ["+outer", "+inner", "-inner", *seen, "-outer"]


def test_handler_of_an_exception_gets_the_request(live, connect):
    app = direct_app()

    class Teapot(Exception):
        pass

    @app.exception_handler(Teapot)
    async def teapot(request: Request, error: Teapot):
        return JSONResponse({"path": request.url.path, "n": request.path_params["n"]}, status_code=418)

    @app.get("/cups/{n}")
    async def cup(n: int):
        raise Teapot

    answer = connect(live(app)).exchange(request_bytes("GET", "/cups/3"))
    assert (answer.status, answer.body) == (418, b'{"path":"/cups/3","n":"3"}')


def test_background_task_runs_after_the_answer_in_the_context_of_its_request(live, connect):
    app, seen, done = direct_app(), [], threading.Event()

    def late():
        seen.append(current.get())
        done.set()

    @app.post("/")
    async def root(tasks: BackgroundTasks):
        current.set("mine")
        tasks.add_task(late)
        return {}

    assert connect(live(app)).exchange(request_bytes("POST", "/")).status == 200
    assert done.wait(10)
    assert seen == ["mine"]


class Item(BaseModel):
    name: str
    price: float = 1.0


def test_body_is_judged_and_built_natively(live, connect):
    app = direct_app()

    @app.post("/items")
    async def create(item: Item):
        return item

    (row,) = plans.explain(app)
    assert row.kind == "direct"
    connection = connect(live(app))
    is_json = (("content-type", "application/json"),)
    answer = connection.exchange(request_bytes("POST", "/items", headers=is_json, body=b'{"price":"x"}'))
    assert answer.status == 422
    assert answer.body.startswith(b'{"detail":[{"type":"missing","loc":["body","name"]')
    answer = connection.exchange(request_bytes("POST", "/items", headers=is_json, body=b'{"name":"a"}'))
    assert (answer.status, answer.body) == (200, b'{"name":"a","price":1.0}')


def test_route_added_while_serving_is_found(live, connect):
    app = direct_app()

    @app.get("/old")
    async def old():
        return "old"

    async def new():
        return "new"

    connection = connect(live(app))
    assert connection.exchange(request_bytes("GET", "/new")).status == 404
    app.add_api_route("/new", new)
    assert connection.exchange(request_bytes("GET", "/new")).body == b'"new"'


def test_task_keeps_its_running_loop_when_the_plan_drives_a_coroutine(live, connect):
    app = direct_app()

    async def found():
        yield "x"

    @app.post("/bodies")
    async def bodies(a: Annotated[list[int], Body()], b: Annotated[int, Body(validate_default=True)] = 2):
        await asyncio.sleep(0)
        return [sum(a) + b, asyncio.get_running_loop() is asyncio.current_task().get_loop()]

    @app.get("/left")
    async def left(value: Annotated[str, Depends(found)]):
        background = BackgroundTasks()
        background.add_task(after)
        return JSONResponse(value, background=background)

    async def after():
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())

    loops: list[asyncio.AbstractEventLoop] = []
    assert {row.kind for row in plans.explain(app)} == {"direct"}
    connection = connect(live(app))
    body = b'{"a": [1, 2]}'
    request = request_bytes("POST", "/bodies", headers=(("content-type", "application/json"),), body=body)
    for _ in range(2):
        assert connection.exchange(request).body == b"[5,true]"
        assert connection.exchange(request_bytes("GET", "/left")).body == b'"x"'
    assert loops
