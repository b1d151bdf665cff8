"""Fields with rules; models that nest, recurse, are generic; unions, aliases, validators, computed fields."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Body, FastAPI
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    EmailStr,
    Field,
    HttpUrl,
    RootModel,
    SecretStr,
    computed_field,
    field_validator,
    model_validator,
)

app = FastAPI()


class Image(BaseModel):
    url: HttpUrl
    name: str


class Item(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=20, pattern="^[A-Za-z ]+$")]
    price: Annotated[float, Field(gt=0, description="above zero")]
    tags: set[str] = set()
    images: list[Image] | None = None
    sizes: Annotated[list[int], Field(max_length=3)] = []


class Offer(BaseModel):
    title: str
    items: list[Item]
    extra: dict[str, tuple[int, str]] = {}


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Color(StrEnum):
    red = "red"
    green = "green"


class Wide(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    an_id: UUID
    day: date
    at: datetime | None = None
    amount: Decimal = Field(default=Decimal("1.50"), max_digits=5, decimal_places=2)
    color: Color = Color.red
    email: EmailStr | None = None
    secret: SecretStr | None = None
    short_name: str = Field(default="x", alias="shortName")
    either: str = Field(default="d", validation_alias=AliasChoices("first", "second"))
    flags: list[bool] = []
    ratio: Annotated[float, Field(allow_inf_nan=False)] = 0.5
    blob: bytes = b""


class Account(BaseModel):
    password: str
    repeat: str
    age: int = 0

    @field_validator("age")
    @classmethod
    def of_age(cls, value: int) -> int:
        if value < 0:
            raise ValueError("age is negative")
        assert value < 200, "age is too much"
        return value

    @model_validator(mode="after")
    def same(self):
        if self.password != self.repeat:
            raise ValueError("passwords do not match")
        return self

    @computed_field
    @property
    def length(self) -> int:
        return len(self.password)


class Page[T](BaseModel):
    items: list[T]
    total: int


class Node(BaseModel):
    name: str
    next: "Node | None" = None


class Numbers(RootModel[list[int]]):
    pass


@app.put("/items/{item_id}")
async def update(item_id: int, item: Item):
    return {"item_id": item_id, "item": item.model_dump(mode="json", exclude={"tags"}), "tags": sorted(item.tags)}


@app.post("/offers")
async def offer(offer: Offer) -> Offer:
    return offer


@app.post("/images")
def images(images: list[Image]):
    return images


@app.post("/pets")
async def pets(pet: Annotated[Cat | Dog, Body(discriminator="kind")]):
    return pet


@app.post("/plain-union")
async def plain_union(pet: Cat | Dog):
    return pet


@app.post("/scalar-union")
async def scalar_union(body: Annotated[dict[str, int | float | str | bool | None], Body()]):
    return {key: [type(value).__name__, value] for key, value in body.items()}


@app.post("/wide")
async def wide(body: Wide) -> Wide:
    return body


@app.post("/accounts")
async def account(body: Account) -> Account:
    return body


@app.post("/pages")
async def pages(body: Page[Image]) -> Page[Image]:
    return body


@app.post("/nodes")
async def nodes(body: Node):
    return body


@app.post("/numbers")
async def numbers(body: Numbers):
    return body
