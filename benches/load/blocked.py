"""How long `/health` takes while functions that sleep are being answered.

    python benches/load/blocked.py [--sleepers 50] [--seconds 5] [--workers 2] [--server ours,hosted,uvicorn]

Each server gets `--sleepers` connections, each asking again and again for a `def` route that sleeps one second, while
one more connection asks for `/health`, again as soon as it is answered. Prints the median, the 99th percentile and the
longest wait of `/health`, and how many were answered. `ours` is compiled, `hosted` the same application run as ASGI.
Traffic stays on 127.0.0.1; every server is stopped by its pid.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from fastapi import FastAPI

REPO = Path(__file__).resolve().parents[2]

fastapi = FastAPI()


@fastapi.get("/sleep")
def sleep() -> str:
    """Blocks its thread for a second."""
    time.sleep(1.0)
    return "slept"


@fastapi.get("/health")
async def health() -> str:
    """Costs nothing."""
    return "ok"


async def hosted(scope: Any, receive: Any, send: Any) -> None:
    """The same application, in a way that hides what it is: it runs as ASGI, none of its routes is compiled."""
    await fastapi(scope, receive, send)


def command(server: str, workers: int, port: int) -> list[str]:
    """What starts a server."""
    if server == "uvicorn":
        app = "benches.load.blocked:fastapi"
        return [sys.executable, "-m", "uvicorn", "--log-level", "error", "--port", str(port), app]
    app = f"benches.load.blocked:{'hosted' if server == 'hosted' else 'fastapi'}"
    options = ["--workers", str(workers), "--port", str(port)]
    return [sys.executable, "-m", "turboapi_rs", "run", *options, app]


def connect(port: int, timeout: float = 30.0) -> socket.socket:
    """A connection, as soon as somebody listens."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=timeout)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def ask(path: str) -> bytes:
    """A request."""
    return f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode()


def measure(port: int, sleepers: int, seconds: float) -> tuple[list[float], int]:
    """Waits of `/health` in seconds, and how many sleepers were answered."""
    waits: list[float] = []
    unread: dict[int, bytes] = {}
    answered = 0
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        probe = stack.enter_context(connect(port))
        probe.sendall(ask("/health"))
        while not probe.recv(4096).endswith(b'"ok"'):
            pass
        for _ in range(sleepers):
            connection = stack.enter_context(connect(port))
            connection.sendall(ask("/sleep"))
            selector.register(connection, selectors.EVENT_READ)
        selector.register(probe, selectors.EVENT_READ)
        end = time.monotonic() + seconds
        asked = time.monotonic()
        probe.sendall(ask("/health"))
        while (now := time.monotonic()) < end:
            for key, _ in selector.select(min(0.001, max(0.0, end - now))):
                told = unread.pop(key.fd, b"") + key.fileobj.recv(4096)  # type: ignore[union-attr]
                if not told.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(f"answered {told[:100]!r}")
                if not told.endswith((b'"ok"', b'"slept"')):
                    unread[key.fd] = told
                elif key.fileobj is probe:
                    waits.append(time.monotonic() - asked)
                    asked = 0.0
                else:
                    answered += 1
                    key.fileobj.sendall(ask("/sleep"))  # type: ignore[union-attr]
            if asked == 0.0:
                asked = time.monotonic()
                probe.sendall(ask("/health"))
    if asked:
        waits.append(time.monotonic() - asked)
    return sorted(waits), answered


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sleepers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--server", default="ours,hosted,uvicorn")
    arguments = parser.parse_args()
    print("| server | /health, median | 99 % | longest | asked | sleepers answered |")
    print("|---|---|---|---|---|---|")
    for server in arguments.server.split(","):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPO), *filter(None, sys.path)])}
        process = subprocess.Popen(command(server, arguments.workers, port), cwd=REPO, env=environment)
        try:
            waits, answered = measure(port, arguments.sleepers, arguments.seconds)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        shown = [f"{1e3 * waits[int((len(waits) - 1) * part)]:.1f} ms" for part in (0.5, 0.99, 1.0)]
        print(f"| {server} | {' | '.join(shown)} | {len(waits)} | {answered} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
