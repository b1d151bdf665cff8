"""How our server runs a request: natively (`direct`) or through the ASGI host (`asgi`), and why.

Owns: asking `turboapi_rs.plans.explain` once an app, matching a request to the row that answers it.
Rule: says `asgi` whenever it does not know, so that the share of `direct` is never overstated.
"""

from __future__ import annotations

import importlib.util
import re
from typing import Any

NO_PLANS = {"kind": "asgi", "reason": "no call plans in this build"}
NO_ROUTE = {"kind": "asgi", "reason": "no route of the app matches"}


class Routes:
    """The routes of one app, as the server explains them."""

    def __init__(self, app: Any) -> None:
        self._unmatched = self._redirects = False
        self._rows: list[tuple[re.Pattern[str], frozenset[str], dict[str, str]]] | None = None
        self._root_path: str = getattr(app, "root_path", "")
        if importlib.util.find_spec("turboapi_rs.plans") is not None:
            from starlette.routing import compile_path
            from turboapi_rs import plans

            if hasattr(plans, "explain"):
                self._unmatched = plans.answers_unmatched(app)
                self._redirects = getattr(getattr(app, "router", None), "redirect_slashes", False)
                # Only a mount has no methods: it takes all that lies below it, and what is behind it is never asked.
                self._rows = [
                    (
                        compile_path(row.path if row.methods else f"{row.path}/{{path:path}}")[0],
                        frozenset(row.methods),
                        {"kind": row.kind, "reason": row.reason or ""},
                    )
                    for row in plans.explain(app)
                ]

    def served(self, method: str, path: str) -> dict[str, str]:
        """Kind and reason for one request."""
        if self._rows is None:
            return NO_PLANS
        if self._root_path and path == self._root_path:
            return NO_ROUTE
        if self._root_path and path.startswith(self._root_path + "/"):
            path = path.removeprefix(self._root_path)
        for pattern, methods, how in self._rows:
            if (method in methods or not methods) and pattern.match(path):
                return how if methods else NO_ROUTE
        if not self._unmatched:
            return NO_ROUTE
        patterns = [(pattern, how) for pattern, _, how in self._rows]
        first = next((how for pattern, how in patterns if pattern.match(path)), None)
        if first is not None:
            return {"kind": "direct", "reason": ""} if first["kind"] == "direct" else NO_ROUTE
        toggled = path.rstrip("/") if path.endswith("/") else path + "/"
        if self._redirects and path != "/" and any(pattern.match(toggled) for pattern, _ in patterns):
            return {"kind": "asgi", "reason": "a redirect for a slash"}
        return {"kind": "direct", "reason": ""}
