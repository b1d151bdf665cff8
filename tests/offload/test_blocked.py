"""Fifty functions that sleep hold nobody else up."""

from __future__ import annotations

import time

import pytest
from fastapi import FastAPI

from tests.offload.test_handoff import as_asgi
from tests.offload.waiting import until
from tests.support.wire import request_bytes

SLEEPERS = 50

#: Seconds that a function sleeps. Whoever waited behind one would wait as long.
SLEEP = 1.0

#: Seconds that `/health` may take here. A machine with nothing else to do stays far below: benches/load/blocked.py.
BOUND = SLEEP / 2


@pytest.mark.parametrize("how", ["asgi", "compiled"])
def test_health_is_answered_at_once_while_fifty_functions_sleep(live, connect, how):
    app = FastAPI()

    @app.get("/sleep")
    def sleep():
        time.sleep(SLEEP)
        return "slept"

    @app.get("/health")
    async def health():
        return "ok"

    running = live(app if how == "compiled" else as_asgi(app), workers=2)
    probe = connect(running)
    sleepers = [connect(running, timeout=60.0) for _ in range(SLEEPERS)]
    for connection in sleepers:
        connection.send(request_bytes("GET", "/sleep"))
    waits = []
    deadline = time.monotonic() + 1.5 * SLEEP
    while time.monotonic() < deadline:
        asked = time.monotonic()
        assert probe.exchange(request_bytes("GET", "/health")).body == b'"ok"'
        waits.append(time.monotonic() - asked)
        time.sleep(0.001)
    assert [connection.read_answer().body for connection in sleepers] == [b'"slept"'] * SLEEPERS
    assert sorted(waits)[int(len(waits) * 0.99)] < BOUND
    until(lambda: running.offload_state()["completed"] == SLEEPERS)
    assert running.offload_state()["refused"] == 0
