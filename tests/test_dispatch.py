"""Raw routes end to end: what a handler is called with, what it may return, what each fault is answered with."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sys
import threading
import time

import pytest
from turboapi_rs import RawRequest, Server
from turboapi_rs.guest_loop import pump

from tests.support.wire import request_bytes


def get(target: str, **options: object) -> bytes:
    return request_bytes("GET", target, **options)  # type: ignore[arg-type]


def answer_of(live, connect, handler, path="/", target=None, method="GET", body=None):
    """Serve one handler and ask it once."""
    server = Server()
    server.route(method, path, handler)
    connection = connect(live(server))
    return connection.exchange(request_bytes(method, target or path, body=body), method)


# What a handler may return.


@pytest.mark.parametrize(
    ("result", "status", "content_type", "body"),
    [
        ({"a": [1, 2.5, None, True]}, 200, "application/json", b'{"a":[1,2.5,null,true]}'),
        ([], 200, "application/json", b"[]"),
        (None, 200, "application/json", b"null"),
        (7, 200, "application/json", b"7"),
        (True, 200, "application/json", b"true"),
        (1.5, 200, "application/json", b"1.5"),
        ("h\u00e9", 200, "text/plain; charset=utf-8", "h\u00e9".encode()),
        (b"\x00\xff", 200, "application/octet-stream", b"\x00\xff"),
        ((201, "text/html", "<p>"), 201, "text/html", b"<p>"),
        ((200, "text/plain", b""), 200, "text/plain", b""),
        ((200, "application/octet-stream", b"x" * 300_000), 200, "application/octet-stream", b"x" * 300_000),
    ],
)
def test_result_is_answered_in_its_shape(live, connect, result, status, content_type, body):
    answer = answer_of(live, connect, lambda: result)
    assert (answer.status, answer.header("content-type"), answer.body) == (status, content_type, body)
    assert answer.header("content-length") == str(len(body))


def test_headers_of_a_4_tuple_are_sent_with_their_repeats(live, connect):
    headers = [("set-cookie", "a=1"), ("Set-Cookie", "b=2"), ("x-n", "\u00e9")]
    answer = answer_of(live, connect, lambda: (200, "text/plain", "x", headers))
    assert answer.all_headers("set-cookie") == ["a=1", "b=2"]
    assert answer.header("x-n") == "\u00e9"


@pytest.mark.parametrize(
    "result",
    [
        object(),
        {1, 2},
        (200, "text/plain"),
        (200, "text/plain", b"", None, {}, 6),
        (99, "text/plain", b""),
        (600, "text/plain", b""),
        (True, "text/plain", b""),
        ("200", "text/plain", b""),
        (200, b"text/plain", b""),
        (200, "text/plain", {"a": 1}),
        (200, "text/plain\r\nx: y", b""),
        (200, "text/plain", b"", {"bad name": "x"}),
        (200, "text/plain", b"", {"x": "a\r\nb"}),
        (200, "text/plain", b"", {"x": "a\x00"}),
        (200, "text/plain", b"", {"x": "\u20ac"}),
        (200, "text/plain", b"", {"x": 1}),
        (200, "text/plain", b"", {"content-length": "3"}),
        (200, "text/plain", b"", {"Transfer-Encoding": "chunked"}),
        (200, "text/plain", b"", {"connection": "close"}),
        (200, "text/plain", b"", [("only-name",)]),
        (200, "text/plain", b"", 7, {}),
        (200, "text/plain", b"x", iter([]), {}),
        {"a": object()},
        {"a": float("nan")},
    ],
)
def test_nonsense_is_500_with_a_fixed_body_and_the_connection_is_kept(live, connect, capfd, result):
    server = Server()
    server.route("GET", "/bad", lambda: result)
    server.route("GET", "/good", lambda: "fine")
    connection = connect(live(server))
    answer = connection.exchange(get("/bad"))
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    assert connection.exchange(get("/good")).body == b"fine"
    assert "test_dispatch" in capfd.readouterr().err


def test_handler_that_raises_is_500_and_one_log_line_names_it(live, connect, capfd):
    def broken():
        raise ValueError("the reason")

    answer = answer_of(live, connect, broken)
    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    log = capfd.readouterr().err
    assert "GET /: handler" in log
    assert "ValueError: the reason" in log
    assert "broken" in log


@pytest.mark.in_memory
def test_circular_and_too_deep_values_are_500(live, connect):
    circular: list = []
    circular.append(circular)
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    assert answer_of(live, connect, lambda: circular).status == 500
    assert answer_of(live, connect, lambda: deep).status == 500


@pytest.mark.in_memory
def test_loop_still_runs_after_a_stream_has_been_started_in_its_step(live, connect):
    """Starting the stream's task took the running loop away from whatever came after it in the same step."""
    seen = []

    async def items():
        yield "item"

    async def handler():
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        def first():
            future.set_result(None)
            loop.call_soon(loop.call_soon, after)

        def after():
            seen.append(asyncio._get_running_loop() is loop)

        loop.call_soon(first)
        await future
        return 200, "text/plain", b"", items(), {}

    server = Server()
    server.route("GET", "/", handler)
    assert connect(live(server)).exchange(get("/")).body == b"item"
    assert seen == [True]


def test_deep_recursion_is_an_exception_wherever_the_handler_runs(live, connect):
    import json
    import pickle

    def deep():
        def nested(depth):
            value = []
            for _ in range(depth):
                value = [value]
            return value

        # From 3.14 the bound is the stack's real size, in which some of these fit; then they must be done as they should.
        # repr, which looks through all that it is in the middle of, is not given more than it can do in a second.
        faults = (RecursionError, MemoryError)
        works = (
            lambda: repr(nested(20_000)),
            lambda: pickle.dumps(nested(100_000)),
            lambda: json.loads("[" * 100_000 + "]" * 100_000),
        )
        for work in works:
            with contextlib.suppress(*faults) if sys.version_info >= (3, 14) else pytest.raises(faults):
                work()
        return "survived"

    async def asynchronous():
        return deep()

    def stream():
        yield deep()

    server = Server()
    server.route("GET", "/sync", deep)
    server.route("GET", "/async", asynchronous)
    server.route("GET", "/stream", lambda: (200, "text/plain", b"", stream(), {}))
    connection = connect(live(server))
    assert [connection.exchange(get(path)).body for path in ("/sync", "/async", "/stream")] == [b"survived"] * 3


# What a handler is called with.


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        ("/items/7", 200, b'[7,"none",1.5,false,[]]'),
        ("/items/-7?q=x&f=2&b=on&l=1&l=2", 200, b'[-7,"x",2.0,true,[1,2]]'),
        ("/items/7?q=a%20b+c%26", 200, b'[7,"a b c&",1.5,false,[]]'),
        ("/items/7?q=first&q=last", 200, b'[7,"last",1.5,false,[]]'),
        ("/items/123456789012345678901234567890", 200, b'[123456789012345678901234567890,"none",1.5,false,[]]'),
        ("/items/%37", 200, b'[7,"none",1.5,false,[]]'),
    ],
)
def test_parameters_are_converted_by_type(live, connect, target, status, body):
    server = Server()

    @server.get("/items/{item_id}")
    def read(item_id: int, q: str = "none", f: float = 1.5, b: bool = False, l: list[int] = []):  # noqa: B006, E741
        return [item_id, q, f, b, l]

    answer = connect(live(server)).exchange(get(target))
    assert (answer.status, answer.body) == (status, body)


def test_parameters_that_do_not_fit_are_422_with_all_errors_and_no_call(live, connect):
    called = []
    server = Server()

    @server.get("/items/{item_id}")
    def read(item_id: int, f: float, b: bool, l: list[int]):  # noqa: E741
        called.append(1)

    answer = connect(live(server)).exchange(get("/items/x?b=maybe&l=1&l=y"))
    assert answer.status == 422
    assert answer.body == (
        b'{"detail":[{"type":"int_parsing","loc":["path","item_id"],"msg":"Input should be a valid integer, unable to '
        b'parse string as an integer","input":"x"},{"type":"missing","loc":["query","f"],"msg":"Field required",'
        b'"input":null},{"type":"bool_parsing","loc":["query","b"],"msg":"Input should be a valid boolean, unable to '
        b'interpret input","input":"maybe"},{"type":"int_parsing","loc":["query","l",1],"msg":"Input should be a valid '
        b'integer, unable to parse string as an integer","input":"y"}]}'
    )
    assert called == []


def test_body_arrives_whole(live, connect):
    body = bytes(range(256)) * 4000

    def echo(body: bytes):
        return body

    assert answer_of(live, connect, echo, method="POST", body=body).body == body
    assert answer_of(live, connect, echo, method="POST", body=b"").body == b""


def test_chunked_body_arrives_whole(live, connect):
    server = Server()
    server.route("POST", "/", lambda body: body)
    connection = connect(live(server))
    head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    answer = connection.exchange(head + b"3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nt: v\r\n\r\n", "POST")
    assert answer.body == b"abcde"


def test_request_tells_what_was_sent(live, connect):
    server = Server()

    @server.post("/p/{name}")
    def tell(request: RawRequest):
        return {
            "method": request.method,
            "path": request.path,
            "raw": request.raw_path.decode(),
            "query": request.query_string.decode(),
            "pairs": request.query_params,
            "params": request.path_params,
            "x": [value for name, value in request.headers if name == "x-a"],
            "first": request.header("X-A"),
            "none": request.header("x-none", "default"),
            "body": request.body.decode(),
            "version": request.http_version,
            "client": request.client[0],
        }

    sent = request_bytes("POST", "/p/a%20b?c=d&c=e", headers=(("X-A", "1"), ("x-a", "2")), body=b"hi")
    answer = connect(live(server)).exchange(sent, "POST")
    assert answer.body == (
        b'{"method":"POST","path":"/p/a b","raw":"/p/a%20b","query":"c=d&c=e","pairs":[["c","d"],["c","e"]],'
        b'"params":{"name":"a b"},"x":["1","2"],"first":"1","none":"default","body":"hi","version":"1.1",'
        b'"client":"127.0.0.1"}'
    )


# Routes.


def test_unknown_path_is_404_and_wrong_method_405_with_allow(live, connect):
    server = Server()
    server.route("GET", "/a", lambda: "a")
    server.route("POST", "/a", lambda: "a")
    connection = connect(live(server))
    assert connection.exchange(get("/b")).status == 404
    answer = connection.exchange(request_bytes("DELETE", "/a"), "DELETE")
    assert answer.status == 405
    assert {"GET", "POST"} <= set(answer.header("allow").split(", "))


def test_head_is_answered_like_get_without_a_body(live, connect):
    server = Server()
    server.route("GET", "/", lambda: "hello")
    server.static_response("/s", "static")
    connection = connect(live(server))
    for target, length in (("/", "5"), ("/s", "6")):
        answer = connection.exchange(request_bytes("HEAD", target), "HEAD")
        assert (answer.status, answer.header("content-length"), answer.body) == (200, length, b"")
    assert connection.exchange(get("/")).body == b"hello"


def test_static_response_has_its_headers_and_a_fresh_date(live, connect):
    server = Server()
    server.static_response("/s", "ok", headers={"x-a": "b"}, max_age=60)
    connection = connect(live(server))
    answer = connection.exchange(get("/s"))
    assert (answer.body, answer.header("x-a"), answer.header("cache-control")) == (b"ok", "b", "max-age=60")
    assert answer.header("date").endswith(" GMT")
    assert answer.header("content-type") == "text/plain; charset=utf-8"


@pytest.mark.once
def test_wrong_routes_are_refused_by_name():
    server = Server()
    with pytest.raises(TypeError, match=r"parameter 'x'.*complex"):
        server.route("GET", "/", lambda x: x) if False else server.route("GET", "/", wants_complex)
    with pytest.raises(TypeError, match=r"\{item_id\}"):
        server.route("GET", "/{item_id}", lambda: None)
    with pytest.raises(ValueError, match="parameter"):
        server.static_response("/{a}", "x")
    with pytest.raises(ValueError, match="200..=599"):
        server.static_response("/a", "x", status=100)


def wants_complex(x: complex):
    return x


# Where handlers run.


@pytest.mark.in_memory
def test_async_handler_waits_on_the_home_loop(live, connect):
    server = Server()
    threads = set()

    @server.get("/")
    async def wait(n: int):
        threads.add(threading.get_ident())
        await asyncio.sleep(0.01)
        threads.add(threading.get_ident())
        async with asyncio.timeout(1):
            value = await asyncio.to_thread(lambda: n + 1)
        return {"n": value, "task": asyncio.current_task() is not None}

    live_server = live(server)
    connections = [connect(live_server) for _ in range(8)]
    for number, connection in enumerate(connections):
        connection.send(get(f"/?n={number}"))
    for number, connection in enumerate(connections):
        assert connection.read_answer().body == b'{"n":%d,"task":true}' % (number + 1)
    assert len(threads) == 1


def test_slow_async_handlers_wait_side_by_side(live, connect):
    server = Server()

    @server.get("/")
    async def wait():
        await asyncio.sleep(0.2)
        return "done"

    live_server = live(server)
    connections = [connect(live_server) for _ in range(20)]
    started = time.monotonic()
    for connection in connections:
        connection.send(get("/"))
    assert all(connection.read_answer().body == b"done" for connection in connections)
    assert time.monotonic() - started < 2.0


@pytest.mark.in_memory
def test_context_is_fresh_in_every_request(live, connect):
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    server = Server()

    @server.get("/sync")
    def sync(v: str):
        before = variable.get()
        variable.set(v)
        return before

    @server.get("/async")
    async def asynchronous(v: str):
        before = variable.get()
        variable.set(v)
        await asyncio.sleep(0)
        return f"{before} {variable.get()}"

    connection = connect(live(server))
    for number in range(5):
        assert connection.exchange(get(f"/sync?v={number}")).body == b"unset"
        assert connection.exchange(get(f"/async?v={number}")).body == b"unset %d" % number


def test_pipelined_requests_are_answered_in_order_whatever_they_take(live, connect):
    server = Server()

    @server.get("/slow/{n}")
    async def slow(n: int):
        await asyncio.sleep(0.02)
        return n

    @server.get("/fast/{n}")
    def fast(n: int):
        return n

    connection = connect(live(server))
    targets = [f"/{'slow' if number % 3 == 0 else 'fast'}/{number}" for number in range(30)]
    connection.send(b"".join(get(target) for target in targets))
    assert [connection.read_answer().body for _ in targets] == [b"%d" % number for number in range(30)]


def test_requests_split_at_every_byte_get_the_same_answers(live, connect):
    server = Server()
    server.route("POST", "/", lambda body: body)
    connection = connect(live(server))
    sent = request_bytes("POST", "/", body=b"abc") + get("/none")
    for position in range(1, len(sent)):
        connection.send(sent[:position])
        connection.send(sent[position:])
        assert connection.read_answer("POST").body == b"abc"
        assert connection.read_answer().status == 404


def test_several_servers_run_in_one_process(live, connect):
    servers = []
    for number in range(3):
        server = Server()
        server.route("GET", "/", lambda number=number: number)
        servers.append(live(server))
    assert [connect(server).exchange(get("/")).body for server in servers] == [b"0", b"1", b"2"]


def test_stream_whose_task_is_cancelled_before_its_first_step_is_closed():
    closed = []

    class Items:
        def __aiter__(self):
            return self

        async def __anext__(self):
            return b"never asked for"

        async def aclose(self):
            closed.append(self)

    async def live() -> bool:
        task = asyncio.create_task(pump(Items(), lambda item: True, asyncio.Event().wait, lambda: None))
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(live())
    assert len(closed) == 1
