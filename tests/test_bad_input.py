"""What bad input gets, seen from outside: an exit code and one line, an exception of its own class, a status, or silence.

The rest of the table is in test_cli.py (app strings, options), test_dispatch.py (handlers that raise or return nonsense),
test_limits.py (malformed and oversized requests).
"""

from __future__ import annotations

import os
import platform
import re
import socket
import sys
import threading
from pathlib import Path

import pytest
from turboapi_rs import ConfigError, Server, StartupError

from tests.conftest import DRIVER, WORKERS
from tests.support.command import Command, turboapi
from tests.support.wire import Connection, request_bytes

GET = request_bytes("GET", "/")


def hello() -> Server:
    server = Server()
    server.route("GET", "/", lambda: "hello")
    return server


@pytest.mark.once
@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"fd": 987}, OSError, r"\[Errno 9\] Bad file descriptor: descriptor 987"),
        ({"uds": "no/such/folder/s"}, FileNotFoundError, r"No such file or directory: unix:no/such/folder/s"),
        ({"uds": "/" + "s" * 200}, (OSError, ConfigError), "unix:/sss"),
        ({"host": "192.0.2.1", "port": 0}, OSError, r"Cannot assign requested address: 192.0.2.1:0"),
        ({"host": "no.such.host.invalid", "port": 0}, ConfigError, "no.such.host.invalid"),
        ({"driver": "kqueuering"}, ConfigError, "driver: 'kqueuering' is not one of auto, uring, epoll"),
        ({"workers": -1}, ConfigError, "workers: -1 is not a whole number from 0"),
        ({"workers": "x"}, ConfigError, "workers: 'x' is not a whole number from 0"),
        ({"max_body": "abc"}, ConfigError, "max_body: 'abc' is not a whole number from 0"),
        ({"head_timeout": "soon"}, ConfigError, "head_timeout: 'soon' is not a number of seconds above 0"),
        ({"head_timeout": float("nan")}, ConfigError, "head_timeout: nan is not a number of seconds above 0"),
        ({"head_timeout": float("inf")}, ConfigError, "head_timeout: inf is not a number of seconds above 0"),
        ({"host": None}, ConfigError, "host: None is not a str"),
        ({"uds": "s", "port": 9000}, ConfigError, "port and uds exclude each other: give one"),
        ({"uds": "s", "uds_mode": 0o1000}, ConfigError, "uds_mode: 512 is not permission bits, 0 to 0o777"),
        ({"uds_mode": 0o600}, ConfigError, "uds_mode: there is no uds that it is for"),
        ({"half_close": "no"}, ConfigError, "half_close: 'no' is not a bool"),
    ],
)
def test_wrong_setting_from_python_is_an_exception_of_its_own_class(settings, error, says):
    server = hello()
    with pytest.raises(error, match=says):
        server.start(**settings)
    assert not server.is_running


@pytest.mark.once
@pytest.mark.skipif(os.geteuid() == 0, reason="root may listen on any port")
def test_privileged_port_is_a_permission_error():
    with pytest.raises(PermissionError):
        hello().start(port=1)


TIGHT = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
os.execv(sys.executable, [sys.executable, "-m", "turboapi_rs", *sys.argv[1:]])
"""


@pytest.mark.once
@pytest.mark.parametrize("isolation", ["shared", "interpreters", "processes"])
def test_more_workers_than_descriptors_is_exit_2_with_what_to_change(tmp_path, isolation):
    (tmp_path / "served.py").write_text("from turboapi_rs import Server\nserver = Server()\n")
    program = (sys.executable, "-c", TIGHT, "run")
    command = Command("served:server", "--workers", "60", "--isolation", isolation, folder=tmp_path, program=program)
    try:
        assert command.wait() == 2
        (line,) = [line for line in command.log().splitlines() if "the GIL is on" not in line]
        assert re.fullmatch(
            r"turboapi: --workers: 60 need \d+ file descriptors, and this process may open 60: "
            r"ask for fewer, or raise the limit \(ulimit -n\)",
            line,
        ), line
    finally:
        command.close()


STARTING = """
import socket, sys
async def app(scope, receive, send):
    assert scope["type"] == "lifespan", "nothing may be served"
    await receive()
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), 5)
    except ConnectionRefusedError:
        said = "refused"
    else:
        said = "served"
    await send({"type": "lifespan.startup.failed", "message": f"the database is away; a client was {said}"})
"""


@pytest.mark.once
@pytest.mark.parametrize("workers", ["1", "2"])
def test_nothing_is_served_by_an_application_that_refuses_to_start(tmp_path, workers):
    (tmp_path / "starting.py").write_text(STARTING)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    ended = turboapi("run", "starting:app", "--port", port, "--workers", workers, folder=tmp_path)
    says = "turboapi: the application did not start: the database is away; a client was refused\n"
    assert (ended.returncode, ended.stderr) == (3, says)


def leaving_app(entered: threading.Event, told: threading.Event):
    async def app(scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        if scope["path"] == "/":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            return await send({"type": "http.response.body", "body": b"hello"})
        if scope["path"] == "/begun":
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        entered.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        told.set()
        return None

    return app


HALVES = {
    "nothing sent": b"",
    "half a head": b"GET / HTTP/1.1\r\nho",
    "half a body": b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc",
    "half a chunk": b"POST /body HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
    "no answer yet": request_bytes("GET", "/silent"),
    "half an answer": request_bytes("GET", "/begun"),
}


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("sent", HALVES.values(), ids=HALVES)
def test_client_that_leaves_is_told_to_the_application_and_nobody_else(live, connect, capfd, sent, how):
    entered, told = threading.Event(), threading.Event()
    server = live(leaving_app(entered, told), log_level="debug")
    for _ in range(3):
        entered.clear()
        told.clear()
        connection = connect(server)
        connection.send(sent)
        is_seen = b"/body" in sent or b"/silent" in sent or b"/begun" in sent
        if is_seen:
            assert entered.wait(20)
        getattr(connection, how)()
        if is_seen:
            assert told.wait(20)
    assert connect(server).exchange(GET).body == b"hello"
    server.stop()
    # No line at warning or above. (The loop's own debug lines are none of ours.)
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("turboapi ")]
    assert [line for line in said if not line.startswith("turboapi DEBUG")] == []


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
def test_clients_that_leave_leak_no_descriptor(live, connect):
    entered, told = threading.Event(), threading.Event()
    server = live(leaving_app(entered, told))
    assert connect(server).exchange(GET).body == b"hello"

    def leave(sent: bytes) -> None:
        with Connection(("127.0.0.1", server.port)) as connection:
            connection.send(sent)

    def settle() -> int:
        # A server that has read the end of all those connections answers this one after them, on the same worker or not.
        for _ in range(400):
            with Connection(("127.0.0.1", server.port)) as connection:
                assert connection.exchange(GET).body == b"hello"
            threading.Event().wait(0.01)
            if descriptors() <= before:
                break
        return descriptors()

    for sent in HALVES.values():
        leave(sent)
    before = 10**9
    settle()
    before = descriptors()
    for _ in range(20):
        for sent in HALVES.values():
            leave(sent)
    assert settle() <= before


#: Refuses io_uring as container runtimes do, then becomes the command.
WITHOUT_URING = """
import ctypes, os, struct, sys
def instruction(code, jt, jf, k):
    return struct.pack("HBBI", code, jt, jf, k)
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
IO_URING_SETUP, ALLOW, EPERM = 425, 0x7FFF0000, 0x00050001
program = (
    instruction(LOAD, 0, 0, 0)
    + instruction(EQUAL, 0, 1, IO_URING_SETUP)
    + instruction(RETURN, 0, 0, EPERM)
    + instruction(RETURN, 0, 0, ALLOW)
)
held = ctypes.create_string_buffer(program)
filter = struct.pack("HxxxxxxP", 4, ctypes.addressof(held))
libc = ctypes.CDLL(None, use_errno=True)
NO_NEW_PRIVS, SECCOMP, MODE_FILTER = 38, 22, 2
assert libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert libc.prctl(SECCOMP, MODE_FILTER, filter, 0, 0) == 0, ctypes.get_errno()
os.execv(sys.executable, [sys.executable, "-m", "turboapi_rs", *sys.argv[1:]])
"""

linux = pytest.mark.skipif(
    not sys.platform.startswith("linux") or platform.machine() not in ("x86_64", "aarch64"),
    reason="filters system calls of Linux by number",
)


@linux
@pytest.mark.once
@pytest.mark.parametrize("workers", ["1", "2"])
def test_io_uring_that_is_refused_is_one_line_and_epoll(tmp_path, workers):
    (tmp_path / "served.py").write_text(
        "from turboapi_rs import Server\nserver = Server()\nserver.route('GET', '/', lambda: 'hello')\n"
    )
    program = (sys.executable, "-c", WITHOUT_URING, "run")
    with Command("served:server", "--workers", workers, folder=tmp_path, program=program) as serving:
        refused, *others, banner = serving.log().splitlines()
        # A build with the GIL says so, in one line more.
        assert len(others) == (0 if "free-threading" in sys.version else 1), others
        assert refused == (
            "turboapi WARN: io_uring is refused by this system (Operation not permitted (os error 1)): running on epoll"
        )
        assert ", epoll, " in banner
        with Connection(serving.address) as connection:
            assert connection.exchange(GET).body == b"hello"
        assert serving.end() == 0


@linux
@pytest.mark.once
def test_io_uring_that_was_asked_for_and_is_refused_is_exit_2(tmp_path):
    (tmp_path / "served.py").write_text("from turboapi_rs import Server\nserver = Server()\n")
    program = (sys.executable, "-c", WITHOUT_URING, "run")
    command = Command("served:server", "--driver", "uring", folder=tmp_path, program=program)
    try:
        assert command.wait() == 2
        says = "turboapi: the io_uring driver is refused by this system: Operation not permitted (os error 1)\n"
        assert command.log() == says
    finally:
        command.close()


def test_startup_error_names_what_the_application_said(live):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "the database is away"})

    with pytest.raises(StartupError, match=r"^the database is away$"):
        live(app, driver=DRIVER, workers=WORKERS)
