"""Middleware: `@app.middleware`, pure ASGI, GZip, TrustedHost, HTTPSRedirect, and their order."""

import os
from contextvars import ContextVar
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.middleware.httpsredirect import HTTPSRedirectMiddleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import FileResponse, PlainTextResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware

FILES = Path(os.environ.get("TURBOAPI_PARITY_FILES", "."))

request_id: ContextVar[str] = ContextVar("request_id", default="none")


class Item(BaseModel):
    n: int


class Tagging:
    """A pure ASGI middleware: a header of its own on every answer, its name in the scope."""

    def __init__(self, app, name: str):
        self.app, self.name = app, name

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        scope.setdefault("state", {}).setdefault("tags", []).append(self.name)

        async def tagged(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"x-tag", self.name.encode())]}
            await send(message)

        return await self.app(scope, receive, tagged)


app = FastAPI()
app.add_middleware(Tagging, name="inner")


@app.middleware("http")
async def add_header(request: Request, call_next):
    request.state.seen = request.url.path
    token = request_id.set(request.headers.get("x-request-id", "none"))
    if request.headers.get("x-stop"):
        return PlainTextResponse("stopped", status_code=418)
    try:
        response: Response = await call_next(request)
    except RuntimeError as error:
        return PlainTextResponse(f"caught {error}", status_code=599)
    finally:
        request_id.reset(token)
    response.headers["X-Process"] = "seen"
    return response


@app.middleware("http")
async def read_body(request: Request, call_next):
    if request.headers.get("x-peek"):
        body = await request.body()
        response = await call_next(request)
        response.headers["x-body-length"] = str(len(body))
        return response
    return await call_next(request)


app.add_middleware(Tagging, name="outer")


@app.get("/")
async def root(request: Request):
    return {"seen": request.state.seen, "id": request_id.get(), "tags": request.state.tags}


@app.post("/items")
async def items(item: Item):
    return item


@app.get("/refused")
async def refused():
    raise HTTPException(409, "refused")


@app.get("/crash")
async def crash():
    raise RuntimeError("crash")


@app.get("/stream")
async def stream():
    return StreamingResponse((f"line {i}\n" for i in range(5)), media_type="text/plain")


zipped = FastAPI(middleware=[Middleware(GZipMiddleware, minimum_size=100, compresslevel=5)])


@zipped.get("/long")
async def long():
    return PlainTextResponse("x" * 4000)


@zipped.get("/short")
async def short():
    return PlainTextResponse("x" * 10)


@zipped.get("/json")
def json_list():
    return [{"id": i} for i in range(200)]


@zipped.get("/stream")
async def zipped_stream():
    async def lines():
        for i in range(50):
            yield f"line {i}\n" * 10

    return StreamingResponse(lines(), media_type="text/plain")


@zipped.get("/file")
async def zipped_file():
    return FileResponse(FILES / "site" / "numbers.bin", media_type="text/plain", filename="numbers.txt")


zipped.mount("/site", StaticFiles(directory=FILES / "site", check_dir=False))


@zipped.get("/encoded")
async def encoded():
    return PlainTextResponse("y" * 4000, headers={"content-encoding": "identity"})


@zipped.get("/events")
async def events():
    return Response("data: " + "z" * 500 + "\n\n", media_type="text/event-stream")


hosted = FastAPI()
hosted.add_middleware(TrustedHostMiddleware, allowed_hosts=["example.com", "*.example.org"])


@hosted.get("/")
async def hosted_root():
    return {"message": "Hello"}


www = FastAPI()
www.add_middleware(TrustedHostMiddleware, allowed_hosts=["www.example.com"])


@www.get("/")
async def www_root():
    return {}


secure = FastAPI()
secure.add_middleware(HTTPSRedirectMiddleware)


@secure.get("/")
async def secure_root():
    return {"message": "never over http"}


session = FastAPI()
session.add_middleware(SessionMiddleware, secret_key="not a secret", max_age=None)


@session.get("/set/{value}")
async def set_session(value: str, request: Request):
    request.session["user"] = value
    return {}


@session.get("/get")
async def get_session(request: Request):
    return request.session
