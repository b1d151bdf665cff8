"""No request leaves a cycle: memory comes back with its last reference, and not when the collector comes to it.

Without the GIL, CPython counts what a collection frees as well, so that the next one is due that much later: with each
there is more to be collected.
"""

from __future__ import annotations

import json

import pytest

from tests.conftest import DRIVER
from tests.soak.__main__ import IN_ONE_PROCESS, KINDS
from tests.support.command import Command
from tests.support.wire import answers_to, closing, request_bytes

pytestmark = pytest.mark.once

TIMES = 10
"""Each kind of request, before what is left of it is looked at."""


def ask(port: int, path: str):
    answer = answers_to(port, closing(request_bytes("GET", path)))
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    return json.loads(answer.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("is_debug", [False, True], ids=["", "debug"])
@pytest.mark.parametrize(("isolation", "app"), IN_ONE_PROCESS)
def test_no_request_leaves_a_cycle(isolation, app, is_debug):
    options = ("--isolation", isolation, "--workers", "1", "--driver", DRIVER)
    environment = {"PYTHONASYNCIODEBUG": "1"} if is_debug else {}
    with Command(f"tests.soak.watched:{app}", *options, env=environment) as command:
        # What is made at the first request of a kind is another matter.
        for request in KINDS[app]:
            answers_to(command.port, closing(request))
        ask(command.port, "/begin")
        ask(command.port, "/left")
        none = ask(command.port, "/left")
        cycles = {}
        for request in KINDS[app]:
            for _ in range(TIMES):
                answers_to(command.port, closing(request))
            left = ask(command.port, "/left")
            if len(left) > len(none):
                cycles[request.partition(b"\r\n")[0]] = left
        assert cycles == {}
