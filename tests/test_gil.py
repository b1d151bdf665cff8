"""What follows from the GIL: said in one line, with the name of who turned it on; one worker; refused or required."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from turboapi_rs import ConfigError, ServerConfig, gil

from tests.support.command import ANY_PORT, Command, turboapi
from tests.support.wire import Connection, request_bytes

IS_FREE = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

pytestmark = pytest.mark.once

free_threaded = pytest.mark.skipif(
    not IS_FREE or sys._is_gil_enabled(), reason="for a free-threaded build that runs without the GIL"
)

EXTENSION = """
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "wants_gil", NULL, 0, NULL};
PyMODINIT_FUNC PyInit_wants_gil(void) { return PyModuleDef_Init(&module); }
"""

APPS = {
    "plain": "",
    "early": "import wants_gil\n",
    "late": "",
}

SERVER = """
from turboapi_rs import Server
server = Server()
@server.get("/")
def turn_on():
    import wants_gil
if __name__ == "__main__":
    server.run(port=0)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Applications, beside an extension module that does not declare that it runs without the GIL."""
    folder = tmp_path_factory.mktemp("gil")
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    (folder / "wants_gil.c").write_text(EXTENSION)
    flags = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
    include = f"-I{sysconfig.get_path('include')}"
    subprocess.run(
        [compiler, "-shared", "-fPIC", *flags, include, "wants_gil.c", "-o", "wants_gil.so"], cwd=folder, check=True
    )
    for name, first in APPS.items():
        (folder / f"{name}.py").write_text(first + SERVER)
    return folder


def lines_of(command: Command) -> list[str]:
    return [line for line in command.log().splitlines() if "GIL" in line or "gil" in line]


BY_MODULE = "turboapi: the GIL is on (the extension module 'wants_gil' turned it on)"
BY_FLAG = "turboapi: the GIL is on (PYTHON_GIL=1 or -X gil=1 asks for it)"
BY_BUILD = "turboapi: the GIL is on (this Python is built with it)"


@free_threaded
@pytest.mark.parametrize(
    ("app", "options", "env", "line", "workers"),
    [
        ("early", [], {}, BY_MODULE + ": 1 worker; --workers N overrides", 1),
        ("early", [], {"PYTHONWARNINGS": "ignore"}, BY_MODULE + ": 1 worker; --workers N overrides", 1),
        ("early", ["--workers", "2"], {}, BY_MODULE, 2),
        ("plain", [], {"PYTHON_GIL": "1"}, BY_FLAG + ": 1 worker; --workers N overrides", 1),
        ("plain", ["--workers", "3"], {"PYTHON_GIL": "1"}, BY_FLAG, 3),
    ],
)
def test_auto_says_who_turned_the_gil_on_and_takes_one_worker(folder, app, options, env, line, workers):
    with Command(f"{app}:server", *options, folder=folder, env=env) as serving:
        said, banner = lines_of(serving)
        assert said == line
        assert f"GIL on; {workers} worker{'s' * (workers > 1)}," in banner
        assert serving.end() == 0


@free_threaded
def test_worker_processes_have_it_said_once(folder):
    options = ("--isolation", "processes", "--workers", "2")
    with Command("early:server", *options, folder=folder) as serving:
        said, banner = lines_of(serving)
        assert said == BY_MODULE
        assert "GIL on; 2 processes," in banner
        assert serving.end() == 0


@pytest.mark.skipif(IS_FREE, reason="for a build with the GIL")
def test_build_with_the_gil_takes_one_worker(folder):
    with Command("plain:server", folder=folder) as serving:
        said, banner = lines_of(serving)
        assert said == BY_BUILD + ": 1 worker; --workers N overrides"
        assert "GIL on; 1 worker," in banner


@free_threaded
def test_without_the_gil_nothing_is_said_and_every_core_gets_a_worker(folder):
    with Command("plain:server", folder=folder) as serving:
        (banner,) = lines_of(serving)
        cores = turboapi("version", folder=folder).stdout.rsplit("cores: ", 1)[1].strip()
        assert f"GIL off; {cores} worker" in banner


@free_threaded
def test_script_that_serves_itself_names_the_module_too(folder):
    program = (sys.executable, "early.py")
    with Command(place=(), program=program, folder=folder) as serving:
        assert BY_MODULE + ": 1 worker; --workers N overrides" in serving.log().splitlines()


@free_threaded
def test_refuse_is_exit_2_with_the_name(folder):
    for isolation in ("shared", "processes"):
        ended = turboapi("run", "early:server", "--gil", "refuse", "--isolation", isolation, *ANY_PORT, folder=folder)
        says = "turboapi: --gil: refuse, but the GIL is on: the extension module 'wants_gil' turned it on\n"
        assert (ended.returncode, ended.stderr) == (2, says)
    ended = turboapi("run", "plain:server", "--gil", "refuse", folder=folder, env={"PYTHON_GIL": "1"})
    says = "turboapi: --gil: refuse, but the GIL is on: PYTHON_GIL=1 or -X gil=1 asks for it\n"
    assert (ended.returncode, ended.stderr) == (2, says)


@pytest.mark.skipif(IS_FREE, reason="for a build with the GIL")
@pytest.mark.parametrize("isolation", ["shared", "interpreters", "processes"])
def test_refuse_is_exit_2_where_the_gil_is_built_in(folder, isolation):
    ended = turboapi("run", "plain:server", "--gil", "refuse", "--isolation", isolation, *ANY_PORT, folder=folder)
    says = "turboapi: --gil: refuse, but the GIL is on: this Python is built with it\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", says)


@pytest.mark.skipif(IS_FREE, reason="for a build with the GIL")
def test_require_serves_where_the_gil_is_built_in(folder):
    with Command("plain:server", "--gil", "require", folder=folder) as serving:
        assert serving.end() == 0


@free_threaded
def test_require_is_exit_2_without_it_and_serves_with_it(folder):
    ended = turboapi("run", "plain:server", "--gil", "require", folder=folder)
    says = "turboapi: --gil: require, but the GIL is off: start Python with PYTHON_GIL=1\n"
    assert (ended.returncode, ended.stderr) == (2, says)
    with Command("plain:server", "--gil", "require", folder=folder, env={"PYTHON_GIL": "1"}) as serving:
        assert serving.end() == 0


@free_threaded
def test_gil_that_comes_on_while_serving_is_one_line(folder):
    with Command("late:server", "--workers", "2", folder=folder) as serving:
        for _ in range(2):
            with Connection(serving.address) as connection:
                assert connection.exchange(request_bytes("GET", "/")).status == 200
        serving.wait_for_line("workers take turns")
        assert serving.end() == 0
        ours = [line for line in serving.log().splitlines() if line.startswith("turboapi WARN")]
    (line,) = ours
    assert line == (
        "turboapi WARN: the GIL was turned on while serving "
        "(the extension module 'wants_gil' turned it on): workers take turns from now on"
    )


def test_version_says_why_the_gil_is_on(folder):
    if not IS_FREE:
        assert "GIL build, GIL on" in turboapi("version", folder=folder).stdout
        return
    said = turboapi("version", folder=folder, env={"PYTHON_GIL": "1"}).stdout
    assert "free-threaded build, GIL on)\ngil: on: PYTHON_GIL=1 or -X gil=1 asks for it\n" in said


def test_settings_of_python_are_checked_as_those_of_the_command_line():
    is_on = sys._is_gil_enabled()
    with pytest.raises(ConfigError, match="gil: refuse" if is_on else "gil: require"):
        gil.settle(ServerConfig(gil="refuse" if is_on else "require"))
    config, line = gil.settle(ServerConfig())
    assert (config.workers, line is None) == ((1, False) if is_on else (0, True))
