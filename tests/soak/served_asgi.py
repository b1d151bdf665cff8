"""What a soak asks an ASGI application: messages in each order, faults, streams.

Owns: `app`, for every isolation: it needs the standard library alone.
Rule: as for `served`.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.soak.served import SHARED_BYTES, SHARED_DICT, counts, world

FIELDS = [(b"content-type", b"text/plain"), (b"x-kind", b"asgi")]
START = {"type": "http.response.start", "status": 200, "headers": FIELDS}
WHOLE = {"type": "http.response.body", "body": SHARED_BYTES}


async def at_once(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send(WHOLE)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        await send({"type": "http.response.body", "body": message["body"], "more_body": more})


async def late(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(0)
    await send(START)
    await asyncio.sleep(0)
    await send(WHOLE)


async def stream(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    for number in range(3):
        await send({"type": "http.response.body", "body": b"%d" % number * 200, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body"})


async def watched(scope: Any, receive: Any, send: Any) -> None:
    """As Starlette streams: another task waits for the client to leave, and is cancelled."""

    async def leaves() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    watch = asyncio.create_task(leaves())
    await late(scope, receive, send)
    watch.cancel()


async def raises(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(0)
    raise ValueError(SHARED_DICT)


async def raises_at_once(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError(SHARED_DICT)


async def wrong(scope: Any, receive: Any, send: Any) -> None:
    await send(WHOLE)


PATHS = {
    "/" + handler.__name__: handler for handler in (at_once, echo, late, stream, watched, raises, raises_at_once, wrong)
}

WATCHED = {"a dict": SHARED_DICT, "bytes": SHARED_BYTES, "fields": FIELDS, "start": START, "whole": WHOLE, **PATHS}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The application."""
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan here")
    if scope["path"] == "/counts":
        await send(START)
        await send({"type": "http.response.body", "body": json.dumps(counts(WATCHED, world())).encode()})
        return
    await PATHS[scope["path"]](scope, receive, send)
