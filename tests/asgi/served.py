"""Apps that tests serve through the command line, in a process of its own."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI()


@app.get("/")
async def root():
    return {"message": "Hello World"}


@app.get("/slow/{milliseconds}")
async def slow(milliseconds: int):
    await asyncio.sleep(milliseconds / 1000)
    return {"slept": milliseconds}


@app.get("/stream/{milliseconds}")
async def stream(milliseconds: int):
    async def lines():
        for i in range(10):
            yield f"line {i}\n"
            await asyncio.sleep(milliseconds / 10_000)

    return StreamingResponse(lines())


@app.post("/echo")
async def echo(body: dict):
    await asyncio.sleep(0)
    return body


@app.get("/endless")
async def endless():
    async def lines():
        while True:
            yield "line\n"
            await asyncio.sleep(0.01)

    return StreamingResponse(lines())
