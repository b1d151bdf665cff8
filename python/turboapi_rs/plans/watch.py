"""What a change of an application's routes means to the plans that were made of them.

Owns: which lists are watched, and which changes leave all plans valid. Does not own: noticing that a list has another
size (`dispatch/watch`).
Rule: a route put behind all others takes nothing from them. After any other change FastAPI runs every route itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def lists_of(router: Any) -> list[list[Any]]:
    """The lists of routes of a router and of those that it includes or mounts, its own first."""
    from fastapi import FastAPI
    from fastapi.routing import _IncludedRouter
    from starlette.routing import Mount

    found: list[list[Any]] = []

    def walk(router: Any) -> None:
        if any(known is router.routes for known in found):
            return
        found.append(router.routes)
        for route in router.routes:
            if isinstance(route, _IncludedRouter):
                walk(route.original_router)
            elif isinstance(route, Mount) and isinstance(route.app, FastAPI):
                walk(route.app.router)

    walk(router)
    return found


def holding(lists: list[list[Any]]) -> Callable[[], bool]:
    """Make the function that says whether plans made of these lists, as they are now, still hold."""
    known = [list(routes) for routes in lists]

    def do_hold() -> bool:
        for index, (routes, before) in enumerate(zip(lists, known, strict=True)):
            now = list(routes)
            # Of the outermost list the end is the end of all routes; of an included one it is not.
            if len(now) < len(before) or (index > 0 and len(now) > len(before)):
                return False
            if any(mine is not theirs for mine, theirs in zip(before, now, strict=False)):
                return False
        return True

    return do_hold
