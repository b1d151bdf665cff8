"""10,000 idle keep-alive connections on one worker, with requests answered among them; memory per connection printed."""

from __future__ import annotations

import resource
import socket
import time

import pytest

from tests.conftest import DRIVER
from tests.support.command import Command
from tests.support.wire import Connection, request_bytes

WANTED = 10_000
AIM_BYTES = 8 * 1024
"""RSS per idle connection, DESIGN section 10."""

GET = request_bytes("GET", "/")


def connections_allowed() -> int:
    """As many as wanted, or as the file limit lets us, after raising it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(WANTED, hard - 500) if hard != resource.RLIM_INFINITY else WANTED


def ask_on(sock: socket.socket) -> None:
    """One request and its answer."""
    sock.sendall(GET)
    answer = sock.recv(4096)
    assert answer.startswith(b"HTTP/1.1 200"), answer


@pytest.mark.timeout(300)
@pytest.mark.parametrize("app", ["tests.asgi.served:app", pytest.param("examples.raw:server", marks=pytest.mark.once)])
def test_ten_thousand_idle_connections_cost_little(capsys, app):
    count = connections_allowed()
    with Command(app, "--driver", DRIVER, "--workers", "1", "--keep-alive-timeout", "250") as server:
        with Connection(server.address) as first:
            for _ in range(200):
                assert first.exchange(GET).status == 200
        before = server.rss_bytes()
        idle: list[socket.socket] = []
        started = time.monotonic()
        try:
            for _ in range(count):
                sock = socket.create_connection(server.address, timeout=20)
                idle.append(sock)
                ask_on(sock)
            opened_s = time.monotonic() - started
            time.sleep(1)
            per_connection = (server.rss_bytes() - before) / count
            slowest = 0.0
            with Connection(server.address) as live:
                for _ in range(300):
                    asked = time.monotonic()
                    assert live.exchange(GET).status == 200
                    slowest = max(slowest, time.monotonic() - asked)
            for sock in idle[:: max(1, count // 500)]:
                ask_on(sock)
        finally:
            for sock in idle:
                sock.close()
        with capsys.disabled():
            print(
                f"\n{count} idle connections ({app}, {DRIVER}): {per_connection:.0f} bytes of RSS each, opened in {opened_s:.1f} s, "
                f"slowest of 300 requests among them {slowest * 1000:.1f} ms"
            )
        assert per_connection <= AIM_BYTES
