"""JSON bodies: one model, with path and query, plain containers, bytes, lax and strict numbers."""

from typing import Annotated, Any

from fastapi import Body, FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

app = FastAPI()


class Item(BaseModel):
    name: str
    description: str | None = None
    price: float
    tax: float | None = None


class Exact(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    number: int
    text: str = "t"
    flag: bool = False


class Tree(BaseModel):
    value: int = 0
    children: list["Tree"] = []


@app.post("/items/")
async def create_item(item: Item):
    data = item.model_dump()
    if item.tax is not None:
        data["price_with_tax"] = item.price + item.tax
    return data


@app.put("/items/{item_id}")
def update_item(item_id: int, item: Item, q: str | None = None):
    return {"item_id": item_id, **item.model_dump(), "q": q}


@app.post("/echo")
async def echo(item: Item) -> Item:
    return item


@app.post("/optional")
async def optional(item: Item | None = None):
    return {"item": item}


@app.post("/exact")
async def exact(body: Exact):
    return body


@app.post("/dict")
async def any_dict(body: dict[str, Any]):
    return body


@app.post("/weights")
async def weights(body: dict[int, float]):
    return body


@app.post("/list")
async def any_list(body: list[int]):
    return body


@app.post("/any")
async def anything(body: Annotated[Any, Body()]):
    return {"type": type(body).__name__, "body": body}


@app.post("/int")
async def an_int(body: Annotated[int, Body()]):
    return {"body": body}


@app.post("/tree")
async def tree(body: Tree):
    return body


@app.post("/bytes")
async def raw_bytes(body: Annotated[bytes, Body()]):
    return {"length": len(body), "text": body.decode("latin-1")}


@app.post("/request")
async def by_request(request: Request):
    body = await request.body()
    return {"length": len(body), "type": request.headers.get("content-type")}


@app.post("/bounded")
async def bounded(numbers: Annotated[list[Annotated[int, Field(ge=0)]], Body(min_length=1, max_length=3)]):
    return numbers


@app.get("/items/")
async def get_with_body(item: Item):
    return item


@app.delete("/items/")
async def delete_with_body(item: Item):
    return item
