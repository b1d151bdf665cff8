"""`turboapi` as a child process: exit codes, one-line errors, signals, sockets."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.conftest import DRIVER, WORKERS
from tests.support.command import Command, turboapi
from tests.support.wire import Connection, request_bytes

pytestmark = pytest.mark.once

LEG = ("--driver", DRIVER, "--workers", str(WORKERS))


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
        (["served:server", "--workers", "-1"], 2, r"--workers: -1 is not a whole number from 0"),
        (["served:server", "--driver", "kqueuering"], 2, r"--driver: 'kqueuering' is not one of auto, uring, epoll"),
        (["served:server", "--port", "70000"], 2, r"--port: 70000 is not a whole number from 0 to 65535"),
        (["served:server", "--fd", "77"], 2, r"cannot listen: Bad file descriptor"),
        (["served:server", "--fd", "3", "--uds", "x"], 2, r"--uds and --fd exclude each other"),
        (["served:server", "--uds", "s", "--port", "8000"], 2, r"--port and --uds exclude each other"),
        (["served:server", "--uds", "s", "--host", "::"], 2, r"--host and --uds exclude each other"),
        (["served:server", "--fd", "3", "--port", "8000"], 2, r"--port and --fd exclude each other"),
        (["served:server", "--uds-mode", "660"], 2, r"--uds-mode: there is no uds"),
        (["served:server", "--uds", "s", "--uds-mode", "9"], 2, r"--uds-mode: '9' is not permission bits in octal"),
        (["served:server", "--uds", "no/such/folder/s"], 2, r"cannot listen: No such file"),
        (["served:server", "--host", "no.such.host.invalid"], 2, r"no.such.host.invalid"),
        (["served:server", "--max-body", "many"], 2, r"--max-body: 'many' is not a size such as 65536, 64KiB"),
        (["served:server", "--workers", "x"], 2, r"--workers: 'x' is not a whole number"),
        (["served:server", "--workers", "1.5"], 2, r"--workers: '1.5' is not a whole number"),
        (["served:server", "--backlog", ""], 2, r"--backlog: '' is not a whole number"),
        (["served:server", "--head-timeout", "soon"], 2, r"--head-timeout: 'soon' is not a number of seconds"),
        (["served:server", "--head-timeout", "nan"], 2, r"--head-timeout: nan is not a number of seconds above 0"),
        (["served:server", "--colour", "red"], 2, r"unrecognized arguments: --colour"),
        (["served:server", "--work", "1"], 2, r"unrecognized arguments: --work"),
        (["served:server", "--port"], 2, r"--port: expected one argument"),
        ([], 2, r"arguments are required: app"),
        (["served:server", "--gil", "require"], 2 if not sys._is_gil_enabled() else 0, ""),
        (["served:server", "--gil", "refuse"], 2 if sys._is_gil_enabled() else 0, ""),
        (["failing:app"], 3, r"the database is away"),
    ],
)
def test_exit_code_and_one_line(folder, arguments, code, says):
    if code == 0:
        with Command(*arguments, folder=folder) as serving:
            assert serving.end() == 0
        return
    ended = turboapi("run", *arguments, folder=folder)
    assert ended.returncode == code, ended.stderr
    assert re.search(says, ended.stderr), ended.stderr
    assert ended.stderr.startswith("turboapi: ")
    if code == 2:
        assert ended.stderr.count("\n") == 1, ended.stderr
    assert "serving on" not in ended.stderr


def test_traceback_comes_with_log_level_debug(folder):
    assert "Traceback" in turboapi("run", "raises:app", "--log-level", "debug", folder=folder).stderr


def test_port_in_use_is_exit_2(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = turboapi("run", "served:server", "--port", str(port), folder=folder)
    says = f"turboapi: cannot listen: Address already in use: 127.0.0.1:{port}\n"
    assert (ended.returncode, ended.stderr) == (2, says)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, who may not make sockets in a folder of ours")
def test_address_without_permission_is_exit_2(folder):
    folder.chmod(0o755)
    private = folder / "private"
    private.mkdir(mode=0o700)
    # All is imported beforehand, as ourselves: nobody may not even see the checkout.
    program = (
        "import gettext, locale, os, shutil, sys, turboapi_rs.app, turboapi_rs.cli as cli\n"
        "cli.AppTarget.load = lambda *_, **__: turboapi_rs.Server()\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "sys.exit(cli.main(['run', 'any:app', '--uds', sys.argv[1]]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(private / "s")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=60,
    )
    says = f"turboapi: cannot listen: Permission denied: unix:{private / 's'}\n"
    assert (ended.returncode, ended.stderr) == (2, says)


@pytest.mark.parametrize("target", ["served:server", "served:app", "served:make", "served:Holder.app"])
def test_every_kind_of_application_is_served(folder, target):
    extra = ["--factory"] if target == "served:make" else []
    with Command(target, *extra, *LEG, folder=folder) as serving:
        with Connection(("127.0.0.1", serving.port)) as connection:
            answer = connection.exchange(request_bytes("GET", "/"))
        assert answer.body == (b"hello" if target == "served:server" else b"asgi")
        assert serving.end() == 0
        assert re.search(
            r"Python 3\.\d+\.\d+t?, GIL (on|off); \d+ workers?, (io_uring|epoll), isolation shared", serving.banner
        )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_drains_and_exits_0(folder, number):
    with Command("served:server", *LEG, folder=folder) as serving:
        with Connection(("127.0.0.1", serving.port)) as connection:
            connection.send(request_bytes("GET", "/slow"))
            # Another connection's answer: by then the first request has been read as well.
            with Connection(("127.0.0.1", serving.port)) as other:
                assert other.exchange(request_bytes("GET", "/")).body == b"hello"
            serving.send(number)
            answer = connection.read_answer()
            assert (answer.body, answer.header("connection")) == (b"slow", "close")
        assert serving.wait() == 0


def test_unix_domain_socket_is_served_and_its_file_replaced(folder):
    path = folder / "s"
    for mode in ("600", "640"):
        options = ("--uds-mode", mode, *LEG)
        with (
            Command("served:server", *options, place=("--uds", str(path)), folder=folder) as serving,
            socket.socket(socket.AF_UNIX) as client,
        ):
            assert path.stat().st_mode & 0o777 == int(mode, 8)
            client.connect(str(path))
            client.sendall(request_bytes("GET", "/"))
            assert b"hello" in client.recv(4096)
            # Killed, not stopped: the file is left behind for the next one to replace.
            serving.process.kill()
            serving.wait()


#: Gives the socket of descriptor `argv[1]` to the command as systemd does, with the options that follow.
PASSED_ON = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS=sys.argv[2], LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "turboapi_rs", "run", *sys.argv[3:]])
"""


@pytest.fixture
def listening():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


@pytest.mark.parametrize("way", ["fd", "LISTEN_FDS"])
def test_inherited_socket_is_served(folder, listening, way):
    address, fd = listening.getsockname(), listening.fileno()
    if way == "fd":
        command = Command("served:server", *LEG, place=("--fd", str(fd)), folder=folder, pass_fds=[fd])
    else:
        program = (sys.executable, "-c", PASSED_ON, str(fd), "1")
        command = Command("served:server", *LEG, place=(), program=program, folder=folder, pass_fds=[fd])
    with command as serving:
        assert str(address[1]) in serving.banner
        with Connection(address) as connection:
            assert connection.exchange(request_bytes("GET", "/")).body == b"hello"
        assert serving.end() == 0


@pytest.mark.parametrize(
    ("count", "options", "says"),
    [
        ("1", ["--port", "8000"], "turboapi: --port: LISTEN_FDS passed a socket to listen on: leave this out\n"),
        ("1", ["--host", "127.0.0.1"], "turboapi: --host: LISTEN_FDS passed a socket to listen on: leave this out\n"),
        ("1", ["--uds", "x"], "turboapi: --uds: LISTEN_FDS passed a socket to listen on: leave this out\n"),
        ("2", [], "turboapi: LISTEN_FDS: 2 sockets were passed, one can be served\n"),
    ],
)
def test_listen_fds_beside_another_place_is_refused(folder, listening, count, options, says):
    fd = listening.fileno()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-c", PASSED_ON, str(fd), count, "served:server", *options],
        cwd=folder,
        pass_fds=[fd],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (2, says)


STARTING = """
import asyncio, contextlib, sys, time
from fastapi import FastAPI
@contextlib.asynccontextmanager
async def lifespan(app):
    print("starting", flush=True)
    try:
        await asyncio.sleep(600)
        yield
    finally:
        print("cancelled", flush=True)
slow = FastAPI(lifespan=lifespan)
async def blocking(scope, receive, send):
    print("starting", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_during_a_slow_startup_cancels_it(folder, number, workers):
    (folder / "starting.py").write_text(STARTING)
    command = Command("starting:slow", "--driver", DRIVER, "--workers", workers, folder=folder)
    try:
        command.wait_for_line("starting")
        assert command.end(number) == 128 + number
        lines = ["starting", "cancelled", f"turboapi: stopped by {number.name} before it had started"]
        assert command.log().splitlines() == lines
    finally:
        command.close()


def test_second_signal_ends_a_startup_that_blocks_its_thread(folder):
    (folder / "starting.py").write_text(STARTING)
    command = Command("starting:blocking", *LEG, folder=folder)
    try:
        command.wait_for_line("starting")
        command.send(signal.SIGTERM)
        # The first one has been seen when the kernel shows none pending; the handler runs at once after it.
        with pytest.raises(subprocess.TimeoutExpired):
            command.wait(1)
        assert command.end(signal.SIGTERM) == 143
    finally:
        command.close()


def test_sigint_during_the_import_is_one_line(folder):
    (folder / "importing.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(600)\n")
    command = Command("importing:app", *LEG, folder=folder)
    try:
        command.wait_for_line("importing")
        assert command.end(signal.SIGINT) == 130
        assert command.log() == "importing\nturboapi: stopped by SIGINT while the application was imported\n"
    finally:
        command.close()


def test_version_says_what_runs_here(folder):
    ended = turboapi("version", folder=folder)
    assert ended.returncode == 0
    is_free = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    expected = (
        rf"turboapi \d+\.\d+\.\d+ \(Python 3\.\d+\.\d+\S*, {'free-threaded' if is_free else 'GIL'} build, "
        rf"GIL {'on' if sys._is_gil_enabled() else 'off'}\)\n"
        r"(gil: .*\n)?driver: (io_uring|(epoll|kqueue) \(io_uring is refused here: .+\))\nisolation: shared.*\ncores: \d+\n"
    )
    assert re.fullmatch(expected, ended.stdout), ended.stdout
    # The driver is the one that a server without `--driver` gets.
    driver = re.search(r"driver: (\S+)", ended.stdout)[1]
    with Command("served:server", folder=folder) as serving:
        assert f", {driver}, " in serving.banner
        assert serving.end() == 0


def test_help_says_units_and_defaults(folder):
    ended = turboapi("run", "--help", folder=folder)
    text = " ".join(ended.stdout.split())
    assert "64KiB (65,536), 64KB or 64K (64,000)" in text
    assert "--max-head SIZE bytes of request head (431) (default: 16384)" in text


def test_importing_server_does_not_import_fastapi():
    program = "import sys; from turboapi_rs import Server, ServerConfig, serve; print('fastapi' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert ended.stdout.strip() == "False", ended.stderr
