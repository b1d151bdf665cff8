"""Dependencies with `yield`: what runs when, seen in a log that the next request reads."""

import asyncio
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from fastapi.responses import StreamingResponse

from . import known

app = FastAPI()
LOG: list[str] = []
PROCESSES = 1
"""One request reads what the one before it wrote, on another connection."""
current: ContextVar[str] = ContextVar("current", default="unset")


@app.get("/log")
async def log(count: int):
    """Waits until `count` lines are there (an exit may run after the answer left), then takes them all."""
    for _ in range(500):
        if len(LOG) >= count:
            break
        await asyncio.sleep(0.01)
    taken, LOG[:] = list(LOG), []
    return taken


async def session():
    LOG.append("enter")
    try:
        yield "session"
        LOG.append("no error")
    except Exception as error:
        LOG.append(f"error {type(error).__name__}")
        raise
    finally:
        LOG.append("exit")


def sync_session():
    LOG.append("enter sync")
    try:
        yield "sync session"
    finally:
        LOG.append("exit sync")


@app.get("/plain")
async def plain(value: Annotated[str, Depends(session)]):
    LOG.append("handler")
    return {"value": value}


@app.get("/sync")
def sync(value: Annotated[str, Depends(sync_session)]):
    LOG.append("handler")
    return {"value": value}


async def outer():
    LOG.append("enter a")
    yield "a"
    LOG.append("exit a")


def middle(a: Annotated[str, Depends(outer)]):
    LOG.append("enter b")
    yield a + "b"
    LOG.append("exit b")


async def inner(b: Annotated[str, Depends(middle)]):
    LOG.append("enter c")
    yield b + "c"
    LOG.append("exit c")


@app.get("/nested")
async def nested(c: Annotated[str, Depends(inner)], a: Annotated[str, Depends(outer)]):
    LOG.append("handler")
    return {"c": c, "a": a}


@app.get("/raise/{what}")
async def raising(what: str, value: Annotated[str, Depends(session)]):
    if what == "http":
        raise HTTPException(418, "handler raised")
    if what == "crash":
        raise RuntimeError("crash")
    return {"value": value}


class OwnError(Exception):
    pass


def translating():
    try:
        yield "t"
    except OwnError as error:
        raise HTTPException(status_code=400, detail=f"translated {error}") from None


@app.get("/translate")
def translate(t: Annotated[str, Depends(translating)], bad: bool = False):
    if bad:
        raise OwnError("own")
    return {"t": t}


def swallowing():
    try:
        yield "s"
    except OwnError:
        LOG.append("swallowed")


@app.get("/swallow")
def swallow(s: Annotated[str, Depends(swallowing)]):
    raise OwnError("own")


def failing_at_exit():
    yield "f"
    raise HTTPException(status_code=409, detail="at exit")


@app.get("/fail-at-exit")
def fail_at_exit(f: Annotated[str, Depends(failing_at_exit)]):
    return {"f": f}


@app.get("/fail-at-function-exit")
def fail_at_function_exit(f: Annotated[str, Depends(failing_at_exit, scope="function")]):
    return {"f": f}


def failing_at_enter():
    raise HTTPException(status_code=401, detail="at enter")
    yield


@app.get("/fail-at-enter")
def fail_at_enter(s: Annotated[str, Depends(session)], f: Annotated[str, Depends(failing_at_enter)]):
    return {"f": f}


@app.get("/scopes")
async def scopes(
    tasks: BackgroundTasks,
    f: Annotated[str, Depends(session, scope="function")],
    r: Annotated[str, Depends(sync_session, scope="request")],
):
    tasks.add_task(LOG.append, "background")
    LOG.append("handler")
    return {"f": f, "r": r}


@app.get("/stream")
async def stream(s: Annotated[str, Depends(session)], f: Annotated[str, Depends(sync_session, scope="function")]):
    async def lines():
        for i in range(3):
            LOG.append(f"line {i}")
            yield f"{s} {f} {i}\n"

    return StreamingResponse(lines())


async def with_context():
    token = current.set("set in a dependency")
    yield current.get()
    current.reset(token)


@app.get("/context")
async def context(value: Annotated[str, Depends(with_context)]):
    return {"value": value, "current": current.get()}


@app.get("/no-context")
async def no_context():
    return {"current": current.get()}


class Manager:
    def __init__(self):
        LOG.append("made")

    def __enter__(self):
        LOG.append("__enter__")
        return self

    def __exit__(self, *_):
        LOG.append("__exit__")


async def by_manager():
    with Manager() as manager:
        yield manager


@asynccontextmanager
async def lifespan(app):
    yield


@app.get("/manager")
async def manager(m: Annotated[Manager, Depends(by_manager)]):
    return {"type": type(m).__name__}


limited = Depends(session, **known(Depends, max_concurrency=1))


@app.get("/limited")
async def limited_route(value: Annotated[str, limited]):
    return {"value": value}


@app.get("/invalid")
async def invalid(value: Annotated[str, Depends(session)], n: int):
    return {"n": n}
