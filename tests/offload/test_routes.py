"""Where the calls of plain functions run: pins, promotion, demotion, the pool's bound, what its counters say."""

from __future__ import annotations

import contextvars
import functools
import threading
import time

import pytest
from turboapi_rs import Server, blocking, direct
from turboapi_rs.signatures import RouteError

from tests.offload.waiting import until
from tests.support.wire import request_bytes

GET = request_bytes("GET", "/")


def earned(handler):
    """Mark a raw handler as FastAPI `def` routes are by default."""
    handler.__turboapi_pin__ = "earned"
    return handler


def test_marked_function_runs_where_its_mark_says(live, connect):
    seen: dict[str, set[int]] = {"plain": set(), "direct": set(), "blocking": set(), "partial": set()}

    def make(name: str):
        def handler() -> str:
            seen[name].add(threading.get_native_id())
            return name

        return handler

    server = Server()
    server.route("GET", "/plain", make("plain"))
    server.route("GET", "/direct", direct(make("direct")))
    server.route("GET", "/blocking", blocking(make("blocking")))
    server.route("GET", "/partial", functools.partial(blocking(make("partial"))))
    running = live(server, workers=1)
    connection = connect(running)
    for _ in range(40):
        for name in seen:
            assert connection.exchange(request_bytes("GET", f"/{name}")).body == name.encode()
    (worker,) = seen["direct"]
    assert seen["plain"] == {worker}
    assert worker not in seen["blocking"] | seen["partial"]
    counted = {
        route["path"]: (route["pin"], route["mode"], route["direct_calls"], route["offloaded_calls"])
        for route in running.routes_state()
    }
    assert counted == {
        "/plain": ("direct", "direct", 40, 0),
        "/direct": ("direct", "direct", 40, 0),
        "/blocking": ("blocking", "offload", 0, 40),
        "/partial": ("blocking", "offload", 0, 40),
    }


def test_blocking_mark_on_a_coroutine_function_is_refused_by_name():
    async def handler() -> None: ...

    with pytest.raises(RouteError, match="handler: @blocking is for plain functions"):
        Server().route("GET", "/", blocking(handler))


def test_arguments_and_every_shape_of_result_pass_through_the_pool(live, connect):
    server = Server()

    @server.get("/items/{item_id}")
    @blocking
    def item(item_id: int, q: str | None = None):
        return {"item_id": item_id, "q": q}

    @server.post("/echo")
    @blocking
    def echo(body: bytes):
        return (201, "text/x-echo", body, {"x-n": "1"})

    @server.get("/chunks")
    @blocking
    def chunks():
        return (200, "text/plain", b"", iter([b"a", "b", b"c"]), {})

    @server.get("/async-chunks")
    @blocking
    def async_chunks():
        async def items():
            yield b"x"
            yield b"y"

        return (200, "text/plain", b"", items(), {})

    @server.get("/awaitable")
    @blocking
    def awaitable():
        async def later():
            return "later"

        return later()

    connection = connect(live(server))
    assert connection.exchange(request_bytes("GET", "/items/7?q=z")).body == b'{"item_id":7,"q":"z"}'
    assert connection.exchange(request_bytes("GET", "/items/x")).status == 422
    echoed = connection.exchange(request_bytes("POST", "/echo", body=b"\x00\xff"), "POST")
    assert (echoed.status, echoed.body, echoed.header("x-n")) == (201, b"\x00\xff", "1")
    assert connection.exchange(request_bytes("GET", "/chunks")).body == b"abc"
    assert connection.exchange(request_bytes("GET", "/async-chunks")).body == b"xy"
    assert connection.exchange(request_bytes("GET", "/awaitable")).body == b"later"


@pytest.mark.parametrize("fault", ["raises", "shape", "iterator"])
def test_fault_on_the_pool_is_a_500_and_a_line_that_names_the_handler(live, connect, capfd, fault):
    server = Server()

    @server.get("/")
    @blocking
    def faulty():
        if fault == "raises":
            raise ValueError("the reason")
        return object() if fault == "shape" else (200, "text/plain", b"", 7, {})

    answer = connect(live(server)).exchange(GET)
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    log = capfd.readouterr().err
    assert "GET /: handler" in log
    assert "faulty" in log
    if fault == "raises":
        assert "ValueError: the reason" in log
        assert f'{__file__}"' in log


def test_context_of_each_call_on_the_pool_is_fresh(live, connect):
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
    server = Server()

    @server.get("/")
    @blocking
    def count() -> int:
        variable.set(variable.get() + 1)
        return variable.get()

    connection = connect(live(server, offload_threads=1))
    assert [connection.exchange(GET).body for _ in range(5)] == [b"1"] * 5


def test_full_queue_is_a_503_with_retry_after_and_the_worker_goes_on(live, connect):
    gate = threading.Event()
    server = Server()

    @server.get("/")
    @blocking
    def held() -> str:
        assert gate.wait(60)
        return "done"

    server.route("GET", "/direct", lambda: "here")
    running = live(server, workers=1, offload_threads=1, offload_queue=1)
    first, second, third = connect(running), connect(running), connect(running)
    first.send(GET)
    until(lambda: running.offload_state()["running"] == 1)
    second.send(GET)
    until(lambda: running.offload_state()["queued"] == 1)
    refused = third.exchange(GET)
    assert (refused.status, refused.header("retry-after")) == (503, "1")
    assert third.exchange(request_bytes("GET", "/direct")).body == b"here"
    gate.set()
    assert first.read_answer().body == b"done"
    assert second.read_answer().body == b"done"
    state = running.offload_state()
    assert (state["refused"], state["threads"], state["max_threads"], state["max_queued"]) == (1, 1, 1, 1)
    until(lambda: running.offload_state()["completed"] == 2)


def test_stream_that_the_pool_refuses_is_closed_and_its_connection_torn(live, connect):
    """Its iterator was dropped, and nobody told it: found by fuzzing with a pool that refuses."""
    gate = threading.Event()
    told: list[str] = []
    server = Server()

    class Items:
        def __iter__(self):
            return self

        def __next__(self):
            told.append("next")
            return b"item"

        def close(self):
            told.append("close")

    @server.get("/held")
    @blocking
    def held() -> str:
        assert gate.wait(60)
        return "done"

    @server.get("/")
    def streamed():
        return 200, "text/plain", b"", Items(), {}

    running = live(server, workers=1, offload_threads=1, offload_queue=0)
    first, second = connect(running), connect(running)
    first.send(request_bytes("GET", "/held"))
    until(lambda: running.offload_state()["running"] == 1)
    second.send(GET)
    until(lambda: told != [])
    assert not second.read_to_end().endswith(b"0\r\n\r\n")
    gate.set()
    assert first.read_answer().body == b"done"
    assert told == ["close"]


def test_threads_of_the_pool_grow_past_forty_when_all_are_blocked(live, connect):
    everyone = threading.Barrier(50)
    server = Server()

    @server.get("/")
    @blocking
    def meet() -> int:
        return everyone.wait(60)

    running = live(server)
    connections = [connect(running) for _ in range(50)]
    for connection in connections:
        connection.send(GET)
    assert sorted(int(connection.read_answer().body) for connection in connections) == list(range(50))
    assert running.offload_state()["threads"] == 50


def test_call_whose_client_leaves_is_made_all_the_same(live, connect):
    gate, done = threading.Event(), threading.Event()
    calls = []
    server = Server()

    @server.get("/")
    @blocking
    def held() -> str:
        assert gate.wait(60)
        calls.append(1)
        if len(calls) == 2:
            done.set()
        return "done"

    running = live(server, workers=1, offload_threads=1)
    first, second = connect(running), connect(running)
    first.send(GET)
    until(lambda: running.offload_state()["running"] == 1)
    second.send(GET)
    until(lambda: running.offload_state()["queued"] == 1)
    first.close()
    second.close()
    gate.set()
    assert done.wait(60)


def test_drain_answers_what_waits_for_the_pool(live, connect):
    gate = threading.Event()
    server = Server()

    @server.get("/")
    @blocking
    def held() -> str:
        assert gate.wait(60)
        return "done"

    running = live(server, workers=1, offload_threads=1, drain_grace=30.0)
    connections = [connect(running) for _ in range(3)]
    for connection in connections:
        connection.send(GET)
    until(lambda: (state := running.offload_state())["running"] + state["queued"] == 3)
    running._serving.stop()
    gate.set()
    for connection in connections:
        answer = connection.read_answer()
        assert (answer.status, answer.body, answer.header("connection")) == (200, b"done", "close")


def test_fast_route_earns_direct_calls_and_loses_them_by_one_slow_call(live, connect, capfd):
    pause = 0.0
    threads = []
    server = Server()

    @server.get("/")
    @earned
    def route() -> str:
        threads.append(threading.get_native_id())
        time.sleep(pause) if pause else None
        return "ok"

    # Bounds that a loaded machine keeps: fast is under 5 s, slow is over 100 ms.
    running = live(server, workers=1, log_level="info", direct_after=4, direct_under=5.0, direct_over=0.1)
    connection = connect(running)

    def call() -> None:
        assert connection.exchange(GET).body == b"ok"

    for _ in range(4):
        call()
    (state,) = running.routes_state()
    assert (state["mode"], state["promotions"], state["offloaded_calls"], state["direct_calls"]) == ("direct", 1, 4, 0)
    call()
    worker = threads[-1]
    assert worker not in threads[:4]
    pause = 0.2
    call()
    assert threads[-1] == worker
    pause = 0.0
    (state,) = running.routes_state()
    assert (state["mode"], state["demotions"], state["direct_calls"], state["needed"]) == ("offload", 1, 2, 8)
    for _ in range(7):
        call()
    assert running.routes_state()[0]["mode"] == "offload"
    call()
    assert worker not in threads[-8:]
    (state,) = running.routes_state()
    assert (state["mode"], state["promotions"], state["offloaded_calls"]) == ("direct", 2, 12)
    log = [line for line in capfd.readouterr().err.splitlines() if "GET / (" in line and "route)" in line]
    assert [line.split(":")[0] for line in log] == ["turboapi INFO", "turboapi WARN", "turboapi INFO"]
    assert "4 calls in a row took less than 5s each" in log[0]
    took = float(log[1].split("a call took ")[1].split(" ms")[0])
    assert took >= 200
    assert "until 8 calls in a row" in log[1]


def test_slow_route_never_leaves_the_pool(live, connect):
    server = Server()

    @server.get("/")
    @earned
    def route() -> None:
        time.sleep(0.002)

    running = live(server, direct_after=2, direct_under=0.001)
    connection = connect(running)
    for _ in range(10):
        connection.exchange(GET)
    (state,) = running.routes_state()
    assert (state["mode"], state["offloaded_calls"], state["promotions"], state["streak"]) == ("offload", 10, 0, 0)


def test_route_is_direct_at_once_when_no_proof_is_asked_for(live, connect):
    server = Server()
    server.route("GET", "/", earned(lambda: "ok"))
    running = live(server, direct_after=0)
    connect(running).exchange(GET)
    (state,) = running.routes_state()
    assert (state["direct_calls"], state["offloaded_calls"]) == (1, 0)


def test_blocked_functions_hold_no_other_request_up(live, connect):
    gate = threading.Event()
    server = Server()

    @server.get("/")
    @earned
    def held() -> str:
        assert gate.wait(60)
        return "done"

    server.static_response("/static", "static")
    server.route("GET", "/direct", lambda: "direct")
    running = live(server)
    waiting = [connect(running) for _ in range(20)]
    for connection in waiting:
        connection.send(GET)
    until(lambda: running.offload_state()["running"] == 20)
    connection = connect(running)
    for _ in range(50):
        assert connection.exchange(request_bytes("GET", "/direct")).body == b"direct"
        assert connection.exchange(request_bytes("GET", "/static")).body == b"static"
    gate.set()
    assert [connection.read_answer().body for connection in waiting] == [b"done"] * 20
