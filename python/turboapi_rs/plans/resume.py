"""The rest of a request that a plan began and that needs the event loop.

Owns: `Resumed`, an ASGI application that sends a given response, or raises a given exception where FastAPI's router would
have: inside the application's own exception handling.
Does not own: the handlers (the application's), the responses (Starlette's).
Rule: what the plan has run is not run again.
"""

from __future__ import annotations

import copy
from typing import Any

from starlette._exception_handler import wrap_app_handling_exceptions
from starlette.requests import Request
from starlette.responses import Response

_KEY = "turboapi.resumed"


def prepare(scope: Any, app: Any, route: Any, path_params: dict[str, str]) -> None:
    """Put into a scope what FastAPI's routers would have.

    Args:
        scope: of the request.
        app: the application.
        route: the effective route.
        path_params: as text.
    """
    convertors = route.param_convertors
    scope["app"], scope["router"], scope["endpoint"] = app, app.router, route.endpoint
    scope["route"] = route.original_route
    scope["path_params"] = {name: convertors[name].convert(value) for name, value in path_params.items()}


class Tail:
    """The way from a route's answer to the wire through an application's own outer layers.

    Threads: the stack is made at start, on one thread; read by all.
    """

    def __init__(self, app: Any) -> None:
        self.app = app
        outer = copy.copy(app)
        outer.router = _resume
        self.stack = outer.build_middleware_stack()


async def _resume(scope: Any, receive: Any, send: Any) -> None:
    resumed: Resumed = scope.pop(_KEY)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if resumed.raised is not None:
            raise resumed.raised
        await resumed.response(scope, receive, send)

    await wrap_app_handling_exceptions(answer, Request(scope, receive, send))(scope, receive, send)


class Resumed:
    """An ASGI application for the rest of one request."""

    __slots__ = ("raised", "response", "route", "tail")

    def __init__(
        self, tail: Tail, route: Any, *, response: Response | None = None, raised: Exception | None = None
    ) -> None:
        self.tail, self.route, self.response, self.raised = tail, route, response, raised

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer."""
        if "endpoint" not in scope:
            match = self.route.path_regex.match(scope["path"])
            prepare(scope, self.tail.app, self.route, match.groupdict() if match else {})
        scope[_KEY] = self
        await self.tail.stack(scope, receive, send)
