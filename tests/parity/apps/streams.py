"""JSON lines and server-sent events."""

import math
from collections.abc import AsyncIterable, Iterable
from datetime import date
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

app = FastAPI()


class Item(BaseModel):
    name: str
    description: str | None = None


ITEMS = [Item(name="Plumbus", description="multi\nline é"), Item(name="Portal Gun"), Item(name="Meeseeks Box")]
LOG: list[str] = []


async def session():
    LOG.append("enter")
    yield "s"
    LOG.append("exit")


@app.get("/jsonl")
async def jsonl() -> AsyncIterable[Item]:
    for item in ITEMS:
        yield item


@app.get("/jsonl-sync")
def jsonl_sync() -> Iterable[Item]:
    yield from ITEMS


@app.get("/jsonl-bare")
async def jsonl_bare():
    for item in [*ITEMS, {"date": date(2024, 1, 2)}, 1.5, None, "text", math.inf]:
        yield item


@app.get("/jsonl-excluding", response_model_exclude_none=True)
async def jsonl_excluding() -> AsyncIterable[Item]:
    for item in ITEMS:
        yield item


@app.get("/jsonl-wrong")
async def jsonl_wrong() -> AsyncIterable[Item]:
    yield ITEMS[0]
    yield {"name": 1}


@app.get("/jsonl-empty")
async def jsonl_empty() -> AsyncIterable[Item]:
    for item in ():
        yield item


@app.get("/jsonl-status", status_code=203)
async def jsonl_status(response: Response, s: Annotated[str, Depends(session)]) -> AsyncIterable[dict[str, Any]]:
    response.headers["x-own"] = "1"
    for i in range(3):
        yield {"i": i, "s": s}


@app.get("/sse", response_class=EventSourceResponse)
async def sse() -> AsyncIterable[Item]:
    for item in ITEMS:
        yield item


@app.get("/sse-sync", response_class=EventSourceResponse)
def sse_sync() -> Iterable[Item]:
    yield from ITEMS


@app.get("/sse-bare", response_class=EventSourceResponse)
def sse_bare():
    yield from [ITEMS[0], {"date": date(2024, 1, 2)}, "text\nlines", 1, None, math.nan]


@app.get("/sse-events", response_class=EventSourceResponse)
async def sse_events(last_event_id: Annotated[int | None, Header()] = None) -> AsyncIterable[ServerSentEvent]:
    yield ServerSentEvent(comment="stream of\nitem updates")
    for i, item in enumerate(ITEMS):
        if last_event_id is None or i > last_event_id:
            yield ServerSentEvent(data=item, event="item_update", id=str(i), retry=5000)
    yield ServerSentEvent(raw_data="raw\r\nlines\rof\ntext", event="done")
    yield ServerSentEvent(data={"a": [1, "é"]})
    yield ServerSentEvent()
    yield ServerSentEvent(raw_data="")


@app.post("/sse-post", response_class=EventSourceResponse)
async def sse_post(item: Item, response: Response) -> AsyncIterable[ServerSentEvent]:
    response.headers["x-own"] = "1"
    for word in item.name.split():
        yield ServerSentEvent(data=word, event="token")
    yield ServerSentEvent(raw_data="[DONE]", event="done")


@app.get("/sse-fails", response_class=EventSourceResponse)
async def sse_fails():
    yield {"n": 1}
    raise RuntimeError("in the middle")


@app.get("/sse-wrong", response_class=EventSourceResponse)
async def sse_wrong() -> AsyncIterable[Item]:
    yield ITEMS[0]
    yield 5


@app.get("/sse-refused", response_class=EventSourceResponse)
async def sse_refused(ok: bool, s: Annotated[str, Depends(session)]):
    if not ok:
        raise HTTPException(403)
    yield s


@app.get("/sse-many", response_class=EventSourceResponse)
async def sse_many():
    for i in range(1000):
        yield i
