"""Files as responses of ASGI applications: `http.response.pathsend`, and Starlette's FileResponse through it."""

from __future__ import annotations

import asyncio
import hashlib
import os

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import FileResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tests.asgi.apps import Seen, body, http, start
from tests.support.wire import request_bytes

MIB = 1024 * 1024
PATHSEND = "http.response.pathsend"


@pytest.fixture
def large(tmp_path):
    """A file of 5 MiB and a bit, whose bytes tell where they lie."""
    path = tmp_path / "large.bin"
    path.write_bytes(b"".join(i.to_bytes(8, "big") for i in range((5 * MIB + 800) // 8)))
    return path


def sending(path, headers=None):
    """An application that answers with one file."""

    @http
    async def app(scope, receive, send):
        assert PATHSEND in scope["extensions"]
        await start(send, headers=headers)
        await send({"type": PATHSEND, "path": str(path)})

    return app


def test_file_is_sent_whole_with_its_length(live, connect, large):
    connection = connect(live(sending(large)))
    for _ in range(2):
        answer = connection.exchange(request_bytes("GET", "/"))
        assert (answer.status, answer.framing, answer.is_torn) == (200, "length", False)
        assert answer.body == large.read_bytes()


def test_empty_file_is_an_empty_body(live, connect, tmp_path):
    (tmp_path / "empty").touch()
    connection = connect(live(sending(tmp_path / "empty")))
    for _ in range(2):
        answer = connection.exchange(request_bytes("GET", "/"))
        assert (answer.status, answer.header("content-length"), answer.body) == (200, "0", b"")


def test_file_on_http_1_0_is_sent_whole(live, connect, large):
    connection = connect(live(sending(large)))
    connection.send(b"GET / HTTP/1.0\r\n\r\n")
    answer = connection.read_answer()
    assert (answer.framing, answer.body) == ("length", large.read_bytes())
    assert connection.is_closed_by_peer()


def test_head_gets_the_length_and_no_body(live, connect, large):
    connection = connect(live(sending(large)))
    answer = connection.exchange(request_bytes("HEAD", "/"), "HEAD")
    assert (answer.header("content-length"), answer.body) == (str(large.stat().st_size), b"")
    assert connection.exchange(request_bytes("GET", "/")).body == large.read_bytes()


def test_pipelined_requests_get_the_file_each_in_turn(live, connect, large):
    connection = connect(live(sending(large)))
    connection.send(request_bytes("GET", "/1") * 3)
    for _ in range(3):
        assert connection.read_answer().body == large.read_bytes()


def test_announced_length_bounds_a_file_that_grew(live, connect, large):
    app = sending(large, [(b"content-length", b"1000")])
    connection = connect(live(app))
    for _ in range(2):
        assert connection.exchange(request_bytes("GET", "/")).body == large.read_bytes()[:1000]


@pytest.mark.parametrize("case", ["missing", "folder", "relative", "shorter than announced", "before start"])
def test_file_that_cannot_be_sent_is_a_500(live, connect, tmp_path, large, case):
    seen = Seen()
    path = {"missing": tmp_path / "none", "folder": tmp_path, "relative": "large.bin"}.get(case, large)

    @http
    async def app(scope, receive, send):
        if case != "before start":
            length = [(b"content-length", b"99999999")] if case.startswith("shorter") else []
            await start(send, headers=length)
        try:
            await send({"type": PATHSEND, "path": str(path)})
        except Exception as error:
            seen.put(type(error))
            raise

    answer = connect(live(app)).exchange(request_bytes("GET", "/"))
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    expected = {"missing": FileNotFoundError, "folder": OSError, "relative": ValueError}.get(case, RuntimeError)
    assert issubclass(seen.next(), expected)


def test_nothing_may_follow_a_file(live, connect, large):
    seen = Seen()

    @http
    async def app(scope, receive, send):
        await start(send)
        await send({"type": PATHSEND, "path": str(large)})
        try:
            await body(send, b"more")
        except RuntimeError as error:
            seen.put(str(error))

    assert connect(live(app)).exchange(request_bytes("GET", "/")).body == large.read_bytes()
    assert "complete" in seen.next()


def test_send_returns_when_the_file_is_sent(live, connect, tmp_path):
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(64 * MIB)
    seen = Seen()

    @http
    async def app(scope, receive, send):
        await start(send)
        await send({"type": PATHSEND, "path": str(path)})
        seen.put("sent")

    connection = connect(live(app), receive_buffer_bytes=4096)
    connection.send(request_bytes("GET", "/"))
    head, got = connection.read_some().split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200")
    assert seen.empty()
    left = 64 * MIB - len(got)
    while left:
        left -= len(connection.read_some())
    assert seen.next() == "sent"


def test_file_cut_short_while_sent_closes_without_looking_whole(live, connect, tmp_path):
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(64 * MIB)
    connection = connect(live(sending(path)), receive_buffer_bytes=4096)
    connection.send(request_bytes("GET", "/"))
    first = connection.read_some()
    assert first.startswith(b"HTTP/1.1 200")
    os.truncate(path, 1000)
    got = len(first) + len(connection.read_to_end())
    assert got < 64 * MIB


@pytest.mark.parametrize("how", ["close", "reset"])
def test_client_that_leaves_ends_the_sending(live, connect, tmp_path, how):
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(64 * MIB)
    seen = Seen()

    @http
    async def app(scope, receive, send):
        await start(send)
        await send({"type": PATHSEND, "path": str(path)})
        seen.put("left")

    server = live(app)
    connection = connect(server, receive_buffer_bytes=4096)
    connection.send(request_bytes("GET", "/"))
    connection.read_some()
    getattr(connection, how)()
    assert seen.next() == "left"
    assert f"{path}" not in [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_link(fd)]


def _is_link(fd):
    try:
        return bool(os.readlink(f"/proc/self/fd/{fd}"))
    except OSError:
        return False


def test_slow_reader_holds_up_nobody(live, connect, tmp_path):
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(64 * MIB)

    @http
    async def app(scope, receive, send):
        await start(send)
        if scope["path"] == "/file":
            await send({"type": PATHSEND, "path": str(path)})
        else:
            await body(send, b"ok")

    server = live(app)
    slow = [connect(server, receive_buffer_bytes=4096) for _ in range(8)]
    for connection in slow:
        connection.send(request_bytes("GET", "/file"))
        connection.read_some()
    other = connect(server)
    for _ in range(10):
        assert other.exchange(request_bytes("GET", "/")).body == b"ok"


# Starlette's own responses, natively.


@pytest.fixture
def app(tmp_path, large):
    seen = Seen()

    async def file(request):
        return FileResponse(large, filename="näme.bin", background=BackgroundTask(seen.put, "background"))

    made = Starlette(routes=[Route("/file", file), Mount("/static", StaticFiles(directory=tmp_path))])
    made.seen = seen
    return made


def test_file_response_is_answered_and_its_background_runs_after(live, connect, app, large):
    connection = connect(live(app))
    answer = connection.exchange(request_bytes("GET", "/file"))
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(large.read_bytes()).digest()
    assert answer.header("content-disposition") == "attachment; filename*=utf-8''n%C3%A4me.bin"
    assert answer.header("etag")
    assert answer.header("accept-ranges") == "bytes"
    assert app.seen.next() == "background"


@pytest.mark.parametrize(
    ("field", "status", "start", "stop"),
    [
        ("bytes=0-9", 206, 0, 10),
        ("bytes=100-", 206, 100, None),
        ("bytes=-7", 206, -7, None),
        ("bytes=99999999-", 416, None, None),
        ("bytes=x", 400, None, None),
    ],
)
def test_ranges_are_answered_as_starlette_does(live, connect, app, large, field, status, start, stop):
    connection = connect(live(app))
    answer = connection.exchange(request_bytes("GET", "/file", headers=(("range", field),)))
    assert answer.status == status
    if status == 206:
        assert answer.body == large.read_bytes()[start:stop]


def test_static_files_of_starlette_are_sent(live, connect, app, large):
    connection = connect(live(app))
    answer = connection.exchange(request_bytes("GET", "/static/large.bin"))
    assert answer.body == large.read_bytes()
    again = connection.exchange(
        request_bytes("GET", "/static/large.bin", headers=(("if-none-match", answer.header("etag")),))
    )
    assert (again.status, again.body) == (304, b"")
    assert connection.exchange(request_bytes("GET", "/static/none")).status == 404


def test_many_at_once_get_their_own_file(live, connect, tmp_path):
    paths = []
    for number in range(6):
        path = tmp_path / f"{number}.bin"
        path.write_bytes(bytes([number]) * (700_000 + number))
        paths.append(path)

    @http
    async def app(scope, receive, send):
        await asyncio.sleep(0)
        await start(send)
        await send({"type": PATHSEND, "path": str(paths[int(scope["path"][1:])])})

    server = live(app)
    connections = [connect(server) for _ in paths]
    for number, connection in enumerate(connections):
        connection.send(request_bytes("GET", f"/{number}"))
    for number, connection in enumerate(connections):
        assert connection.read_answer().body == paths[number].read_bytes()
