"""`Server` from Python: started, stopped, started again; what is refused when it is declared."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import typing
from typing import Annotated

import pytest
from turboapi_rs import ConfigError, RouteError, Server, ServerConfig, StartupError, serve
from turboapi_rs.testing import LiveServer

from tests.conftest import DRIVER, WORKERS
from tests.support.wire import Connection, NoAnswer, request_bytes

GET = request_bytes("GET", "/")
LEG = {"port": 0, "driver": DRIVER, "workers": WORKERS}


def hello() -> Server:
    server = Server()
    server.route("GET", "/", lambda: "hello")
    return server


def ask(server: Server, path: str = "/") -> bytes:
    address, port = server.url.removeprefix("http://").rsplit(":", 1)
    with Connection((address, int(port))) as connection:
        return connection.exchange(request_bytes("GET", path)).body


def test_start_returns_when_requests_are_answered():
    server = hello()
    with server.start(**LEG) as same:
        assert same is server
        assert server.is_running
        assert server.url == f"http://{server.addresses[0]}"
        assert ask(server) == b"hello"
    assert not server.is_running


def test_with_block_alone_starts_with_the_usual_settings_unless_started():
    with hello().start(ServerConfig(**LEG)) as server:
        url = server.url
        server.__enter__()
        assert server.url == url


def test_stop_begins_the_drain_and_join_waits_for_its_end():
    server, gate = Server(), threading.Event()

    def wait():
        entered.set()
        gate.wait(30)
        return "done"

    entered = threading.Event()
    server.route("GET", "/", wait)
    server.start(**LEG)
    with Connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1]))) as connection:
        connection.send(GET)
        assert entered.wait(30)
        server.stop()
        assert server.join(timeout=0.05) is False
        gate.set()
        assert connection.read_answer().body == b"done"
    assert server.join() is True
    assert server.join(timeout=1) is True


def test_ended_server_takes_routes_and_starts_again():
    server = hello()
    for number in range(3):
        with server.start(**LEG):
            assert ask(server) == b"hello"
            with pytest.raises(RuntimeError, match="started already"):
                server.route("GET", "/more", lambda: "more")
            with pytest.raises(RuntimeError, match="started already"):
                server.start(**LEG)
        server.static_response(f"/{number}", str(number))
    with server.start(**LEG):
        assert ask(server, "/2") == b"2"


def test_failed_start_leaves_the_server_as_it_was():
    server = hello()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for start in (server.start, lambda **settings: serve(server, **settings), server.run):
            with pytest.raises(OSError, match="Address already in use"):
                start(**{**LEG, "port": port})
            assert not server.is_running
        with pytest.raises(OSError, match="Address already in use"), LiveServer(server, **{**LEG, "port": port}):
            pass
    server.route("GET", "/more", lambda: "more")
    with pytest.raises(ConfigError, match="max_body"):
        server.start(max_body="abc")
    with server.start(**{**LEG, "port": port}):
        assert ask(server, "/more") == b"more"


def test_failed_installation_leaves_the_server_as_it_was():
    server = hello()
    server.route("GET", "/a/{x:decimal}", lambda x: x)
    with pytest.raises(ValueError, match=r'route GET /a/{x:decimal} .*: no convertor is named "decimal"'):
        server.start(**LEG)
    server.static_response("/ok", "ok")
    assert not server.is_running


def test_url_before_the_start_is_an_error_and_stop_and_join_are_none():
    server = hello()
    with pytest.raises(RuntimeError, match="not started"):
        _ = server.url
    assert server.addresses == []
    server.stop()
    assert server.join() is True


def test_one_set_of_routes_serves_on_several_sockets():
    server = hello()
    with server.start(**LEG), LiveServer(server, **LEG) as second:
        assert second.url != server.url
        assert ask(server) == b"hello"
        with Connection(("127.0.0.1", second.port)) as connection:
            assert connection.exchange(GET).body == b"hello"


def test_live_server_starts_again_after_its_end(connect):
    live = LiveServer(hello(), **LEG)
    for _ in range(2):
        with live:
            assert connect(live).exchange(GET).body == b"hello"


def test_server_without_lifespan_start_is_raised_by_start():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(StartupError, match="no database"), LiveServer(app, **LEG):
        pass


@pytest.mark.once
def test_what_is_no_application_is_refused():
    with pytest.raises(ConfigError, match="neither a Server nor an ASGI application"), LiveServer(object()):
        pass
    with pytest.raises(ConfigError, match="neither a Server nor an ASGI application"):
        serve(object(), port=0)


@pytest.mark.once
def test_end_of_the_program_drains_a_server_that_was_not_stopped():
    program = (
        "from turboapi_rs import Server\n"
        "server = Server()\n"
        "server.get('/')(lambda: 'hello')\n"
        "server.start(port=0, workers=2)\n"
        "import urllib.request\n"
        "print(urllib.request.urlopen(server.url).read())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "b'hello'\n", "")


@pytest.mark.once
def test_serve_on_another_thread_ends_with_stop():
    server = hello()
    thread = threading.Thread(target=lambda: server.start(**LEG).join())
    thread.start()
    while not server.is_running:
        threading.Event().wait(0.01)
    server.stop()
    thread.join(30)
    assert not thread.is_alive()
    with contextlib.suppress(OSError, NoAnswer):
        ask(server)
        pytest.fail("it still answers")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("GET", "/a"), ("GET", "/a")),
        (("GET", "/a"), ("get", "/a")),
        (("GET", "/a/{x}"), ("GET", "/a/{y}")),
        (("GET", "/a/{x}"), ("GET", "/a/{x:str}")),
        (("POST", "/a/{x:int}"), ("POST", "/a/{y:int}")),
        (("GET", "/a/{x:path}"), ("GET", "/a/{y:path}")),
    ],
)
def test_repeated_route_is_refused_when_it_is_added(first, second):
    server = Server()

    def handler(request):
        return None

    handler.__annotations__["request"] = __import__("turboapi_rs").RawRequest
    server.route(*first, handler)
    with pytest.raises(ValueError, match="there is one already") as error:
        server.route(*second, handler)
    assert f"{second[0].upper()} {second[1]}" in str(error.value)
    # What was refused is not there: the server starts.
    with server.start(**LEG):
        pass


def test_other_methods_and_other_convertors_are_no_repetition():
    server = Server()
    server.route("GET", "/{x:int}", lambda x: x)
    server.route("GET", "/{x}", lambda x: x)
    server.route("POST", "/{x}", lambda x: x)
    server.static_response("/s", "s")
    with pytest.raises(ValueError, match="route GET /s: there is one already"):
        server.route("GET", "/s", lambda: 1)


def annotated(annotation):
    def handler(q):
        return q

    handler.__annotations__["q"] = annotation
    return handler


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        (Annotated[int, []], "Annotated adds"),
        (Annotated[int, "unit"], "Annotated adds"),
        (Annotated[list[int], {}], "Annotated adds"),
        (list[Annotated[int, []]], "is none of"),
        (Annotated[int, []] | None, "Annotated adds"),
        ([], r"\[\] is none of"),
        ({}, "is none of"),
        (list, "list is none of"),
        (typing.List, "is none of"),  # noqa: UP006
        (list[dict], "is none of"),
        (dict[str, int], r"dict\[str, int\] is none of"),
        (int | str, r"int \| str is none of"),
        (typing.Literal["a"], "is none of"),
        (object, "object is none of"),
    ],
)
def test_annotation_that_is_not_served_is_refused_by_handler_and_parameter(annotation, says):
    handler = annotated(annotation)
    with pytest.raises(RouteError, match=says) as error:
        Server().route("GET", "/", handler)
    assert str(error.value).startswith(f"{__name__}.annotated.<locals>.handler, parameter 'q': ")


@pytest.mark.parametrize("handler", [5, "text", None.__class__])
def test_what_is_no_handler_is_refused(handler):
    with pytest.raises((RouteError, TypeError)):
        Server().route("GET", "/{x}", handler)


@pytest.mark.parametrize(
    "seconds", [-1, -0.5, 0.5, 1.5, float("nan"), float("inf"), float("-inf"), 2**31 + 1, "60", None]
)
def test_max_age_that_is_no_whole_number_of_seconds_is_refused(seconds):
    with pytest.raises(ValueError, match="max_age: .* is not a whole number of seconds from 0"):
        Server().static_response("/", "x", max_age=seconds)


@pytest.mark.parametrize(
    ("seconds", "sent"), [(0, None), (1, "max-age=1"), (60.0, "max-age=60"), (2**31, "max-age=2147483648")]
)
def test_max_age_is_sent_in_whole_seconds(live, connect, seconds, sent):
    server = Server()
    server.static_response("/", "x", max_age=seconds)
    assert connect(live(server)).exchange(GET).header("cache-control") == sent


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"body": 5}, TypeError, "bytes or str, not int"),
        ({"body": "x", "status": True}, ValueError, "status True"),
        ({"body": "x", "status": 199}, ValueError, "status 199"),
        ({"body": "x" * (2**20 + 1)}, ValueError, "larger than 1048576"),
    ],
)
def test_static_response_that_cannot_be_is_refused(given, error, says):
    with pytest.raises(error, match=says):
        Server().static_response("/", **given)
