"""Smaller pages: additional responses, dataclasses, lifespan, own routes, the request itself, limits, base64."""

import asyncio
import contextlib
import dataclasses
import gzip
import json
import sqlite3
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Body, Depends, FastAPI, Form, HTTPException, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from pydantic.dataclasses import dataclass as pydantic_dataclass

from . import known

EVENTS: list[str] = []


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI):
    EVENTS.append("startup")
    app.state.by_app = "app state"
    yield {"by_lifespan": "lifespan state", "numbers": [1, 2]}
    EVENTS.append("shutdown")


app = FastAPI(lifespan=lifespan)


@app.get("/events")
async def events(request: Request):
    return {"events": EVENTS, "app": request.app.state.by_app, "lifespan": request.state.by_lifespan}


@app.get("/shared-state")
async def shared_state(request: Request):
    request.state.numbers.append(3)
    request.state.own = "mine"
    return {"numbers": request.state.numbers, "own": request.state.own}


@app.get("/own-state")
async def own_state(request: Request):
    return {"own": getattr(request.state, "own", None)}


old = FastAPI()
OLD_EVENTS: list[str] = []
"""Not those of `app`: where each app has a process of its own, the other one never starts up there."""


@old.on_event("startup")
async def old_startup():
    OLD_EVENTS.append("startup")


@old.on_event("startup")
def old_startup_sync():
    OLD_EVENTS.append("sync startup")


@old.get("/events")
async def old_events():
    return OLD_EVENTS


class Message(BaseModel):
    message: str


@app.get(
    "/additional/{item_id}", response_model=Message, responses={404: {"model": Message}, 302: {"description": "Moved"}}
)
async def additional(item_id: str):
    if item_id == "foo":
        return {"message": "found"}
    return JSONResponse(status_code=404, content={"message": "Item not found"})


@app.get("/image", responses={200: {"content": {"image/png": {}}}}, response_class=Response)
async def image():
    return Response(b"\x89PNG\r\n\x1a\n", media_type="image/png")


@dataclasses.dataclass
class Author:
    name: str
    items: list["Thing"] = dataclasses.field(default_factory=list)


@pydantic_dataclass
class Thing:
    name: str
    price: float = 1.0
    tags: list[str] = dataclasses.field(default_factory=list)


@app.post("/dataclass")
async def by_dataclass(thing: Thing) -> Thing:
    return thing


@app.post("/authors/{id}/items/", response_model=Author)
async def author_items(id: str, items: list[Thing]):
    return {"name": id, "items": items}


@app.get("/authors/", response_model=list[Author])
def authors():
    return [Author("A", [Thing("x")]), {"name": "B", "items": [{"name": "y", "price": "3"}]}]


class GzipRequest(Request):
    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            body = await super().body()
            self._body = gzip.decompress(body) if "gzip" in self.headers.getlist("content-encoding") else body
        return self._body


class GzipRoute(APIRoute):
    def get_route_handler(self) -> Callable:
        original = super().get_route_handler()

        async def handler(request: Request) -> Response:
            return await original(GzipRequest(request.scope, request.receive))

        return handler


class ErrorRoute(APIRoute):
    def get_route_handler(self) -> Callable:
        original = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                response = await original(request)
            except RequestValidationError as error:
                raise HTTPException(
                    422, {"count": len(error.errors()), "body": (await request.body()).decode()}
                ) from error
            response.headers["x-route"] = "own"
            return response

        return handler


zipped = APIRouter(route_class=GzipRoute)


@zipped.post("/sum")
async def total(numbers: Annotated[list[int], Body()]):
    return {"sum": sum(numbers)}


caught = APIRouter(route_class=ErrorRoute)


@caught.post("/caught")
async def caught_sum(numbers: Annotated[list[int], Body()]):
    return sum(numbers)


app.include_router(zipped)
app.include_router(caught)


@app.api_route("/echo/{rest:path}", methods=["GET", "POST", "PUT"])
async def echo(rest: str, request: Request):
    return {
        "method": request.method,
        "rest": rest,
        "url": str(request.url),
        "base": str(request.base_url),
        "query": request.url.query,
        "raw_path": request.scope["raw_path"].decode("latin-1"),
        "scheme": request.url.scheme,
        "body": (await request.body()).decode("latin-1"),
        "http": request.scope["http_version"],
        "host": request.client.host,
    }


@app.post("/stream-in")
async def stream_in(request: Request):
    total, count = 0, 0
    async for chunk in request.stream():
        total += len(chunk)
        count += bool(chunk)
    return {"total": total, "any": count > 0}


@app.post("/json-in")
async def json_in(request: Request):
    try:
        return {"json": await request.json()}
    except json.JSONDecodeError as error:
        return JSONResponse({"error": str(error)}, status_code=400)


@app.get("/concurrent")
async def concurrent():
    async def later(n: int):
        await asyncio.sleep(0.001 * (3 - n))
        return n

    async with asyncio.timeout(5):
        return await asyncio.gather(*(later(n) for n in range(3)))


class Base64In(BaseModel):
    model_config = ConfigDict(val_json_bytes="base64", ser_json_bytes="base64")
    data: bytes


@app.post("/base64")
def base64(body: Base64In) -> Base64In:
    return body


def database():
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute("create table hero (id integer primary key, name text not null, age int)")
    connection.executemany("insert into hero (name, age) values (?, ?)", [("Deadpond", None), ("Rusty-Man", 48)])
    try:
        yield connection
    finally:
        connection.close()


class Hero(BaseModel):
    id: int
    name: str
    age: int | None


@app.get("/heroes/{id}")
def hero(id: int, db: Annotated[sqlite3.Connection, Depends(database)]) -> Hero:
    row = db.execute("select id, name, age from hero where id = ?", (id,)).fetchone()
    if row is None:
        raise HTTPException(404, "Hero not found")
    return dict(zip(("id", "name", "age"), row, strict=True))


lax = FastAPI(strict_content_type=False)


@lax.post("/items/")
async def lax_items(item: Message):
    return item


limits = FastAPI(**known(FastAPI, max_body_size=1000))
uploads = APIRouter(prefix="/uploads", **known(APIRouter, max_body_size=5000))


@limits.post("/items")
def limited_items(item: dict):
    return item


@limits.post("/raw")
async def limited_raw(request: Request):
    return {"length": len(await request.body())}


@limits.post("/ignored")
async def limited_ignored():
    return {"ignored": True}


@uploads.post("/")
def upload(file: UploadFile):
    return {"size": file.size}


@uploads.post("/small", **known(uploads.post, max_body_size=500))
def small(file: UploadFile):
    return {"size": file.size}


limits.include_router(uploads)

forms = FastAPI(**known(FastAPI, form_limits={"max_fields": 3}))


@forms.post("/notes")
async def note(text: Annotated[str, Form()]):
    return {"size": len(text)}


@forms.post("/documents", **known(forms.post, form_limits={"max_part_size": 50}))
async def document(text: Annotated[str, Form()]):
    return {"size": len(text)}
