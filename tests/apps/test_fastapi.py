"""What FastAPI and Starlette do over HTTP, through the ASGI host: the features that ride on the server."""

import asyncio
import contextlib
import threading
import time
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from fastapi import (
    BackgroundTasks,
    Depends,
    FastAPI,
    File,
    Form,
    HTTPException,
    Request,
    Response,
    UploadFile,
    WebSocket,
)
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.sessions import SessionMiddleware


def eventually(is_so, within: float = 5.0) -> bool:
    """Wait for something that happens after an answer was sent."""
    deadline = time.monotonic() + within
    while not is_so() and time.monotonic() < deadline:
        threading.Event().wait(0.005)
    return is_so()


class Teapot(Exception):
    """Answered by a handler of the app."""


@pytest.fixture
def log():
    return []


@pytest.fixture
def application(tmp_path: Path, log):
    (tmp_path / "file.txt").write_text("0123456789")

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI):
        log.append("start")
        yield {"pool": "open"}
        log.append("stop")

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    app.add_middleware(CORSMiddleware, allow_origins=["https://a.example"], allow_methods=["PUT"])
    app.add_middleware(SessionMiddleware, secret_key="secret")
    app.mount("/static", StaticFiles(directory=tmp_path))

    @app.middleware("http")
    async def stamp(request: Request, call_next):
        response = await call_next(request)
        response.headers["x-stamp"] = request.url.path
        return response

    async def connection():
        log.append("open")
        try:
            yield "connection"
        finally:
            log.append("close")

    @app.get("/depends")
    async def depends(given: Annotated[str, Depends(connection)]):
        log.append("handle")
        return given

    @app.get("/def")
    def plain(n: int = 1):
        return {"n": n, "on_main": threading.current_thread() is threading.main_thread()}

    @app.get("/background")
    async def background(tasks: BackgroundTasks):
        tasks.add_task(log.append, "task")
        return "queued"

    @app.post("/form")
    async def form(a: Annotated[str, Form()], b: Annotated[int, Form()] = 2):
        return {"a": a, "b": b}

    @app.post("/files")
    async def files(files: Annotated[list[UploadFile], File()], note: Annotated[str, Form()]):
        return [note, *[[file.filename, file.content_type, len(await file.read())] for file in files]]

    @app.get("/stream")
    async def stream():
        async def body():
            for number in range(3):
                await asyncio.sleep(0)
                yield f"{number}\n"

        return StreamingResponse(body(), media_type="text/plain")

    @app.get("/file")
    async def file():
        return FileResponse(tmp_path / "file.txt", filename="name.txt")

    @app.get("/state")
    async def state(request: Request):
        return {"pool": request.state.pool}

    @app.get("/session")
    async def session(request: Request):
        request.session["n"] = request.session.get("n", 0) + 1
        return request.session["n"]

    @app.get("/big")
    async def big():
        return "x" * 5000

    @app.get("/fails")
    async def fails():
        raise HTTPException(418, "short and stout", headers={"x-tea": "green"})

    @app.get("/teapot")
    async def teapot():
        raise Teapot

    @app.exception_handler(Teapot)
    async def handle(request: Request, error: Teapot):
        return JSONResponse({"handled": True}, status_code=499)

    @app.get("/raises")
    async def raises():
        raise ValueError("not handled")

    @app.get("/cookie")
    async def cookie(response: Response):
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        response.status_code = 202
        return None

    @app.websocket("/ws")
    async def ws(socket: WebSocket):
        await socket.accept()

    sub = FastAPI()

    @sub.get("/in")
    async def inside(request: Request):
        return {"root": request.scope["root_path"], "url": str(request.url_for("inside").path)}

    app.mount("/sub", sub)
    return app


@pytest.fixture
def client(live, application):
    with httpx.Client(base_url=live(application).url) as client:
        yield client


def test_dependency_with_yield_is_closed_after_the_answer(client, log):
    assert client.get("/depends").json() == "connection"
    assert eventually(lambda: log == ["start", "open", "handle", "close"])


def test_def_endpoint_runs_on_a_thread(client):
    assert client.get("/def?n=3").json() == {"n": 3, "on_main": False}


def test_background_task_runs(client, log):
    assert client.get("/background").json() == "queued"
    assert eventually(lambda: "task" in log)


def test_forms_and_files(client):
    assert client.post("/form", data={"a": "x", "b": "3"}).json() == {"a": "x", "b": 3}
    assert client.post("/form", data={"b": "y"}).status_code == 422
    files = [("files", ("a.txt", b"x" * 100, "text/plain")), ("files", ("b.bin", b"y" * 2_000_000, "image/png"))]
    assert client.post("/files", files=files, data={"note": "n"}).json() == [
        "n",
        ["a.txt", "text/plain", 100],
        ["b.bin", "image/png", 2_000_000],
    ]


def test_streaming_response(client):
    answer = client.get("/stream")
    assert (answer.text, answer.headers["transfer-encoding"]) == ("0\n1\n2\n", "chunked")


def test_file_response_and_its_ranges(client):
    whole = client.get("/file")
    assert whole.text == "0123456789"
    assert "name.txt" in whole.headers["content-disposition"]
    part = client.get("/file", headers={"range": "bytes=2-4"})
    assert (part.status_code, part.text, part.headers["content-range"]) == (206, "234", "bytes 2-4/10")
    assert client.get("/file", headers={"range": "bytes=20-"}).status_code == 416
    assert client.head("/static/file.txt").headers["content-length"] == "10"
    etag = whole.headers["etag"]
    assert client.get("/static/file.txt", headers={"if-none-match": etag}).status_code in (200, 304)


def test_lifespan_state_and_sub_application(client):
    assert client.get("/state").json() == {"pool": "open"}
    assert client.get("/sub/in").json() == {"root": "/sub", "url": "/sub/in"}


def test_middleware_in_its_order(client):
    answer = client.get("/big", headers={"origin": "https://a.example"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    assert answer.headers["x-stamp"] == "/big"
    preflight = {"origin": "https://a.example", "access-control-request-method": "PUT"}
    assert client.options("/big", headers=preflight).status_code == 200
    assert [client.get("/session").json() for _ in range(3)] == [1, 2, 3]


def test_exceptions(client, capfd):
    answer = client.get("/fails")
    assert (answer.status_code, answer.json(), answer.headers["x-tea"]) == (418, {"detail": "short and stout"}, "green")
    assert (client.get("/teapot").status_code, client.get("/teapot").json()) == (499, {"handled": True})
    answer = client.get("/raises")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    # Starlette answers first, and raises afterwards.
    log = []

    def is_logged():
        log.append(capfd.readouterr().err)
        return "ValueError: not handled" in "".join(log)

    assert eventually(is_logged)


def test_cookies_and_injected_response(client):
    answer = client.get("/cookie")
    assert answer.status_code == 202
    assert answer.headers.get_list("set-cookie") == ["a=1; Path=/; SameSite=lax", "b=2; Path=/; SameSite=lax"]


def test_redirects_and_errors_of_the_framework(client):
    assert client.get("/state/").status_code == 307
    assert client.post("/state").status_code == 405
    assert client.get("/absent").json() == {"detail": "Not Found"}
    assert client.get("/openapi.json").json()["info"]["title"] == "FastAPI"


def test_lifespan_ends_with_the_server(live, application, log):
    server = live(application)
    server.stop()
    assert log == ["start", "stop"]
