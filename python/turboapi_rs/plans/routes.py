"""The effective routes of a FastAPI application, and what stands against compiling them.

Owns: walking the routes in the order of precedence, the reasons that concern a whole application or a whole route.
Does not own: parameters (`params`), dependencies and code (`compile`).
Rule: only what is known to be FastAPI's own is compiled. A subclass that overrides how a request is handled, a
middleware, a version outside the tested range: `asgi`, with the reason.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

#: Versions of FastAPI whose routes are compiled: the first, and the first that is beyond.
#:
#: The parity suite runs on each minor version of them. 0.159 kept from models what other parameters of the request were
#: named; from 0.160 on, each model applies its own policy to all that is left.
TESTED_FASTAPI = ((0, 160), (0, 166))


class Place(NamedTuple):
    """An application, and where it stands.

    Attributes:
        app: whose routes they are.
        root: the outermost application, which the server runs; `app` itself, unless that is mounted.
        prefix: the path below which `app` is mounted, through all mounts; empty where it is not.
        outer: where the application stands that `app` is mounted in, if any.
    """

    app: Any
    root: Any
    prefix: str = ""
    outer: Place | None = None


class NotCompiled(Exception):
    """Why a route stays `asgi`, in words to act on."""


@dataclass
class Entry:
    """One route as a server gets it."""

    path: str
    methods: frozenset[str]
    name: str
    reason: str = ""
    plan: Any = None
    prefix: bool = False
    allow: str = ""
    is_held: bool = True
    #: Of a mounted application, whose mount has an entry behind those of its routes.
    is_inner: bool = False

    def allowed(self) -> tuple[str, str]:
        """Pattern and value of `Allow`, for requests that no route takes."""
        return (self.path.rstrip("/") + "/{path:path}", "") if self.prefix else (self.path, self.allow)

    def install(self, core: Any) -> None:
        """Add the route to a native server: its plan, or the way to the ASGI application."""
        try:
            self._install(core)
        except ValueError:
            # A pattern that the native router does not hold. What comes behind it would be found in its place.
            self.is_held = False
            core.asgi_route(None, "/{path:path}")

    def _install(self, core: Any) -> None:
        if self.plan is not None:
            self.plan.install(core, sorted(self.methods), self.path, self.name)
        elif self.prefix:
            core.asgi_route(None, self.path.rstrip("/") + "/{path:path}")
        else:
            for method in sorted(self.methods) or [None]:
                core.asgi_route(method, self.path)


@dataclass
class Found:
    """What an application's routes come to."""

    entries: list[Entry] = field(default_factory=list)
    warning: str = ""
    #: 404 and 405 are FastAPI's own, and nothing but the routes is asked before them.
    answers_unmatched: bool = False
    #: Descriptions of the middleware that runs natively around compiled routes.
    middleware: list[Any] = field(default_factory=list)


def read_app(app: Any, *, root_path: str = "") -> Found | None:
    """Read the routes of an application; None when it is not FastAPI's.

    Args:
        app: any application.
        root_path: the server's own, which it puts before every path: what routes are found by does not change.
    """
    fastapi_app = _fastapi_class(app)
    if fastapi_app is None:
        return None
    found = Found()
    from starlette.routing import WebSocketRoute

    against = _against_version()
    if against:
        # Of this one nothing is known but what is Starlette's.
        found.warning = f"no route is compiled: {against}"
        routes = [route for route in app.routes if not isinstance(route, WebSocketRoute)]
        found.entries = [_unread(route, against) for route in routes]
        return found
    against = _against_app(app, root_path)

    if app.user_middleware and not against:
        from turboapi_rs.plans import middleware

        found.middleware = middleware.read(app).native
    found.answers_unmatched = not against and _has_plain_endings(app)
    found.entries = list(_entries(Place(app, app), against))
    return found


def _entries(place: Place, against: str) -> Iterator[Entry]:
    """The routes of an application, each mounted application's before its mount."""
    from starlette.routing import Mount, WebSocketRoute

    for route in _effective(place.app):
        if isinstance(route.original_route, WebSocketRoute):
            # No HTTP request reaches it.
            continue
        if isinstance(route._effective_route, Mount):
            yield from _mounted(place, route._effective_route, against)
        yield _entry(place, route, against)


def _mounted(place: Place, mount: Any, against: str) -> Iterator[Entry]:
    """The routes of an application of FastAPI's that is mounted as it is."""
    from starlette.routing import Mount

    app = mount.app
    if type(mount) is not Mount or _fastapi_class(app) is None or not any(mount is one for one in place.app.routes):
        return
    if not mount.path or set(mount.param_convertors) != {"path"}:
        return
    inner = Place(app, place.root, place.prefix + mount.path, place)
    for entry in _entries(inner, against or _against_mounted(place, app)):
        entry.is_inner = True
        yield entry


def _against_mounted(place: Place, app: Any) -> str:
    """What stands against compiling the routes of a mounted application; empty when nothing does."""
    if place.root.root_path or app.root_path:
        return "an application is mounted where a root_path is set"
    if app.user_middleware:
        return f"the mounted application has middleware of its own ({app.user_middleware[0].cls.__name__})"
    return _against_app(app, "")


def _fastapi_class(app: Any) -> type | None:
    """`FastAPI` if `app` is one. FastAPI is not imported for an application that does not use it."""
    import sys

    module = sys.modules.get("fastapi")
    cls = getattr(module, "FastAPI", None)
    return cls if isinstance(cls, type) and isinstance(app, cls) else None


def _against_version() -> str:
    """Why this FastAPI is not read; empty when it is one of those that were tested."""
    import fastapi

    low, beyond = TESTED_FASTAPI
    version = tuple(int(part) if part.isdecimal() else -1 for part in fastapi.__version__.split(".")[:2])
    if low <= version < beyond:
        return ""
    tested = f"{low[0]}.{low[1]} up to and without {beyond[0]}.{beyond[1]}"
    return f"FastAPI {fastapi.__version__} is outside the tested versions ({tested})"


def _unread(route: Any, reason: str) -> Entry:
    """A route of an application that is not read, for the table."""
    methods = frozenset(getattr(route, "methods", None) or ())
    return Entry(getattr(route, "path", ""), methods, name_of(getattr(route, "endpoint", None)), reason=reason)


def _against_app(app: Any, root_path: str) -> str:
    """What stands against compiling any route of an application; empty when nothing does."""
    from fastapi import FastAPI
    from fastapi.routing import APIRouter

    for name in ("__call__", "build_middleware_stack"):
        owner = _owner(type(app), name)
        if owner is not FastAPI and owner.__module__.split(".")[0] not in ("fastapi", "starlette"):
            return f"{type(app).__name__} overrides {name}"
    if type(app.router) is not APIRouter:
        return f"the router is a {type(app.router).__name__}"
    if root_path and app.root_path:
        return "both the server (--root-path) and the application have a root_path"
    if getattr(app, "max_body_size", None) is not None:
        return "max_body_size is set on the application"
    if app.user_middleware:
        from turboapi_rs.plans import middleware

        _, unknown = middleware.read(app)
        if unknown is not None:
            return f"the middleware {unknown}"
    telemetry = getattr(app, "_native_telemetry", None)
    if telemetry is not None and telemetry.enabled():
        return "FastAPI's telemetry is on"
    return ""


def _has_plain_endings(app: Any) -> bool:
    """404 and 405 are answered by FastAPI's own handler, and no route is tried after the others."""
    from fastapi.exception_handlers import http_exception_handler
    from fastapi.routing import APIRoute, _IncludedRouter
    from starlette.exceptions import HTTPException
    from starlette.routing import Mount, Route, WebSocketRoute

    def is_plain(router: Any) -> bool:
        return all(
            is_plain(route.original_router) if isinstance(route, _IncludedRouter)
            else isinstance(route, (APIRoute, Route, Mount, WebSocketRoute))
            for route in router.routes
        )  # fmt: skip

    handlers = app.exception_handlers
    return (
        handlers.get(HTTPException) is http_exception_handler
        and 404 not in handlers
        and 405 not in handlers
        and app.router.default == app.router.not_found
        and is_plain(app.router)
        and next(app.router._iter_low_priority_routes(), None) is None
    )


def _owner(cls: type, name: str) -> type:
    """The class of `cls`'s bases that defines `name`."""
    return next(base for base in cls.__mro__ if name in vars(base))


def _effective(app: Any) -> Iterator[Any]:
    from fastapi.routing import iter_route_contexts

    yield from iter_route_contexts(app.router.routes)


def _entry(place: Place, route: Any, against: str) -> Entry:
    from fastapi.routing import APIRoute
    from starlette.routing import Mount, Route

    endpoint = route.endpoint if hasattr(route._effective_route, "endpoint") else None
    entry = Entry(place.prefix + (route.path or ""), frozenset(route.methods or ()), name_of(endpoint))
    # In the order of FastAPI's own set, which is what its answer has.
    entry.allow = ", ".join(route.methods or ())
    original = route.original_route
    if isinstance(route._effective_route, Mount):
        entry.prefix, entry.name = True, type(route._effective_route.app).__name__
        entry.reason = f"a mounted application ({entry.name})"
        return entry
    if not isinstance(original, (APIRoute, Route)) or not route.path:
        entry.reason = f"a {type(original).__name__} is not compiled"
        entry.prefix = entry.path == place.prefix
        return entry
    if against:
        entry.reason = against
        return entry
    from turboapi_rs.plans.compile import compile_api_route, compile_starlette_route

    try:
        if isinstance(original, APIRoute):
            entry.plan = compile_api_route(place, route, original)
        else:
            entry.plan = compile_starlette_route(place, route)
    except NotCompiled as reason:
        entry.reason = str(reason)
    except Exception as error:  # Whatever it is, FastAPI says so itself, when the route is asked.
        entry.reason = f"the route could not be read: {type(error).__name__}: {str(error).splitlines()[0]}"
    return entry


def name_of(function: Callable[..., Any] | None) -> str:
    """Module and qualified name of an endpoint, for logs and tables."""
    if function is None:
        return ""
    plain = inspect.unwrap(function)
    module = getattr(plain, "__module__", None)
    name = getattr(plain, "__qualname__", None) or type(plain).__qualname__
    return f"{module}.{name}" if module else name
