"""An ASGI application of every kind of answer, for tests that serve it in other interpreters and processes.

Owns: what an application may be sent and may send, in working and in broken forms; its lifespan, which it writes down.
Does not own: what is asked (the tests).
Rule: of the standard library alone, and read from a copy in a folder of the test (`hosted:app`), as an interpreter of a
worker imports it.
"""

import asyncio
import json
import os
import threading

calls = []


def note(line):
    if log := os.environ.get("TURBOAPI_TEST_LOG"):
        with open(log, "a") as file:
            file.write(line + "\n")


async def lifespan(scope, receive, send):
    assert (await receive())["type"] == "lifespan.startup"
    if os.environ.get("TURBOAPI_TEST_FAILS"):
        await send({"type": "lifespan.startup.failed", "message": "no database"})
        return
    mine = threading.get_native_id()
    scope["state"]["by"] = "lifespan"
    note(f"startup {mine}")
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    assert threading.get_native_id() == mine
    note(f"shutdown {mine}")
    await send({"type": "lifespan.shutdown.complete"})


async def start(send, status=200, headers=((b"content-type", b"text/plain"),)):
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def body(send, data=b"", more=False):
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def answer(send, data, status=200):
    await start(send, status)
    await body(send, data)


async def shown(scope, receive, send):
    """The scope, but for what differs from one connection to the next."""
    seen = dict(scope)
    assert seen.pop("client")
    assert seen.pop("server")
    seen["headers"] = [pair for pair in scope["headers"] if pair[0] != b"host"]
    await answer(send, repr(sorted(seen.items())).encode())


async def client(scope, receive, send):
    await answer(send, json.dumps([scope["client"][0], scope["scheme"]]).encode())


async def whole(scope, receive, send):
    pieces = []
    while True:
        message = await receive()
        pieces.append(message["body"])
        if not message["more_body"]:
            break
    await answer(send, b"".join(pieces), 201)


async def piecewise(scope, receive, send):
    await start(send)
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        await body(send, message["body"], more)


async def stream(scope, receive, send):
    await start(send)
    for number in range(3):
        await body(send, b"piece %d\n" % number, True)
        await asyncio.sleep(0)
    await body(send)


async def late(scope, receive, send):
    """A head that is sent alone."""
    await asyncio.sleep(0)
    await start(send, 202)
    await asyncio.sleep(0.001)
    await body(send, b"late")


async def sized(scope, receive, send):
    await start(send, 200, [(b"Content-Length", b"5"), (b"x-a", b"1"), (b"X-A", b"2")])
    await body(send, bytearray(b"he"), True)
    await body(send, memoryview(b"llo"))


async def threads(scope, receive, send):
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        found = [group.create_task(asyncio.to_thread(int, str(number))) for number in range(3)]
    await answer(send, json.dumps([each.result() for each in found]).encode())


async def empty(scope, receive, send):
    await start(send, 204, [])
    await body(send)


async def raises(scope, receive, send):
    raise KeyError("before the head")


async def torn(scope, receive, send):
    await start(send)
    await body(send, b"one", True)
    raise KeyError("after the head")


async def silent(scope, receive, send):
    pass


async def misordered(scope, receive, send):
    said = []
    for message in (
        {"type": "http.response.body"},
        {"type": "http.response.nothing"},
        {"type": "http.response.start", "status": 99},
        {"type": "http.response.start", "status": 200, "headers": [(b"bad name", b"x")]},
        {"type": "http.response.start"},
        {},
    ):
        try:
            await send(message)
        except Exception as fault:
            said.append(f"{type(fault).__name__}: {fault}")
    await answer(send, "\n".join(said).encode())


async def path(scope, receive, send):
    if "http.response.pathsend" not in scope["extensions"]:
        return await answer(send, b"not offered", 404)
    await start(send)
    await send({"type": "http.response.pathsend", "path": os.path.join(os.path.dirname(__file__), "sent.txt")})


async def waits(scope, receive, send):
    """Until its client leaves."""
    note("waits")
    await receive()
    left = await receive()
    note(left["type"])


async def floods(scope, receive, send):
    """Sends until it is told that nobody takes it."""
    await start(send)
    try:
        while True:
            await body(send, b"x" * 1024, True)
    except OSError:
        note("nobody")
        raise


async def worker(scope, receive, send):
    calls.append(1)
    await answer(
        send, json.dumps({"thread": threading.get_native_id(), "calls": len(calls), **scope["state"]}).encode()
    )


PATHS = {
    "/" + handler.__name__: handler
    for handler in (
        shown, client, whole, piecewise, stream, late, sized, threads, empty, raises, torn, silent, misordered, path, waits,
        floods, worker,
    )
}  # fmt: skip


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(scope, receive, send)
    handler = PATHS.get(scope["path"].removeprefix(scope["root_path"]))
    if handler is None:
        return await answer(send, b"nothing here", 404)
    await handler(scope, receive, send)


async def bare(scope, receive, send):
    """The same without a lifespan."""
    assert scope["type"] == "http"
    await app(scope, receive, send)


def make():
    """A factory."""
    return bare


class Double:
    """An ASGI 2 application."""

    def __init__(self, scope):
        self.scope = scope

    async def __call__(self, receive, send):
        await bare(self.scope, receive, send)
