"""`--isolation interpreters`: each worker with its own interpreter. That it gives the bytes that all give: test_same_bytes.py."""

from __future__ import annotations

import _interpreters
import contextlib
import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from turboapi_rs import ConfigError, Server, serve
from turboapi_rs.loading import AppTarget
from turboapi_rs.testing import LiveServer

from tests.conftest import DRIVER
from tests.support.command import ANY_PORT, REPO, Command, turboapi
from tests.support.wire import Connection, answers_to, closing, request_bytes

SOON = 60.0
"""Seconds that a loaded machine gets for what takes a moment."""

APP = REPO / "tests" / "support" / "apart.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(APP, tmp_path)
    return tmp_path


@pytest.fixture
def apart(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveServer]:
    monkeypatch.setenv("TURBOAPI_TEST_LOG", str(folder / "log"))
    with start(folder, isolation="interpreters") as live:
        yield live


def start(folder: Path, *, isolation: str, workers: int = 2) -> LiveServer:
    return LiveServer(AppTarget("apart:server", str(folder)), driver=DRIVER, workers=workers, isolation=isolation)


def ask(port: int, request: bytes) -> bytes:
    return answers_to(port, closing(request))


def until(is_so) -> None:
    deadline = time.monotonic() + SOON
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def living() -> int:
    return len(_interpreters.list_all())


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
        "import time\nfrom turboapi_rs import Server\nserver = Server()\n"
        "def stuck():\n    yield b'one'\n    time.sleep(1000)\n"
        "server.route('GET', '/', lambda: (200, 'text/plain', b'', stuck(), {}))\n"
    )
    (tmp_path / "stuck.py").write_text(source)
    arguments = ("stuck:server", "--isolation", "interpreters", "--workers", "1", "--drain-grace", "0.2")
    with Command(*arguments, folder=tmp_path) as serving, Connection(serving.address) as connection:
        connection.send(request_bytes("GET", "/"))
        read = connection.read_some()
        while b"one" not in read:
            read += connection.read_some()
        assert serving.end() == 0
        assert "left behind" in serving.log()
