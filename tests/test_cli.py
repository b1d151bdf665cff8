"""`turboapi` as a child process: exit codes, one-line errors, signals, sockets."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.conftest import DRIVER, WORKERS
from tests.support.wire import Connection, request_bytes

REPO = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.once


def turboapi(*arguments: str, folder: Path, **options) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [sys.executable, "-m", "turboapi_rs", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, **options)


class Serving:
    """`turboapi run`, from its banner to its end."""

    def __init__(self, *arguments: str, folder: Path, workers: int = WORKERS, **options) -> None:
        command = [
            sys.executable,
            "-m",
            "turboapi_rs",
            "run",
            *arguments,
            "--driver",
            DRIVER,
            "--workers",
            str(workers),
        ]
        self.process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, **options)
        self.lines: list[str] = []
        self._has_banner = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stderr:
            self.lines.append(line)
            if "serving on" in line:
                self._has_banner.set()
        self._has_banner.set()

    @property
    def banner(self) -> str:
        assert self._has_banner.wait(60)
        return next((line for line in self.lines if "serving on" in line), "")

    @property
    def port(self) -> int:
        return int(re.search(r":(\d+) ", self.banner)[1])

    def __enter__(self) -> Serving:
        assert self.banner, "".join(self.lines)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


APP = """
import asyncio, os
from turboapi_rs import Server
server = Server()
server.route("GET", "/", lambda: "hello")
async def slow():
    await asyncio.sleep(0.3)
    return "slow"
server.route("GET", "/slow", slow)
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"asgi"})
def make():
    return app
def broken_factory():
    raise KeyError("what")
class Holder:
    app = app
number = 7
"""

FAILING = """
import contextlib
from fastapi import FastAPI
@contextlib.asynccontextmanager
async def lifespan(app):
    raise RuntimeError("the database is away")
    yield
app = FastAPI(lifespan=lifespan)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "served.py").write_text(APP)
    (tmp_path / "failing.py").write_text(FAILING)
    (tmp_path / "raises.py").write_text("1/0\n")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["absent:app"], 2, r"attribute 'app' of module 'absent': ModuleNotFoundError"),
        (["served:absent"], 2, r"attribute 'absent' of module 'served': the module has no such attribute"),
        (["served"], 0, ""),
        (["raises:app"], 2, r"module 'raises': ZeroDivisionError: division by zero"),
        (["served:number"], 2, r"a value of type int is neither a Server nor an ASGI application"),
        (["served:broken_factory", "--factory"], 2, r"the factory raised KeyError"),
        (["served:server", "--workers", "-1"], 2, r"workers: -1 is not a whole number from 0"),
        (["served:server", "--driver", "kqueuering"], 2, r"driver: 'kqueuering' is not one of auto, uring, epoll"),
        (["served:server", "--port", "70000"], 2, r"port: 70000"),
        (["served:server", "--fd", "77"], 2, r"cannot listen: Bad file descriptor"),
        (["served:server", "--fd", "3", "--uds", "x"], 2, r"uds and fd exclude each other"),
        (["served:server", "--uds", "no/such/folder/s"], 2, r"cannot listen: No such file"),
        (["served:server", "--host", "no.such.host.invalid"], 2, r"no.such.host.invalid"),
        (["served:server", "--isolation", "interpreters"], 2, r"isolation"),
        (["served:server", "--max-body", "many"], 2, r"'many' is not a size"),
        (["served:server", "--gil", "require"], 2 if not sys._is_gil_enabled() else 0, ""),
        (["served:server", "--gil", "refuse"], 2 if sys._is_gil_enabled() else 0, ""),
        (["failing:app"], 3, r"the database is away"),
    ],
)
def test_exit_code_and_one_line(folder, arguments, code, says):
    if code == 0:
        with Serving(*arguments, "--port", "0", folder=folder) as serving:
            assert serving.end() == 0
        return
    ended = turboapi("run", *arguments, folder=folder)
    assert ended.returncode == code, ended.stderr
    assert re.search(says, ended.stderr), ended.stderr
    if code == 2 and "usage:" not in ended.stderr:
        assert ended.stderr.count("\n") == 1, ended.stderr
    assert "serving on" not in ended.stderr


def test_traceback_comes_with_log_level_debug(folder):
    assert "Traceback" in turboapi("run", "raises:app", "--log-level", "debug", folder=folder).stderr


def test_port_in_use_is_exit_2(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = turboapi("run", "served:server", "--port", str(taken.getsockname()[1]), folder=folder)
    assert (ended.returncode, "Address already in use" in ended.stderr) == (2, True), ended.stderr


@pytest.mark.parametrize("target", ["served:server", "served:app", "served:make", "served:Holder.app"])
def test_every_kind_of_application_is_served(folder, target):
    extra = ["--factory"] if target == "served:make" else []
    with Serving(target, *extra, "--port", "0", folder=folder) as serving:
        with Connection(("127.0.0.1", serving.port)) as connection:
            answer = connection.exchange(request_bytes("GET", "/"))
        assert answer.body == (b"hello" if target == "served:server" else b"asgi")
        assert serving.end() == 0
        assert re.search(
            r"Python 3\.\d+\.\d+t?, GIL (on|off); \d+ workers?, (io_uring|epoll), isolation shared", serving.banner
        )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_drains_and_exits_0(folder, number):
    with Serving("served:server", "--port", "0", folder=folder) as serving:
        with Connection(("127.0.0.1", serving.port)) as connection:
            connection.send(request_bytes("GET", "/slow"))
            # Another connection's answer: by then the first request has been read as well.
            with Connection(("127.0.0.1", serving.port)) as other:
                assert other.exchange(request_bytes("GET", "/")).body == b"hello"
            serving.process.send_signal(number)
            answer = connection.read_answer()
            assert (answer.body, answer.header("connection")) == (b"slow", "close")
        assert serving.process.wait(60) == 0


def test_unix_domain_socket_is_served_and_its_file_replaced(folder):
    path = folder / "s"
    for _ in range(2):
        with (
            Serving("served:server", "--uds", str(path), folder=folder) as serving,
            socket.socket(socket.AF_UNIX) as client,
        ):
            client.connect(str(path))
            client.sendall(request_bytes("GET", "/"))
            assert b"hello" in client.recv(4096)
            # Killed, not stopped: the file is left behind for the next one to replace.
            serving.process.kill()
            serving.process.wait()


def test_inherited_socket_is_served_by_fd_and_by_listen_fds(folder):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        address = listening.getsockname()
        fd = listening.fileno()
        with Serving("served:server", "--fd", str(fd), folder=folder, pass_fds=[fd]) as serving:
            with Connection(address) as connection:
                assert connection.exchange(request_bytes("GET", "/")).body == b"hello"
            assert serving.end() == 0
        program = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()));"
            "os.set_inheritable(3, True);"
            "os.execv(sys.executable, [sys.executable, '-m', 'turboapi_rs', 'run', 'served:server'])"
        )
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(fd)], cwd=folder, pass_fds=[fd], stderr=subprocess.PIPE, text=True
        )
        try:
            assert str(address[1]) in child.stderr.readline()
            with Connection(address) as connection:
                assert connection.exchange(request_bytes("GET", "/")).body == b"hello"
            child.send_signal(signal.SIGTERM)
            assert child.wait(60) == 0
        finally:
            child.kill()
            child.wait()
            child.stderr.close()


def test_version_says_what_this_build_is(folder):
    ended = turboapi("version", folder=folder)
    assert ended.returncode == 0
    assert re.match(
        r"turboapi \d+\.\d+\.\d+ \(Python 3\.\d+\.\d+\S*, (free-threaded|GIL) build, GIL (on|off)\)", ended.stdout
    )


def test_importing_server_does_not_import_fastapi():
    program = "import sys; from turboapi_rs import Server, ServerConfig, serve; print('fastapi' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert ended.stdout.strip() == "False", ended.stderr
