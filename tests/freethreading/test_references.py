"""`refs_return`: after many requests the reference counts of handler, arguments and results are what they were."""

from __future__ import annotations

import gc
import sys
import weakref

import pytest
from turboapi_rs import Server

from tests.support.wire import Connection, request_bytes

REQUESTS = 200


class Body(dict):
    """A result that can be watched."""


class Watched:
    """An object that every call makes and lets go."""


def ask(serving, path: str, times: int) -> None:
    with Connection(("127.0.0.1", serving.port)) as connection:
        for _ in range(times):
            answer = connection.exchange(request_bytes("GET", path))
            assert answer.status in (200, 500)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("path", ["/dict", "/bytes", "/four", "/later", "/stream", "/default", "/raises", "/wrong"])
def test_counts_return(live, path, workers):
    shared_dict, shared_bytes, shared_headers, default = {"a": 1}, b"x" * 100_000, {"x-a": "b"}, "text" * 10
    alive: set[weakref.ref] = set()

    def make() -> Watched:
        watched = Watched()
        alive.add(weakref.ref(watched, alive.discard))
        return watched

    server = Server()

    @server.get("/dict")
    def plain():
        make()
        return shared_dict

    @server.get("/bytes")
    def large():
        make()
        return shared_bytes

    @server.get("/four")
    def four():
        make()
        return 200, "text/plain", shared_bytes, shared_headers

    @server.get("/later")
    async def later():
        make()
        return shared_dict

    def pieces():
        watched = make()
        yield shared_bytes
        del watched

    @server.get("/stream")
    def stream():
        return 200, "text/plain", b"", pieces(), shared_headers

    @server.get("/default")
    def with_default(q: str = default):
        make()
        return q

    @server.get("/raises")
    def raises():
        watched = make()
        raise ValueError(watched)

    @server.get("/wrong")
    def wrong():
        return make()

    watched = (shared_dict, shared_bytes, shared_headers, default, plain, large, four, later, stream, raises, wrong)
    serving = live(server, workers=workers, log_level="off")
    ask(serving, path, 5)
    serving_counts = [sys.getrefcount(thing) for thing in watched]
    ask(serving, path, REQUESTS)
    serving.stop()
    gc.collect()
    after = [sys.getrefcount(thing) for thing in watched]
    # The server lets go of what it had when it ends, so a count may be lower. A leak would be a multiple of REQUESTS.
    for thing, before, now in zip(watched, serving_counts, after, strict=True):
        assert now <= before + 5, thing
    gc.collect()
    assert len(alive) == 0
