"""Models that put off being built until they are used are built at the start, on one thread: no two workers do it at once."""

from __future__ import annotations

import json
import threading

import pytest
from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel, ConfigDict

from tests.support.wire import Connection, request_bytes

CLIENTS = 16


def application() -> FastAPI:
    """Routes whose models, and those within them, are built late; one in a router, one in a dependency."""

    class Late(BaseModel):
        model_config = ConfigDict(defer_build=True)

    class Tag(Late):
        name: str

    class Item(Late):
        name: str
        tags: list[Tag] = []
        parent: Item | None = None

    globals()["Item"] = Item
    app, router = FastAPI(), APIRouter(prefix="/router")

    @app.post("/async")
    async def asynchronous(item: Item) -> Item:
        return item

    @router.post("/def")
    def synchronous(item: Item) -> list[Item]:
        return [item]

    def given(item: Item) -> Item:
        return item

    @app.post("/dependency", response_model=Item)
    async def dependency(item=Depends(given)):
        return item

    app.include_router(router)
    return app


@pytest.fixture
def app():
    yield application()
    globals().pop("Item")


def fields_of(app: FastAPI):
    for route in app.router.routes:
        for field in (getattr(route, "body_field", None), getattr(route, "response_field", None)):
            if field is not None:
                yield field


def test_models_that_are_built_late_are_built_before_the_first_request(app, live, connect):
    assert [field._type_adapter.pydantic_complete for field in fields_of(app)] == [False] * 4
    server = live(app, workers=2)
    body = {"name": "a", "tags": [{"name": "t"}], "parent": {"name": "b", "tags": [], "parent": None}}
    barrier, answers = threading.Barrier(CLIENTS), [{} for _ in range(CLIENTS)]

    def ask(number: int) -> None:
        with Connection(("127.0.0.1", server.port)) as connection:
            barrier.wait()
            for target in ("/async", "/router/def", "/dependency"):
                sent = request_bytes(
                    "POST", target, headers=[("content-type", "application/json")], body=json.dumps(body).encode()
                )
                answer = connection.exchange(sent)
                answers[number][target] = (answer.status, json.loads(answer.body))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert answers == [{"/async": (200, body), "/router/def": (200, [body]), "/dependency": (200, body)}] * CLIENTS


def test_plans_find_their_models_built(app, live):
    live(app, workers=2)
    assert all(field._type_adapter.pydantic_complete for field in fields_of(app))
