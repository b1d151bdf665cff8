"""Custom responses: HTML, text, redirects, streams, own classes, defaults, headers, cookies, direct responses."""

import json
from collections.abc import AsyncIterable, Iterable
from datetime import datetime
from typing import Any

from fastapi import Cookie, Depends, FastAPI, Header, Response
from fastapi.encoders import jsonable_encoder
from fastapi.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    StreamingResponse,
)
from pydantic import BaseModel

app = FastAPI()


class Item(BaseModel):
    title: str
    timestamp: datetime


class Indented(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, indent=1, sort_keys=True).encode()


@app.get("/html", response_class=HTMLResponse)
async def html():
    return "<h1>Look ma! HTML! é</h1>"


@app.get("/html-response")
def html_response():
    return HTMLResponse(content="<p>direct</p>", status_code=201)


@app.get("/text", response_class=PlainTextResponse)
async def text():
    return "Hello World"


@app.get("/text-dict", response_class=PlainTextResponse)
async def text_dict():
    return {"not": "text"}


@app.get("/redirect")
async def redirect():
    return RedirectResponse("https://typer.tiangolo.com/a b?c=é&d=%20#f")


@app.get("/redirect-class", response_class=RedirectResponse)
def redirect_class():
    return "https://fastapi.tiangolo.com"


@app.get("/redirect-302", response_class=RedirectResponse, status_code=302)
async def redirect_302():
    return "/elsewhere"


@app.get("/json", response_class=JSONResponse)
async def json_class():
    return {"b": 1, "a": [datetime(2024, 1, 2)]}


@app.get("/json-model", response_class=JSONResponse)
async def json_class_model() -> Item:
    return Item(title="é", timestamp=datetime(2024, 1, 2))


@app.get("/indented", response_class=Indented)
async def indented():
    return {"b": 1, "a": 2}


@app.get("/xml")
async def xml():
    return Response(content='<?xml version="1.0"?><a/>', media_type="application/xml")


@app.get("/empty")
async def empty():
    return Response()


@app.get("/no-type")
async def no_type():
    return Response(content=b"\x00\x01", status_code=202)


@app.get("/bare-class", response_class=Response)
async def bare_class():
    return b"bytes"


@app.get("/text-type")
def text_type():
    return Response(content="é", media_type="text/csv; charset=latin-1")


async def slow_lines():
    for i in range(10):
        yield f"some fake video bytes {i}\n".encode()


@app.get("/stream")
async def stream():
    return StreamingResponse(slow_lines(), media_type="video/mp4")


@app.get("/stream-sync")
def stream_sync():
    return StreamingResponse((bytes([i]) * 1000 for i in range(20)), status_code=206, headers={"x-n": "20"})


@app.get("/stream-text")
async def stream_text():
    return StreamingResponse(iter(["é", "", "ü"]), media_type="text/plain")


@app.get("/stream-length")
async def stream_length():
    return StreamingResponse(iter([b"12", b"345"]), headers={"content-length": "5"})


@app.get("/stream-nothing")
async def stream_nothing():
    return StreamingResponse(iter(()))


@app.get("/stream-fails")
async def stream_fails():
    async def lines():
        yield "one\n"
        yield "two\n"
        raise RuntimeError("in the middle")

    return StreamingResponse(lines(), media_type="text/plain")


@app.get("/stream-fails-first")
def stream_fails_first():
    def lines():
        raise RuntimeError("before the first")
        yield

    return StreamingResponse(lines())


@app.get("/yield-text", response_class=StreamingResponse)
async def yield_text() -> AsyncIterable[str]:
    for word in ("a", "b", "é"):
        yield word


@app.get("/yield-bytes", response_class=StreamingResponse)
def yield_bytes(n: int = 3) -> Iterable[bytes]:
    for i in range(n):
        yield bytes([65 + i])


class Png(StreamingResponse):
    media_type = "image/png"


@app.get("/yield-png", response_class=Png)
async def yield_png() -> AsyncIterable[bytes]:
    yield b"\x89PNG"


@app.get("/header-and-cookie")
async def header_and_cookie(response: Response):
    response.headers["X-Cat-Dog"] = "alone in the world"
    response.headers["content-type"] = "application/x-own+json"
    response.set_cookie(key="fakesession", value="fake-cookie-session-value", httponly=True, samesite="strict")
    response.set_cookie(key="second", value="a b;c", max_age=60, path="/x", secure=True)
    response.delete_cookie("third")
    return {"message": "Hello World"}


@app.get("/header-direct")
def header_direct():
    response = JSONResponse({"a": 1}, headers={"X-Cat-Dog": "caf\xe9", "Content-Language": "en-US"})
    response.set_cookie("direct", "1")
    return response


def cookie_setter(response: Response):
    response.set_cookie("from", "dependency")
    response.headers.append("x-many", "1")
    response.headers.append("x-many", "2")


@app.get("/by-dependency", dependencies=[Depends(cookie_setter)])
async def by_dependency(response: Response):
    response.headers.append("x-many", "3")
    return {}


@app.get("/by-dependency-direct", dependencies=[Depends(cookie_setter)])
async def by_dependency_direct():
    return JSONResponse({"own": "response"})


@app.put("/items/{id}")
def direct(id: str, item: Item):
    return JSONResponse(content=jsonable_encoder(item))


@app.get("/long-cookie")
def long_cookie(response: Response, session: str = Cookie(default="none"), size: int = Header(default=10)):
    response.set_cookie("session", "x" * size)
    return {"session": session}


html_app = FastAPI(default_response_class=HTMLResponse)


@html_app.get("/")
async def html_root():
    return "<h1>Items</h1>"


@html_app.get("/json", response_class=JSONResponse)
async def html_json():
    return ["json"]


@html_app.get("/model")
async def html_model() -> Item:
    return {"title": "t", "timestamp": datetime(2024, 1, 2)}
