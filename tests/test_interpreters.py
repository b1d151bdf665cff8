"""`--isolation interpreters`: each worker with its own interpreter, and the same bytes as everywhere (`gil_mode_same_bytes`)."""

from __future__ import annotations

import _interpreters
import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from turboapi_rs import ConfigError, Server, serve
from turboapi_rs.loading import AppTarget
from turboapi_rs.testing import LiveServer

from tests.conftest import DRIVER
from tests.support.command import ANY_PORT, Command, turboapi
from tests.support.wire import Connection, chunked, request_bytes

SOON = 60.0
"""Seconds that a loaded machine gets for what takes a moment."""

APP = """
import asyncio, contextvars, os, sys, threading
from turboapi_rs import RawRequest, Server

server = Server()
seen = contextvars.ContextVar("seen", default="nothing")
calls = []
log = os.environ.get("TURBOAPI_TEST_LOG")

def note(line):
    # Asked for at each call: the interpreter of the tests keeps this module from one test to the next.
    with open(os.environ["TURBOAPI_TEST_LOG"], "a") as file:
        file.write(line + "\\n")

@server.get("/worker")
def worker():
    calls.append(1)
    return {"thread": threading.get_native_id(), "calls": len(calls)}

@server.get("/items/{item_id}")
def read_item(item_id: int, q: str | None = None, deep: bool = False, tag: list[str] = ()):
    return {"item_id": item_id, "q": q, "deep": deep, "tag": list(tag)}

@server.get("/floats/{value}")
def floats(value: float):
    return [value, -value, value * 1e300]

@server.post("/echo")
def echo(body: bytes):
    return 201, "application/octet-stream", body, [("x-one", "1"), ("x-one", "2")]

@server.post("/request")
def whole(request: RawRequest):
    return {
        "method": request.method, "path": request.path, "raw_path": request.raw_path.decode(),
        "query": request.query_string.decode(), "pairs": request.query_params, "headers": request.headers,
        "host": request.header("HOST"), "none": request.header("absent"), "version": request.http_version,
        "size": len(request.body), "params": request.path_params, "shown": repr(request),
    }

@server.get("/context")
def context():
    before = seen.get()
    seen.set("something")
    return before

@server.get("/async")
async def later():
    before = seen.get()
    seen.set("something")
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await asyncio.to_thread(int, "7")
    return {"before": before, "loop": type(asyncio.get_running_loop()).__name__}

@server.get("/far")
async def far():
    loop = asyncio.get_running_loop()
    for seconds in (1e10, 1e18, 9.3e18, 1e300):
        timer = loop.call_later(seconds, print, "never")
        await asyncio.to_thread(int)
        timer.cancel()
    return "ok"

server.route("GET", "/awaitable", lambda: later())

def counted(name):
    try:
        for number in range(5):
            yield f"{name} {number}\\n"
    finally:
        if log:
            note("closed " + name)

async def counted_later(name):
    try:
        for number in range(5):
            await asyncio.sleep(0)
            yield f"{name} {number}\\n".encode()
    finally:
        if log:
            note("closed " + name)

server.route("GET", "/stream", lambda: (200, "text/plain", b"", counted("sync"), {"x-kind": "sync"}))
server.route("GET", "/stream-async", lambda: (200, "text/plain", b"", counted_later("async"), {}))

async def endless():
    try:
        while True:
            yield b"x" * 1024
            await asyncio.sleep(0)
    finally:
        note("closed endless")

def endless_sync():
    try:
        while True:
            yield b"x" * 1024
    finally:
        note("closed endless sync")

server.route("GET", "/endless", lambda: (200, "text/plain", b"", endless(), {}))
server.route("GET", "/endless-sync", lambda: (200, "text/plain", b"", endless_sync(), {}))

class Watched:
    def __init__(self):
        note("opened")

class WatchedSync(Watched):
    def __iter__(self):
        return self

    def __next__(self):
        return b"x" * 1024

    def close(self):
        note("closed")

class WatchedAsync(Watched):
    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        return b"x" * 1024

    async def aclose(self):
        note("closed")

server.route("GET", "/watched", lambda: (200, "text/plain", b"", WatchedAsync(), {}))
server.route("GET", "/watched-sync", lambda: (200, "text/plain", b"", WatchedSync(), {}))

def torn():
    yield b"one"
    raise RuntimeError("after the head")

server.route("GET", "/torn", lambda: (200, "text/plain", b"", torn(), {}))
for name, value in {
    "none": None, "true": True, "int": 10**30, "float": 0.1, "text": "h\\u00e9llo", "bytes": b"\\x00\\xff", "list": [1, [2], {}],
    "large": b"y" * 100_000, "three": (418, "text/x", "tea"), "five-hundred": (599, "text/x", b""),
    "two": (200, "text/x"), "status": (99, "text/x", b""), "type": (200, 7, b""), "body": (200, "text/x", 7),
    "framing": (200, "text/x", b"", {"content-length": "5"}), "newline": (200, "text/x", b"", {"x": "a\\r\\nb: c"}),
    "object": object(), "set": {1}, "nan": float("nan"), "deep-object": {"a": object()}, "no-iterator": (200, "text/x", b"", 7, {}),
}.items():
    server.route("GET", "/values/" + name, lambda value=value: value)

@server.get("/raises")
def raises():
    raise KeyError("what")

@server.get("/exits")
def exits():
    raise SystemExit(3)

server.static_response("/health", "ok", max_age=5, headers={"x-kind": "static"})
"""

VALUES = re.findall(r'"([a-z-]+)": ', APP.split("for name, value in {")[1].split("}.items()")[0])

SAME = [
    request_bytes("GET", "/items/7?q=a%20b&deep=yes&tag=x&tag=y"),
    request_bytes("GET", "/items/99999999999999999999999"),
    request_bytes("GET", "/items/seven?deep=perhaps"),
    request_bytes("HEAD", "/items/7"),
    request_bytes("GET", "/floats/1.5"),
    request_bytes("GET", "/floats/nan"),
    request_bytes("POST", "/echo", body=b"\x00" * 70_000),
    request_bytes("POST", "/echo", headers=[("Transfer-Encoding", "chunked")], body=chunked(b"abc", b"def")),
    request_bytes("POST", "/request?a=1&a=2&b=%C3%A9", headers=[("X-Text", "one"), ("X-Text", "two")], body=b"12345"),
    request_bytes("GET", "/context"),
    request_bytes("GET", "/context"),
    request_bytes("GET", "/async"),
    request_bytes("GET", "/async"),
    request_bytes("GET", "/awaitable"),
    request_bytes("GET", "/far"),
    request_bytes("GET", "/stream"),
    request_bytes("GET", "/stream-async"),
    request_bytes("HEAD", "/stream"),
    request_bytes("GET", "/torn"),
    *[request_bytes("GET", f"/values/{name}") for name in VALUES],
    request_bytes("GET", "/raises"),
    request_bytes("GET", "/health"),
    request_bytes("GET", "/nowhere"),
    request_bytes("DELETE", "/echo"),
    b"GET /items/1 HTTP/1.1\r\n\r\n",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "apart.py").write_text(APP)
    return tmp_path


@pytest.fixture
def apart(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveServer]:
    monkeypatch.setenv("TURBOAPI_TEST_LOG", str(folder / "log"))
    with start(folder, isolation="interpreters") as live:
        yield live


def start(folder: Path, *, isolation: str, workers: int = 2) -> LiveServer:
    return LiveServer(AppTarget("apart:server", str(folder)), driver=DRIVER, workers=workers, isolation=isolation)


def ask(port: int, request: bytes, *, before: bytes = b"") -> bytes:
    """What comes back, to the end of the connection, without its date."""
    head, end, body = request.partition(b"\r\n\r\n")
    with Connection(("127.0.0.1", port)) as connection:
        connection.send(before + head + b"\r\nConnection: close" + end + body)
        return re.sub(rb"date: [^\r]*", b"date:", connection.read_to_end())


def until(is_so) -> None:
    deadline = time.monotonic() + SOON
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def living() -> int:
    return len(_interpreters.list_all())


def test_same_bytes_in_every_isolation(folder):
    answers = {}
    for isolation in ("shared", "interpreters"):
        with start(folder, isolation=isolation) as live:
            answers[isolation] = [ask(live.port, request) for request in SAME]
    with Command("apart:server", "--isolation", "processes", "--driver", DRIVER, folder=folder) as serving:
        answers["processes"] = [ask(serving.port, request) for request in SAME]
        assert serving.end() == 0
    for request, *found in zip(SAME, *answers.values(), strict=True):
        assert len(set(found)) == 1, (request[:200], dict(zip(answers, found, strict=True)))
    sound = [answer for answer in answers["shared"] if answer.startswith(b"HTTP/1.1 2")]
    assert len(sound) == 26


def test_same_bytes_in_one_pipelined_batch(folder):
    batch = b"".join(request for request in SAME[:6] + SAME[9:16] if not request.startswith(b"HEAD"))
    answers = []
    for isolation in ("shared", "interpreters"):
        with start(folder, isolation=isolation) as live:
            answers.append(ask(live.port, request_bytes("GET", "/health"), before=batch))
    assert answers[0] == answers[1]
    assert answers[0].count(b"HTTP/1.1 ") == 13


def test_each_worker_has_a_module_of_its_own(apart):
    counts: dict[int, int] = {}

    def both_answered() -> bool:
        with Connection(("127.0.0.1", apart.port)) as connection:
            answer = json.loads(connection.exchange(request_bytes("GET", "/worker")).body)
        counts[answer["thread"]] = counts.get(answer["thread"], 0) + 1
        assert answer["calls"] == counts[answer["thread"]]
        return len(counts) == 2

    assert living() == 3
    until(both_answered)


def test_interpreters_end_with_their_workers(folder):
    for _ in range(5):
        with start(folder, isolation="interpreters") as live:
            assert living() == 3
            assert b"200 OK" in ask(live.port, request_bytes("GET", "/async"))
            assert b"sync 4" in ask(live.port, request_bytes("GET", "/stream"))
        assert living() == 1


def test_requests_of_many_clients_get_their_own_answers(apart):
    faults: list[BaseException] = []
    barrier = threading.Barrier(4)

    def ask_on(client: int) -> None:
        try:
            barrier.wait()
            with Connection(("127.0.0.1", apart.port)) as connection:
                for number in range(100):
                    mine = client * 1000 + number
                    answer = connection.exchange(request_bytes("GET", f"/items/{mine}"))
                    assert json.loads(answer.body)["item_id"] == mine
        except BaseException as fault:
            faults.append(fault)

    clients = [threading.Thread(target=ask_on, args=(client,)) for client in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert faults == []


@pytest.mark.parametrize("path", ["/endless", "/endless-sync"])
def test_stream_is_closed_once_when_its_client_leaves(apart, folder, path):
    with Connection(("127.0.0.1", apart.port)) as connection:
        connection.send(request_bytes("GET", path))
        # Not the head alone: it goes out before the first item is asked for, and what a generator that was never begun
        # has to say at its end is never said. What is closed without having begun: `test_client_leaves_before_the_first`.
        read = connection.read_some()
        assert read.startswith(b"HTTP/1.1 200")
        while not read.endswith(b"x"):
            read += connection.read_some()
        connection.reset()
    name = "closed " + path[1:].replace("-", " ")
    log = folder / "log"
    until(lambda: log.exists() and name in log.read_text())
    apart.stop()
    assert log.read_text().count(name + "\n") == 1


@pytest.mark.parametrize("isolation", ["shared", "interpreters"])
@pytest.mark.parametrize("path", ["/watched", "/watched-sync"])
def test_client_leaves_before_the_first_item(folder, monkeypatch, isolation, path):
    """Whether it was begun or not: what can be closed is closed, once."""
    monkeypatch.setenv("TURBOAPI_TEST_LOG", str(folder / "log"))
    clients = 20
    with start(folder, isolation=isolation) as live:
        for _ in range(clients):
            with Connection(("127.0.0.1", live.port)) as connection:
                connection.send(request_bytes("GET", path))
                connection.reset()
        with Connection(("127.0.0.1", live.port)) as connection:
            connection.send(request_bytes("GET", path))
            assert connection.read_some().startswith(b"HTTP/1.1 200")
            connection.reset()
        log = folder / "log"
        # A request whose connection is gone before it is read never comes to its handler.
        until(lambda: log.exists() and "opened" in log.read_text())
        until(lambda: log.read_text().count("opened") == log.read_text().count("closed"))
    said = log.read_text().split()
    assert said.count("opened") == said.count("closed")


def test_drain_closes_streams_and_ends_the_interpreters(folder, monkeypatch):
    monkeypatch.setenv("TURBOAPI_TEST_LOG", str(folder / "log"))
    with contextlib.ExitStack() as stack, start(folder, isolation="interpreters") as live:
        for path in ("/endless", "/endless-sync"):
            connection = stack.enter_context(Connection(("127.0.0.1", live.port)))
            connection.send(request_bytes("GET", path))
            # Not the head alone: a generator that was never begun has nothing to close.
            read = connection.read_some()
            while not read.endswith(b"x"):
                read += connection.read_some()
    assert sorted((folder / "log").read_text().split("\n")) == ["", "closed endless", "closed endless sync"]
    assert living() == 1


REFUSED = {
    "absent": (None, "cannot load attribute 'server' of module 'absent': ModuleNotFoundError"),
    "raises": ("1/0", "cannot load attribute 'server' of module 'raises': ZeroDivisionError: division by zero"),
    "hosted": (
        "async def server(scope, receive, send): ...",
        "serves turboapi_rs.Server applications, and hosted:server",
    ),
    "refuses": (
        "import pydantic_core",
        "_pydantic_core (imported by pydantic_core) refuses: use isolation 'processes', or 'shared'",
    ),
    "fast": ("from fastapi import FastAPI; server = FastAPI()", "refuses: use isolation 'processes', or 'shared'"),
    "uploads": (
        "from turboapi_rs import Server, Upload\nserver = Server()\nasync def take(upload: Upload): ...\n"
        "server.route('POST', '/', take)",
        "reads bodies whole, and uploads.take (POST /) takes an Upload: use isolation 'processes', or 'shared'",
    ),
    "folders": (
        "from turboapi_rs import Server\nserver = Server()\nserver.get('/')(lambda: 1)\nserver.static_files('/static', '.')",
        "serves no folders of files, and static_files('/static', ...) is one: use isolation 'processes', or 'shared'",
    ),
    "events": (
        "from turboapi_rs import Server\nfrom turboapi_rs.sse import EventSourceResponse\nserver = Server()\n"
        "server.get('/')(lambda: EventSourceResponse(iter('ab')))",
        "_pydantic_core (imported by pydantic_core) refuses: use isolation 'processes', or 'shared'",
    ),
    "conflict": (
        "from turboapi_rs import Server\nserver = Server()\nfor _ in range(2): server.route('GET', '/', lambda: 1)",
        "route GET /",
    ),
}


@pytest.mark.once
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_served_is_refused_in_one_line(tmp_path, name):
    source, says = REFUSED[name]
    if source is not None:
        (tmp_path / f"{name}.py").write_text(source)
    arguments = ("run", f"{name}:server", "--isolation", "interpreters", "--workers", "2", *ANY_PORT)
    ended = turboapi(*arguments, folder=tmp_path)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert says in ended.stderr


@pytest.mark.once
def test_application_object_is_refused():
    with pytest.raises(ConfigError, match="needs the application as a string"):
        serve(Server(), isolation="interpreters", port=0)


@pytest.mark.once
def test_signal_drains_and_exits_0(folder):
    with Command("apart:server", "--isolation", "interpreters", "--workers", "2", folder=folder) as serving:
        assert "2 workers" in serving.banner
        assert "isolation interpreters" in serving.banner
        assert b"200 OK" in ask(serving.port, request_bytes("GET", "/async"))
        assert serving.end() == 0
        assert "ERROR" not in serving.log()


@pytest.mark.once
def test_job_that_blocks_for_ever_does_not_keep_the_process(tmp_path):
    source = (
        "import sys, time\nfrom turboapi_rs import Server\nserver = Server()\n"
        "def stuck():\n    yield b'one'\n    print('blocked', file=sys.stderr, flush=True)\n    time.sleep(1000)\n"
        "server.route('GET', '/', lambda: (200, 'text/plain', b'', stuck(), {}))\n"
    )
    (tmp_path / "stuck.py").write_text(source)
    arguments = ("stuck:server", "--isolation", "interpreters", "--workers", "1", "--drain-grace", "0.2")
    with Command(*arguments, folder=tmp_path) as serving, Connection(serving.address) as connection:
        connection.send(request_bytes("GET", "/"))
        # The item alone says nothing: a drain that begins before the next one is asked for closes the generator.
        serving.wait_for_line("blocked")
        assert serving.end() == 0
        assert "left behind" in serving.log()
