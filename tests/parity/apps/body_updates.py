"""PUT replaces, PATCH updates: state kept between requests."""

from fastapi import FastAPI, HTTPException
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel

app = FastAPI()


class Item(BaseModel):
    name: str | None = None
    description: str | None = None
    price: float | None = None
    tax: float = 10.5
    tags: list[str] = []


ITEMS = {
    "foo": {"name": "Foo", "price": 50.2},
    "bar": {"name": "Bar", "description": "The bartenders", "price": 62, "tax": 20.2},
}
PROCESSES = 1
"""One case reads what the one before it wrote."""


@app.get("/items/{item_id}", response_model=Item)
async def read(item_id: str):
    if item_id not in ITEMS:
        raise HTTPException(404)
    return ITEMS[item_id]


@app.put("/items/{item_id}", response_model=Item)
async def replace(item_id: str, item: Item):
    ITEMS[item_id] = jsonable_encoder(item)
    return ITEMS[item_id]


@app.patch("/items/{item_id}")
def update(item_id: str, item: Item) -> Item:
    stored = Item(**ITEMS[item_id])
    changed = stored.model_copy(update=item.model_dump(exclude_unset=True))
    ITEMS[item_id] = jsonable_encoder(changed)
    return changed
