"""What all workers call is not counted by their threads, where the interpreter can leave that out (CPython 3.14t)."""

from __future__ import annotations

import functools
import sys
import sysconfig

import pytest
from fastapi import Depends, FastAPI
from turboapi_rs import Server

from tests.support.wire import Connection, request_bytes

try:
    from _testinternalcapi import has_deferred_refcount
except ImportError:
    has_deferred_refcount = None

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(
        not sysconfig.get_config_var("Py_GIL_DISABLED") or sys.version_info < (3, 14),
        reason="counts can be deferred on a free-threaded CPython from 3.14 on",
    ),
    pytest.mark.skipif(has_deferred_refcount is None, reason="this build has no _testinternalcapi to ask"),
]


class Shop:
    """Its method, and itself, are handlers."""

    def open(self):
        return "open"

    def __call__(self):
        return "called"


def answer(serving, path: str) -> bytes:
    with Connection(("127.0.0.1", serving.port)) as connection:
        answer = connection.exchange(request_bytes("GET", path))
    assert answer.status == 200
    return answer.body


@pytest.mark.parametrize("workers", [1, 2])
def test_instances_that_workers_share_are_deferred(live, workers):
    server, bound_to, called = Server(), Shop(), Shop()
    method = bound_to.open
    server.route("GET", "/method", method)
    server.route("GET", "/called", called)
    assert not any(map(has_deferred_refcount, (bound_to, method, called)))
    serving = live(server, workers=workers, log_level="off")
    assert (answer(serving, "/method"), answer(serving, "/called")) == (b"open", b"called")
    # One worker has nobody to share with: what it lets go of is freed at once, as ever.
    for each in (bound_to, method, called):
        assert has_deferred_refcount(each) is (workers > 1), each


def test_what_a_plan_names_is_deferred(live):
    app, dependency, endpoint_of = FastAPI(), Shop(), Shop()

    @app.get("/depends")
    async def depends(word: str = Depends(dependency)):
        return word

    app.get("/method")(endpoint_of.open)
    serving = live(app, workers=2, log_level="off")
    assert (answer(serving, "/depends"), answer(serving, "/method")) == (b'"called"', b'"open"')
    assert has_deferred_refcount(dependency)
    assert has_deferred_refcount(endpoint_of)


def test_what_is_not_collected_stays_as_it_is(live):
    server, shared = Server(), Shop()
    handler = functools.partial(Shop.open, shared)
    server.route("GET", "/", handler)
    serving = live(server, workers=2, log_level="off")
    assert answer(serving, "/") == b"open"
    assert has_deferred_refcount(handler)
    # What a handler holds is the application's own: only what is called is deferred.
    assert not has_deferred_refcount(shared)
