"""Routes to plans.

Owns: which kind of plan a route gets: of FastAPI's own, of Starlette's, or one round FastAPI's own handler.
Does not own: the function of a compiled route (`builder`), which routes there are (`routes`).
Rule: what cannot be compiled raises `NotCompiled` with its reason.
"""

from __future__ import annotations

import inspect
import warnings
from contextlib import AsyncExitStack
from typing import Any

from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.models import Dependant, _is_async_gen_callable, _is_gen_callable
from fastapi.exceptions import FastAPIError
from fastapi.routing import APIRoute, _effective_route_context_var, _IncludedRouter
from pydantic.warnings import UnsupportedFieldAttributeWarning
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.routing import Route

from turboapi_rs.plans.arguments import has_form, takes_files
from turboapi_rs.plans.builder import Builder
from turboapi_rs.plans.params import Native, reads_files_in_turn
from turboapi_rs.plans.plan import Plan, deliver, tail_of
from turboapi_rs.plans.responses import fault_of, of_response
from turboapi_rs.plans.resume import Resumed, prepare
from turboapi_rs.plans.routes import NotCompiled, Place
from turboapi_rs.plans.streams import compile_stream

STREAM = "a stream of items"
"""The note of a route with `yield`."""


def compile_starlette_route(place: Place, context: Any) -> Plan:
    """Compile a Starlette route whose endpoint is a function of the request, as of FastAPI's own `/docs`.

    Raises:
        NotCompiled: the endpoint is an ASGI application or a class.
    """
    route: Route = context._effective_route
    endpoint = route.endpoint
    if type(route) is not Route or not (inspect.isfunction(endpoint) or inspect.ismethod(endpoint)):
        raise NotCompiled(f"the endpoint is a {type(endpoint).__name__}, not a function")
    if getattr(route, "middleware", None):
        raise NotCompiled("the route has middleware of its own")
    tail = tail_of(place)
    is_async = inspect.iscoroutinefunction(endpoint)

    async def run(scope: Any, receive: Any, send: Any, reply: Any, path_params: dict[str, str]) -> None:
        prepare(scope, place, context, path_params)
        request = Request(scope, receive, send)
        try:
            response = await endpoint(request) if is_async else await run_in_threadpool(endpoint, request)
            final = of_response(response, tail, context)
        except Exception as raised:
            final = Resumed(tail, context, raised=raised)
        await deliver(final, scope, receive, send, reply)

    return Plan(run=run, natives=[Native("path_params")], is_task=True, is_blocking=not is_async, status=200,
                finish=None, fault=fault_of(tail, context), reads_body=False, source="", pin="")  # fmt: skip


class _Stack(AsyncExitStack):
    """An exit stack that costs little while it is empty: an empty deque is 700 bytes, and a stream holds three."""

    def __init__(self) -> None:
        self._exit_callbacks = []  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return bool(self._exit_callbacks)


def compile_handler(place: Place, route: Any, original: APIRoute, note: str) -> Plan:
    """Compile a FastAPI route whose body, result or class only FastAPI's own handler knows: forms, streams of items.

    Routing, middleware and the outer layers are not gone through; the handler is the one that FastAPI made.

    Raises:
        NotCompiled: with the reason.
    """
    if _limits(place, original):
        raise NotCompiled("form limits are set")
    context = route._route_context
    tail = tail_of(place)
    token = _effective_route_context_var.set(context)
    try:
        # Pieces of what is pulled natively do not pass through middleware, its head does: with any layer that changes
        # pieces, FastAPI streams it, within the tail.
        is_pulled = note == STREAM and tail.leaves_pieces
        streaming = compile_stream(context or route, original) if is_pulled else None
        handler = streaming or original.get_route_handler()
    finally:
        _effective_route_context_var.reset(token)
    fault = fault_of(tail, route)

    async def run(scope: Any, receive: Any, send: Any, reply: Any, path_params: dict[str, str]) -> None:
        prepare(scope, place, route, path_params)
        request = Request(scope, receive, send)
        outlet = None
        async with _Stack() as files:
            # Closed when an exception is answered: whoever answers it may read them.
            scope["fastapi_middleware_astack"] = files
            try:
                done = False
                async with _Stack() as request_stack:
                    scope["fastapi_inner_astack"] = request_stack
                    async with _Stack() as function_stack:
                        scope["fastapi_function_astack"] = function_stack
                        response = await handler(request)
                    if streaming is None:
                        await deliver(of_response(response, tail, route), scope, receive, send, reply)
                    else:
                        begun = response.begin(reply)
                        if files or request_stack:
                            await response.send(begun)
                        else:
                            outlet = begun
                    done = True
                if not done:
                    raise FastAPIError("an exception was swallowed by a dependency with yield")
            except Exception as raised:
                if reply.is_begun():
                    raise
                await deliver(fault(raised), scope, receive, send, reply)
        if outlet is not None:
            # Nothing is left to be closed after the last item: a stream that waits long need not hold it all.
            scope = receive = send = request = files = request_stack = function_stack = begun = None
            await response.send(outlet)

    return Plan(run=run, natives=[Native("path_params")], is_task=True, is_blocking=False, status=200, finish=None,
                fault=fault, reads_body=False, source="", pin="", note=note)  # fmt: skip


def compile_api_route(place: Place, route: Any, original: APIRoute) -> Plan:
    """Compile a FastAPI route.

    Args:
        place: the application.
        route: the effective route: FastAPI's `RouteContext`, prefix and router dependencies applied.
        original: the `APIRoute` as declared.

    Raises:
        NotCompiled: with the reason.
    """
    cls = type(original)
    for name in ("handle", "matches"):
        if getattr(cls, name) is not getattr(APIRoute, name):
            raise NotCompiled(f"the route class {cls.__name__} overrides {name}")
    dependant: Dependant = route.dependant
    if getattr(route, "max_body_size", None) is not None:
        raise NotCompiled("max_body_size is set on the route")
    build_models(route)
    note = ""
    if cls.get_route_handler is not APIRoute.get_route_handler:
        note = f"the route class {cls.__name__} makes its own handler"
    elif _is_gen_callable(dependant.call) or _is_async_gen_callable(dependant.call):
        note = STREAM
    elif has_form(route) and (_takes_request(dependant) or _limits(place, original)):
        note = "a form"
    elif has_form(route) and takes_files(dependant) and not reads_files_in_turn:
        note = "a form with files"
    elif _limits_concurrency(dependant):
        note = "a dependency limits its concurrency"
    elif route.body_field is not None and not _plain(route.strict_content_type):
        note = "strict_content_type is off"
    if note:
        return compile_handler(place, route, original, note)
    return Builder(place, route, dependant).build()


def build_models(route: Any) -> None:
    """Have Pydantic build what a route validates and writes, now, on one thread.

    Models may put that off to their first use (`defer_build`), which on several workers would be several at once. One
    that cannot be built yet is left to its first request, which says why.
    """
    fields = [route.body_field, route.response_field, getattr(route, "stream_item_field", None)]
    waiting = [route.dependant]
    while waiting:
        dependant = waiting.pop()
        waiting += dependant.dependencies
        for kind in ("path", "query", "header", "cookie", "body"):
            fields += getattr(dependant, f"{kind}_params")
    late = [field._type_adapter for field in fields if field is not None and not field._type_adapter.pydantic_complete]
    with warnings.catch_warnings():
        # As FastAPI does where it has them built: what a field is called is its own to know.
        warnings.simplefilter("ignore", UnsupportedFieldAttributeWarning)
        for adapter in late:
            adapter.rebuild(raise_errors=False)


def _takes_request(dependant: Dependant) -> bool:
    """A request whose form was read by FastAPI knows that, and has no body any more."""
    return bool(dependant.request_param_name or dependant.http_connection_param_name) or any(
        _takes_request(sub) for sub in dependant.dependencies
    )


def _limits(place: Place, original: APIRoute) -> bool:
    """Limits of forms are set, on the route or above it."""
    return bool(
        getattr(original, "form_limits", None) or _limits_forms(place.app.router) or _limits_forms(place.root.router)
    )


def _limits_forms(router: Any) -> bool:
    """A router sets limits for the forms below it, which its own dispatch puts into the scope."""
    return bool(getattr(router, "form_limits", None)) or any(
        bool(getattr(route.include_context, "form_limits", None)) or _limits_forms(route.original_router)
        for route in router.routes
        if isinstance(route, _IncludedRouter)
    )


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, DefaultPlaceholder) else value


def _limits_concurrency(dependant: Dependant) -> bool:
    return any(
        getattr(sub, "concurrency", None) is not None or _limits_concurrency(sub) for sub in dependant.dependencies
    )
