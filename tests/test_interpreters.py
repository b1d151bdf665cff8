"""`--isolation interpreters`: each worker with its own interpreter. That it gives the bytes that all give: test_same_bytes.py."""

from __future__ import annotations

import _interpreters
import contextlib
import json
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from turboapi_rs import ConfigError, RawRequest, Server, isolated, serve
from turboapi_rs.loading import AppTarget
from turboapi_rs.testing import LiveServer

from tests.conftest import DRIVER
from tests.support.command import ANY_PORT, REPO, Command, turboapi
from tests.support.wire import Connection, answers_to, closing, request_bytes

SOON = 60.0
"""Seconds that a loaded machine gets for what takes a moment."""

APPS = [REPO / "tests" / "support" / f"{name}.py" for name in ("apart", "hosted", "starred", "uploaded")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for app in APPS:
        shutil.copy(app, tmp_path)
        # Of another test's folder, where it is served in this process.
        sys.modules.pop(app.stem, None)
    return tmp_path


@pytest.fixture
def apart(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveServer]:
    monkeypatch.setenv("TURBOAPI_TEST_LOG", str(folder / "log"))
    with start(folder, isolation="interpreters") as live:
        yield live


def start(
    folder: Path, *, isolation: str = "interpreters", target: str = "apart:server", workers: int = 2, **settings: Any
) -> LiveServer:
    app = AppTarget(target, str(folder), settings.pop("factory", False))
    return LiveServer(app, driver=DRIVER, workers=workers, isolation=isolation, **settings)


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


@pytest.mark.parametrize("way", ["pool", "coroutine", "awaitable", "stream", "stream-async"])
def test_handler_is_told_when_its_client_leaves(apart, folder, way):
    log = folder / "log"
    with Connection(("127.0.0.1", apart.port)) as connection:
        connection.send(request_bytes("GET", f"/asks/{way}"))
        until(lambda: log.exists() and "asked" in log.read_text())
        assert "left" not in log.read_text()
    until(lambda: "left" in log.read_text())
    apart.stop()
    assert log.read_text().split() == ["asked", "left"]


def test_request_has_all_that_the_native_one_has():
    def public(request_class):
        return {name for name in dir(request_class) if not name.startswith("_")}

    assert public(isolated.Request) == public(RawRequest)


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


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def numbered(log: Path, word: str) -> set[str]:
    """What stands behind a word that begins lines, each of which is there once."""
    found = [line.split()[1] for line in lines(log) if line.startswith(word)]
    assert len(set(found)) == len(found)
    return set(found)


def test_each_interpreter_has_an_asgi_application_and_its_lifespan(folder, monkeypatch):
    log = folder / "log"
    monkeypatch.setenv("TURBOAPI_TEST_LOG", str(log))
    counts: dict[int, int] = {}
    with start(folder, target="hosted:app") as live:

        def both_answered() -> bool:
            with Connection(("127.0.0.1", live.port)) as connection:
                answer = json.loads(connection.exchange(request_bytes("GET", "/worker")).body)
            counts[answer["thread"]] = counts.get(answer["thread"], 0) + 1
            assert (answer["calls"], answer["by"]) == (counts[answer["thread"]], "lifespan")
            return len(counts) == 2

        until(both_answered)
        assert living() == 3
        assert numbered(log, "startup") == set(map(str, counts))
        assert numbered(log, "shutdown") == set()
    assert numbered(log, "shutdown") == numbered(log, "startup")
    assert living() == 1


def test_starlette_has_a_lifespan_and_background_tasks_there(folder, monkeypatch):
    """What of its imports refused would be named: `test_what_cannot_be_served_is_refused_in_one_line`."""
    monkeypatch.setenv("TURBOAPI_TEST_LOG", str(folder / "log"))
    with start(folder, target="starred:app") as live:
        assert ask(live.port, request_bytes("GET", "/later")).endswith(b"later")
        assert b"plain x" in ask(live.port, request_bytes("GET", "/plain/x"))
    assert sorted(lines(folder / "log")) == ["background", "shutdown", "shutdown", "startup", "startup"]
    assert living() == 1


def test_asgi_application_is_told_when_its_client_leaves(folder, monkeypatch):
    log = folder / "log"
    monkeypatch.setenv("TURBOAPI_TEST_LOG", str(log))
    with start(folder, target="hosted:bare", log_level="off") as live:
        with Connection(("127.0.0.1", live.port)) as connection:
            connection.send(request_bytes("GET", "/waits"))
            until(lambda: lines(log) == ["waits"])
        until(lambda: lines(log) == ["waits", "http.disconnect"])
        with Connection(("127.0.0.1", live.port)) as connection:
            connection.send(request_bytes("GET", "/floods"))
            assert connection.read_some().startswith(b"HTTP/1.1 200")
            connection.reset()
        until(lambda: lines(log)[2:] == ["nobody"])


def test_asgi_tasks_end_with_the_drain(folder, monkeypatch):
    monkeypatch.setenv("TURBOAPI_TEST_LOG", str(folder / "log"))
    with contextlib.ExitStack() as stack:
        live = stack.enter_context(start(folder, target="hosted:app", drain_grace=0.2))
        connection = stack.enter_context(Connection(("127.0.0.1", live.port)))
        connection.send(request_bytes("GET", "/waits"))
        until(lambda: "waits" in lines(folder / "log"))
        live.stop()
        assert living() == 1
    assert len(numbered(folder / "log", "shutdown")) == 2


@pytest.mark.parametrize(
    "settings", [{}, {"root_path": "/api"}, {"forwarded_allow_ips": ""}, {"lifespan": "off"}], ids=str
)
def test_settings_reach_an_asgi_application(folder, settings):
    answers = {}
    for isolation in ("shared", "interpreters"):
        with start(folder, isolation=isolation, target="hosted:app", **settings) as live:
            fields = [("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https")]
            found = [ask(live.port, request_bytes("GET", path, headers=fields)) for path in ("/shown", "/client")]
            answers[isolation] = [answer.partition(b"\r\n\r\n")[2] for answer in found]
    shown, client = answers["interpreters"]
    assert answers["shared"] == answers["interpreters"]
    root_path = settings.get("root_path", "")
    assert f"('path', '{root_path}/shown')".encode() in shown
    assert f"('root_path', '{root_path}')".encode() in shown
    assert (b"'state'" in shown) == (settings.get("lifespan") != "off")
    believed = settings.get("forwarded_allow_ips") is None
    assert json.loads(client) == (["192.0.2.7", "https"] if believed else ["127.0.0.1", "http"])


@pytest.mark.parametrize(
    ("target", "factory"), [("hosted:make", True), ("hosted:Double", False), ("hosted:bare", False)]
)
def test_asgi_application_of_each_kind(folder, target, factory):
    with start(folder, target=target, factory=factory) as live:
        assert ask(live.port, request_bytes("POST", "/whole", body=b"abc")).endswith(b"\r\n\r\nabc")


@pytest.fixture
def uploads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveServer]:
    monkeypatch.setenv("TURBOAPI_TEST_LOG", str(folder / "log"))
    with start(folder, target="uploaded:server", max_form_field=1000) as live:
        yield live


@pytest.mark.parametrize("path", ["/pieces", "/pieces/sync"])
def test_piece_of_a_body_is_passed_on_before_it_is_whole(uploads, folder, path):
    with Connection(("127.0.0.1", uploads.port)) as connection:
        connection.send(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\none".encode())
        until(lambda: lines(folder / "log") == ["took 3"])
        connection.send(b"tw")
        answer = json.loads(connection.read_answer("POST").body)
    assert (answer["size"], lines(folder / "log")) == (5, ["took 3", "took 5"])


@pytest.mark.parametrize("path", ["/left", "/left/sync"])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_handler_that_takes_a_body_is_told_that_its_client_left(uploads, folder, path, how):
    connection = Connection(("127.0.0.1", uploads.port))
    connection.send(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\none".encode())
    until(lambda: lines(folder / "log") == ["asked"])
    getattr(connection, how)()
    until(lambda: lines(folder / "log") == ["asked", "ConnectionResetError"])
    assert not [file for file in folder.iterdir() if file.name.startswith("saved")]


def test_second_task_at_a_body_is_refused(uploads, folder):
    with Connection(("127.0.0.1", uploads.port)) as connection:
        connection.send(b"POST /tasks HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n")
        until(lambda: lines(folder / "log") == ["asked"])
        connection.send(b"one")
        connection.send(b"tw")
        refused, *pieces = json.loads(connection.read_answer("POST").body)
    assert "another task or thread" in refused
    assert "".join(pieces) == "onetw"


def test_form_limits_are_told_to_each_interpreter(uploads):
    field = ("Content-Type", "multipart/form-data; boundary=b")
    body = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"x" * 1001 + b"\r\n--b--\r\n"
    for _ in range(4):
        answer = ask(uploads.port, request_bytes("POST", "/form", headers=[field], body=body))
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"max_form_field" in answer


def test_interpreter_ends_while_a_body_is_taken(folder, monkeypatch):
    monkeypatch.setenv("TURBOAPI_TEST_LOG", str(folder / "log"))
    paths = ["/pieces", "/pieces/sync", "/left", "/left/sync"]
    with contextlib.ExitStack() as stack:
        with start(folder, target="uploaded:server", drain_grace=0.2) as live:
            for count, path in enumerate(paths, 1):
                connection = stack.enter_context(Connection(("127.0.0.1", live.port)))
                connection.send(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\none".encode())
                until(lambda count=count: len(lines(folder / "log")) >= count)
        assert living() == 1
    ends = lines(folder / "log")[len(paths) :]
    # A coroutine may hear of the end of its loop first.
    assert set(ends) <= {"ConnectionResetError", "CancelledError"}, ends
    assert len(ends) == 2


def test_folder_of_files_is_served_as_elsewhere(folder):
    (folder / "filed.py").write_text(
        "import pathlib\nfrom turboapi_rs import Server\nserver = Server()\n"
        "server.static_files('/files', pathlib.Path(__file__).parent, headers={'x-a': 'b'}, index='apart.py')\n"
    )
    requests = [
        request_bytes("GET", "/files/apart.py"),
        request_bytes("GET", "/files/"),
        request_bytes("GET", "/files/apart.py", headers=[("Range", "bytes=3-5")]),
        request_bytes("HEAD", "/files/apart.py"),
        request_bytes("GET", "/files/absent"),
        request_bytes("GET", "/files/../secret"),
    ]
    answers = {}
    for isolation in ("shared", "interpreters"):
        with start(folder, isolation=isolation, target="filed:server") as live:
            # The date is that of the moment.
            answers[isolation] = [re.sub(rb"\r\ndate: [^\r]*", b"", ask(live.port, request)) for request in requests]
    assert answers["shared"] == answers["interpreters"]
    assert answers["interpreters"][0].endswith(APPS[0].read_bytes())


@pytest.mark.once
@pytest.mark.parametrize("mode", ["auto", "on"])
def test_lifespan_that_fails_ends_the_command_as_elsewhere(folder, mode):
    target, env = ("hosted:app", {"TURBOAPI_TEST_FAILS": "1"}) if mode == "auto" else ("hosted:bare", {})
    ends = {}
    for isolation in ("shared", "interpreters"):
        arguments = ("run", target, "--isolation", isolation, "--workers", "2", "--lifespan", mode, *ANY_PORT)
        ended = turboapi(*arguments, folder=folder, env=env)
        # Of a traceback the last line: what comes before it names files.
        ends[isolation] = (ended.returncode, ended.stderr.splitlines()[0], ended.stderr.splitlines()[-1])
    assert ends["shared"] == ends["interpreters"]
    assert ends["interpreters"][0] not in (0, 2)
    assert "no database" in ends["interpreters"][2] or mode == "on"


REFUSED = {
    "absent": (None, "cannot load attribute 'server' of module 'absent': ModuleNotFoundError"),
    "raises": ("1/0", "cannot load attribute 'server' of module 'raises': ZeroDivisionError: division by zero"),
    "number": ("server = 7", "a value of type int is neither a Server nor an ASGI application"),
    "refuses": (
        "import pydantic_core",
        "_pydantic_core (imported by pydantic_core) refuses: use isolation 'processes', or 'shared'",
    ),
    "fast": ("from fastapi import FastAPI; server = FastAPI()", "refuses: use isolation 'processes', or 'shared'"),
    "folders": (
        "from turboapi_rs import Server\nserver = Server()\nserver.static_files('/static', 'absent')",
        "No such file or directory",
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
def test_signal_drains_an_asgi_application_and_exits_0(folder):
    log = folder / "log"
    options = ("--isolation", "interpreters", "--workers", "2")
    with Command("starred:app", *options, folder=folder, env={"TURBOAPI_TEST_LOG": str(log)}) as serving:
        assert "2 workers" in serving.banner
        assert "isolation interpreters" in serving.banner
        assert b"200 OK" in ask(serving.port, request_bytes("GET", "/plain/x"))
        assert serving.end() == 0
        assert "ERROR" not in serving.log()
    assert lines(log) == ["startup", "startup", "shutdown", "shutdown"]


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
