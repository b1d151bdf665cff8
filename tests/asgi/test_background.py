"""What a request leaves running when it is answered: the drain waits for it, as long as its grace lasts."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from fastapi import BackgroundTasks, FastAPI, Request
from starlette.responses import PlainTextResponse

from tests.support.wire import request_bytes


class Later:
    """Applications whose background tasks wait until they are let go, and say how they ended."""

    def __init__(self):
        self.begun, self.let_go, self.ended = threading.Event(), threading.Event(), []

    async def run(self):
        self.begun.set()
        try:
            while not self.let_go.is_set():
                await asyncio.sleep(0.005)
            self.ended.append("done")
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise

    def run_in_thread(self):
        self.begun.set()
        self.let_go.wait(20)
        self.ended.append("done")

    def fastapi(self):
        app = FastAPI()

        @app.get("/async")
        async def asynchronous(tasks: BackgroundTasks):
            tasks.add_task(self.run)

        @app.get("/thread")
        def in_thread(tasks: BackgroundTasks):
            tasks.add_task(self.run_in_thread)

        @app.get("/request")
        async def with_request(request: Request, tasks: BackgroundTasks):
            tasks.add_task(self.run)

        return app

    def hosted(self):
        app = self.fastapi()

        async def hosted(scope, receive, send):
            await app(scope, receive, send)

        return hosted

    async def messages(self, scope, receive, send):
        if scope["type"] == "lifespan":
            for event in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{event}.complete"})
            return
        await PlainTextResponse("answered")(scope, receive, send)
        await self.run()


TARGETS = [("fastapi", "/async"), ("fastapi", "/thread"), ("fastapi", "/request"), ("hosted", "/async"),
           ("hosted", "/thread"), ("messages", "/")]  # fmt: skip


def stopping(server):
    thread = threading.Thread(target=server.stop)
    thread.start()
    return thread


@pytest.mark.parametrize("leaves", [False, True])
@pytest.mark.parametrize(("kind", "target"), TARGETS)
def test_the_drain_waits_for_what_answered_requests_left_running(live, connect, kind, target, leaves):
    later = Later()
    app = later.messages if kind == "messages" else getattr(later, kind)()
    server = live(app, drain_grace=20.0)
    connection = connect(server)
    assert connection.exchange(request_bytes("GET", target)).status == 200
    assert later.begun.wait(20)
    if leaves:
        connection.close()
    stop = stopping(server)
    stop.join(0.2)
    assert stop.is_alive()
    assert later.ended == []
    later.let_go.set()
    stop.join(20)
    assert not stop.is_alive()
    assert later.ended == ["done"]


@pytest.mark.parametrize(("kind", "target"), [("fastapi", "/async"), ("hosted", "/async"), ("messages", "/")])
def test_the_grace_bounds_what_answered_requests_left_running(live, connect, kind, target, capfd):
    later = Later()
    app = later.messages if kind == "messages" else getattr(later, kind)()
    server = live(app, drain_grace=0.3)
    assert connect(server).exchange(request_bytes("GET", target)).status == 200
    assert later.begun.wait(20)
    started = time.monotonic()
    server.stop()
    assert time.monotonic() - started < 10
    assert later.ended == ["cancelled"]
    assert "what answered requests left running is cancelled" in capfd.readouterr().err
