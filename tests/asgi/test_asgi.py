"""The ASGI host: scope, receive, send, lifespan, over real sockets, for plain ASGI applications."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import inspect
import threading

import pytest
from turboapi_rs import ConfigError, StartupError

from tests.support.wire import request_bytes

GET = request_bytes("GET", "/")


def only_http(handle):
    """An application of one coroutine, without lifespan."""

    async def app(scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError("no lifespan here")
        await handle(scope, receive, send)

    return app


async def answer(send, body=b"", status=200, headers=()):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


def test_scope_tells_what_was_sent(live, connect):
    seen = []

    async def handle(scope, receive, send):
        seen.append(scope)
        await answer(send)

    server = live(only_http(handle))
    connection = connect(server)
    connection.exchange(
        request_bytes("PATCH", "/a%20b/%C3%A9?x=1&y=%20", headers=(("X-B", "2"), ("X-a", "1"), ("x-b", "3"))), "PATCH"
    )
    (scope,) = seen
    assert scope["type"] == "http"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.3"}
    assert scope["http_version"] == "1.1"
    assert scope["method"] == "PATCH"
    assert scope["scheme"] == "http"
    assert scope["path"] == "/a b/\u00e9"
    assert scope["raw_path"] == b"/a%20b/%C3%A9"
    assert scope["query_string"] == b"x=1&y=%20"
    assert scope["root_path"] == ""
    assert [pair for pair in scope["headers"] if pair[0].startswith(b"x-")] == [
        (b"x-b", b"2"),
        (b"x-a", b"1"),
        (b"x-b", b"3"),
    ]
    assert all(isinstance(pair, tuple) for pair in scope["headers"])
    assert scope["client"] == connection.local_address
    assert scope["server"] == ("127.0.0.1", server.port)
    assert "extensions" not in scope


def test_root_path_is_put_in_front(live, connect):
    seen = []

    async def handle(scope, receive, send):
        seen.append((scope["root_path"], scope["path"], scope["raw_path"]))
        await answer(send)

    connect(live(only_http(handle), root_path="/api")).exchange(request_bytes("GET", "/x"))
    assert seen == [("/api", "/api/x", b"/api/x")]


def test_http_1_0_is_told(live, connect):
    async def handle(scope, receive, send):
        await answer(send, scope["http_version"].encode())

    connection = connect(live(only_http(handle)))
    assert connection.exchange(b"GET / HTTP/1.0\r\n\r\n").body == b"1.0"


def test_body_comes_in_order_and_then_the_disconnect(live, connect):
    messages = []
    done = threading.Event()

    async def handle(scope, receive, send):
        while True:
            message = await receive()
            messages.append(message)
            if message["type"] == "http.disconnect":
                break
            if not message["more_body"]:
                await answer(send, b"got it")
        done.set()

    connection = connect(live(only_http(handle)))
    assert connection.exchange(request_bytes("POST", "/", body=b"x" * 200_000), "POST").body == b"got it"
    assert done.wait(5)
    assert b"".join(message.get("body", b"") for message in messages) == b"x" * 200_000
    assert [message["type"] for message in messages[-2:]] == ["http.request", "http.disconnect"]
    assert connection.exchange(request_bytes("POST", "/", body=b"y"), "POST").body == b"got it"


def test_large_bodies_go_both_ways_whole(live, connect):
    async def handle(scope, receive, send):
        digest = hashlib.sha256()
        while True:
            message = await receive()
            digest.update(message["body"])
            if not message["more_body"]:
                break
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"x-hash", digest.hexdigest().encode())]}
        )
        for _ in range(50):
            await send({"type": "http.response.body", "body": b"z" * 1_000_000, "more_body": True})
        await send({"type": "http.response.body"})

    body = b"0123456789" * 5_000_000
    connection = connect(live(only_http(handle), max_body=0), timeout=60.0)
    got = connection.exchange(request_bytes("POST", "/", body=body), "POST")
    assert got.header("x-hash") == hashlib.sha256(body).hexdigest()
    assert hashlib.sha256(got.body).digest() == hashlib.sha256(b"z" * 50_000_000).digest()


def test_upload_waits_for_a_slow_application(live, connect):
    go_on = threading.Event()

    async def handle(scope, receive, send):
        await asyncio.to_thread(go_on.wait)
        size = 0
        while True:
            message = await receive()
            size += len(message["body"])
            if not message["more_body"]:
                break
        await answer(send, str(size).encode())

    connection = connect(live(only_http(handle), max_body=0), timeout=0.5)
    size = 64 * 1024 * 1024
    connection.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size)
    sent = 0
    while piece := connection.send_some(b"x" * 65536):
        sent += piece
    # The kernel's buffers and ours are full; nothing more is read while the application waits.
    assert sent < size // 2
    go_on.set()
    connection.set_timeout(30)
    while sent < size:
        sent += connection.send_some(b"x" * min(65536, size - sent))
    assert connection.read_answer("POST").body == str(size).encode()


def test_send_waits_for_a_slow_client(live, connect):
    sent = 0
    done = threading.Event()

    async def handle(scope, receive, send):
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            sent += 1
        await send({"type": "http.response.body"})
        done.set()

    connection = connect(live(only_http(handle)), receive_buffer_bytes=4096, timeout=30.0)
    connection.send(GET)
    connection.read_some()
    before = -1
    while sent != before:
        before = sent
        done.wait(0.3)
    assert sent < 500
    while not done.is_set():
        connection.read_some()


@pytest.mark.parametrize("begun", [False, True])
def test_client_that_leaves_is_told_as_disconnect_while_the_application_waits(live, connect, begun):
    waiting, told = threading.Event(), threading.Event()

    async def handle(scope, receive, send):
        await receive()
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        waiting.set()
        message = await receive()
        assert message == {"type": "http.disconnect"}
        # Sending to nobody does nothing.
        if not begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"y"})
        told.set()

    connection = connect(live(only_http(handle)))
    connection.send(GET)
    assert waiting.wait(5)
    connection.close()
    assert told.wait(1)


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([{"type": "http.response.body", "body": b""}], "before 'http.response.start'"),
        ([{"type": "http.response.start", "status": 200}] * 2, "already started"),
        ([{"type": "websocket.accept"}], "unexpected ASGI message 'websocket.accept'"),
        ([{"status": 200}], "type"),
        ([{"type": "http.response.start"}], "status"),
        ([{"type": "http.response.start", "status": 100}], "outside 200..=599"),
        ([{"type": "http.response.start", "status": 200, "headers": [(b"a b", b"")]}], "not a token"),
        ([{"type": "http.response.start", "status": 200, "headers": [(b"a", b"b\r\nc")]}], "control character"),
        ([{"type": "http.response.start", "status": 200, "headers": [("a", "b")]}], "expected bytes"),
        (
            [{"type": "http.response.start", "status": 200}, {"type": "http.response.body", "body": "x"}],
            "expected bytes",
        ),
    ],
)
def test_wrong_message_is_an_error_in_the_application_and_500(live, connect, capfd, messages, says):
    async def handle(scope, receive, send):
        for message in messages:
            await send(message)

    connection = connect(live(only_http(handle)))
    assert connection.exchange(GET).status == 500
    assert says in capfd.readouterr().err
    assert connection.exchange(GET).status == 500


def test_message_after_the_end_is_an_error_and_the_response_stands(live, connect, capfd):
    async def handle(scope, receive, send):
        await answer(send, b"whole")
        await send({"type": "http.response.body", "body": b"more"})

    connection = connect(live(only_http(handle)))
    assert connection.exchange(GET).body == b"whole"
    assert connection.exchange(GET).body == b"whole"
    assert "after the response was complete" in capfd.readouterr().err


def test_exception_before_the_start_is_500_and_after_it_a_torn_response(live, connect, capfd):
    async def handle(scope, receive, send):
        if scope["path"] == "/after":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"part", "more_body": True})
        raise ValueError("on purpose")

    server = live(only_http(handle))
    connection = connect(server)
    got = connection.exchange(GET)
    assert (got.status, got.body) == (500, b"Internal Server Error")
    got = connection.exchange(request_bytes("GET", "/after"))
    assert got.is_torn
    assert capfd.readouterr().err.count("ValueError: on purpose") == 2


def test_application_that_says_nothing_is_500(live, connect):
    async def handle(scope, receive, send):
        pass

    assert connect(live(only_http(handle))).exchange(GET).status == 500


@pytest.mark.parametrize(("told", "sent"), [(5, b"abc"), (2, b"abc")])
@pytest.mark.parametrize("streamed", [False, True])
def test_content_length_that_does_not_fit_never_looks_whole(live, connect, told, sent, streamed):
    async def handle(scope, receive, send):
        headers = [(b"content-length", str(told).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": sent, "more_body": streamed})
        if streamed:
            await send({"type": "http.response.body"})

    got = connect(live(only_http(handle))).exchange(GET)
    assert got.status == 500 or got.is_torn


@pytest.mark.parametrize(("status", "method"), [(204, "GET"), (304, "GET"), (200, "HEAD")])
@pytest.mark.parametrize("streamed", [False, True])
def test_no_body_where_none_may_be(live, connect, status, method, streamed):
    async def handle(scope, receive, send):
        await send({"type": "http.response.start", "status": status, "headers": []})
        if streamed:
            await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        await send({"type": "http.response.body", "body": b"def"})

    connection = connect(live(only_http(handle)))
    for _ in range(2):
        got = connection.exchange(request_bytes(method, "/"), method)
        assert (got.status, got.body) == (status, b"")


def test_continue_is_sent_only_when_the_body_is_asked_for(live, connect):
    async def handle(scope, receive, send):
        if scope["path"] == "/wanted":
            message = await receive()
            await answer(send, message["body"])
        else:
            await answer(send, b"no, thanks", status=403)

    server = live(only_http(handle))
    head = b"POST /%s HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\n"
    connection = connect(server)
    connection.send(head % b"wanted")
    assert connection.read_some() == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.send(b"abc")
    assert connection.read_answer("POST").body == b"abc"
    connection = connect(server)
    got = connection.exchange(head % b"unwanted", "POST")
    assert (got.status, got.interim) == (403, ())


def test_requests_wait_side_by_side(live, connect):
    async def handle(scope, receive, send):
        await asyncio.sleep(0.2)
        await answer(send, b"done")

    server = live(only_http(handle))
    connections = [connect(server) for _ in range(50)]
    for connection in connections:
        connection.send(GET)
    assert [connection.read_answer().body for connection in connections] == [b"done"] * 50


def test_context_is_fresh_in_every_request(live, connect):
    variable = contextvars.ContextVar("variable", default="unset")
    seen = []

    async def handle(scope, receive, send):
        seen.append(variable.get())
        variable.set("set")
        await answer(send)

    connection = connect(live(only_http(handle)))
    for _ in range(3):
        connection.exchange(GET)
    assert seen == ["unset"] * 3


def test_background_work_goes_on_after_the_answer(live, connect):
    done = threading.Event()

    async def handle(scope, receive, send):
        async def later():
            await asyncio.sleep(0.05)
            done.set()

        handle.task = asyncio.create_task(later())
        await answer(send, b"at once")

    assert connect(live(only_http(handle))).exchange(GET).body == b"at once"
    assert done.wait(5)


# Lifespan.


def lifespan_app(log, *, fail_start=None, fail_stop=None, raises=False):
    async def app(scope, receive, send):
        if scope["type"] == "http":
            await answer(send, repr(scope["state"]).encode())
            scope["state"]["leak"] = True
            return
        if raises:
            raise ValueError("unsupported")
        log.append((await receive())["type"])
        if fail_start:
            await send({"type": "lifespan.startup.failed", "message": fail_start})
            return
        scope["state"]["db"] = "open"
        await send({"type": "lifespan.startup.complete"})
        log.append((await receive())["type"])
        if fail_stop:
            await send({"type": "lifespan.shutdown.failed", "message": fail_stop})
            return
        await send({"type": "lifespan.shutdown.complete"})

    return app


def test_lifespan_runs_once_and_its_state_is_copied(live, connect):
    log = []
    server = live(lifespan_app(log))
    connection = connect(server)
    for _ in range(3):
        assert connection.exchange(GET).body == b"{'db': 'open'}"
    assert log == ["lifespan.startup"]
    server.stop()
    assert log == ["lifespan.startup", "lifespan.shutdown"]


def test_lifespan_that_fails_stops_the_start_with_its_message(live):
    with pytest.raises(StartupError, match="no database"):
        live(lifespan_app([], fail_start="no database"))


def test_application_without_lifespan_is_served_unless_it_was_asked_for(live, connect):
    assert connect(live(lifespan_app([], raises=True))).exchange(GET).body == b"{}"
    with pytest.raises(StartupError, match="unsupported"):
        live(lifespan_app([], raises=True), lifespan="on")
    log = []
    connect(live(only_http(lambda scope, receive, send: answer(send)), lifespan="off")).exchange(GET)
    assert log == []


def test_per_worker_loops_run_a_lifespan_each(live, connect):
    log = []
    server = live(lifespan_app(log), loops="per-worker", workers=2)
    assert log == ["lifespan.startup"] * 2
    assert connect(server).exchange(GET).status == 200
    server.stop()
    assert log == ["lifespan.startup"] * 2 + ["lifespan.shutdown"] * 2


@pytest.mark.once
def test_what_is_no_application_is_refused():
    from turboapi_rs.testing import LiveServer

    with pytest.raises(ConfigError, match="neither a Server nor an ASGI application"):
        LiveServer(object())


def test_websocket_upgrade_is_refused_with_a_clear_status(live, connect):
    async def handle(scope, receive, send):
        await answer(send, b"plain")

    connection = connect(live(only_http(handle)))
    upgrade = (
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "x" * 24),
    )
    got = connection.exchange(request_bytes("GET", "/", headers=upgrade))
    assert got.status == 501
    assert b"WebSocket" in got.body


def test_receive_and_send_are_coroutine_functions_that_other_threads_may_use(live, connect):
    async def handle(scope, receive, send):
        assert inspect.iscoroutinefunction(receive)
        message = await asyncio.create_task(receive())
        loop = asyncio.get_running_loop()

        def work():
            start = {"type": "http.response.start", "status": 200, "headers": []}
            asyncio.run_coroutine_threadsafe(send(start), loop).result(5)
            body = {"type": "http.response.body", "body": message["body"]}
            asyncio.run_coroutine_threadsafe(send(body), loop).result(5)

        await asyncio.to_thread(work)

    connection = connect(live(only_http(handle)))
    assert connection.exchange(request_bytes("POST", "/", body=b"abc"), "POST").body == b"abc"


def test_head_leaves_when_the_application_waits_before_its_first_body(live, connect):
    go_on = threading.Event()

    async def handle(scope, receive, send):
        if scope["path"] == "/late":
            await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-early", b"1")]})
        while not go_on.is_set():
            await asyncio.sleep(0.001)
        await send({"type": "http.response.body", "body": b"late"})

    server = live(only_http(handle))
    for path in ("/", "/late"):
        go_on.clear()
        connection = connect(server)
        connection.send(request_bytes("GET", path))
        assert b"x-early: 1" in connection.read_some()
        go_on.set()
        assert b"late" in connection.read_some()
