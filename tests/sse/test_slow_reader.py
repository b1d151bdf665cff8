"""A reader of 1 KiB a second: its producer waits, memory stays flat, others are answered."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from tests.support.command import Command
from tests.support.wire import Connection, request_bytes

MIB = 1024 * 1024

#: Seconds of reading, after the buffers between both ends have filled.
SECONDS = 4

APP = """
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse
from turboapi_rs import Server

given = 0


async def endless():
    global given
    while True:
        given += 1
        yield "x" * 16384


app = FastAPI()


@app.get("/plan", response_class=EventSourceResponse)
async def plan():
    async for item in endless():
        yield item


@app.get("/given")
async def how_many():
    return given


async def asgi(scope, receive, send):
    if scope["path"] == "/asgi":
        await StreamingResponse(endless())(scope, receive, send)
    else:
        await app(scope, receive, send)


raw = Server()
raw.route("GET", "/raw", lambda: (200, "text/plain", b"", endless(), {}))
raw.route("GET", "/given", lambda: given)
"""


def given_by(serving: Command) -> int:
    with Connection(serving.address) as other:
        return int(other.exchange(request_bytes("GET", "/given")).body)


@pytest.mark.once
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize(("name", "path"), [("raw", "/raw"), ("app", "/plan"), ("asgi", "/asgi")])
def test_a_reader_of_1_kib_a_second_makes_its_producer_wait(tmp_path, name, path):
    (tmp_path / "slow.py").write_text(APP)
    with Command(f"slow:{name}", "--workers", "1", folder=tmp_path) as serving, socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.settimeout(20)
        reader.connect(serving.address)
        reader.sendall(request_bytes("GET", path))
        assert reader.recv(12) == b"HTTP/1.1 200"
        before, deadline = -1, time.monotonic() + 20
        while (filled := given_by(serving)) != before and time.monotonic() < deadline:
            before = filled
            time.sleep(0.3)
        memory = serving.rss_bytes()
        for _ in range(SECONDS):
            time.sleep(1)
            assert reader.recv(1024)
        # Items for what was read, and for what one wake-up makes room for: 64 KiB here, and the kernel's own buffer.
        assert given_by(serving) - filled <= SECONDS + 4 * MIB // 16384
        assert filled * 16384 < 16 * MIB
        assert serving.rss_bytes() - memory <= MIB
