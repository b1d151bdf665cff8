"""The rest of a request that a plan began and that needs the event loop.

Owns: `Resumed`, an ASGI application that sends a given response, or raises a given exception where FastAPI's router
would have: inside the application's own exception handling.
Does not own: the handlers (the application's), the responses (Starlette's).
Rule: what the plan has run is not run again.
"""

from __future__ import annotations

import asyncio
import copy
from contextvars import copy_context
from typing import Any

from starlette._exception_handler import wrap_app_handling_exceptions
from starlette._utils import get_route_path
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response

from turboapi_rs.plans import returned, unwind
from turboapi_rs.plans.routes import Place

_KEY = "turboapi.resumed"


def prepare(scope: Any, place: Place, route: Any, path_params: dict[str, str] | None = None) -> None:
    """Put into a scope what FastAPI's routers would have.

    Args:
        scope: of the request, as the server made it.
        place: the application.
        route: the effective route.
        path_params: as text; those of the scope's path when not given.
    """
    app, root, prefix, _ = place
    if root.root_path:
        scope["root_path"] = root.root_path
    if prefix:
        outer = scope["root_path"]
        scope["app_root_path"], scope["root_path"] = outer, outer + prefix
    if path_params is None:
        match = route.path_regex.match(get_route_path(scope))
        path_params = match.groupdict() if match else {}
    convertors = route.param_convertors
    # The first router that a request comes to stays its router, as in Starlette.
    scope["app"], scope["router"], scope["endpoint"] = app, root.router, route.endpoint
    scope["route"] = route.original_route
    scope["path_params"] = {name: convertors[name].convert(value) for name, value in path_params.items()}


_LEAVES_PIECES = (CORSMiddleware, HTTPSRedirectMiddleware, TrustedHostMiddleware)
"""Middleware that changes a response's head alone."""


class Tail:
    """The way from a route's answer to the wire through an application's own outer layers.

    Threads: the stack is made at start, on one thread; read by all.
    """

    def __init__(self, place: Place) -> None:
        self.place, self.app = place, place.app
        self.stack: Any = _resume
        #: No layer looks at the pieces of a response: only its head has to pass through them.
        self.leaves_pieces = True
        at: Place | None = place
        while at is not None:
            layers = copy.copy(at.app)
            layers.router = self.stack
            self.stack = layers.build_middleware_stack()
            self.leaves_pieces &= all(entry.cls in _LEAVES_PIECES for entry in at.app.user_middleware)
            at = at.outer


async def _resume(scope: Any, receive: Any, send: Any) -> None:
    resumed: Resumed = scope.pop(_KEY)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if resumed.raised is not None:
            raise resumed.raised
        opened = resumed.opened
        if opened is None:
            await resumed.respond(scope, receive, send)
            return
        leave = run_in_threadpool if unwind.may_block(opened) else _at_once
        try:
            await resumed.respond(scope, receive, send)
        except BaseException as raised:
            await leave(unwind.unwind, opened, raised)
        await leave(unwind.close, opened)

    try:
        await wrap_app_handling_exceptions(answer, Request(scope, receive, send))(scope, receive, send)
    finally:
        # As FastAPI's own, outside of the handlers of exceptions: they may read its files.
        if resumed.form is not None:
            await resumed.form.close()


async def _at_once(function: Any, *args: Any) -> None:
    function(*args)


class Resumed:
    """An ASGI application for the rest of one request; it takes one argument more, the way of a response's pieces.

    Attributes:
        opened: the generators of dependencies that are to be left once the answer is sent, if any.
        form: a form with files that are to be closed after that, if any.
    """

    __slots__ = ("_context", "_way", "form", "opened", "raised", "response", "route", "tail")

    def __init__(
        self, tail: Tail, route: Any, *, response: Response | None = None, raised: Exception | None = None
    ) -> None:
        self.tail, self.route, self.response, self.raised = tail, route, response, raised
        self.opened: Any = None
        self.form: FormData | None = None
        self._context = copy_context()

    async def __call__(self, scope: Any, receive: Any, send: Any, way: Any) -> None:
        """Answer, in the context in which the plan ran."""
        here = self.here(scope, receive, send, way)
        await asyncio.get_running_loop().create_task(here, context=self._context)

    async def here(self, scope: Any, receive: Any, send: Any, way: Any) -> None:
        """Answer, in the task that ran the plan."""
        self._way = way
        if "endpoint" not in scope:
            prepare(scope, self.tail.place, self.route)
        scope[_KEY] = self
        await self.tail.stack(scope, receive, send)

    async def respond(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the response: a stream's head through all layers, its pieces past those that leave them alone."""
        pieces = returned.pieces_of(self.response) if self.tail.leaves_pieces else None
        if pieces is None:
            await self.response(scope, receive, send)
        else:
            await pieces.send(send, self._way)
