"""Starlette's own middleware in several orders, around routes of every kind. `tests/middleware` sends the requests."""

from collections.abc import AsyncIterable

from fastapi import FastAPI, HTTPException, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.middleware.httpsredirect import HTTPSRedirectMiddleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.sse import EventSourceResponse
from pydantic import BaseModel
from starlette.middleware import Middleware

ORIGIN = "https://a.example"
CORS = Middleware(
    CORSMiddleware,
    allow_origins=[ORIGIN, "null"],
    allow_origin_regex=r"https?://[b-d]\w*\.example(:\d+)?",
    allow_methods=["GET", "POST"],
    allow_headers=["X-One", "x-two"],
    allow_credentials=True,
    expose_headers=["x-seen"],
)
ANYONE = Middleware(
    CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], allow_private_network=True
)
GZIP = Middleware(GZipMiddleware, minimum_size=200, compresslevel=5)
HOSTS = Middleware(TrustedHostMiddleware, allowed_hosts=["a.example", "www.a.example", "www.b.example", "*.c.example"])
SECURE = Middleware(HTTPSRedirectMiddleware)


class Item(BaseModel):
    name: str
    n: int = 1


def routed(*middleware: Middleware) -> FastAPI:
    app = FastAPI(middleware=list(middleware))

    @app.get("/items/{n}")
    async def read(n: int, response: Response, times: int = 1) -> list[Item]:
        response.headers["vary"] = "Cookie"
        return [Item(name="item", n=n)] * times

    @app.post("/items")
    def make(item: Item) -> Item:
        return item

    @app.get("/text")
    async def text(size: int = 1000):
        return PlainTextResponse("x" * size)

    @app.get("/stream")
    async def stream(pieces: int = 3):
        return StreamingResponse((f"piece {i}, " * 30 for i in range(pieces)), media_type="text/csv")

    @app.get("/events")
    async def events():
        return StreamingResponse((f"data: {i}\n\n" * 50 for i in range(3)), media_type="text/event-stream")

    @app.get("/yielded/events", response_class=EventSourceResponse)
    async def yielded_events():
        for i in range(3):
            yield {"n": i, "text": "x" * 300}

    @app.get("/yielded/lines")
    async def yielded_lines() -> AsyncIterable[dict[str, str]]:
        for i in range(3):
            yield {"n": str(i), "text": "x" * 300}

    @app.get("/encoded")
    async def encoded():
        return Response(b"not really" * 99, headers={"content-encoding": "br", "access-control-allow-origin": "own"})

    @app.get("/refused")
    async def refused():
        raise HTTPException(403, "no" * 300, headers={"vary": "Accept"})

    @app.get("/empty", status_code=204)
    async def empty() -> None:
        return None

    @app.options("/own")
    async def own():
        return {"own": "options"}

    return app


cors = routed(CORS)
zipped = routed(GZIP, CORS)
outside = routed(ANYONE, GZIP)
hosts = routed(HOSTS, ANYONE, GZIP)
inside = routed(CORS, HOSTS)
secure = routed(GZIP, HOSTS, SECURE, CORS)
