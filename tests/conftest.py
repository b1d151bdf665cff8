"""What every test may use: servers on the driver and with the workers that this run is about.

Rule: `TURBOAPI_TEST_DRIVER` (auto, uring, epoll) and `TURBOAPI_TEST_WORKERS` (1, 2, ...) choose what `live` starts, so
that one suite runs over all of them. A server ends with its test. `TURBOAPI_TEST_ISOLATION` is for some tests alone, which
`scripts/test.sh isolation` names: `processes` for those of applications that are named by a string, `interpreters` also for
those whose applications can be carried into another interpreter (`tests.support.carried`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from turboapi_rs.loading import AppTarget
from turboapi_rs.testing import LiveServer

from tests.support import carried
from tests.support.wire import Connection

DRIVER = os.environ.get("TURBOAPI_TEST_DRIVER", "auto")
WORKERS = int(os.environ.get("TURBOAPI_TEST_WORKERS", "1"))
ISOLATION = os.environ.get("TURBOAPI_TEST_ISOLATION", "shared")

COMMAND_OPTIONS = ("--driver", DRIVER, "--workers", str(WORKERS), "--isolation", ISOLATION)
"""The same for `turboapi run`."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "once: independent of driver and workers; one leg of the matrix runs it")
    config.addinivalue_line("markers", "in_memory: looks into its application's memory, or that into the test's")
    # A shell starts what it puts in the background with SIGINT ignored, and the servers that we start would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


#: Tests that one thread runs while others wait (`make parallel`), by the beginning of their ids. Those that patch, capture
#: or collect are known to be such without this.
ALONE = {
    "tests/test_package.py": "doctest replaces functions of linecache",
    "tests/files/test_pathsend.py::test_client_that_leaves": "looks at the files of the process",
    "tests/files/test_static_files.py::test_changed_file": "writes into the folder of its fixture",
    "tests/files/test_static_files.py::test_descriptors": "counts the descriptors of the process",
    "tests/files/test_uploads.py::test_form_is_read_and_large": "counts the files of the process",
    "tests/files/test_uploads.py::test_bad_form_is_refused": "counts the files of the process",
    "tests/files/test_static_files.py::test_links_are_followed": "writes into the folder of its fixture",
    "tests/files/test_static_files.py::test_nothing_else_is_served": "writes into the folder of its fixture",
    "tests/sse/test_disconnects.py::test_a_client_that_leaves": "counts the descriptors of the process",
    "tests/apps/test_django.py": "one session with a server in another process",
    "tests/apps/test_fullstack.py": "one session with a server in another process",
    "tests/apps/test_fastapi.py::test_dependency_with_yield": "reads the log of its fixture",
    "tests/apps/test_fastapi.py::test_lifespan_ends": "reads the log of its fixture",
    "tests/apps/test_fastapi.py::test_middleware_in_its_order": "reads the log of its fixture",
    "tests/apps/test_starlette.py::test_session": "counts visits in the cookies of its fixture",
    "tests/offload/test_handoff.py::test_hand_off_of_anyio_is_put_back": "waits for the last server of the process",
    "tests/test_bad_input.py::test_clients_that_leave": "counts the descriptors of the process",
    "tests/test_cli.py::test_address_without_permission": "makes a folder in that of its fixture",
    "tests/test_cli.py::test_unix_domain_socket": "makes a socket in the folder of its fixture",
    "tests/test_docs.py": "doctest replaces sys.stdout",
    "tests/test_same_bytes.py::test_other_applications": "imports its applications by name, and forgets them; saves a file",
    "tests/test_interpreters.py::test_folder_of_files": "writes into the folder of its fixture",
    "tests/test_interpreters.py::test_each_worker_has": "counts the interpreters of the process",
    "tests/test_interpreters.py::test_interpreters_end": "counts the interpreters of the process",
    "tests/test_interpreters.py::test_interpreter_ends_while": "counts the interpreters of the process",
    "tests/test_interpreters.py::test_piece_of_a_body": "reads the log of its fixture",
    "tests/test_interpreters.py::test_handler_that_takes": "reads the log of its fixture",
    "tests/test_interpreters.py::test_second_task": "reads the log of its fixture",
    "tests/test_interpreters.py::test_signal_drains_an_asgi": "reads the log of its fixture",
    "tests/middleware/test_served.py": "asks two child processes, over one pipe each",
    "tests/parity/test_parity.py": "asks two child processes, over one pipe each",
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
def live(request: pytest.FixtureRequest) -> Iterator[Callable[..., LiveServer]]:
    """Start servers; each ends with the test."""
    with contextlib.ExitStack() as stack:
        carriers: list[carried.Carrier] = []
        if ISOLATION == "interpreters":
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            carriers.append(stack.enter_context(carried.Carrier(request.module, folder)))

        def start(app: Any, **settings: Any) -> LiveServer:
            settings = {"driver": DRIVER, "workers": WORKERS, **settings}
            for carrier in carriers:
                carrier.carry(app)
                app = AppTarget(carried.TARGET)
                settings["isolation"] = ISOLATION
            return stack.enter_context(LiveServer(app, **settings))

        yield start


@pytest.fixture
def connect() -> Iterator[Callable[[LiveServer], Connection]]:
    """Open raw connections; each is closed with the test."""
    with contextlib.ExitStack() as stack:

        def open_connection(server: LiveServer, **options: Any) -> Connection:
            return stack.enter_context(Connection(("127.0.0.1", server.port), **options))

        yield open_connection
