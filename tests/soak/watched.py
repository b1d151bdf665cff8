"""What a soak asks, and what of it was left to the collector of cycles.

Owns: `server`, `asgi` and `fastapi`, those of `served` with two routes more: `/begin` keeps what is collected from then
on, `/left` says what that was, with its types.
"""

from __future__ import annotations

import gc
import json
from typing import Any

from tests.soak import served


def begin() -> list[str]:
    """Keeps what is collected from now on."""
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.garbage.clear()
    return []


def left() -> list[str]:
    """The types of what was collected since it was asked for last, sorted."""
    gc.collect()
    found = sorted(type(thing).__qualname__ for thing in gc.garbage)
    gc.garbage.clear()
    return found


def _server() -> Any:
    served.server.get("/begin")(begin)
    served.server.get("/left")(left)
    return served.server


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """That of `served`, and the two routes."""
    asked = {"/begin": begin, "/left": left}.get(scope.get("path", ""))
    if asked is None:
        await served.asgi(scope, receive, send)
        return
    body = json.dumps(asked()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def __getattr__(name: str) -> Any:
    """`fastapi`, made where it is asked for, as in `served`."""
    if name == "fastapi":
        app = served.fastapi
        app.get("/begin")(begin)
        app.get("/left")(left)
        return app
    raise AttributeError(name)


server = _server()
