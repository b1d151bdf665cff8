"""Path parameters: types, order, enums, `:path`, converters."""

from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal
from uuid import UUID

from fastapi import FastAPI, Path, Request

app = FastAPI()


class Model(str, Enum):
    alexnet = "alexnet"
    resnet = "resnet"


class Level(int, Enum):
    low = 1
    high = 2


@app.get("/items/{item_id}")
async def read_item(item_id: int):
    return {"item_id": item_id}


@app.get("/untyped/{item_id}")
async def read_untyped(item_id):
    return {"item_id": item_id}


@app.get("/users/me")
async def read_me():
    return {"user_id": "the current user"}


@app.get("/users/{user_id}")
async def read_user(user_id: str):
    return {"user_id": user_id}


@app.get("/twice/{x}")
async def first(x: str):
    return {"route": "first", "x": x}


@app.get("/twice/fixed")
async def never():
    return {"route": "second"}


@app.get("/floats/{x}")
def read_float(x: float):
    return {"x": x}


@app.get("/bools/{x}")
async def read_bool(x: bool):
    return {"x": x}


@app.get("/uuids/{x}")
async def read_uuid(x: UUID):
    return {"x": x}


@app.get("/dates/{x}")
async def read_date(x: date):
    return {"x": x}


@app.get("/decimals/{x}")
async def read_decimal(x: Decimal):
    return {"x": x}


@app.get("/models/{name}")
async def read_model(name: Model):
    return {"name": name, "is_resnet": name is Model.resnet, "value": name.value}


@app.get("/levels/{level}")
async def read_level(level: Level):
    return {"level": level}


@app.get("/literals/{x}")
async def read_literal(x: Literal["a", "b"]):
    return {"x": x}


@app.get("/files/{file_path:path}")
async def read_file(file_path: str):
    return {"file_path": file_path}


@app.get("/convert/{x:int}")
async def converted_int(x: int):
    return {"x": x}


@app.get("/convert-float/{x:float}")
async def converted_float(x: float):
    return {"x": x}


@app.get("/convert-uuid/{x:uuid}")
async def converted_uuid(x: UUID):
    return {"x": x}


@app.get("/users/{user_id}/items/{item_id}")
async def read_user_item(item_id: int, user_id: str):
    return {"user_id": user_id, "item_id": item_id}


@app.get("/pre-{name}.json")
async def read_affixed(name: str):
    return {"name": name}


@app.get("/{kind}/of/{count}/raw")
async def read_raw(kind: str, count: int, request: Request):
    return {"kind": kind, "count": count, "params": request.path_params, "path": request.url.path}


@app.get("/aliased/{item-id}")
async def read_aliased(item_id: Annotated[int, Path(alias="item-id")]):
    return {"item_id": item_id}
