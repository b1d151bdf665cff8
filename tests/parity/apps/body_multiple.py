"""Several bodies, single values in the body, embed."""

from typing import Annotated

from fastapi import Body, FastAPI, Path
from pydantic import BaseModel

app = FastAPI()


class Item(BaseModel):
    name: str
    price: float = 1.0


class User(BaseModel):
    username: str
    full_name: str | None = None


@app.put("/mixed/{item_id}")
async def mixed(item_id: Annotated[int, Path(ge=0, le=1000)], q: str | None = None, item: Item | None = None):
    return {"item_id": item_id, "q": q, "item": item}


@app.put("/two/{item_id}")
async def two(item_id: int, item: Item, user: User):
    return {"item_id": item_id, "item": item, "user": user}


@app.put("/singular")
async def singular(item: Item, user: User, importance: Annotated[int, Body(gt=0)], q: str | None = None):
    return {"item": item, "user": user, "importance": importance, "q": q}


@app.put("/embedded")
async def embedded(item: Annotated[Item, Body(embed=True)]):
    return {"item": item}


@app.put("/embedded-aliased")
async def embedded_aliased(item: Annotated[Item, Body(embed=True, alias="theItem")]):
    return {"item": item}


@app.put("/scalars")
def scalars(
    a: Annotated[int, Body()],
    b: Annotated[str, Body(min_length=2)] = "bb",
    c: Annotated[list[int] | None, Body()] = None,
):
    return {"a": a, "b": b, "c": c}


@app.put("/optional-two")
async def optional_two(item: Item | None = None, user: User | None = None):
    return {"item": item, "user": user}
