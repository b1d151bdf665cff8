"""What the code of an application is made of is shared by all workers without a line of memory that all of them write."""

from __future__ import annotations

import builtins
import importlib.machinery
import sys
import sysconfig
import threading
import warnings

import pytest
from turboapi_rs.loading import AppNotFound, AppTarget

from tests.freethreading.conftest import THREADS

IMMORTAL = 1 << 29
"""No count of references that anyone holds is as high."""

APP = """
from turboapi_rs import Server

server = Server()

@server.get("/")
def compute():
    def inner():
        return 65521, 0.1234, b"some bytes"
    return 123456789, inner

constants = [*compute.__code__.co_consts, *compute()[1].__code__.co_consts]
"""


@pytest.mark.once
@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="counts are plain where the GIL is on")
@pytest.mark.parametrize("is_cached", [False, True])
def test_constants_of_an_application_are_not_counted(tmp_path, monkeypatch, is_cached):
    name = f"constants_{is_cached}".lower()
    (tmp_path / f"{name}.py").write_text(APP)
    monkeypatch.setattr(sys, "dont_write_bytecode", not is_cached)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for _ in range(2):
        AppTarget(f"{name}:server", str(tmp_path)).load()
        constants = sys.modules.pop(name).constants
        assert {65521, 0.1234, b"some bytes", 123456789} <= {
            each for each in constants if not hasattr(each, "co_code")
        } | {part for each in constants if isinstance(each, tuple) for part in each}
        for each in constants:
            if isinstance(each, int | float | bytes | tuple):
                assert sys.getrefcount(each) > IMMORTAL, each
    assert (tmp_path / "__pycache__").exists() is is_cached


@pytest.mark.once
def test_modules_are_compiled_as_ever_after_an_application_was_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = importlib.machinery.SourceFileLoader.source_to_code
    (tmp_path / "broken_here.py").write_text("1/0\n")
    with pytest.raises(AppNotFound):
        AppTarget("broken_here:app", str(tmp_path)).load()
    assert importlib.machinery.SourceFileLoader.source_to_code is before


MEETING = """
import builtins
builtins.turboapi_meeting.wait(20)
from turboapi_rs import Server
server = Server()
"""


@pytest.mark.once
def test_threads_that_load_applications_at_once_leave_all_as_it_was(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(builtins, "turboapi_meeting", threading.Barrier(THREADS), raising=False)
    before = (importlib.machinery.SourceFileLoader.source_to_code, warnings.showwarning)
    for number in range(THREADS):
        (tmp_path / f"meeting_{number}.py").write_text(MEETING)
    at_once(lambda number: AppTarget(f"meeting_{number}:server", str(tmp_path)).load())
    assert (importlib.machinery.SourceFileLoader.source_to_code, warnings.showwarning) == before
