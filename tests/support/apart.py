"""Raw routes of every kind, for tests that serve them in other interpreters and processes.

Owns: what a handler may ask for and return, in working and in broken forms. Does not own: what is asked (the tests).
Rule: of the standard library and `turboapi_rs` alone, and read from a copy in a folder of the test (`apart:server`), as an
interpreter of a worker imports it: no package of the tests, no Pydantic.
"""

import asyncio
import contextvars
import json
import os
import threading
import time

from turboapi_rs import RawRequest, Server, blocking

server = Server()
seen = contextvars.ContextVar("seen", default="nothing")
calls = []


def note(line):
    # Asked for at each call: the interpreter of the tests keeps this module from one test to the next.
    if log := os.environ.get("TURBOAPI_TEST_LOG"):
        with open(log, "a") as file:
            file.write(line + "\n")


@server.get("/worker")
def worker():
    calls.append(1)
    return {"thread": threading.get_native_id(), "calls": len(calls)}


@server.get("/items/{item_id}")
def read_item(item_id: int, q: str | None = None, deep: bool = False, tag: list[str] = ()):
    return {"item_id": item_id, "q": q, "deep": deep, "tag": list(tag)}


@server.get("/floats/{value}")
def floats(value: float):
    return [value, -value, value * 1e300]


@server.post("/echo")
def echo(body: bytes):
    return 201, "application/octet-stream", body, [("x-one", "1"), ("x-one", "2")]


@server.post("/request")
def whole(request: RawRequest):
    return {
        "method": request.method,
        "path": request.path,
        "raw_path": request.raw_path.decode(),
        "query": request.query_string.decode(),
        "pairs": request.query_params,
        "headers": request.headers,
        "host": request.header("HOST"),
        "none": request.header("absent"),
        "version": request.http_version,
        "size": len(request.body),
        "params": request.path_params,
        "shown": repr(request),
        "left": request.is_disconnected(),
    }


@server.get("/context")
def context():
    before = seen.get()
    seen.set("something")
    return before


@server.get("/async")
async def later():
    before = seen.get()
    seen.set("something")
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await asyncio.to_thread(int, "7")
    return {"before": before, "loop": type(asyncio.get_running_loop()).__name__}


@server.get("/far")
async def far():
    loop = asyncio.get_running_loop()
    for seconds in (1e10, 1e18, 9.3e18, 1e300):
        timer = loop.call_later(seconds, print, "never")
        await asyncio.to_thread(int)
        timer.cancel()
    return "ok"


server.route("GET", "/awaitable", lambda: later())


def counted(name):
    try:
        for number in range(5):
            yield f"{name} {number}\n"
    finally:
        note("closed " + name)


async def counted_later(name):
    try:
        for number in range(5):
            await asyncio.sleep(0)
            yield f"{name} {number}\n".encode()
    finally:
        note("closed " + name)


server.route("GET", "/stream", lambda: (200, "text/plain", b"", counted("sync"), {"x-kind": "sync"}))
server.route("GET", "/stream-async", lambda: (200, "text/plain", b"", counted_later("async"), {}))


async def endless():
    try:
        while True:
            yield b"x" * 1024
            await asyncio.sleep(0)
    finally:
        note("closed endless")


def endless_sync():
    try:
        while True:
            yield b"x" * 1024
    finally:
        note("closed endless sync")


server.route("GET", "/endless", lambda: (200, "text/plain", b"", endless(), {}))
server.route("GET", "/endless-sync", lambda: (200, "text/plain", b"", endless_sync(), {}))


class Watched:
    def __init__(self):
        note("opened")


class WatchedSync(Watched):
    def __iter__(self):
        return self

    def __next__(self):
        return b"x" * 1024

    def close(self):
        note("closed")


class WatchedAsync(Watched):
    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        return b"x" * 1024

    async def aclose(self):
        note("closed")


def asked(request):
    note("asked")
    while not request.is_disconnected():
        time.sleep(0.002)
    note("left")


async def asked_later(request):
    note("asked")
    try:
        while not request.is_disconnected():
            await asyncio.sleep(0.002)
    finally:
        if request.is_disconnected():
            note("left")


def asked_items(request):
    yield b"one"
    asked(request)


async def asked_items_later(request):
    yield b"one"
    await asked_later(request)


@server.get("/asks/pool")
@blocking
def asks_on_the_pool(request: RawRequest):
    asked(request)


@server.get("/asks/coroutine")
async def asks_later(request: RawRequest):
    await asked_later(request)


@server.get("/asks/awaitable")
def asks_by_an_awaitable(request: RawRequest):
    return asked_later(request)


@server.get("/asks/stream")
def asks_in_a_stream(request: RawRequest):
    return 200, "text/plain", b"", asked_items(request), {}


@server.get("/asks/stream-async")
def asks_in_an_async_stream(request: RawRequest):
    return 200, "text/plain", b"", asked_items_later(request), {}


server.route("GET", "/watched", lambda: (200, "text/plain", b"", WatchedAsync(), {}))
server.route("GET", "/watched-sync", lambda: (200, "text/plain", b"", WatchedSync(), {}))


def torn():
    yield b"one"
    raise RuntimeError("after the head")


server.route("GET", "/torn", lambda: (200, "text/plain", b"", torn(), {}))

VALUES = {
    "none": None,
    "true": True,
    "int": 10**30,
    "float": 0.1,
    "text": "h\u00e9llo",
    "bytes": b"\x00\xff",
    "list": [1, [2], {}],
    "large": b"y" * 100_000,
    "three": (418, "text/x", "tea"),
    "five-hundred": (599, "text/x", b""),
    "two": (200, "text/x"),
    "status": (99, "text/x", b""),
    "type": (200, 7, b""),
    "body": (200, "text/x", 7),
    "framing": (200, "text/x", b"", {"content-length": "5"}),
    "newline": (200, "text/x", b"", {"x": "a\r\nb: c"}),
    "object": object(),
    "set": {1},
    "nan": float("nan"),
    "deep-object": {"a": object()},
    "no-iterator": (200, "text/x", b"", 7, {}),
    "false": False,
    "seven": 7,
    "many-floats": [1.0, -0.0, 1e16, 1e-7, 5e-324, 1.7976931348623157e308, 0.30000000000000004],
    "keys": {"": 1, 'a"b\\': "\u2028\x7f\x00", "\U0001f600": [None, False]},
    "number-key": {1: 2},
    "surrogate": "\ud800",
    "five": (200, "text/x", b"", iter([]), {}, 6),
    "status-true": (True, "text/x", b""),
    "status-600": (600, "text/x", b""),
    "type-bytes": (200, b"text/x", b""),
    "type-newline": (200, "text/x\r\nx: y", b""),
    "name-space": (200, "text/x", b"", {"bad name": "x"}),
    "header-number": (200, "text/x", b"", {"x": 1}),
    "header-euro": (200, "text/x", b"", {"x": "\u20ac"}),
    "connection": (200, "text/x", b"", {"Connection": "close"}),
    "no-content": (204, "text/x", b""),
    "not-modified": (304, "text/x", b"", {"etag": '"a"'}),
    "content-and-stream": (200, "text/x", b"x", iter([]), {}),
}
"""What the handler of `/values/NAME` returns."""

for name, value in VALUES.items():
    server.route("GET", "/values/" + name, lambda value=value: value)


@server.get("/raises")
def raises():
    raise KeyError("what")


@server.get("/exits")
def exits():
    raise SystemExit(3)


server.static_response("/health", "ok", max_age=5, headers={"x-kind": "static"})


@server.get("/needs")
def needs(n: int, name: str):
    return {"n": n, "name": name}


@server.post("/json")
def from_json(request: RawRequest):
    return json.loads(request.body)


server.route("GET", "/four", lambda: (200, "text/plain", "four", [("x-n", "é"), ("set-cookie", "a"), ("X-N", "2")]))
