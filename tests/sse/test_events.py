"""Events on the wire, byte for byte: raw handlers, FastAPI endpoints, Starlette, and what is refused."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.routing import Route
from turboapi_rs import RawRequest, Server
from turboapi_rs.sse import EventSourceResponse, ServerSentEvent, TokenStream, last_event_id

from tests.support.wire import request_bytes

GET = request_bytes("GET", "/")

HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}


class Point(BaseModel):
    x: int
    name: str


class Like:
    """An event that nobody checked."""

    def __init__(self, **fields):
        empty = dict.fromkeys(("data", "raw_data", "event", "id", "retry", "comment"))
        self.__dict__.update({**empty, **fields})


RULES = [
    ("hi", "data: hi\n\n"),
    ("", "data: \n\n"),
    (" led by a blank", "data:  led by a blank\n\n"),
    ("a\nb", "data: a\ndata: b\n\n"),
    ("a\r\nb\rc\n", "data: a\ndata: b\ndata: c\ndata: \n\n"),
    ("a\u2028b\x0bc\x85d", "data: a\u2028b\x0bc\x85d\n\n"),
    ("\0", "data: \0\n\n"),
    ("tw\u00f6 \U0001f600", "data: tw\u00f6 \U0001f600\n\n"),
    (b": as it is\n\n", ": as it is\n\n"),
    ({"a": [1, 2.5, None, True, "x\ny"]}, 'data: {"a":[1,2.5,null,true,"x\\ny"]}\n\n'),
    ([], "data: []\n\n"),
    (7, "data: 7\n\n"),
    (1.5, "data: 1.5\n\n"),
    (True, "data: true\n\n"),
    (None, "data: null\n\n"),
    (Point(x=1, name="p"), 'data: {"x":1,"name":"p"}\n\n'),
    ({"point": Point(x=1, name="p")}, 'data: {"point":{"x":1,"name":"p"}}\n\n'),
    (ServerSentEvent(data="text"), 'data: "text"\n\n'),
    (ServerSentEvent(raw_data="text"), "data: text\n\n"),
    (ServerSentEvent(data={"a": 1}, event="e", id="i", retry=0, comment="c"),
     ': c\nevent: e\ndata: {"a":1}\nid: i\nretry: 0\n\n'),
    (ServerSentEvent(comment="x\ny"), ": x\n: y\n\n"),
    (ServerSentEvent(id=""), "id: \n\n"),
    (ServerSentEvent(retry=1500), "retry: 1500\n\n"),
    (ServerSentEvent(), ""),
]  # fmt: skip

REFUSED = [
    ({"event": "a\nb"}, "event"),
    ({"event": "a\r"}, "event"),
    ({"id": "a\ndata: evil"}, "id"),
    ({"id": "a\0"}, "id"),
    ({"retry": -1}, "retry"),
    ({"data": 1, "raw_data": "1"}, "data"),
]


def raw(content, **options):
    server = Server()
    server.route("GET", "/", lambda: EventSourceResponse(content(), **options))
    server.route("GET", "/fine", lambda: "fine")
    return server


def raw_async(content, **options):
    server = Server()

    async def handler():
        await asyncio.sleep(0)
        return EventSourceResponse(content(), **options)

    server.route("GET", "/", handler)
    server.route("GET", "/fine", lambda: "fine")
    return server


def fastapi(content, **options):
    app = FastAPI()

    @app.get("/")
    async def events():
        return EventSourceResponse(content(), **options)

    @app.get("/fine")
    async def fine():
        return "fine"

    return app


def starlette(content, **options):
    async def events(request):
        return EventSourceResponse(content(), **options)

    async def wrapped(scope, receive, send):
        await app(scope, receive, send)

    app = Starlette(routes=[Route("/", events)])
    return wrapped


SURFACES = pytest.mark.parametrize("surface", [raw, raw_async, fastapi, starlette])


def sync_items(items):
    yield from items


async def async_items(items):
    for item in items:
        await asyncio.sleep(0)
        yield item


KINDS = pytest.mark.parametrize("make", [sync_items, async_items], ids=["sync", "async"])


def read_until(connection, wanted):
    read = b""
    while wanted not in read:
        piece = connection.read_some()
        assert piece, read
        read += piece
    return read


@SURFACES
@KINDS
def test_every_rule_byte_for_byte(live, connect, surface, make):
    items = [item for item, _ in RULES]
    answer = connect(live(surface(lambda: make(items)))).exchange(GET)
    assert answer.status == 200
    assert not answer.is_torn
    for name, value in HEADERS.items():
        assert answer.all_headers(name) == [value]
    assert answer.body.decode() == "".join(expected for _, expected in RULES)


@SURFACES
def test_status_and_headers_are_the_responses_own(live, connect, surface):
    options = {"status_code": 203, "headers": {"Cache-Control": "no-store", "x-a": "b"}}
    answer = connect(live(surface(lambda: async_items(["x"]), **options))).exchange(GET)
    assert answer.status == 203
    assert answer.all_headers("cache-control") == ["no-store"]
    assert answer.header("x-a") == "b"
    assert answer.body == b"data: x\n\n"


@pytest.mark.parametrize(("fields", "named"), REFUSED)
def test_an_event_that_no_client_could_read_back_is_refused_by_field(fields, named):
    with pytest.raises(ValueError, match=named):
        ServerSentEvent(**fields)


@SURFACES
@pytest.mark.parametrize(("fields", "named"), REFUSED[:4])
def test_nothing_of_a_refused_event_is_sent(live, connect, capfd, surface, fields, named):
    answer = connect(live(surface(lambda: async_items(["first", Like(data=1, **fields), "never"])))).exchange(GET)
    assert answer.is_torn
    assert answer.body in (b"", b"data: first\n\n")
    assert f"ValueError: the event {'type' if named == 'event' else 'id'} holds" in capfd.readouterr().err


@SURFACES
def test_an_item_that_is_no_json_tears_the_stream(live, connect, capfd, surface):
    answer = connect(live(surface(lambda: async_items(["first", object, "never"])))).exchange(GET)
    assert answer.is_torn
    assert b"never" not in answer.body
    assert "rror" in capfd.readouterr().err


@SURFACES
def test_http_1_0_gets_raw_bytes_and_a_close(live, connect, surface):
    connection = connect(live(surface(lambda: async_items(["a", "b"]))))
    connection.send(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
    head, _, body = connection.read_to_end().partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert body == b"data: a\n\ndata: b\n\n"


@SURFACES
def test_huge_events_come_whole(live, connect, surface):
    text = "line of text\n" * 100_000
    answer = connect(live(surface(lambda: async_items([text, "end"])))).exchange(GET)
    assert answer.body == ("data: line of text\n" * 100_000 + "data: \n\ndata: end\n\n").encode()


@SURFACES
@KINDS
def test_comments_come_while_the_producer_is_silent(live, connect, surface, make):
    released = threading.Event()

    def sync_producer():
        yield "first"
        released.wait(20)
        yield "last"

    async def async_producer():
        yield "first"
        while not released.is_set():
            await asyncio.sleep(0.01)
        yield "last"

    producer = sync_producer if make is sync_items else async_producer
    connection = connect(live(surface(producer, ping=0.05)))
    connection.send(GET)
    read = read_until(connection, b": ping\n\n")
    while read.count(b": ping\n\n") < 2:
        read += connection.read_some()
    released.set()
    read += read_until(connection, b"0\r\n\r\n")
    assert read.index(b"data: first\n\n") < read.index(b": ping") < read.index(b"data: last\n\n")


@SURFACES
def test_comments_come_before_the_first_event(live, connect, surface):
    async def never():
        await asyncio.sleep(3600)
        yield "x"

    connection = connect(live(surface(never, ping=0.05)))
    connection.send(GET)
    assert b"200 OK" in read_until(connection, b": ping\n\n")


@SURFACES
def test_a_stream_that_speaks_gets_no_comments(live, connect, surface):
    async def busy():
        for number in range(40):
            yield str(number)
            await asyncio.sleep(0.01)

    answer = connect(live(surface(busy, ping=30))).exchange(GET)
    assert answer.body == b"".join(b"data: %d\n\n" % number for number in range(40))


@pytest.mark.parametrize("ping", [0, -1])
def test_a_ping_that_is_no_interval_is_refused(ping):
    with pytest.raises(ValueError, match="ping"):
        EventSourceResponse([], ping=ping)


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ([], None),
        ([("Last-Event-ID", "7")], "7"),
        ([("last-event-id", "")], None),
        ([("last-event-id", "tw\u00f6".encode().decode("latin-1"))], "tw\u00f6"),
        ([("last-event-id", "\u00ff")], None),
    ],
)
def test_last_event_id(live, connect, sent, seen):
    server = Server()

    def handler(request: RawRequest):
        return {"id": last_event_id(request)}

    server.route("GET", "/", handler)
    answer = connect(live(server)).exchange(request_bytes("GET", "/", headers=sent))
    assert json.loads(answer.body) == {"id": seen}


@pytest.mark.parametrize("value", [b"a\0b", b"a\nb", b"a\rb"])
def test_last_event_id_with_nul_or_line_end_is_ignored(value):
    assert last_event_id(Request({"type": "http", "headers": [(b"last-event-id", value)]})) is None


@SURFACES
@KINDS
def test_tokens_in_the_form_of_chat_completions(live, connect, surface, make):
    app = FastAPI() if surface is fastapi else None

    def stream():
        return TokenStream(make(["Hel", 'lo "\n', {"usage": 3}]), model="fake", completion_id="c1")

    if app is not None:
        app.get("/")(stream)
    else:
        app = Server()
        app.route("GET", "/", stream)
    answer = connect(live(app)).exchange(GET)
    assert answer.header("content-type") == "text/event-stream"
    lines = answer.body.decode().split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert [chunk.get("choices", [{}])[0].get("delta") for chunk in chunks] == [
        {"content": "Hel"}, {"content": 'lo "\n'}, None, {}]  # fmt: skip
    assert chunks[2] == {"usage": 3}
    assert chunks[3]["choices"][0]["finish_reason"] == "stop"
    assert {chunk["id"] for chunk in chunks if "id" in chunk} == {"c1"}
    assert chunks[0]["object"] == "chat.completion.chunk"
    assert chunks[0]["model"] == "fake"


def test_tokens_that_fail_midway_have_no_done(live, connect, capfd):
    async def tokens():
        yield "a"
        raise ValueError("the model fell over")

    server = Server()
    server.route("GET", "/", lambda: TokenStream(tokens()))
    answer = connect(live(server)).exchange(GET)
    assert answer.is_torn
    assert b"[DONE]" not in answer.body
    assert "the model fell over" in capfd.readouterr().err


def test_middleware_sees_a_stream_as_any_other(live, connect):
    async def events(request):
        return EventSourceResponse(async_items(["x"]))

    app = Starlette(routes=[Route("/", events)], middleware=[Middleware(GZipMiddleware)])
    answer = connect(live(app)).exchange(request_bytes("GET", "/", headers=[("accept-encoding", "gzip")]))
    # GZip leaves event streams alone.
    assert answer.body == b"data: x\n\n"


def test_background_runs_after_the_stream(live, connect):
    from starlette.background import BackgroundTask

    ran = threading.Event()
    answer = connect(live(fastapi(lambda: async_items(["x"]), background=BackgroundTask(ran.set)))).exchange(GET)
    assert answer.body == b"data: x\n\n"
    assert ran.wait(10)
