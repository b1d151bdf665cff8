"""Servers begun, looked at and ended by many threads at once, while requests run: one start, one end, exact counters."""

from __future__ import annotations

import threading

import pytest
from turboapi_rs import Server, blocking
from turboapi_rs._core import set_log_level
from turboapi_rs.testing import LiveServer

from tests.conftest import DRIVER
from tests.support.wire import Connection, NoAnswer, request_bytes

WORKERS = pytest.mark.parametrize("workers", [1, 2])
ROUNDS = 3
REQUESTS = 40
CLIENTS = 4

PATHS = {"/direct": b"direct", "/pool": b"pool", "/later": b"later", "/stream": b"0,1,2,", "/fixed": b"fixed"}

ROUTE_KEYS = {"method", "path", "handler", "pin", "mode", "direct_calls", "offloaded_calls", "promotions", "demotions",
              "streak", "needed"}  # fmt: skip
POOL_KEYS = {"queued", "running", "threads", "max_threads", "max_queued", "completed", "refused"}


def routes() -> Server:
    server = Server()

    @server.get("/direct")
    def direct():
        return "direct"

    @server.get("/pool")
    @blocking
    def pool():
        return "pool"

    @server.get("/later")
    async def later():
        return "later"

    @server.get("/stream")
    def stream():
        return 200, "text/plain", b"", (f"{number}," for number in range(3)), {}

    server.static_response("/fixed", "fixed")
    return server


def look_at(serving) -> None:
    """All that a server tells of itself is whole, whenever it is asked."""
    for state in serving.routes_state():
        assert set(state) == ROUTE_KEYS
    assert set(serving.offload_state()) in (POOL_KEYS, set())
    assert len(serving.addresses) == 1
    assert isinstance(serving.is_running, bool)


def is_answered(port: int, path: str) -> bool:
    """One request on a connection of its own: answered whole, or not at all."""
    try:
        with Connection(("127.0.0.1", port)) as connection:
            found = connection.exchange(request_bytes("GET", path))
    except (NoAnswer, ConnectionError):
        return False
    assert found.status == 200
    assert PATHS[path].startswith(found.body)
    assert found.is_torn or found.body == PATHS[path]
    return not found.is_torn


@WORKERS
@pytest.mark.parametrize("does_cut", [False, True], ids=["stopped", "cut"])
def test_server_under_load_is_ended_once_by_many_threads(at_once, workers, does_cut):
    server = routes()
    for _ in range(ROUNDS):
        server.start(port=0, workers=workers, driver=DRIVER, drain_grace=5.0, log_level="off")
        port, serving = int(server.url.rpartition(":")[2]), server._serving
        under_load = threading.Barrier(8)

        def work(number: int, port: int = port, serving=serving, under_load=under_load) -> bool:
            if number < CLIENTS:
                path = list(PATHS)[number]
                assert is_answered(port, path)
                under_load.wait()
                while is_answered(port, path):
                    pass
                return True
            under_load.wait()
            if number == 5:
                while not serving.join(timeout=0.001):
                    look_at(serving)
                return True
            look_at(serving)
            (serving.cut if does_cut else serving.stop)()
            look_at(serving)
            return server.join() and serving.join() and serving.join(timeout=0)

        assert at_once(work) == [True] * 8
        look_at(serving)
        assert (serving.has_ended, server.is_running, serving.offload_state()) == (True, False, {})
        with pytest.raises(RuntimeError, match="does not run"):
            server.publish("/fixed", "other")


@WORKERS
def test_drain_that_many_look_at_answers_all_that_it_has(at_once, live, workers):
    held, is_held, released = Server(), threading.Semaphore(0), threading.Event()

    @held.get("/held")
    @blocking
    def wait():
        is_held.release()
        assert released.wait(10)
        return "held"

    serving = live(held, workers=workers, drain_grace=20.0)
    native, begun = serving._serving, threading.Barrier(8)

    def work(number: int) -> object:
        if number < CLIENTS:
            with Connection(("127.0.0.1", serving.port)) as connection:
                connection.send(request_bytes("GET", "/held"))
                begun.wait()
                return connection.read_answer().body
        assert is_held.acquire(timeout=10)
        begun.wait()
        if number == CLIENTS:
            native.stop()
        while not native.join(timeout=0.001):
            look_at(native)
            if number == CLIENTS:
                released.set()
        return b"held"

    assert at_once(work) == [b"held"] * 8


def test_server_started_by_many_threads_at_once_starts_once(at_once):
    """Each of two threads that asked whether it ran already was told no, and one of two servers was nobody's to stop."""
    for _ in range(ROUNDS):
        server = routes()

        def start(number: int, server: Server = server) -> str:
            try:
                server.start(port=0, workers=1, driver=DRIVER)
            except RuntimeError as error:
                return str(error)
            return "started"

        assert sorted(at_once(start)) == ["started"] + ["the server was started already"] * 7
        assert server._holders == 1
        port = int(server.url.rpartition(":")[2])
        assert all(is_answered(port, path) for path in PATHS)
        server.stop()
        assert server.join()
        assert server._holders == 0


def test_live_server_started_by_many_threads_at_once_is_one(at_once):
    for _ in range(ROUNDS):
        live = LiveServer(routes(), driver=DRIVER)

        def start(number: int, live: LiveServer = live) -> str:
            try:
                live.start()
            except RuntimeError as error:
                return str(error)
            return "started"

        try:
            assert sorted(at_once(start)) == ["started"] + ["the server was started already"] * 7
            assert all(is_answered(live.port, path) for path in PATHS)
        finally:
            live.stop()
        assert live.app._holders == 0


@WORKERS
def test_calls_are_counted_exactly(at_once, live, workers):
    serving = live(routes(), workers=workers)

    def work(number: int) -> None:
        with Connection(("127.0.0.1", serving.port)) as connection:
            for turn in range(REQUESTS):
                path = ("/direct", "/pool", "/later")[turn % 3]
                assert connection.exchange(request_bytes("GET", path)).body == PATHS[path]
                look_at(serving._serving)

    at_once(work)
    counts = {state["path"]: (state["direct_calls"], state["offloaded_calls"]) for state in serving.routes_state()}
    of_direct, of_pool = 8 * len(range(0, REQUESTS, 3)), 8 * len(range(1, REQUESTS, 3))
    assert (counts["/direct"], counts["/pool"]) == ((of_direct, 0), (0, of_pool))
    serving.stop()


@WORKERS
def test_tables_and_answers_replaced_by_many_threads_are_each_whole(at_once, live, workers):
    """Of all that are put in place at once the last one stays; none is half of one and half of another."""
    server = Server()
    server.static_response("/fixed", "0" * 1000)
    server.start(port=0, workers=workers, driver=DRIVER)

    def table(number: int) -> Server:
        made = Server()
        made.static_response("/fixed", f"{number}" * 1000)
        made.route("GET", "/table", lambda: f"{number}")
        return made

    def work(number: int) -> None:
        port = int(server.url.rpartition(":")[2])
        with Connection(("127.0.0.1", port)) as connection:
            for turn in range(REQUESTS):
                if number < 2:
                    server.take_routes(table(number))
                elif number < 4:
                    server.publish("/fixed", f"{number}" * (1000 + turn))
                for path in ("/fixed", "/table"):
                    found = connection.exchange(request_bytes("GET", path))
                    if found.status == 404:
                        assert path == "/table"
                        continue
                    assert len(set(found.body)) == 1

    with server:
        at_once(work)
        port = int(server.url.rpartition(":")[2])
        server.take_routes(table(7))
        server.publish("/fixed", "last")
        with Connection(("127.0.0.1", port)) as connection:
            assert connection.exchange(request_bytes("GET", "/fixed")).body == b"last"
            assert connection.exchange(request_bytes("GET", "/table")).body == b"7"


def test_log_level_set_by_many_threads_is_the_last_one(at_once, live, capfd):
    server = routes()

    @server.get("/raises")
    def raises():
        raise ValueError("logged")

    serving = live(server)

    def work(number: int) -> None:
        with Connection(("127.0.0.1", serving.port)) as connection:
            for turn in range(REQUESTS):
                set_log_level(("off", "error", "info", "debug")[(number + turn) % 4])
                assert connection.exchange(request_bytes("GET", "/raises")).status == 500

    try:
        at_once(work)
        capfd.readouterr()
        for level, count in (("off", 0), ("error", 1)):
            set_log_level(level)
            with Connection(("127.0.0.1", serving.port)) as connection:
                assert connection.exchange(request_bytes("GET", "/raises")).status == 500
            assert capfd.readouterr().err.count("ValueError: logged") == count
    finally:
        set_log_level("info")
