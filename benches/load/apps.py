"""What the servers under load serve: the same answers, each in its own way.

Owns: the applications. Does not own: which of them is measured on which case (`cases.py`).
Rule: ordinary code. Nothing here knows which server runs it, but for `rsgi`, which is granian's own protocol.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Form, HTTPException, Request, UploadFile
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.sse import EventSourceResponse
from pydantic import BaseModel, Field

HELLO = {"message": "Hello World"}
HELLO_BYTES = b'{"message":"Hello World"}'

ROWS = [
    {"id": i, "name": f"item number {i}", "price": i * 1.25, "tags": ["red", "blue"], "ok": True} for i in range(120)
]
"""10 KB as compact JSON."""

EVENT_INTERVAL_S = 0.5
"""Between two events of one stream: with 1,000 streams, 2,000 events a second."""


async def rsgi(scope: Any, proto: Any) -> None:
    """granian's own protocol."""
    proto.response_bytes(status=200, headers=[("content-type", "application/json")], body=json.dumps(HELLO).encode())


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Plain ASGI."""
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": HELLO_BYTES})


fastapi = FastAPI()


class Item(BaseModel):
    """What the POST takes and gives."""

    name: str = Field(min_length=1, max_length=50)
    price: float = Field(gt=0)
    tags: list[str] = []
    description: str | None = None


@fastapi.get("/")
async def hello():
    """A dict."""
    return HELLO


@fastapi.get("/items/{item_id}")
async def read_item(item_id: int, q: str | None = None):
    """Path and query."""
    return {"item_id": item_id, "q": q}


@fastapi.get("/items-def/{item_id}")
def read_item_def(item_id: int, q: str | None = None):
    """Path and query, from a def route."""
    return {"item_id": item_id, "q": q}


@fastapi.post("/items")
async def create_item(item: Item) -> Item:
    """A model in and out."""
    return item


@fastapi.post("/items-def")
def create_item_def(item: Item) -> Item:
    """A model in and out, from a def route."""
    return item


@fastapi.post("/upload")
async def upload(title: Annotated[str, Form()], file: UploadFile):
    """A field and a file of a form in parts."""
    return {"title": title, "name": file.filename, "size": len(await file.read())}


@fastapi.post("/login")
async def login(username: Annotated[str, Form()], password: Annotated[str, Form()], age: Annotated[int, Form()] = 0):
    """Three fields of a form."""
    return {"username": username, "age": age}


bearer = HTTPBearer()


def settings() -> dict[str, str]:
    """The innermost dependency."""
    return {"secret": "token"}


async def session(found: Annotated[dict[str, str], Depends(settings)]) -> AsyncIterator[dict[str, str]]:
    """A dependency with yield."""
    yield found


def user(
    found: Annotated[dict[str, str], Depends(session)],
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)],
) -> str:
    """The outermost: checks the token."""
    if credentials.credentials != found["secret"]:
        raise HTTPException(401)
    return "user"


@fastapi.get("/me")
async def read_me(name: Annotated[str, Depends(user)]):
    """Three nested dependencies and a token."""
    return {"user": name}


@fastapi.get("/rows")
async def read_rows():
    """10 KB of JSON."""
    return ROWS


@fastapi.get("/events", response_class=EventSourceResponse)
async def events():
    """Events without end."""
    number = 0
    while True:
        yield {"n": number}
        number += 1
        await asyncio.sleep(EVENT_INTERVAL_S)


@fastapi.get("/clock", response_class=EventSourceResponse)
async def clock():
    """Ten events a second without end, each with the time at which it was made."""
    number = 0
    while True:
        yield {"n": number, "at": time.monotonic()}
        number += 1
        await asyncio.sleep(0.1)


@fastapi.get("/hello-def")
def hello_def():
    """A dict, from a def route."""
    return HELLO


LARGE_PIECE = bytes(range(256)) * 256
"""64 KiB: what a large answer is made of."""


@fastapi.get("/large/{pieces}")
async def large(pieces: int):
    """So many pieces, from an async generator."""

    async def numbered() -> AsyncIterator[bytes]:
        for number in range(pieces):
            yield number.to_bytes(8) + LARGE_PIECE[8:]

    return StreamingResponse(numbered(), media_type="application/octet-stream")


@fastapi.get("/large-file")
async def large_file():
    """A file, of which the environment says where it lies."""
    return FileResponse(os.environ["LARGE_FILE"])


@fastapi.post("/large")
async def take_large(request: Request):
    """Counts what is sent, piece by piece."""
    counted = 0
    async for piece in request.stream():
        counted += len(piece)
    return {"bytes": counted}


async def hosted(scope: Any, receive: Any, send: Any) -> None:
    """The same application, in a way that hides what it is: it runs as ASGI, none of its routes is compiled."""
    await fastapi(scope, receive, send)


def __getattr__(name: str) -> Any:
    """`raw`, made only where this project is installed: peers run without it."""
    if name != "raw":
        raise AttributeError(name)
    from turboapi_rs import Server

    server = Server()
    server.route("GET", "/", lambda: HELLO)
    server.route("GET", "/rows", lambda: ROWS)
    server.static_response("/static", HELLO_BYTES, content_type="application/json")

    def numbers() -> Iterator[bytes]:
        yield from (b"%d\n" % number for number in range(100))

    server.route("GET", "/stream", lambda: (200, "text/plain", b"", numbers(), {}))
    return server
