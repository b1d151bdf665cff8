"""What every test may use: servers on the driver and with the workers that this run is about.

Rule: `TURBOAPI_TEST_DRIVER` (auto, uring, epoll) and `TURBOAPI_TEST_WORKERS` (1, 2, ...) choose what `live` starts, so
that one suite runs over all of them. A server ends with its test. `TURBOAPI_TEST_ISOLATION` (shared, processes) is for tests
of applications that are named by a string alone (`scripts/test.sh isolation` says which): `live` serves objects of the tests.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from turboapi_rs.testing import LiveServer

from tests.support.wire import Connection

DRIVER = os.environ.get("TURBOAPI_TEST_DRIVER", "auto")
WORKERS = int(os.environ.get("TURBOAPI_TEST_WORKERS", "1"))
ISOLATION = os.environ.get("TURBOAPI_TEST_ISOLATION", "shared")

COMMAND_OPTIONS = ("--driver", DRIVER, "--workers", str(WORKERS), "--isolation", ISOLATION)
"""The same for `turboapi run`."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "once: independent of driver and workers; one leg of the matrix runs it")
    # A shell starts what it puts in the background with SIGINT ignored, and the servers that we start would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


#: Tests that one thread runs while others wait (`make parallel`), by the beginning of their ids.
ALONE = {
    "tests/test_package.py": "doctest replaces functions of linecache",
    "tests/files/test_pathsend.py::test_client_that_leaves": "looks at the files of the process",
    "tests/files/test_static_files.py::test_changed_file": "writes into the folder of its fixture",
    "tests/files/test_static_files.py::test_descriptors": "counts the descriptors of the process",
    "tests/files/test_uploads.py::test_form_is_read_and_large": "counts the files of the process",
    "tests/files/test_uploads.py::test_bad_form_is_refused": "counts the files of the process",
    "tests/files/test_static_files.py::test_links_are_followed": "writes into the folder of its fixture",
    "tests/files/test_static_files.py::test_nothing_else_is_served": "writes into the folder of its fixture",
    "tests/freethreading/": "starts its own threads, and counts what all of them leave",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if int(config.getoption("parallel_threads", 1)) == 1:
        return
    for item in items:
        for beginning, reason in ALONE.items():
            if item.nodeid.startswith(beginning):
                item.add_marker(pytest.mark.thread_unsafe(reason=reason))


def pytest_report_header() -> str:
    return f"turboapi: driver {DRIVER}, workers {WORKERS}, isolation {ISOLATION}"


@pytest.fixture
def live() -> Iterator[Callable[..., LiveServer]]:
    """Start servers; each ends with the test."""
    with contextlib.ExitStack() as stack:

        def start(app: Any, **settings: Any) -> LiveServer:
            settings = {"driver": DRIVER, "workers": WORKERS, **settings}
            return stack.enter_context(LiveServer(app, **settings))

        yield start


@pytest.fixture
def connect() -> Iterator[Callable[[LiveServer], Connection]]:
    """Open raw connections; each is closed with the test."""
    with contextlib.ExitStack() as stack:

        def open_connection(server: LiveServer, **options: Any) -> Connection:
            return stack.enter_context(Connection(("127.0.0.1", server.port), **options))

        yield open_connection
