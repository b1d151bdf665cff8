"""FastAPI routes, read once at start and compiled to call plans.

Owns: `explain` (how each route will run, and why), `install` (plans given to a native server).
Does not own: FastAPI's declarations, which are read and never parsed again; running a plan (`turboapi_rs._core`).
Rule: a plan answers as FastAPI does, to the byte. What is not certain runs through FastAPI itself: a route that cannot
be compiled is `asgi`, with its reason; a request that a plan does not decide goes to FastAPI before any code of the
user ran.
"""

from __future__ import annotations

import logging
from typing import Any

from turboapi_rs._core import MiddlewareStack
from turboapi_rs.plans.explain import Row, answers_unmatched, explain, table
from turboapi_rs.plans.routes import read_app
from turboapi_rs.plans.watch import holding, lists_of

__all__ = ["Row", "answers_unmatched", "explain", "install", "table"]

_log = logging.getLogger("turboapi_rs.plans")


def install(core: Any, app: Any, *, root_path: str = "") -> None:
    """Give the plans of an application to a native server; the application stays behind them as ASGI.

    Args:
        core: the native server, not started.
        app: a FastAPI application, or any other, for which nothing is done.
        root_path: the server's own prefix, which comes before every path. (The application's own is taken off.)

    Threads: call on one thread, before the server is started.
    """
    found = read_app(app, root_path=root_path)
    if found is None:
        return
    if found.warning:
        _log.warning("%s", found.warning)
        return
    for entry in found.entries:
        entry.install(core)
    if app.root_path and not root_path:
        core.set_root_path(app.root_path)
    lists = lists_of(app.router)
    core.watch_routes(lists, holding(lists))
    if found.middleware:
        core.set_middleware(MiddlewareStack(found.middleware))
    outer = [entry for entry in found.entries if not entry.is_inner]
    if found.answers_unmatched and all(entry.is_held for entry in found.entries):
        router = app.router
        version, count = router._get_routes_version(), len(router.routes)
        core.answer_unmatched(
            [entry.allowed() for entry in outer],
            router.redirect_slashes,
            lambda: router._get_routes_version() == version and len(router.routes) == count,
        )
