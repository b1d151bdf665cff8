"""jsonable_encoder: called by the app, and run by FastAPI on what a handler returns."""

import ipaddress
import pathlib
import re
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from types import SimpleNamespace
from typing import NamedTuple, TypedDict

from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel, Field, SecretStr

app = FastAPI()
DB: dict[str, object] = {}


class Item(BaseModel):
    title: str
    timestamp: datetime
    description: str | None = None


class Kind(Enum):
    a = "first"
    b = 2


class Level(IntEnum):
    low = 1


class Pair(NamedTuple):
    left: int
    right: str


class Typed(TypedDict):
    x: int


@dataclass
class Box:
    size: Decimal
    inner: list[date] = field(default_factory=list)


class WithDict:
    def __init__(self):
        self.a = 1
        self.b = date(2024, 1, 2)


class Mapping:
    def keys(self):
        return ["k"]

    def __getitem__(self, key):
        return key.upper()


class TextSubclass(str):
    __slots__ = ()


class Aliased(BaseModel):
    value: int = Field(alias="theValue")
    secret: SecretStr = SecretStr("s")


VALUES = {
    "datetime": datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=timezone(timedelta(hours=2))),
    "naive": datetime(2024, 1, 2, 3, 4, 5),
    "date": date(2024, 1, 2),
    "time": time(3, 4, 5),
    "timedelta": timedelta(days=1, microseconds=5),
    "decimal": Decimal("1.50"),
    "whole-decimal": Decimal("150"),
    "exponent-decimal": Decimal("1E+3"),
    "uuid": uuid.UUID(int=1),
    "enum": Kind.a,
    "int-enum": Level.low,
    "enum-keys": {Kind.a: 1, Level.low: 2},
    "set": {1},
    "frozenset": frozenset({"x"}),
    "deque": deque([1, date(2024, 1, 2)]),
    "tuple": (1, "a", None),
    "named-tuple": Pair(1, "r"),
    "typed-dict": Typed(x=1),
    "bytes": b"bytes",
    "bad-bytes": b"\xff",
    "path": pathlib.PurePosixPath("/a/b"),
    "pattern": re.compile("a+"),
    "ip": [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_interface("::1/64")],
    "dataclass": Box(Decimal("2"), [date(2024, 1, 2)]),
    "model": Aliased(theValue=1),
    "models": [Aliased(theValue=i) for i in range(3)],
    "object": WithDict(),
    "mapping": Mapping(),
    "namespace": SimpleNamespace(a=1, b=[2]),
    "text-subclass": TextSubclass("text"),
    "int-keys": {1: "a", 2.5: "b", False: "c", None: "d"},
    "date-keys": {date(2024, 1, 2): 1},
    "tuple-keys": {(1, 2): 3},
    "colliding-keys": {1: "int", "1": "text"},
    "sqlalchemy-keys": {"_sa_instance_state": 1, "name": "x"},
    "big": 2**200,
    "surrogate": "\ud800",
    "lambda": lambda: 1,
    "complex": 1j,
    "nested": {"a": [{"b": ({"c": {Kind.b}},)}]},
    "html": "<script>&'\"</script>\u2028\x7f",
}


@app.put("/items/{id}")
def update(id: str, item: Item):
    DB[id] = jsonable_encoder(item)
    return {"stored": DB[id], "type": type(DB[id]).__name__}


@app.get("/values/{name}")
async def value(name: str):
    if name == "generator":
        return (i * i for i in range(4))
    return VALUES[name]


@app.get("/sync/{name}")
def value_sync(name: str):
    return {"value": VALUES[name]}


@app.get("/excluding")
async def excluding():
    return jsonable_encoder({"a": None, "b": Aliased(theValue=1)}, exclude_none=True, by_alias=False, exclude={"c"})


@app.get("/custom")
async def custom():
    return jsonable_encoder({"at": VALUES["datetime"]}, custom_encoder={datetime: lambda value: value.year})
