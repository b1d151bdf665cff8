"""Small ASGI applications for these tests, and the way to make them.

Rule: an application tells the test what it saw through a `Seen`, never through timing.
"""

from __future__ import annotations

import queue
from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PLAIN = [(b"content-type", b"text/plain")]


class Seen(queue.Queue[Any]):
    """What an application saw, in order; the test waits for it."""

    def next(self, timeout: float = 10.0) -> Any:
        """The next thing, or `queue.Empty` after `timeout` seconds."""
        return self.get(timeout=timeout)


def http(handler: Callable[[Scope, Receive, Send], Awaitable[None]]) -> App:
    """An application of `handler` that takes no part in lifespan."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise RuntimeError("no lifespan here")
        await handler(scope, receive, send)

    return app


async def start(send: Send, status: int = 200, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    """Sends the start of a response."""
    await send({"type": "http.response.start", "status": status, "headers": PLAIN if headers is None else headers})


async def body(send: Send, data: bytes = b"", *, more: bool = False) -> None:
    """Sends one piece of a response's body."""
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def answer(send: Send, data: bytes = b"ok", status: int = 200, headers: Any = None) -> None:
    """Sends a whole response."""
    await start(send, status, headers)
    await body(send, data)


async def read_body(receive: Receive) -> bytes:
    """The whole request body."""
    pieces = []
    while True:
        message = await receive()
        assert message["type"] == "http.request", message
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(pieces)
