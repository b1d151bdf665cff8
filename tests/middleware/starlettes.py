"""Starlette's own middleware around a fixed response, called in this process: what the native layers must give."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote


class Exchange(NamedTuple):
    """A request, and what the application answers to it."""

    method: str = "GET"
    target: str = "/"
    fields: Sequence[tuple[str, bytes]] = ()
    status: int = 200
    headers: Sequence[tuple[bytes, bytes]] = ()
    pieces: Sequence[bytes] = (b"",)
    is_stream: bool = False
    scheme: str = "http"
    server: tuple[str, int | None] | None = ("127.0.0.1", 8000)
    root_path: str = ""

    def head(self) -> bytes:
        """The request as it comes over the wire. As 1.0, which needs no `Host`."""
        lines = [f"{self.method} {self.target} HTTP/1.0".encode()]
        lines += [name.encode() + b": " + value for name, value in self.fields]
        return b"\r\n".join([*lines, b"", b""])

    def scope(self) -> dict[str, Any]:
        """The request as uvicorn gives it."""
        path, _, query = self.target.partition("?")
        return {
            "type": "http",
            "method": self.method,
            "path": self.root_path + unquote(path),
            "query_string": query.encode(),
            "root_path": self.root_path,
            "scheme": self.scheme,
            "server": self.server,
            "headers": [(name.lower().encode(), value.strip(b" \t")) for name, value in self.fields],
        }


class Answer(NamedTuple):
    """A response. The body is decompressed if it was not the application that compressed it."""

    has_run: bool
    status: int
    fields: list[tuple[bytes, bytes]]
    length_is_right: bool | None
    pieces: list[bytes]


def reference(middleware: Sequence[Any], exchange: Exchange) -> Answer:
    """Through Starlette's classes, outermost first."""
    has_run = False
    start: dict[str, Any] = {}
    pieces: list[bytes] = []

    async def application(scope, receive, send):
        nonlocal has_run
        has_run = True
        length = [] if exchange.is_stream else [(b"content-length", str(len(b"".join(exchange.pieces))).encode())]
        message = {"type": "http.response.start", "status": exchange.status, "headers": [*exchange.headers, *length]}
        await send(message)
        if exchange.is_stream:
            for piece in exchange.pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await send({"type": "http.response.body", "body": b"".join(exchange.pieces)})

    async def send(message):
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            pieces.append(message.get("body", b""))

    app: Any = application
    for entry in reversed(middleware):
        app = entry.cls(app, *entry.args, **entry.kwargs)
    asyncio.run(app(exchange.scope(), None, send))
    fields = list(start["headers"])
    lengths = [int(value) for name, value in fields if name == b"content-length"]
    return seen(has_run, exchange, start["status"], fields, lengths[0] if lengths else None, pieces)


def ours(stack: Any, exchange: Exchange) -> Answer:
    """Through the native layers."""
    length = [] if exchange.is_stream else [(b"content-length", str(len(b"".join(exchange.pieces))).encode())]
    has_run, status, fields, length, pieces = stack.trial(
        exchange.head(),
        exchange.status,
        [*exchange.headers, *length],
        list(exchange.pieces),
        is_stream=exchange.is_stream,
        scheme=exchange.scheme,
        server=exchange.server,
        root_path=exchange.root_path,
    )
    if not has_run:
        # The encoder says the length of such an answer.
        length = len(b"".join(pieces))
    return seen(has_run, exchange, status, fields, length, pieces)


def seen(
    has_run: bool,
    exchange: Exchange,
    status: int,
    fields: list[tuple[bytes, bytes]],
    length: int | None,
    pieces: list[bytes],
) -> Answer:
    length_is_right = None if length is None else length == len(b"".join(pieces))
    fields = [(name, value) for name, value in fields if name != b"content-length"]
    was_zipped = any(name == b"content-encoding" for name, _ in exchange.headers) and has_run
    if (b"content-encoding", b"gzip") in fields and not was_zipped:
        reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
        pieces = [reader.decompress(piece) for piece in pieces]
        assert reader.eof
        assert not reader.unused_data
    # Starlette ends a stream with an empty piece.
    pieces = [piece for piece in pieces if piece]
    return Answer(has_run, status, fields, length_is_right, pieces)
