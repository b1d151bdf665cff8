"""A Starlette application, for tests that serve it in other interpreters and processes (`starred:app`).

Owns: what of Starlette goes through its own threads, streams, middleware and exceptions. Does not own: what is asked.
Rule: no Pydantic, which refuses interpreters of their own.
"""

import asyncio
import contextlib
import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles


def note(line):
    if log := os.environ.get("TURBOAPI_TEST_LOG"):
        with open(log, "a") as file:
            file.write(line + "\n")


@contextlib.asynccontextmanager
async def lifespan(app):
    note("startup")
    yield {"started": True}
    note("shutdown")


def plain(request):
    """In a thread of anyio's."""
    return PlainTextResponse("plain " + request.path_params["name"])


async def echo(request):
    return JSONResponse({"body": (await request.body()).decode(), "query": dict(request.query_params)})


async def stream(request):
    async def pieces():
        for number in range(3):
            await asyncio.sleep(0)
            yield f"{number}\n"

    return StreamingResponse(pieces(), media_type="text/plain")


def stream_of_threads(request):
    return StreamingResponse((f"{number}\n" for number in range(3)), media_type="text/plain")


async def later(request):
    return PlainTextResponse("later", background=BackgroundTask(note, "background"))


async def refused(request):
    raise HTTPException(418, "tea")


async def raises(request):
    raise KeyError("what")


async def state(request):
    return JSONResponse({"started": request.state.started})


def sent(request):
    return FileResponse(Path(__file__).with_name("sent.txt"), headers={"etag": '"a"', "last-modified": "never"})


app = Starlette(
    routes=[
        Route("/plain/{name}", plain),
        Route("/echo", echo, methods=["POST"]),
        Route("/stream", stream),
        Route("/stream-of-threads", stream_of_threads),
        Route("/later", later),
        Route("/refused", refused),
        Route("/raises", raises),
        Route("/state", state),
        Route("/sent", sent),
        Mount("/static", StaticFiles(directory=Path(__file__).parent)),
    ],
    middleware=[Middleware(GZipMiddleware, minimum_size=10_000)],
    lifespan=lifespan,
)
