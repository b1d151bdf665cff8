"""`--isolation processes`: workers that are started, watched, replaced and ended, over real sockets and signals.

Rule: nothing is waited for by time; each wait is for an answer, a process, or a line of the log.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from turboapi_rs import ConfigError, Server, serve

from tests.conftest import DRIVER
from tests.support.command import ANY_PORT, Command, turboapi
from tests.support.wire import Connection, request_bytes

pytestmark = pytest.mark.once

SOON = 60.0
"""Seconds that a loaded machine gets for what takes a moment."""

APP = """
import asyncio, os, signal
from turboapi_rs import Server
server = Server()
kept = []
server.route("GET", "/pid", lambda: str(os.getpid()))
server.route("GET", "/grow", lambda: kept.append(bytearray(64 * 1024 * 1024)) or str(os.getpid()))
server.route("GET", "/die", lambda: os._exit(9))
async def slow():
    await asyncio.sleep(0.5)
    return str(os.getpid())
server.route("GET", "/slow", slow)
async def endless():
    await asyncio.sleep(600)
server.route("GET", "/endless", endless)
"""

FAILING = """
import os
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "the database is away"})
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "served.py").write_text(APP)
    (tmp_path / "failing.py").write_text(FAILING)
    (tmp_path / "dying.py").write_text("import os\nos._exit(7)\n")
    return tmp_path


@pytest.fixture
def supervised(folder: Path) -> Iterator[Callable[..., Command]]:
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, workers: int = 2, **options) -> Command:
            place = () if "--uds" in arguments else ANY_PORT
            options.setdefault("place", place)
            isolation = ("--isolation", "processes", "--driver", DRIVER, "--workers", str(workers))
            return stack.enter_context(Command("served:server", *isolation, *arguments, folder=folder, **options))

        yield start


def ask(port: int, path: str) -> bytes:
    with Connection(("127.0.0.1", port)) as connection:
        return connection.exchange(request_bytes("GET", path)).body


def pids(serving: Command, count: int) -> set[int]:
    """Ask until so many workers have answered."""
    found: set[int] = set()

    def all_answered() -> bool:
        found.add(int(ask(serving.port, "/pid")))
        return len(found) == count

    until(all_answered)
    return found


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # A zombie that nobody has buried yet has ended all the same.
    with contextlib.suppress(OSError):
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    return True


def test_workers_share_a_port_and_drain_at_the_end(supervised):
    serving = supervised()
    assert re.search(r"2 processes, (io_uring|epoll), isolation processes", serving.banner)
    workers = pids(serving, 2)
    assert serving.pid not in workers
    with Connection(("127.0.0.1", serving.port)) as connection:
        connection.send(request_bytes("GET", "/slow"))
        pids(serving, 2)
        serving.send(signal.SIGTERM)
        assert int(connection.read_answer().body) in workers
    assert serving.wait(SOON) == 0
    assert all(is_gone(pid) for pid in workers)


def test_interrupt_of_the_whole_group_drains_once(supervised):
    serving = supervised(process_group=0)
    workers = pids(serving, 2)
    with Connection(("127.0.0.1", serving.port)) as connection:
        connection.send(request_bytes("GET", "/slow"))
        pids(serving, 2)
        os.killpg(serving.pid, signal.SIGINT)
        assert int(connection.read_answer().body) in workers
    assert serving.wait(SOON) == 0


def test_second_signal_cuts(supervised):
    serving = supervised()
    with Connection(("127.0.0.1", serving.port)) as connection:
        connection.send(request_bytes("GET", "/endless"))
        pids(serving, 2)
        serving.send(signal.SIGTERM)
        # The listener is gone once the drain has begun.
        until(lambda: refuses(serving.port))
        started = time.monotonic()
        serving.send(signal.SIGTERM)
        assert serving.wait(SOON) == 0
        # Well within the grace of 30 seconds, which the endless request would have had.
        assert time.monotonic() - started < 20


def test_second_signal_cuts_a_worker_that_has_not_got_to_the_first(supervised):
    """Two SIGTERMs that come to a busy worker are one to it: it drained, and was killed 15 seconds later, with exit code 137."""
    serving = supervised(workers=1)
    (worker,) = pids(serving, 1)
    with Connection(("127.0.0.1", serving.port)) as connection:
        connection.send(request_bytes("GET", "/endless"))
        pids(serving, 1)
        os.kill(worker, signal.SIGSTOP)
        for _ in range(2):
            serving.send(signal.SIGTERM)
            until(lambda: waits_for_nothing_sent(serving.pid))
        os.kill(worker, signal.SIGCONT)
        assert serving.wait(SOON) == 0, serving.log()


def waits_for_nothing_sent(pid: int) -> bool:
    """It sleeps, and has taken each signal that was sent to it."""
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return status["State"].startswith("S") and int(status["ShdPnd"], 16) == 0


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_hangup_replaces_all_workers_and_refuses_nobody(supervised):
    serving = supervised()
    before = pids(serving, 2)
    seen: set[int] = set()
    faults: list[BaseException] = []
    is_over = threading.Event()

    def ask_on() -> None:
        try:
            while not is_over.is_set():
                seen.add(int(ask(serving.port, "/pid")))
        except BaseException as fault:
            faults.append(fault)

    clients = [threading.Thread(target=ask_on) for _ in range(2)]
    for client in clients:
        client.start()
    serving.send(signal.SIGHUP)
    try:
        until(lambda: faults or (len(seen - before) == 2 and all(is_gone(pid) for pid in before)))
    finally:
        is_over.set()
        for client in clients:
            client.join()
    assert faults == []
    assert serving.end() == 0


def test_hangup_keeps_the_old_workers_when_the_new_ones_do_not_start(supervised, folder):
    serving = supervised()
    before = pids(serving, 2)
    (folder / "served.py").write_text("1/0\n")
    serving.send(signal.SIGHUP)
    until(lambda: any("the worker before it goes on" in line for line in serving.log().splitlines()))
    assert pids(serving, 2) == before
    assert serving.end() == 0


@pytest.mark.parametrize("how", ["killed", "ended itself"])
def test_worker_that_dies_is_started_again(supervised, how):
    serving = supervised()
    before = pids(serving, 2)
    if how == "killed":
        dead = min(before)
        os.kill(dead, signal.SIGKILL)
    else:
        with Connection(("127.0.0.1", serving.port)) as connection:
            connection.send(request_bytes("GET", "/die"))
            assert connection.read_to_end() == b""
        until(lambda: any(is_gone(pid) for pid in before))
        dead = next(pid for pid in before if is_gone(pid))
    until(lambda: any("another one is started" in line for line in serving.log().splitlines()))
    after: set[int] = set()

    def has_new() -> bool:
        after.add(int(ask(serving.port, "/pid")))
        return bool(after - before)

    until(has_new)
    says = "SIGKILL" if how == "killed" else "code 9"
    assert any(f"worker process {dead} " in line and says in line for line in serving.log().splitlines()), (
        serving.log().splitlines()
    )
    assert serving.end() == 0


@pytest.mark.parametrize(
    "option", [("--max-requests", "20"), ("--max-age", "0.5"), ("--max-rss", "200MiB")], ids=lambda option: option[0]
)
def test_worker_is_replaced_when_it_is_used_up(supervised, option):
    serving = supervised(*option, workers=1)
    path = "/grow" if option[0] == "--max-rss" else "/pid"
    seen: set[int] = set()

    def three_seen() -> bool:
        seen.add(int(ask(serving.port, path)))
        return len(seen) >= 3

    until(three_seen)
    assert serving.end() == 0


@pytest.mark.parametrize(
    ("target", "code", "says"),
    [
        ("absent:app", 2, "attribute 'app' of module 'absent': ModuleNotFoundError"),
        ("failing:app", 3, "the application did not start: the database is away"),
        ("dying:app", 7, "ended with code 7"),
    ],
)
def test_worker_that_does_not_start_ends_the_whole(folder, target, code, says):
    ended = turboapi("run", target, "--isolation", "processes", "--workers", "2", "--port", "0", folder=folder)
    assert ended.returncode == code, ended.stderr
    assert says in ended.stderr.splitlines()[-1]
    assert "serving on" not in ended.stderr
    if code == 2:
        assert ended.stderr.count("\n") == 1, ended.stderr


def test_port_in_use_is_exit_2(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = turboapi("run", "served:server", "--isolation", "processes", "--port", port, folder=folder)
    assert (ended.returncode, ended.stderr) == (2, "turboapi: cannot listen: Address already in use\n")


def test_workers_end_with_a_supervisor_that_is_killed(supervised):
    serving = supervised()
    workers = pids(serving, 2)
    serving.process.kill()
    serving.wait(SOON)
    until(lambda: all(is_gone(pid) for pid in workers))
    assert refuses(serving.port)


def test_unix_domain_socket_is_served_and_its_file_removed(supervised, folder):
    path = folder / "s"
    serving = supervised("--uds", str(path))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(request_bytes("GET", "/pid"))
        assert b"200 OK" in client.recv(4096)
    assert serving.end() == 0
    assert not path.exists()


def test_application_object_is_refused():
    with pytest.raises(ConfigError, match="needs the application as a string"):
        serve(Server(), isolation="processes", port=0)
