"""A proxy of a stream of tokens: the upstream's events pass through as they come, and it is left with the client.

turboapi run examples.tokens:app --port 8001
UPSTREAM=http://localhost:8001 turboapi run examples.token_proxy:app
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import HTTPException, Request
from turboapi_rs import TurboAPI
from turboapi_rs.sse import EventSourceResponse

UPSTREAM = os.environ.get("UPSTREAM", "http://localhost:8001")


@asynccontextmanager
async def lifespan(app: TurboAPI) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """One client for all requests."""
    async with httpx.AsyncClient(base_url=UPSTREAM, timeout=httpx.Timeout(10, read=None)) as client:
        yield {"client": client}


app = TurboAPI(lifespan=lifespan)


@app.post("/v1/chat/completions")
async def complete(request: Request):
    """Ask the upstream, and pass on what it says."""
    client: httpx.AsyncClient = request.state.client
    content = await request.body()
    asked = client.build_request(
        "POST", "/v1/chat/completions", content=content, headers={"content-type": "application/json"}
    )
    answer = await client.send(asked, stream=True)
    if answer.status_code != httpx.codes.OK:
        detail = (await answer.aread()).decode(errors="replace")
        raise HTTPException(answer.status_code, detail)

    async def pieces() -> AsyncIterator[bytes]:
        try:
            async for piece in answer.aiter_raw():
                yield piece
        finally:
            # Also when the client has left: the upstream's producer is told in turn.
            await answer.aclose()

    return EventSourceResponse(pieces())
