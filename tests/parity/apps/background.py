"""Background tasks: after the answer, in order, from handlers, dependencies and responses."""

import asyncio
from contextvars import ContextVar
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.background import BackgroundTask

app = FastAPI()
LOG: list[str] = []
PROCESSES = 1
"""One request reads what the one before it wrote, on another connection."""
user: ContextVar[str] = ContextVar("user", default="nobody")


@app.get("/log")
async def log(count: int):
    """Waits until `count` lines are there, then takes them all."""
    for _ in range(500):
        if len(LOG) >= count:
            break
        await asyncio.sleep(0.01)
    taken, LOG[:] = list(LOG), []
    return taken


def write(line: str, times: int = 1):
    LOG.extend([line] * times)


async def write_async(line: str):
    await asyncio.sleep(0)
    LOG.append(f"async {line}")


def by_query(tasks: BackgroundTasks, q: str | None = None):
    if q:
        tasks.add_task(write, f"query {q}")
    return q


@app.post("/send/{email}")
async def send(email: str, tasks: BackgroundTasks, q: Annotated[str | None, Depends(by_query)]):
    tasks.add_task(write, f"mail {email}", times=2)
    tasks.add_task(write_async, email)
    return {"message": "sent", "q": q}


@app.post("/sync")
def sync(tasks: BackgroundTasks):
    tasks.add_task(write, "from def")
    return {}


@app.post("/fails")
async def fails(tasks: BackgroundTasks):
    tasks.add_task(write, "before")
    tasks.add_task(lambda: 1 / 0)
    tasks.add_task(write, "never")
    return {"answer": "whole"}


@app.post("/refused")
async def refused(tasks: BackgroundTasks):
    tasks.add_task(write, "never")
    raise HTTPException(400, "refused")


@app.post("/on-response")
async def on_response():
    return JSONResponse({"on": "response"}, background=BackgroundTask(write, "on response"))


@app.post("/both")
async def both(tasks: BackgroundTasks):
    tasks.add_task(write, "dropped")
    return JSONResponse({}, background=BackgroundTask(write, "kept"))


@app.post("/stream")
async def stream(tasks: BackgroundTasks):
    async def lines():
        LOG.append("line")
        yield "line\n"

    tasks.add_task(write, "after")
    return StreamingResponse(lines())


@app.post("/context")
async def context(tasks: BackgroundTasks):
    user.set("me")
    tasks.add_task(lambda: LOG.append(f"user {user.get()}"))
    return {}
