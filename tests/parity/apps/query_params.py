"""Query parameters: defaults, optional, bools, lists, mixed with path parameters."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from fastapi import FastAPI, Query, Request

app = FastAPI()


class Order(StrEnum):
    up = "up"
    down = "down"


@app.get("/items/")
async def read_items(skip: int = 0, limit: int = 10):
    return {"skip": skip, "limit": limit}


@app.get("/items/{item_id}")
async def read_item(item_id: str, q: str | None = None, short: bool = False):
    return {"item_id": item_id, "q": q, "short": short}


@app.get("/required/{item_id}")
def read_required(item_id: int, needy: str, skip: int = 0, limit: int | None = None):
    return {"item_id": item_id, "needy": needy, "skip": skip, "limit": limit}


@app.get("/optional")
async def read_optional(
    a: int | None = None, b: float | None = None, c: Order | None = None, d: datetime | None = None
):
    return {"a": a, "b": b, "c": c, "d": d}


@app.get("/lists")
async def read_lists(q: Annotated[list[str] | None, Query()] = None, n: Annotated[list[int], Query()] = []):  # noqa: B006
    return {"q": q, "n": n}


@app.get("/sets")
async def read_sets(n: Annotated[set[int], Query()]):
    return {"n": sorted(n)}


@app.get("/tuples")
async def read_tuples(n: Annotated[tuple[int, str], Query()]):
    return {"n": n}


@app.get("/spans")
async def read_span(span: timedelta, scale: float = 1.5):
    return {"span": span, "scale": scale}


@app.get("/unions")
async def read_union(x: int | bool | str):
    return {"x": x, "type": type(x).__name__}


@app.get("/nullable")
async def read_nullable(x: Annotated[int | None, Query()]):
    return {"x": x}


@app.get("/everything")
async def read_everything(request: Request):
    return {"pairs": request.query_params.multi_items(), "text": request.url.query}
