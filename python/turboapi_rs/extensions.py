"""Which ASGI extensions an application is offered.

Owns: `http.response.pathsend`, by what is in front of the application. Does not own: what the server does with it
(`src/asgi`). Rule: a file goes out by its path only where nothing in between looks at bodies: Starlette's
GZipMiddleware leaves such a response alone, which it compresses under other servers, and middleware of the user may
not know of it.
Spec: ASGI, "Path Send"; `starlette.middleware.gzip`.
"""

from __future__ import annotations

import sys
from typing import Any

HEADS_ALONE = frozenset(
    {
        "starlette.middleware.cors.CORSMiddleware",
        "starlette.middleware.httpsredirect.HTTPSRedirectMiddleware",
        "starlette.middleware.sessions.SessionMiddleware",
        "starlette.middleware.trustedhost.TrustedHostMiddleware",
    }
)
"""Middleware that looks at the head of a response alone."""


def offered(app: Any) -> dict[str, dict[str, Any]]:
    """The `extensions` of the scopes of `app`.

    Example:
        >>> from fastapi import FastAPI
        >>> from fastapi.middleware.gzip import GZipMiddleware
        >>> app = FastAPI()
        >>> offered(app)
        {'http.response.pathsend': {}}
        >>> app.add_middleware(GZipMiddleware)
        >>> offered(app)
        {}
    """
    return {"http.response.pathsend": {}} if _leaves_bodies(app, set()) else {}


def _leaves_bodies(app: Any, seen: set[int]) -> bool:
    """True if no middleware in front of, or within, `app` may look at bodies."""
    if id(app) in seen:
        return True
    seen.add(id(app))
    if _qualified(type(app)) in HEADS_ALONE:
        return _leaves_bodies(app.app, seen)
    entries = [*getattr(app, "user_middleware", ())]
    if not all(_qualified(getattr(entry, "cls", None)) in HEADS_ALONE for entry in entries):
        return False
    routing = sys.modules.get("starlette.routing")
    if routing is None:
        # Nobody wraps a response of Starlette's: who sends by path does so by choice.
        return True
    if isinstance(app, routing.Mount | routing.Host):
        return _leaves_bodies(app.app, seen)
    if isinstance(app, routing.Route):
        # Middleware of one route is around its application.
        return not hasattr(app.app, "app") or _leaves_bodies(app.app, seen)
    if hasattr(app, "app") and not hasattr(app, "routes"):
        # A wrapper that is not known.
        return False
    return all(_leaves_bodies(route, seen) for route in getattr(app, "routes", None) or ())


def _qualified(cls: Any) -> str:
    return f"{getattr(cls, '__module__', '')}.{getattr(cls, '__qualname__', '')}"
