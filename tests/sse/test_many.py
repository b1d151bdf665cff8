"""Many streams that wait, on one worker: others are answered meanwhile, and a stream costs memory alone.

The server is a process of its own: its memory is its alone, and each side has its own descriptors.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from pathlib import Path

import pytest

from tests.support.command import Command
from tests.support.wire import Connection, request_bytes

#: As many as descriptors allow, up to this.
STREAMS = 10_000

#: Kibibytes of resident memory for each: measured 11, and room for another allocator and interpreter.
RSS_KIB = 16

APP = """
import asyncio
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse

app = FastAPI()


@app.get("/events", response_class=EventSourceResponse)
async def events():
    yield {"n": 1}
    await asyncio.sleep(3600)


@app.get("/tasks")
async def tasks():
    await asyncio.sleep(0)
    return len(asyncio.all_tasks())
"""


@contextlib.contextmanager
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def begun(address: tuple[str, int]) -> socket.socket:
    sock = socket.create_connection(address, timeout=60)
    sock.sendall(request_bytes("GET", "/events"))
    read = b""
    while b"data:" not in read:
        piece = sock.recv(4096)
        assert piece, read
        read += piece
    return sock


@pytest.mark.once
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_ten_thousand_silent_streams_leave_the_worker_free(tmp_path, capsys):
    (tmp_path / "many.py").write_text(APP)
    with contextlib.ExitStack() as stack:
        count = min(STREAMS, stack.enter_context(many_descriptors()) - 200)
        arguments = ("many:app", "--workers", "1", "--max-connections", "0", "--max-in-flight", "0")
        serving = stack.enter_context(Command(*arguments, folder=tmp_path))
        streams = [begun(serving.address) for _ in range(100)]
        before = serving.rss_bytes()
        streams += [begun(serving.address) for _ in range(count - 100)]
        each = (serving.rss_bytes() - before) / (count - 100) / 1024
        with capsys.disabled():
            print(f" {count} streams, {each:.1f} KiB each ", end="")
        with Connection(serving.address) as connection:
            tasks = int(connection.exchange(request_bytes("GET", "/tasks")).body)
            assert tasks > count
            for stream in streams:
                stream.close()
            deadline = time.monotonic() + 60
            while tasks > 2 and time.monotonic() < deadline:
                tasks = int(connection.exchange(request_bytes("GET", "/tasks")).body)
            # The request's own, and lifespan's.
            assert tasks <= 2
        assert serving.end() == 0
        assert "ERROR" not in serving.log()
        assert each < RSS_KIB
