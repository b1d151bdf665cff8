"""The drain of raw routes and plain ASGI apps: what was sent before SIGTERM is answered whole. FastAPI's is in tests/asgi."""

from __future__ import annotations

import contextlib
import signal
import threading

import pytest

from tests.conftest import COMMAND_OPTIONS, DRIVER
from tests.support.command import Command
from tests.support.wire import Connection, NoAnswer, request_bytes

APP = """
import asyncio
from turboapi_rs import Server
server = Server()
server.route("GET", "/", lambda: "hello")
async def slow():
    await asyncio.sleep(0.05)
    return "slow"
server.route("GET", "/slow", slow)
async def endless():
    await asyncio.sleep(600)
server.route("GET", "/endless", endless)
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    await asyncio.sleep(0.01)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"asgi"})
"""


NAMES_THREADS = """
import atexit, threading
atexit.register(lambda: print("at the end:", [thread.name for thread in threading.enumerate()], flush=True))
"""


@pytest.fixture
def child(tmp_path):
    (tmp_path / "served.py").write_text(APP)
    with contextlib.ExitStack() as stack:

        def start(target: str, *options: str) -> Command:
            return stack.enter_context(Command(target, *COMMAND_OPTIONS, *options, folder=tmp_path))

        yield start


@pytest.mark.parametrize(("target", "path"), [("served:server", "/"), ("served:server", "/slow"), ("served:app", "/")])
def test_every_request_sent_before_the_signal_is_answered(child, target, path):
    server = child(target)
    clients = 16
    signalled = threading.Event()
    started = threading.Barrier(clients + 1)
    lost: list[str] = []
    answered = [0] * clients

    def client(number: int) -> None:
        connection = Connection(server.address)
        started.wait()
        while True:
            sent_before = not signalled.is_set()
            try:
                connection.send(request_bytes("GET", path))
                answer = connection.read_answer()
            except (NoAnswer, ConnectionError) as error:
                # Counts when the request had left before the signal was given.
                if sent_before and not signalled.is_set():
                    lost.append(f"before: {error}")
                elif sent_before:
                    # Sent between the check and the signal: whether before or after is not known.
                    unsure.append(number)
                return
            if answer.status != 200 or answer.is_torn:
                lost.append(f"{answer.status} torn {answer.is_torn}")
            answered[number] += 1
            if answer.header("connection") == "close":
                connection.close()
                return

    unsure: list[int] = []
    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    started.wait()
    # Requests that are in flight for certain: sent now, and read only after the signal.
    waiting = [Connection(server.address) for _ in range(8)]
    for connection in waiting:
        connection.send(request_bytes("GET", path))
    while min(answered) < 20:
        threading.Event().wait(0.01)
    signalled.set()
    server.terminate()
    assert [connection.read_answer().status for connection in waiting] == [200] * 8
    for thread in threads:
        thread.join(30)
    assert server.wait() == 0
    assert lost == []


def test_connection_that_was_accepted_by_the_kernel_only_is_answered(child):
    server = child("served:server")
    connections = [Connection(server.address) for _ in range(100)]
    for connection in connections:
        connection.send(request_bytes("GET", "/slow"))
    server.terminate()
    assert [connection.read_answer().body for connection in connections] == [b"slow"] * 100
    assert server.wait() == 0


@pytest.mark.parametrize(
    "busy", [b"POST / HTTP/1.1\r\nhost: x\r\n", request_bytes("GET", "/endless")], ids=["half a head", "a handler"]
)
def test_second_signal_cuts_at_once(child, busy):
    server = child("served:server", "--drain-grace", "60")
    connection = Connection(server.address)
    connection.send(busy)
    other = Connection(server.address)
    assert other.exchange(request_bytes("GET", "/")).body == b"hello"
    server.terminate()
    # The drain has begun: idle connections are closed.
    assert other.is_closed_by_peer()
    server.terminate()
    assert server.wait(30) == 0


def test_what_is_busy_after_the_grace_is_cut(child):
    server = child("served:server", "--drain-grace", "0.3")
    connection = Connection(server.address)
    connection.send(b"POST / HTTP/1.1\r\nhost: x\r\n")
    other = Connection(server.address)
    assert other.exchange(request_bytes("GET", "/")).body == b"hello"
    server.terminate()
    assert server.wait(30) == 0


@pytest.mark.once
@pytest.mark.parametrize("isolation", ["shared", "processes"])
def test_no_thread_of_ours_is_left_when_the_interpreter_ends(tmp_path, isolation):
    """A worker process died of SIGSEGV when a thread that waited for its supervisor woke in the interpreter's end."""
    (tmp_path / "served.py").write_text(APP + NAMES_THREADS)
    options = ("--driver", DRIVER, "--isolation", isolation, "--workers", "1")
    with Command("served:server", *options, folder=tmp_path) as server:
        if isolation == "processes":
            # The worker that is replaced is the one whose supervisor goes on.
            server.send(signal.SIGHUP)
            server.wait_for_line("at the end: .*")
        assert server.end() == 0
        ends = [line for line in server.log().splitlines() if line.startswith("at the end")]
    assert ends == ["at the end: ['MainThread']"] * (2 if isolation == "processes" else 1)
