"""The HTTP scope: what is in it, and in which form."""

from __future__ import annotations

import pytest

from tests.asgi.apps import Seen, answer, http
from tests.support.wire import request_bytes


@pytest.fixture
def ask(live, connect):
    """Sends bytes to an app that notes its scope; gives the scope and the connection."""

    def send(data: bytes, **settings):
        seen = Seen()

        @http
        async def app(scope, receive, send):
            seen.put(scope)
            await answer(send)

        connection = connect(live(app, **settings))
        assert connection.exchange(data).status == 200
        return seen.next(), connection

    return send


def test_scope_holds_every_key_of_the_specification(ask):
    scope, connection = ask(request_bytes("GET", "/a?b=c"))
    assert scope["type"] == "http"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.3"}
    assert scope["http_version"] == "1.1"
    assert scope["method"] == "GET"
    assert scope["scheme"] == "http"
    assert scope["path"] == "/a"
    assert scope["raw_path"] == b"/a"
    assert scope["query_string"] == b"b=c"
    assert scope["root_path"] == ""
    assert tuple(scope["client"]) == connection.local_address
    assert tuple(scope["server"]) == connection.address


def test_extensions_are_absent_unless_supported(ask):
    scope, _ = ask(request_bytes("GET", "/"))
    assert set(scope.get("extensions") or {}) <= {"http.response.pathsend", "http.response.trailers"}


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        ("/a%20b", "/a b", b"/a%20b", b""),
        ("/%C3%A9", "/é", b"/%C3%A9", b""),
        ("/a%2Fb", "/a/b", b"/a%2Fb", b""),
        ("/a+b", "/a+b", b"/a+b", b""),
        ("/?", "/", b"/", b""),
        ("/x?a=%20&b=c?d", "/x", b"/x", b"a=%20&b=c?d"),
        ("//a//b", "//a//b", b"//a//b", b""),
        ("/a/../b", "/a/../b", b"/a/../b", b""),
        ("/%25", "/%", b"/%25", b""),
        ("http://testserver/abs?q", "/abs", b"/abs", b"q"),
        ("http://testserver", "/", b"/", b""),
    ],
)
def test_path_is_decoded_once_and_raw_path_is_as_sent(ask, target, path, raw_path, query):
    scope, _ = ask(request_bytes("GET", target))
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, raw_path, query)


def test_headers_are_lower_case_in_order_with_repeats(ask):
    fields = (("X-B", "1"), ("x-a", "2"), ("X-B", "3"), ("X-Empty", ""))
    scope, _ = ask(request_bytes("GET", "/", headers=fields))
    # Pairs are tuples: frameworks put them into sets.
    assert scope["headers"] == [
        (b"host", b"testserver"),
        (b"x-b", b"1"),
        (b"x-a", b"2"),
        (b"x-b", b"3"),
        (b"x-empty", b""),
    ]
    assert all(isinstance(part, bytes) for pair in scope["headers"] for part in pair)


def test_header_values_keep_bytes_beyond_ascii(ask):
    scope, _ = ask(b"GET / HTTP/1.1\r\nhost: x\r\nx-a:  caf\xc3\xa9\xff \r\n\r\n")
    assert dict(scope["headers"])[b"x-a"] == b"caf\xc3\xa9\xff"


def test_http_1_0_is_named(ask):
    scope, _ = ask(b"GET / HTTP/1.0\r\nhost: x\r\n\r\n")
    assert scope["http_version"] == "1.0"


def test_method_is_as_sent(ask):
    scope, _ = ask(request_bytes("PROPFIND", "/"))
    assert scope["method"] == "PROPFIND"


def test_root_path_is_given_and_joined(ask):
    scope, _ = ask(request_bytes("GET", "/a%20b"), root_path="/api")
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/api", "/api/a b", b"/api/a%20b")


def test_scopes_of_one_connection_are_apart(live, connect):
    seen = Seen()

    @http
    async def app(scope, receive, send):
        seen.put((scope.get("mark"), scope["headers"] is seen))
        scope["mark"] = True
        scope["headers"].append((b"own", b"1"))
        scope["asgi"]["own"] = 1
        await answer(send)

    connection = connect(live(app))
    for _ in range(3):
        assert connection.exchange(request_bytes("GET", "/")).status == 200
        assert seen.next() == (None, False)
