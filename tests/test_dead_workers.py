"""A worker that dies: the process says so and ends, or replaces it; it never serves on with fewer.

Rule: a worker dies as it would in earnest: of a panic in the native half, of code that ends its thread, of a signal, of an
application that starts on one worker and not on the next.
"""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import DRIVER
from tests.support.command import ANY_PORT, Command, turboapi
from tests.support.wire import Connection, request_bytes

pytestmark = pytest.mark.once

SOON = 60.0
"""Seconds that a loaded machine gets for what takes a moment."""

APP = """
import asyncio, ctypes, os, threading
from turboapi_rs import Server
server = Server()
server.route("GET", "/who", lambda: f"{os.getpid()} {threading.get_native_id()}")

def raise_panic():
    # What a panic of the native half is to the Python frames that it passes through.
    raise next(kind for kind in BaseException.__subclasses__() if kind.__name__ == "PanicException")("no reason")

async def panic():
    asyncio.get_running_loop().call_soon(raise_panic)
    await asyncio.sleep(600)
server.route("GET", "/panic", panic)

async def vanish():
    ctypes.CDLL(None).pthread_exit(None)
server.route("GET", "/vanish", vanish)

async def wait():
    await asyncio.sleep(600)
server.route("GET", "/wait", wait)
"""

ONCE = """
import os
from turboapi_rs import Server
with open("starts", "a") as file:
    file.write("x")
    file.flush()
    if file.tell() > 1:
        raise {raised}
server = Server()
server.route("GET", "/", lambda: "ok")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dying.py").write_text(APP)
    return tmp_path


def serving(folder: Path, isolation: str, *options: str) -> Command:
    return Command(
        "dying:server", "--isolation", isolation, "--driver", DRIVER, "--workers", "2", *options, folder=folder
    )


def refused(port: int) -> bool:
    """Nobody listens there; a socket whose worker is gone would take connections that nobody answers."""
    try:
        with Connection(("127.0.0.1", port)) as connection:
            return not connection.exchange(request_bytes("GET", "/who")).body
    except (OSError, EOFError, AssertionError):
        return True


def lost(port: int, path: str) -> bytes:
    """What comes of a request that kills a worker: the end of its connection; a 500 if another worker had asked for it."""
    with Connection(("127.0.0.1", port)) as connection:
        connection.send(request_bytes("GET", path))
        try:
            return connection.read_to_end()[:12]
        except ConnectionResetError:
            return b""


def lines(command: Command) -> list[str]:
    return [line for line in command.log().splitlines() if line.startswith("turboapi")]


def test_panic_of_one_worker_ends_the_process(folder):
    with serving(folder, "shared") as command:
        assert lost(command.port, "/panic") in (b"", b"HTTP/1.1 500")
        assert command.wait(SOON) == 1
        said = lines(command)
    # Where the GIL is on, a line says so before.
    first = next(index for index, line in enumerate(said) if line.startswith("turboapi: serving"))
    banner, *said = said[first:]
    assert "2 workers" in banner
    assert said[-1] in ("turboapi: worker 0 died", "turboapi: worker 1 died")
    worker = said[-1].split()[2]
    assert said[0] == f"turboapi ERROR: worker {worker} panicked: the server stops; please report it"
    # Handlers that wait for a loop that is gone are cancelled, its own connections cut.
    assert all("handler dying.panic raised" in line or "connections are cut" in line for line in said[1:-1]), said
    assert refused(command.port)


def test_nobody_is_left_waiting_while_the_other_workers_drain(folder):
    """The sockets of the dead worker once stayed open until the drain was over: clients were taken, and never answered."""
    with serving(folder, "shared", "--loops", "per-worker", "--drain-grace", "20") as command:
        waiting = [Connection(command.address).__enter__() for _ in range(16)]
        try:
            for connection in waiting:
                connection.send(request_bytes("GET", "/wait"))
            assert lost(command.port, "/panic") == b""
            # Those of the other worker drain. Whoever comes is refused meanwhile.
            began = time.monotonic()
            while not refused(command.port):
                assert time.monotonic() - began < 15
        finally:
            for connection in waiting:
                connection.__exit__(None, None, None)
        assert command.wait(SOON) == 1


#: A thread that ends is unwound, through frames that cannot be. Where that ends the process is the compiler's choice.
CRASHES = {-signal.SIGABRT: "Aborted", -signal.SIGSEGV: "Segmentation fault"}


@pytest.mark.parametrize("isolation", ["shared", "interpreters"])
def test_thread_that_is_ended_from_outside_takes_the_process_with_it(folder, isolation):
    with serving(folder, isolation) as command:
        assert lost(command.port, "/vanish") == b""
        what = CRASHES[command.wait(SOON)]
        assert re.search(rf"^Fatal Python error: {what}$", command.log(), re.MULTILINE), command.log()
        assert "in vanish" in command.log()


@pytest.mark.parametrize(
    ("path", "says"),
    [("/panic", r"worker 0 died: another"), ("/vanish", r"worker process \d+ .*by SIG(ABRT|SEGV): another")],
)
def test_process_whose_worker_dies_is_replaced(folder, path, says):
    with serving(folder, "processes") as command:
        assert lost(command.port, path) == b""
        # Behind what a crash has left of a line.
        command.wait_for_line(rf"(?m)turboapi: {says} one is started in [\d.]+ s$")
        answered: set[str] = set()
        until = time.monotonic() + SOON
        while len(answered) < 3:
            # The one that lived, perhaps the one that died, before it was ended; and the new one.
            assert time.monotonic() < until, command.log()
            with Connection(command.address) as connection:
                answered.add(connection.exchange(request_bytes("GET", "/who")).body.decode())
            answered |= {"the one that died"}
        assert command.end() == 0


@pytest.mark.parametrize(
    ("isolation", "raised", "says"),
    [
        ("interpreters", "RuntimeError('one is enough')", "RuntimeError: one is enough"),
        ("interpreters", "SystemExit(0)", "SystemExit: 0"),
        ("processes", "RuntimeError('one is enough')", "RuntimeError: one is enough"),
        ("processes", "SystemExit(0)", "SystemExit: 0"),
    ],
)
def test_application_that_starts_on_one_worker_alone_is_not_served(tmp_path, isolation, raised, says):
    (tmp_path / "once.py").write_text(ONCE.format(raised=raised))
    ended = turboapi("run", "once:server", "--isolation", isolation, "--workers", "2", *ANY_PORT, folder=tmp_path)
    assert ended.returncode == 2, ended.stderr
    *others, last = ended.stderr.splitlines()
    assert last == f"turboapi: cannot load attribute 'server' of module 'once': {says}"
    # A process that has not started is tried again when another one has served.
    assert isolation == "processes" or not others
    assert all(line.startswith(last) and " another one is started in " in line for line in others)
