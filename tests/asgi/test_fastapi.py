"""FastAPI through the ASGI host: what rides on HTTP and on the order of things, beyond what the referee compares."""

import asyncio
import contextlib
import threading
import time
from typing import Annotated

import httpx
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, File, Form, HTTPException, Request, UploadFile
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse

from tests.asgi.apps import Seen
from tests.support.wire import request_bytes


@pytest.fixture
def client(live):
    """Serves an app; gives an HTTP client for it."""
    with contextlib.ExitStack() as stack:

        def start(app, **settings):
            return stack.enter_context(httpx.Client(base_url=live(app, **settings).url, timeout=20))

        yield start


def test_dependency_with_yield_ends_after_the_answer(live, connect):
    seen, app = Seen(), FastAPI()

    async def session():
        seen.put("enter")
        yield "s"
        seen.put("exit")

    @app.get("/")
    async def root(s: Annotated[str, Depends(session)]):
        async def lines():
            seen.put("first line")
            yield s
            seen.put("last line")

        return StreamingResponse(lines())

    assert connect(live(app)).exchange(request_bytes("GET", "/")).body == b"s"
    assert [seen.next() for _ in range(4)] == ["enter", "first line", "last line", "exit"]


def test_dependency_with_yield_ends_when_the_client_leaves(live, connect):
    seen, app = Seen(), FastAPI()

    async def session():
        try:
            yield "s"
        finally:
            seen.put("exit")

    @app.get("/")
    async def root(s: Annotated[str, Depends(session)]):
        async def lines():
            try:
                while True:
                    yield s * 1000
                    await asyncio.sleep(0.01)
            finally:
                seen.put("closed")

        return StreamingResponse(lines())

    connection = connect(live(app))
    connection.send(request_bytes("GET", "/"))
    assert connection.read_some()
    connection.close()
    assert {seen.next(), seen.next()} == {"closed", "exit"}


def test_sync_generator_is_left_when_the_client_leaves(live, connect):
    given, app = [], FastAPI()

    @app.get("/")
    def root():
        def lines():
            while True:
                given.append(1)
                yield b"x" * 100_000
                time.sleep(0.005)

        return StreamingResponse(lines())

    connection = connect(live(app))
    connection.send(request_bytes("GET", "/"))
    assert connection.read_some()
    connection.close()
    before = -1
    deadline = time.monotonic() + 10
    while before != len(given) and time.monotonic() < deadline:
        before = len(given)
        time.sleep(0.3)
    assert before == len(given), "nobody listens, and yet it goes on"


def test_background_task_does_not_hold_the_answer(client):
    app, let_go, done = FastAPI(), threading.Event(), threading.Event()

    def task():
        let_go.wait(10)
        done.set()

    @app.get("/")
    def root(tasks: BackgroundTasks):
        tasks.add_task(task)
        return {"answered": True}

    @app.get("/other")
    async def other():
        return {"other": True}

    http = client(app)
    assert http.get("/").json() == {"answered": True}
    assert not done.is_set()
    assert http.get("/other").json() == {"other": True}
    let_go.set()
    assert done.wait(10)


def test_form_with_files_in_many_pieces(client):
    app = FastAPI()

    @app.post("/")
    async def take(note: Annotated[str, Form()], small: Annotated[bytes, File()], large: UploadFile):
        content = await large.read()
        return {
            "note": note,
            "small": len(small),
            "large": len(content),
            "sum": sum(content) % 65521,
            "name": large.filename,
        }

    data = bytes(range(256)) * 20_000
    files = {"small": b"abc", "large": ("big.bin", data)}
    answer = client(app).post("/", data={"note": "é"}, files=files)
    assert answer.json() == {"note": "é", "small": 3, "large": len(data), "sum": sum(data) % 65521, "name": "big.bin"}


@pytest.mark.parametrize(
    ("value", "status", "body"),
    [
        ("bytes=0-9", 206, bytes(range(10))),
        ("bytes=-3", 206, bytes([253, 254, 255])),
        ("bytes=100000-", 416, b""),
    ],
)
def test_file_with_a_range(client, tmp_path, value, status, body):
    (tmp_path / "f.bin").write_bytes(bytes(range(256)) * 300)
    app = FastAPI()
    app.get("/", response_class=FileResponse)(lambda: tmp_path / "f.bin")
    answer = client(app).get("/", headers={"range": value})
    assert (answer.status_code, answer.content) == (status, body)


def test_file_of_20_mb_comes_whole(client, tmp_path):
    data = bytes(range(256)) * 80_000
    (tmp_path / "f.bin").write_bytes(data)
    app = FastAPI()
    app.get("/", response_class=FileResponse)(lambda: tmp_path / "f.bin")
    assert client(app).get("/").content == data


def test_middleware_runs_in_order_and_sees_streams(client):
    app, order = FastAPI(), []
    app.add_middleware(GZipMiddleware, minimum_size=10)

    @app.middleware("http")
    async def outer(request: Request, call_next):
        order.append("in")
        response = await call_next(request)
        order.append("out")
        response.headers["x-outer"] = "1"
        return response

    @app.get("/")
    async def root():
        order.append("handler")
        return StreamingResponse((f"line {i}\n" * 100 for i in range(20)), media_type="text/plain")

    answer = client(app).get("/")
    assert answer.text == "".join(f"line {i}\n" * 100 for i in range(20))
    assert (answer.headers["content-encoding"], answer.headers["x-outer"]) == ("gzip", "1")
    assert order == ["in", "handler", "out"]


def test_sub_application_has_its_own_handlers(client):
    app, sub = FastAPI(), FastAPI()

    @sub.exception_handler(KeyError)
    async def handle(request: Request, error: KeyError):
        return JSONResponse({"handled": str(error), "root": request.scope["root_path"]}, 418)

    @sub.get("/x")
    async def x():
        raise KeyError("k")

    app.mount("/sub", sub)
    answer = client(app).get("/sub/x")
    assert (answer.status_code, answer.json()) == (418, {"handled": "'k'", "root": "/sub"})


def test_exception_handlers_and_validation_errors(client):
    app = FastAPI()

    @app.exception_handler(ZeroDivisionError)
    async def handle(request: Request, error: ZeroDivisionError):
        return JSONResponse({"divided": "by zero"}, 422)

    @app.get("/{n}")
    def divide(n: int):
        if n < 0:
            raise HTTPException(403, "negative", headers={"x-why": "sign"})
        return 1 / n

    http = client(app)
    assert http.get("/4").json() == 0.25
    assert http.get("/0").json() == {"divided": "by zero"}
    refused = http.get("/-1")
    assert (refused.status_code, refused.headers["x-why"]) == (403, "sign")
    assert http.get("/x").json()["detail"][0]["type"] == "int_parsing"


def test_lifespan_state_reaches_requests(client):
    closed = threading.Event()

    @contextlib.asynccontextmanager
    async def lifespan(app):
        lock = asyncio.Lock()
        yield {"lock": lock, "loop": asyncio.get_running_loop()}
        closed.set()

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def root(request: Request):
        async with request.state.lock:
            return {"same loop": request.state.loop is asyncio.get_running_loop()}

    http = client(app)
    assert http.get("/").json() == {"same loop": True}
    assert not closed.is_set()


def test_def_routes_run_at_once(client, live):
    app = FastAPI()
    together = threading.Barrier(8, timeout=10)

    @app.get("/")
    def root():
        together.wait()
        return threading.current_thread().name

    url = live(app).url
    with contextlib.ExitStack() as stack:
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(httpx.get(url + "/", timeout=20))) for _ in range(8)]
        for thread in threads:
            thread.start()
        stack.callback(lambda: [thread.join() for thread in threads])
    assert [answer.status_code for answer in answers] == [200] * 8


def test_slow_def_route_does_not_hold_others(client, live):
    app, let_go, begun = FastAPI(), threading.Event(), threading.Semaphore(0)

    @app.get("/slow")
    def slow():
        begun.release()
        let_go.wait(100)
        return "slow"

    @app.get("/fast")
    async def fast():
        return "fast"

    url = live(app).url
    slow_answers = []
    threads = [
        threading.Thread(target=lambda: slow_answers.append(httpx.get(url + "/slow", timeout=110))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    try:
        # No clock: twenty clients start beside it. All slow calls run, and none ends before the last fast answer is there.
        assert all(begun.acquire(timeout=60) for _ in threads)
        for _ in range(20):
            assert httpx.get(url + "/fast", timeout=20).json() == "fast"
        assert slow_answers == []
    finally:
        let_go.set()
        for thread in threads:
            thread.join()
    assert [answer.json() for answer in slow_answers] == ["slow"] * 20


def test_request_is_disconnected_tells_the_truth(live, connect):
    # Without `@app.middleware("http")`, under which Starlette's own `is_disconnected` stays false.
    seen, app = Seen(), FastAPI()

    @app.get("/")
    async def root(request: Request):
        seen.put(await request.is_disconnected())
        while not await request.is_disconnected():
            await asyncio.sleep(0.01)
        seen.put(True)

    connection = connect(live(app))
    connection.send(request_bytes("GET", "/"))
    assert seen.next() is False
    connection.close()
    assert seen.next() is True
