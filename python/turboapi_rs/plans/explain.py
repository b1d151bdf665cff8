"""How each route of an application will run, for people.

Owns: the rows and the table of `turboapi routes`. Does not own: the decision (`routes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from turboapi_rs.plans.routes import read_app


@dataclass(frozen=True)
class Row:
    """One route.

    Attributes:
        path: the pattern, as declared and prefixed.
        methods: sorted; empty for a mount, which takes all.
        kind: `"direct"` (a call plan) or `"asgi"`.
        reason: for `asgi`, why, in words to act on; else empty.
        name: the endpoint, such as `main.read_item`.
        note: for `direct`, what of the route FastAPI's own handler does (`a form`, `a stream of items`); else empty.
    """

    path: str
    methods: tuple[str, ...]
    kind: str
    reason: str
    name: str
    note: str = ""


def explain(app: Any, *, root_path: str = "") -> list[Row]:
    """Say for each route of a FastAPI application whether it is compiled.

    Returns:
        One row a route, in the order of precedence. Empty for an application that is not FastAPI's.

    Example:
        >>> from fastapi import FastAPI
        >>> app = FastAPI(openapi_url=None)
        >>> @app.get("/items/{item_id}")
        ... async def read_item(item_id: int):
        ...     return {"item_id": item_id}
        >>> [(row.path, row.kind) for row in explain(app)]
        [('/items/{item_id}', 'direct')]
    """
    found = read_app(app, root_path=root_path)
    if found is None:
        return []
    return [
        Row(
            entry.path,
            tuple(sorted(entry.methods)),
            "direct" if entry.plan else "asgi",
            entry.reason,
            entry.name,
            entry.plan.note if entry.plan else "",
        )
        for entry in found.entries
    ]


def answers_unmatched(app: Any, *, root_path: str = "") -> bool:
    """Say whether 404 and 405 are answered without FastAPI, where no route takes a request."""
    found = read_app(app, root_path=root_path)
    return found is not None and found.answers_unmatched


def table(rows: Sequence[Row]) -> str:
    """Lay rows out in columns, with a count at the end."""
    cells = [("METHOD", "PATH", "RUNS", "REASON OR NOTE")]
    cells += [
        (
            ",".join(row.methods) or "*",
            row.path,
            row.kind,
            row.reason or (row.note and f"by FastAPI's handler: {row.note}"),
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(3)]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(line, [*widths, 0], strict=True)).rstrip() for line in cells
    ]
    direct = sum(row.kind == "direct" for row in rows)
    return "\n".join([*lines, "", f"{direct} of {len(rows)} routes run directly"])
