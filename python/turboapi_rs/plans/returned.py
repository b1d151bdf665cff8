"""Streaming responses that an endpoint returned, their pieces pulled by the task of the request.

Owns: `pieces_of` (which responses these are), what a piece is as bytes.
Does not own: the head (sent as an ASGI message, so that every layer sees it), pulling and closing (`pulling`).
Rule: a class that sends its pieces in a way of its own is left to it. What Starlette sends is sent; its task group, and
the task that listens for the end of the connection, are not gone through. The beginning of the drain ends events only:
of other streams the end is near, for all that is known (decision 0014).
"""

from __future__ import annotations

import inspect
from typing import Any

from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response, StreamingResponse

from turboapi_rs import sse
from turboapi_rs.pulling import in_threads, pull


class Pieces:
    """What is left to be sent of a streaming response.

    Attributes:
        response: whose head, charset and background tasks these are.
        items: an async iterable.
        form: of an item, as the native side names it.
        ping: seconds of silence before a comment; None: never.
    """

    __slots__ = ("form", "items", "ping", "response")

    def __init__(self, response: StreamingResponse, items: Any, form: str, ping: float | None) -> None:
        self.response, self.items, self.form, self.ping = response, items, form, ping

    async def send(self, send: Any, way: Any) -> None:
        """Send head and items; run the background tasks.

        Args:
            send: takes the head, as a message.
            way: gives the way of the items, once the head was sent.
        """
        response = self.response
        await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
        outlet = way.pieces(self.form)
        push, charset = outlet.push, response.charset

        def push_raw(piece: Any) -> bool:
            if not isinstance(piece, bytes):
                piece = bytes(piece) if isinstance(piece, memoryview) else piece.encode(charset)
            return push(piece)

        is_events = response.headers.get("content-type", "").startswith("text/event-stream")
        await pull(
            outlet,
            aiter(self.items),
            push_raw if self.form == "raw" else push,
            ping=self.ping,
            ends_with_drain=is_events,
            then=response.background,
        )


def pieces_of(response: Response) -> Pieces | None:
    """Say how the pieces of a response are pulled; None for one that sends itself."""
    cls: Any = type(response)
    if cls.__call__ is not StreamingResponse.__call__ or "stream_response" in vars(response):
        return None
    if cls.stream_response is StreamingResponse.stream_response:
        items: Any = response.body_iterator  # type: ignore[attr-defined]
        return Pieces(response, _pulled(items), "raw", None)  # type: ignore[arg-type]
    if isinstance(response, sse.EventSourceResponse) and (
        cls.stream_response is sse.EventSourceResponse.stream_response and response.body_iterator is response._encoded
    ):
        return Pieces(response, response._events, "events", response._events.turboapi_ping)
    return None


def _pulled(items: Any) -> Any:
    """A sync iterator that Starlette wrapped is asked as ours are, so that it is closed."""
    is_wrapped = getattr(items, "ag_code", None) is iterate_in_threadpool.__code__
    if not is_wrapped or inspect.getasyncgenstate(items) != inspect.AGEN_CREATED:
        return items
    return in_threads(iter(items.ag_frame.f_locals["iterator"]))
