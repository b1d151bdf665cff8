"""Server-sent events, for raw handlers, FastAPI endpoints and any Starlette application.

Owns: `EventSourceResponse`, `TokenStream`, `last_event_id`. Does not own: `ServerSentEvent` (FastAPI's), the lines of
an event (`turboapi_rs._core`), sending (the server's, or that of whatever ASGI server runs the application).
Rule: an event that a client would not read back as it was given is refused before anything of it is sent; the iterator
is closed once, whoever ends the stream. Every other name of `fastapi.sse` is passed on as it is.
Spec: WHATWG HTML section 9.2, Server-sent events.

A path operation with `yield` and `response_class=EventSourceResponse` streams its items as FastAPI does.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import anyio
import fastapi.sse as _source
from fastapi.sse import *  # noqa: F403
from fastapi.sse import EventSourceResponse as _Marker
from fastapi.sse import ServerSentEvent
from starlette._utils import create_collapsing_task_group

from turboapi_rs._core import _json_dumps, encode_event_item
from turboapi_rs.pulling import in_threads

if TYPE_CHECKING:
    from starlette.background import BackgroundTask
    from starlette.types import Send

__all__ = ["EventSourceResponse", "ServerSentEvent", "TokenStream", "last_event_id"]

#: Seconds of silence before a comment keeps the connection open through proxies. The standard advises about 15.
PING_SECONDS = 15.0

KEEP_ALIVE = b": ping\n\n"

DONE = b"data: [DONE]\n\n"
"""The line that ends a stream of tokens."""


class EventSourceResponse(_Marker):
    """A response of events.

    Args:
        content: an async or a sync iterable. An item that is a `ServerSentEvent` is sent as it says; a `str` is the
            data of an event, as it is; `bytes` are sent as they are; anything else is the data of an event, as JSON.
            A sync iterable is asked for one item at a time, on a thread of the pool.
        status_code: of the response.
        headers: more headers, or others than `content-type: text/event-stream`, `cache-control: no-cache` and
            `x-accel-buffering: no`.
        media_type: in place of `text/event-stream`.
        background: run after the stream, in ASGI applications.
        ping: seconds of silence before a comment is sent, which clients ignore. None: never.

    Raises:
        ValueError: `ping` is not above 0.

    Threads: iterated on the event loop.

    Example:
        >>> async def count():
        ...     yield ServerSentEvent(data={"n": 1}, event="number", id="1")
        ...     yield "a line\\nand another"
        >>> EventSourceResponse(count()).headers["content-type"]
        'text/event-stream'
    """

    def __init__(
        self,
        content: AsyncIterable[Any] | Iterable[Any],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
        *,
        ping: float | None = PING_SECONDS,
    ) -> None:
        if ping is not None and not ping > 0:
            raise ValueError(f"ping: {ping!r} is not above 0")
        self.status_code = status_code
        self.media_type = media_type or self.media_type
        self.background = background
        usual = {
            "content-type": self.media_type or "text/event-stream",
            "cache-control": "no-cache",
            "x-accel-buffering": "no",
        }
        self.init_headers({**usual, **{name.lower(): value for name, value in (headers or {}).items()}})
        self._events = _Events(content, ping)
        self._encoded = self.body_iterator = _encoded(self._events)

    async def stream_response(self, send: Send) -> None:
        """Send head and events as ASGI messages, and comments while there are none."""
        if self.body_iterator is not self._encoded:
            # Replaced by somebody who wants other bytes.
            await super().stream_response(send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        events = self._events
        turns = _Turns(send)
        async with create_collapsing_task_group() as group:
            if events.turboapi_ping:
                group.start_soon(turns.keep_alive, events.turboapi_ping)
            iterator = aiter(events)
            try:
                async for item in iterator:
                    await turns.send(encode_event_item(item))
            finally:
                with anyio.CancelScope(shield=True):
                    await _close(iterator)
            # Within the group: whoever was told to end, and returned, is cancelled at the next wait.
            await turns.end()
            group.cancel_scope.cancel()

    def turboapi_result(self) -> tuple[int, str, bytes, Any, list[tuple[bytes, bytes]]]:
        """This response as a raw handler's result."""
        headers = [pair for pair in self.raw_headers if pair[0] not in (b"content-type", b"content-length")]
        return (self.status_code, self.headers["content-type"], b"", self._events, headers)


class TokenStream(EventSourceResponse):
    """The tokens of a language model, in the form of OpenAI's chat completions: JSON lines, ended by `data: [DONE]`.

    Args:
        tokens: an async or a sync iterable. A `str` becomes a `chat.completion.chunk` with it as content; anything else
            is sent as the JSON that it is. After text, a chunk with `finish_reason: "stop"` comes before the end.
        model: named in chunks made here.
        completion_id: named in chunks made here; a fresh one when not given.
        status_code, headers, background, ping: as for `EventSourceResponse`.

    Example:
        >>> async def tokens():
        ...     yield "Hel"
        ...     yield "lo"
        >>> TokenStream(tokens(), model="fake").status_code
        200
    """

    def __init__(
        self,
        tokens: AsyncIterable[Any] | Iterable[Any],
        *,
        model: str = "model",
        completion_id: str | None = None,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
        ping: float | None = PING_SECONDS,
    ) -> None:
        made_by = {
            "id": completion_id or f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }
        super().__init__(_chunks(tokens, made_by), status_code, headers, background=background, ping=ping)


def last_event_id(request: Any) -> str | None:
    """Read the id of the last event that a client saw before it came back.

    Args:
        request: of a raw handler, or Starlette's.

    Returns:
        The id; None when there is none, or one with NUL or a line end, which no client sends and the standard ignores.

    Example:
        >>> from starlette.requests import Request
        >>> last_event_id(Request({"type": "http", "headers": [(b"last-event-id", b"7")]}))
        '7'
    """
    native = getattr(request, "header", None)
    value = native("last-event-id") if native is not None else request.headers.get("last-event-id")
    if not value:
        return None
    try:
        # Clients send UTF-8; header values are read as Latin-1.
        value = value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return None
    return None if any(mark in value for mark in "\0\r\n") else value


class _Events:
    """What an `EventSourceResponse` sends: the server finds its items and its interval here."""

    __slots__ = ("_content", "turboapi_ping")

    def __init__(self, content: Any, ping: float | None) -> None:
        self._content, self.turboapi_ping = content, ping

    def __aiter__(self) -> AsyncIterator[Any]:
        content = self._content
        return aiter(content) if hasattr(content, "__aiter__") else in_threads(iter(content))


class _Turns:
    """Messages of a stream and comments between them, one at a time."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._last = time.monotonic()
        self._is_sending = False
        self._pinged: anyio.Event | None = None

    async def send(self, data: bytes) -> None:
        if self._pinged is not None:
            await self._pinged.wait()
        self._is_sending = True
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        self._is_sending = False
        self._last = time.monotonic()

    async def end(self) -> None:
        if self._pinged is not None:
            await self._pinged.wait()
        # No comment comes behind it.
        self._is_sending = True
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def keep_alive(self, interval: float) -> None:
        while True:
            rest = interval - (time.monotonic() - self._last)
            if rest > 0 or self._is_sending:
                await anyio.sleep(max(rest, interval / 10))
                continue
            self._pinged = anyio.Event()
            try:
                await self._send({"type": "http.response.body", "body": KEEP_ALIVE, "more_body": True})
            finally:
                self._pinged.set()
                self._pinged = None
            self._last = time.monotonic()


async def _encoded(events: _Events) -> AsyncIterator[bytes]:
    iterator = aiter(events)
    try:
        async for item in iterator:
            yield encode_event_item(item)
    finally:
        await _close(iterator)


async def _chunks(tokens: Any, made_by: dict[str, Any]) -> AsyncIterator[Any]:
    """The items of a `TokenStream`. A chunk of text is cut from one that was rendered once."""
    choice = {"index": 0, "delta": {"content": None}, "finish_reason": None}
    rendered = json.dumps({**made_by, "choices": [choice]}, separators=(",", ":"))
    before, behind = rendered.rsplit('"content":null', 1)
    before += '"content":'
    head, tail = f"data: {before}".encode(), f"{behind}\n\n".encode()
    iterator = aiter(_Events(tokens, None))
    has_text = False
    try:
        async for token in iterator:
            if isinstance(token, str):
                has_text = True
                yield head + _json_dumps(token) + tail
            else:
                yield token
        if has_text:
            yield {**made_by, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        yield DONE
    finally:
        await _close(iterator)


async def _close(iterator: Any) -> None:
    close = getattr(iterator, "aclose", None)
    if close is not None:
        await close()


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_source)})
