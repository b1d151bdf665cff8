"""One request that many threads look at: the same for all of them; whether its client has left, from when it has."""

from __future__ import annotations

import threading
import time

import pytest
from turboapi_rs import RawRequest, Server, blocking

from tests.support.wire import request_bytes

WORKERS = pytest.mark.parametrize("workers", [1, 2])
ROUNDS = 3

#: Seconds between two questions, as an application would pause.
PAUSE = 0.001

PATIENCE = 20.0
"""Seconds after which who asks gives up."""


def view_of(request: RawRequest) -> tuple[object, ...]:
    return (
        request.method, request.path, request.raw_path, request.query_string, request.query_params, request.path_params,
        request.headers, request.header("x-name"), request.body, request.http_version, request.client,
    )  # fmt: skip


@WORKERS
def test_all_threads_see_the_same_request(at_once, live, connect, workers):
    kept, views = [], []
    server = Server()

    @server.post("/{name}/{rest:path}")
    def handler(name: str, rest: str, request: RawRequest):
        kept.append(request)
        views.append(at_once(lambda number: [view_of(request) for _ in range(20)], 4))
        return "seen"

    connection = connect(live(server, workers=workers))
    target, fields = "/a%20b/c/d?q=1&q=2", (("x-name", "value"), ("X-Name", "other"))
    for turn in range(ROUNDS):
        body = b"%d" % turn * 5000
        assert connection.exchange(request_bytes("POST", target, headers=fields, body=body), "POST").body == b"seen"
        of_threads = views.pop()
        expected = of_threads[0][0]
        assert expected[:6] == ("POST", "/a b/c/d", b"/a%20b/c/d", b"q=1&q=2", [("q", "1"), ("q", "2")],
                                {"name": "a b", "rest": "c/d"})  # fmt: skip
        assert expected[7:9] == ("value", body)
        assert all(view == expected for views_of_one in of_threads for view in views_of_one)
        # Kept beyond its answer, it stays what it was.
        assert at_once(lambda number, request=kept[-1]: view_of(request)) == [expected] * 8
        assert not kept[-1].is_disconnected()


@WORKERS
@pytest.mark.parametrize("how", ["close", "reset"])
def test_all_threads_are_told_that_the_client_left_and_none_before(at_once, live, connect, workers, how):
    """Of two clients at once one leaves: those who ask for the other are told nothing."""
    asking, left, told, done = threading.Semaphore(0), threading.Event(), {}, threading.Semaphore(0)
    released = threading.Event()
    server = Server()

    def ask(request: RawRequest, is_leaving: bool) -> bool:
        """What the last question gave. Before its client has left nobody is told so."""
        asking.release()
        deadline = time.monotonic() + PATIENCE
        while not released.is_set():
            if request.is_disconnected():
                assert is_leaving
                assert left.is_set()
                break
            assert time.monotonic() < deadline
            time.sleep(PAUSE)
        # Once it is so, it stays so.
        return all(request.is_disconnected() for _ in range(20))

    @server.get("/{name}")
    @blocking
    def handler(name: str, request: RawRequest):
        told[name] = at_once(lambda number: ask(request, name == "leaves"), 4)
        done.release()
        return "stayed"

    serving = live(server, workers=workers)
    for _ in range(ROUNDS):
        left.clear()
        released.clear()
        stays, leaves = connect(serving), connect(serving)
        stays.send(request_bytes("GET", "/stays"))
        leaves.send(request_bytes("GET", "/leaves"))
        for _ in range(8):
            assert asking.acquire(timeout=10)
        left.set()
        getattr(leaves, how)()
        assert done.acquire(timeout=PATIENCE)
        assert told == {"leaves": [True] * 4}
        released.set()
        assert stays.read_answer().body == b"stayed"
        assert done.acquire(timeout=10)
        assert told == {"leaves": [True] * 4, "stays": [False] * 4}
        told.clear()


@WORKERS
def test_many_ask_while_the_answer_goes_out_and_none_is_told_that_the_client_left(at_once, live, connect, workers):
    """An answer that was sent whole leaves a client that is still there, whoever asks, and whenever."""
    requests, going = [], threading.Event()
    server = Server()

    @server.get("/")
    def handler(request: RawRequest):
        requests.append(request)
        return "there"

    serving = live(server, workers=workers)

    def work(number: int) -> int:
        if number < 2:
            try:
                connection = connect(serving)
                for _ in range(50):
                    assert connection.exchange(request_bytes("GET", "/")).body == b"there"
            finally:
                going.set()
            return 0
        asked = 0
        while not going.is_set() or asked == 0:
            for request in list(requests[-5:]):
                assert not request.is_disconnected()
                asked += 1
        return asked

    at_once(work, 5)
    assert len(requests) == 100
