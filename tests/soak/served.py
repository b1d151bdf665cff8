"""What a soak asks: every kind of handler, and how many objects there are.

Owns: `server` and `asgi`, for every isolation, and `fastapi`, for those that Pydantic can be imported in.
Rule: answers are the same each time, to the byte (but for their date): the client compares.
"""

from __future__ import annotations

import asyncio
import collections
import gc
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

from turboapi_rs import FormError, RawRequest, Server, Upload, blocking

SHARED_DICT = {"message": "Hello World", "rows": [{"n": number, "even": number % 2 == 0} for number in range(10)]}
SHARED_BYTES = b"x" * 5000
SHARED_HEADERS = {"x-kind": "four"}


def counts(watched: dict[str, Any], world: str) -> dict[str, Any]:
    """Objects by type, and reference counts of chosen ones, after a collection."""
    for _ in range(3):
        gc.collect()
    types = collections.Counter(type(thing).__qualname__ for thing in gc.get_objects())
    return {
        # What is counted is one interpreter: one in a process, or one of a worker.
        "world": world,
        "pid": os.getpid(),
        "objects": dict(types),
        "references": {name: sys.getrefcount(thing) for name, thing in watched.items()},
        "threads": threading.active_count(),
    }


def _make() -> Server:
    made = Server()
    watched: dict[str, Any] = {"a dict": SHARED_DICT, "bytes": SHARED_BYTES, "headers": SHARED_HEADERS}

    def route(method: str, path: str) -> Callable[[Any], Any]:
        def add(handler: Any) -> Any:
            watched[path] = handler
            made.route(method, path, handler)
            return handler

        return add

    @route("GET", "/dict")
    def plain() -> Any:
        return SHARED_DICT

    @route("GET", "/bytes")
    def large() -> Any:
        return SHARED_BYTES

    @route("GET", "/four")
    def four() -> Any:
        return 200, "text/plain", SHARED_BYTES, SHARED_HEADERS

    @route("GET", "/items/{item_id}")
    def item(item_id: int, q: str = "nothing", deep: bool = False) -> Any:
        return {"item_id": item_id, "q": q, "deep": deep}

    @route("POST", "/echo")
    def echo(body: bytes) -> Any:
        return 200, "application/octet-stream", body

    @route("POST", "/request")
    def whole(request: RawRequest) -> Any:
        return [request.method, request.path, request.header("x-one"), request.query_params, len(request.body)]

    @route("GET", "/later")
    async def later() -> Any:
        await asyncio.sleep(0)
        return SHARED_DICT

    @route("GET", "/at-once")
    async def at_once() -> Any:
        return SHARED_DICT

    @route("GET", "/stream")
    def stream() -> Any:
        def pieces() -> Iterator[bytes]:
            for number in range(3):
                yield b"%d" % number * 200

        return 200, "text/plain", b"", pieces(), SHARED_HEADERS

    @route("GET", "/stream-later")
    def stream_later() -> Any:
        async def pieces() -> AsyncIterator[str]:
            for number in range(3):
                await asyncio.sleep(0)
                yield str(number) * 200

        return 200, "text/plain", b"", pieces(), SHARED_HEADERS

    @route("GET", "/away")
    @blocking
    def away() -> Any:
        return SHARED_DICT

    @route("GET", "/awaitable")
    def awaitable() -> Any:
        return later()

    @route("POST", "/taken")
    async def taken(upload: Upload) -> Any:
        return 200, "text/plain", b"".join([piece async for piece in upload])

    @route("POST", "/taken/away")
    def taken_away(upload: Upload) -> Any:
        return 200, "text/plain", b"".join(upload)

    @route("POST", "/form")
    async def form(upload: Upload) -> Any:
        with await upload.form() as found:
            return [[name, value if isinstance(value, str) else value.size] for name, value in found]

    @route("POST", "/form/refused")
    async def form_refused(upload: Upload) -> Any:
        try:
            await upload.form()
        except FormError as error:
            return error.args

    @route("GET", "/raises")
    def raises() -> Any:
        raise ValueError(SHARED_DICT)

    @route("GET", "/wrong")
    def wrong() -> Any:
        return object()

    made.static_response("/static", "static")
    made.static_files("/files", Path(__file__).parent)
    made.route("GET", "/counts", lambda: counts(watched, world()))
    return made


def world() -> str:
    """Tell interpreters of one process from each other: each has a `sys` of its own."""
    return f"{os.getpid()}-{id(sys)}"


server = _make()


def __getattr__(name: str) -> Any:
    """`asgi`, and `fastapi`, made where they are asked for: Pydantic refuses interpreters of their own."""
    if name == "asgi":
        from tests.soak.served_asgi import app as asgi

        return asgi
    if name == "fastapi":
        from tests.soak.served_fastapi import app

        return app
    raise AttributeError(name)
