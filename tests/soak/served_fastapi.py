"""The FastAPI half of what a soak asks: compiled routes, dependencies, models, streams, errors, a hosted application."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, File, Form, HTTPException, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.sse import EventSourceResponse
from pydantic import BaseModel, Field

from tests.soak import served

app = FastAPI()


class Item(BaseModel):
    """A model in and out."""

    name: str = Field(min_length=1, max_length=50)
    price: float = Field(gt=0)
    tags: list[str] = []


def settings() -> dict[str, str]:
    return {"who": "somebody"}


async def session(found: Annotated[dict[str, str], Depends(settings)]) -> AsyncIterator[dict[str, str]]:
    yield found


def ticket(found: Annotated[dict[str, str], Depends(session)]) -> Iterator[str]:
    yield found["who"]


@app.get("/async/{item_id}")
async def read_async(item_id: int, q: str | None = None) -> Any:
    return {"item_id": item_id, "q": q}


@app.get("/sync/{item_id}")
def read_sync(item_id: int) -> Any:
    return {"item_id": item_id}


@app.post("/items")
async def create(item: Item) -> Item:
    return item


@app.get("/who")
async def who(name: Annotated[str, Depends(ticket)]) -> Any:
    return {"name": name}


@app.get("/refused")
async def refused() -> Any:
    raise HTTPException(409, "refused")


@app.get("/tasks")
async def tasks(later: BackgroundTasks) -> Any:
    later.add_task(int, "7")
    return "told"


@app.post("/form")
async def form(name: Annotated[str, Form()], file: Annotated[bytes, File()]) -> Any:
    return {"name": name, "size": len(file)}


@app.get("/text", response_class=PlainTextResponse)
async def text(request: Request) -> str:
    return request.url.path


@app.get("/stream")
async def stream() -> StreamingResponse:
    def pieces() -> Iterator[bytes]:
        yield b"one"
        yield b"two"

    return StreamingResponse(pieces(), media_type="text/plain")


@app.get("/events", response_class=EventSourceResponse)
async def events() -> AsyncIterator[dict[str, int]]:
    for number in range(3):
        yield {"n": number}


async def hosted(scope: Any, receive: Any, send: Any) -> None:
    """A plain ASGI application under the routes."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-kind", b"asgi")]})
    await send({"type": "http.response.body", "body": b"hosted", "more_body": False})


app.mount("/hosted", hosted)

_WATCHED = {"read_async": read_async, "read_sync": read_sync, "create": create, "who": who, "Item": Item, "app": app}


@app.get("/counts")
async def counts() -> Any:
    return served.counts(_WATCHED, str(os.getpid()))
