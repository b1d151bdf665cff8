"""Types beyond the JSON ones: UUID, dates, spans, decimals, IP addresses, paths, patterns, bytes."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Network
from pathlib import Path as FilePath
from typing import Annotated
from uuid import UUID

from fastapi import Body, FastAPI
from pydantic import BaseModel, ByteSize, FutureDate, PastDatetime, PaymentCardNumber  # noqa: F401

app = FastAPI()


class Everything(BaseModel):
    id: UUID | None = None
    at: datetime | None = None
    day: date | None = None
    clock: time | None = None
    span: timedelta | None = None
    money: Decimal | None = None
    address: IPv4Address | None = None
    network: IPv6Network | None = None
    path: FilePath | None = None
    kinds: frozenset[int] | None = None
    size: ByteSize | None = None


@app.put("/items/{item_id}")
async def read_items(
    item_id: UUID,
    start: Annotated[datetime, Body()],
    end: Annotated[datetime, Body()],
    process_after: Annotated[timedelta, Body()],
    repeat_at: Annotated[time | None, Body()] = None,
):
    begin = start + process_after
    return {
        "item_id": item_id,
        "start": start,
        "end": end,
        "process_after": process_after,
        "repeat_at": repeat_at,
        "begin": begin,
        "duration": end - begin,
    }


@app.post("/model")
async def by_model(body: Everything) -> Everything:
    return body


@app.post("/encoder")
async def by_encoder(body: Everything):
    return {"fields": {key: value for key, value in body if key != "kinds"}, "kinds": sorted(body.kinds or ())}
