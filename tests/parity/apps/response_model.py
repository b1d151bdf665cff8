"""What leaves: response models, return types, filters, includes and excludes, aliases, wrong returns."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import AliasGenerator, BaseModel, ConfigDict, Field, computed_field, field_serializer
from pydantic.alias_generators import to_camel

app = FastAPI()


class Item(BaseModel):
    name: str
    description: str | None = None
    price: float = 10.5
    tax: float = 10.5
    tags: list[str] = []


class UserOut(BaseModel):
    username: str
    email: str


class UserIn(UserOut):
    password: str


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=AliasGenerator(serialization_alias=to_camel), populate_by_name=True)
    first_name: str
    last_name: str = "L"


class Aliased(BaseModel):
    value: int = Field(alias="theValue")


class Serialized(BaseModel):
    at: datetime
    secret: str = Field(default="hidden", exclude=True)

    @field_serializer("at")
    def in_seconds(self, value: datetime) -> int:
        return int(value.timestamp())

    @computed_field
    @property
    def year(self) -> int:
        return self.at.year


@dataclass
class Point:
    x: int
    y: int


class Row:
    """An object with attributes, as an ORM gives."""

    username = "row"
    email = "row@example.com"
    password = "secret"


ITEMS = {
    "foo": {"name": "Foo", "price": 50.2},
    "bar": {"name": "Bar", "description": "The bartenders", "price": 62, "tax": 20.2},
    "baz": {"name": "Baz", "description": None, "price": 50.2, "tax": 10.5, "tags": []},
}


@app.post("/items/", response_model=Item)
async def create(item: Item) -> Any:
    return item


@app.get("/items/", response_model=list[Item])
async def listed() -> Any:
    return [{"name": "Portal Gun", "price": 42.0}, {"name": "Plumbus", "price": 32}]


@app.get("/items/{item_id}", response_model=Item, response_model_exclude_unset=True)
async def unset_excluded(item_id: str):
    return ITEMS[item_id]


@app.get("/defaults/{item_id}", response_model=Item, response_model_exclude_defaults=True)
def defaults_excluded(item_id: str):
    return ITEMS[item_id]


@app.get("/nones/{item_id}", response_model=Item, response_model_exclude_none=True)
async def nones_excluded(item_id: str):
    return ITEMS[item_id]


@app.get("/include", response_model=Item, response_model_include={"name", "description"})
async def included():
    return ITEMS["bar"]


@app.get("/exclude", response_model=Item, response_model_exclude=["tax"])
async def excluded():
    return ITEMS["bar"]


@app.post("/user", response_model=UserOut)
async def filtered(user: UserIn) -> Any:
    return user


@app.post("/user-return")
async def filtered_by_return(user: UserIn) -> UserOut:
    return user


@app.get("/row", response_model=UserOut)
async def from_attributes_missing():
    return Row()


class RowOut(UserOut):
    model_config = ConfigDict(from_attributes=True)


@app.get("/row-attributes", response_model=RowOut)
async def from_attributes():
    return Row()


@app.get("/camel")
async def camel() -> Camel:
    return Camel(first_name="F")


@app.get("/camel-names", response_model=Camel, response_model_by_alias=False)
async def camel_names():
    return Camel(first_name="F")


@app.get("/aliased")
async def aliased() -> Aliased:
    return Aliased(theValue=3)


@app.get("/serialized")
def serialized() -> Serialized:
    return Serialized(at=datetime(2024, 1, 2, tzinfo=UTC))


@app.get("/serialized-bare")
async def serialized_bare():
    return Serialized(at=datetime(2024, 1, 2, tzinfo=UTC))


@app.get("/union")
async def union() -> Item | UserOut:
    return UserOut(username="u", email="e")


@app.get("/wrong", response_model=Item)
async def wrong():
    return {"price": "x"}


@app.get("/wrong-type")
async def wrong_type() -> list[int]:
    return {"a": 1}


@app.get("/scalar")
async def scalar() -> int:
    return "7"


@app.get("/none-model", response_model=Item | None)
async def none_model():
    return None


@app.get("/no-model", response_model=None)
async def no_model(raw: bool = False) -> Response | dict:
    return Response("raw", media_type="text/x-raw") if raw else {"message": "dict"}


@app.get("/response-type")
async def response_type(away: bool = False) -> Response:
    if away:
        return RedirectResponse(url="/elsewhere?é=1")
    return JSONResponse(content={"message": "direct"})


@app.get("/response-over-model", response_model=Item)
async def response_over_model():
    return JSONResponse({"anything": "goes"}, status_code=203)


@app.get("/dataclass")
async def dataclass_out() -> Point:
    return Point(1, 2)


@app.get("/dataclass-bare")
async def dataclass_bare():
    return [Point(1, 2), {"p": Point(3, 4)}]


@app.get("/nan")
async def nan_model() -> dict[str, float]:
    return {"x": float("nan"), "y": float("inf")}


@app.get("/nan-bare")
async def nan_bare():
    return {"x": float("nan")}


@app.get("/floats")
async def floats():
    return [0.1, 1e16, 1e-7, 1.0, -0.0, 123456789.123456789, 5e-324, 1.7976931348623157e308, 1e22, 1e21]


@app.get("/floats-model")
async def floats_model() -> list[float]:
    return [0.1, 1e16, 1e-7, 1.0, -0.0, 123456789.123456789, 5e-324, 1.7976931348623157e308, 1e22, 1e21]


@app.get("/tuple")
async def tuple_out() -> tuple[int, Annotated[str, Field(max_length=3)]]:
    return (1, "abc")


@app.get("/big")
async def big() -> list[Item]:
    return [Item(name=f"item {i}", tags=["t"] * (i % 5)) for i in range(500)]


@app.get("/big-bare")
def big_bare():
    return [{"id": i, "name": f"item {i}", "price": i / 3, "none": None, "ok": i % 2 == 0} for i in range(2000)]
