"""A FastAPI application, served by `turboapi run examples.hello:app` or by running this file.

`TurboAPI` is FastAPI with `.run()`; nothing else in this file is ours.
"""

from collections.abc import AsyncIterator
from typing import Annotated

from turboapi_rs import BaseModel, Field, Path, Request, StreamingResponse
from turboapi_rs import TurboAPI as FastAPI

app = FastAPI(title="hello")


class Item(BaseModel):
    """What the shop sells."""

    name: str = Field(min_length=1)
    price: float = Field(gt=0)
    tags: list[str] = []


@app.get("/")
async def hello() -> dict[str, str]:
    """Say hello."""
    return {"message": "Hello World"}


@app.get("/items/{item_id}")
async def read_item(item_id: Annotated[int, Path(ge=1)], q: str | None = None) -> dict[str, int | str | None]:
    """Read one item."""
    return {"item_id": item_id, "q": q}


@app.post("/items")
async def create_item(item: Item) -> Item:
    """Make an item."""
    return item


@app.post("/upload")
async def upload(request: Request) -> dict[str, int]:
    """Count the bytes of a body of any size, as they come."""
    size = 0
    async for piece in request.stream():
        size += len(piece)
    return {"size": size}


@app.get("/download/{pieces}")
async def download(pieces: int) -> StreamingResponse:
    """Stream so many pieces of 64 KiB."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(pieces):
            yield b"x" * 65536

    return StreamingResponse(body(), media_type="application/octet-stream")


if __name__ == "__main__":
    app.run()
