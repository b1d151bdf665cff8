"""A Starlette app: sessions, static files, streams, background tasks, uploads; WebSockets refused."""

from __future__ import annotations

import asyncio
import threading

import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from tests.support.wire import request_bytes

background_ran = threading.Event()


async def visit(request: Request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JSONResponse(request.session)


async def forget(request: Request):
    request.session.clear()
    return PlainTextResponse("gone")


async def stream(request: Request):
    async def numbers():
        for i in range(int(request.query_params["n"])):
            yield f"{i}\n"
            await asyncio.sleep(0)

    return StreamingResponse(numbers(), media_type="text/plain")


async def background(request: Request):
    return PlainTextResponse("later", background=BackgroundTask(background_ran.set))


async def upload(request: Request):
    async with request.form() as form:
        content = await form["file"].read()
        return JSONResponse({"name": form["file"].filename, "size": len(content), "note": form["note"]})


class Thing(HTTPEndpoint):
    async def get(self, request: Request):
        return JSONResponse({"id": request.path_params["id"]})

    async def put(self, request: Request):
        return JSONResponse(await request.json())


async def websocket(websocket):
    await websocket.accept()
    await websocket.send_text("never")


@pytest.fixture
def server(live, tmp_path):
    """The app, served."""
    (tmp_path / "a.txt").write_text("static text\n")
    routes = [
        Route("/visit", visit),
        Route("/forget", forget),
        Route("/stream", stream),
        Route("/background", background),
        Route("/upload", upload, methods=["POST"]),
        Route("/things/{id:int}", Thing),
        WebSocketRoute("/ws", websocket),
        Mount("/static", StaticFiles(directory=tmp_path)),
    ]
    return live(Starlette(routes=routes, middleware=[Middleware(SessionMiddleware, secret_key="not a secret")]))


@pytest.fixture
def client(server):
    with httpx.Client(base_url=server.url, timeout=20) as http:
        yield http


def test_session_lives_in_its_cookie(client):
    assert [client.get("/visit").json() for _ in range(3)] == [{"visits": 1}, {"visits": 2}, {"visits": 3}]
    assert client.get("/forget").text == "gone"
    assert client.get("/visit").json() == {"visits": 1}


def test_static_file_and_its_etag(client):
    answer = client.get("/static/a.txt")
    assert (answer.text, answer.headers["content-type"]) == ("static text\n", "text/plain; charset=utf-8")
    again = client.get("/static/a.txt", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/static/nope").status_code == 404
    assert client.head("/static/a.txt").headers["content-length"] == "12"


def test_stream_comes_whole(client):
    assert client.get("/stream?n=3000").text == "".join(f"{i}\n" for i in range(3000))


def test_background_task_runs(client):
    background_ran.clear()
    assert client.get("/background").text == "later"
    assert background_ran.wait(10)


def test_upload(client):
    answer = client.post("/upload", files={"file": ("f.bin", b"x" * 2_000_000)}, data={"note": "é"})
    assert answer.json() == {"name": "f.bin", "size": 2_000_000, "note": "é"}


def test_class_based_endpoint(client):
    assert client.get("/things/7").json() == {"id": 7}
    assert client.put("/things/7", json=[1, None]).json() == [1, None]
    refused = client.delete("/things/7")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, PUT")


def test_websocket_is_refused(server, connect):
    fields = (
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    )
    answer = connect(server).exchange(request_bytes("GET", "/ws", headers=fields))
    assert 400 <= answer.status < 600
