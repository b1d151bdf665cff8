"""Path operations with `yield`: items to events or JSON lines, pulled by the request's own task.

Owns: `compile_stream`, the bytes of an item, keep-alive comments, the end of a stream.
Does not own: what comes before the first item (FastAPI's own handler binds and solves), framing (natively).
Rule: bytes, status and headers are FastAPI's; its memory streams and their three tasks are not gone through. The
generator is closed once, before background tasks run and dependencies are left.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import fastapi.sse
from fastapi import routing
from fastapi.datastructures import Default, DefaultPlaceholder
from fastapi.dependencies.models import _is_async_gen_callable
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import ResponseValidationError
from fastapi.routing import APIRoute, EndpointContext
from fastapi.sse import EventSourceResponse, ServerSentEvent, format_sse_event
from starlette.responses import JSONResponse, Response, StreamingResponse

from turboapi_rs.pulling import in_threads, pull

_INJECTED = "turboapi_injected_response"


class Items(Response):
    """What an endpoint with `yield` has begun: its head, and the generator."""

    def __init__(self, stream: Stream, values: dict[str, Any], injected: Response) -> None:
        head = StreamingResponse(_NOTHING, media_type=stream.media_type, status_code=stream.status_of(injected))
        if stream.is_events:
            head.headers["Cache-Control"] = "no-cache"
            head.headers["X-Accel-Buffering"] = "no"
        head.headers.raw.extend(injected.headers.raw)
        self.status_code, self.raw_headers, self.background = head.status_code, head.raw_headers, None
        self.stream = stream
        self.generator = stream.call(**values)

    def begin(self, reply: Any) -> Any:
        """Send the head; give the way of the items."""
        form = "json-events" if self.stream.is_events else "json-lines"
        return reply.stream(self.status_code, self.raw_headers, form)

    def send(self, outlet: Any) -> Coroutine[Any, Any, None]:
        """Send all items, in the task of the request."""
        stream = self.stream
        iterator = self.generator if stream.is_async else in_threads(self.generator)
        encode, push_item = stream.encode, outlet.push
        if stream.field is None:
            push_json = outlet.push_json

            def push(item: Any) -> bool:
                has_room = push_json(item)
                return push_item(encode(item)) if has_room is None else has_room
        else:

            def push(item: Any) -> bool:
                return push_item(encode(item))

        ping = fastapi.sse._PING_INTERVAL if stream.is_events else None
        return pull(outlet, iterator, push, ping=ping, then=self.background)


class Stream:
    """What is known of a route with `yield` at start.

    Threads: read-only after it was made.
    """

    def __init__(self, route: Any, original: APIRoute, is_events: bool) -> None:
        self.call: Callable[..., Any] = route.dependant.call
        self.is_events, self.is_async = is_events, _is_async_gen_callable(self.call)
        self.media_type = "text/event-stream" if is_events else "application/jsonl"
        self._status = route.status_code
        self.field = route.stream_item_field
        self._context = route.dependant
        self._dump_options = {
            "include": route.response_model_include,
            "exclude": route.response_model_exclude,
            "by_alias": route.response_model_by_alias,
            "exclude_unset": route.response_model_exclude_unset,
            "exclude_defaults": route.response_model_exclude_defaults,
            "exclude_none": route.response_model_exclude_none,
        }
        self.encode = self._event if is_events else self._line

    def status_of(self, injected: Response) -> int:
        """The route's status, or what the injected response says."""
        return injected.status_code or self._status or 200

    def _data(self, item: Any) -> bytes:
        if self.field is None:
            return _dumps(item)
        value, errors = self.field.validate(item, {}, loc=("response",))
        if errors:
            context = routing._extract_endpoint_context(self.call) or EndpointContext()
            raise ResponseValidationError(errors=errors, body=item, endpoint_ctx=context)
        return self.field.serialize_json(value, **self._dump_options)

    def _event(self, item: Any) -> bytes:
        if not isinstance(item, ServerSentEvent):
            # JSON has no line ends.
            return b"data: " + self._data(item) + b"\n\n"
        if item.raw_data is not None:
            data: str | None = item.raw_data
        elif item.data is None:
            data = None
        elif hasattr(item.data, "model_dump_json"):
            data = item.data.model_dump_json()
        else:
            data = _dumps(item.data).decode()
        return format_sse_event(data_str=data, event=item.event, id=item.id, retry=item.retry, comment=item.comment)

    def _line(self, item: Any) -> bytes:
        return self._data(item) + b"\n"


def compile_stream(route: Any, original: APIRoute) -> Callable[..., Any] | None:
    """Make the handler of a route with `yield`; it gives an `Items`. None when FastAPI is to stream it.

    Args:
        route: the effective route.
        original: the route as declared.
    """
    chosen = route.response_class
    chosen = chosen.value if isinstance(chosen, DefaultPlaceholder) else chosen
    is_events = isinstance(chosen, type) and issubclass(chosen, EventSourceResponse)
    if not is_events and not route.is_json_stream:
        return None
    stream = Stream(route, original, is_events)
    dependant = route.dependant
    injected = dependant.response_param_name or _INJECTED

    async def begin(**values: Any) -> Items:
        response = values[injected] if dependant.response_param_name else values.pop(injected)
        return Items(stream, values, response)

    # Errors name the endpoint, and not what stands in for it.
    routing._endpoint_context_cache[id(begin)] = routing._extract_endpoint_context(dependant.call)
    return routing.get_request_handler(
        dependant=dataclasses.replace(dependant, call=begin, response_param_name=injected),
        body_field=route.body_field,
        response_class=Default(JSONResponse),
        dependency_overrides_provider=route.dependency_overrides_provider,
        embed_body_fields=route._embed_body_fields,
        strict_content_type=route.strict_content_type,
    )


def _dumps(value: Any) -> bytes:
    return json.dumps(routing._normalize_non_finite_floats(jsonable_encoder(value))).encode()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


_NOTHING = _nothing()
