"""Smaller pages, each with its own heading."""

import gzip

from ...support.bodies import Upload
from ..case import (
    flow,
    get,
    page,
    post_chunked,
    post_form,
    post_json,
    post_multipart,
    raw,
    request,
    sent,
    sent_json,
)

GZIPPED = {"content-encoding": "gzip"}

CASES = (
    *page(
        "Lifespan Events",
        "misc",
        get("startup ran once, with its state", "/events"),
        flow(
            "lifespan state is shared, its mapping is not",
            sent("GET", "/shared-state"),
            sent("GET", "/own-state"),
            sent("GET", "/shared-state"),
        ),
    ),
    *page("Lifespan Events", "misc:old", get("startup handlers of the older style", "/events")),
    *page(
        "Additional Responses in OpenAPI",
        "misc",
        get("the declared one", "/additional/foo"),
        get("the additional one", "/additional/bar"),
        get("another type", "/image"),
        get("the schema", "/openapi.json"),
    ),
    *page(
        "Using Dataclasses",
        "misc",
        post_json("a dataclass", "/dataclass", {"name": "Foo", "price": 3}),
        post_json("a dataclass, defaults", "/dataclass", {"name": "Foo"}),
        post_json("a dataclass, wrong", "/dataclass", {"price": "x", "tags": [1]}),
        post_json("a list of dataclasses", "/authors/a/items/", [{"name": "x"}, {"name": "y", "tags": ["t"]}]),
        post_json("a list of dataclasses, wrong", "/authors/a/items/", [{}, 1]),
        get("nested dataclasses out", "/authors/"),
    ),
    *page(
        "Custom Request and APIRoute class",
        "misc",
        post_json("a request class of its own", "/sum", raw=gzip.compress(b"[1,2,3]", mtime=0), headers=GZIPPED),
        post_json("a request class of its own, not needed", "/sum", [1, 2]),
        post_json(
            "a request class of its own, wrong body", "/sum", raw=gzip.compress(b"[1,'x']", mtime=0), headers=GZIPPED
        ),
        post_json("a request class of its own, broken gzip", "/sum", raw=b"\x1f\x8b", headers=GZIPPED),
        post_json("a route class that catches", "/caught", [1, "x"]),
        post_json("a route class that adds", "/caught", [1, 2]),
    ),
    *page(
        "Using the Request Directly",
        "misc",
        get("every part of the URL", "/echo/a%20b/%C3%A9/c?d=%20e&f", headers={"host": "example.org:8080"}),
        request("the body", "POST", "/echo/", body=b"raw \xff body"),
        raw(
            "an absolute target",
            "GET",
            "/echo/x",
            b"GET http://example.org/echo/x?y=1 HTTP/1.1\r\nhost: example.org\r\n\r\n",
        ),
        raw("HTTP/1.0", "GET", "/echo/x", b"GET /echo/x HTTP/1.0\r\nhost: example.org\r\n\r\n"),
        request("a streamed body", "POST", "/stream-in", body=b"z" * 300_000),
        post_chunked(
            "a chunked streamed body", "/stream-in", b"a" * 10, b"b" * 70_000, b"c", content_type="text/plain"
        ),
        post_json("JSON by hand", "/json-in", {"a": [1, None]}),
        post_json("JSON by hand, broken", "/json-in", raw=b"{"),
        get("tasks and timeouts of asyncio", "/concurrent"),
    ),
    *page(
        "JSON with bytes as base64",
        "misc",
        post_json("base64 both ways", "/base64", {"data": "aGVsbG8="}),
        post_json("base64 that is none", "/base64", {"data": "!"}),
        post_json("base64 without padding", "/base64", {"data": "aGVsbG8"}),
    ),
    *page(
        "SQL (Relational) Databases",
        "misc",
        get("a row", "/heroes/2"),
        get("a row with a null", "/heroes/1"),
        get("no row", "/heroes/3"),
        get("an id that is none", "/heroes/x"),
    ),
    *page(
        "Strict Content-Type",
        "misc:lax",
        request("no type", "POST", "/items/", body=b'{"message":"m"}'),
        request("another type", "POST", "/items/", headers={"content-type": "text/plain"}, body=b'{"message":"m"}'),
        post_json("the right type", "/items/", {"message": "m"}),
        request("no type and broken JSON", "POST", "/items/", body=b"{"),
    ),
    *page(
        "Request Body Limits",
        "misc:limits",
        post_json("under the limit", "/items", {"a": "x" * 900}),
        post_json("over the limit", "/items", {"a": "x" * 1000}),
        post_chunked("over the limit without a length", "/items", b'{"a":"', b"x" * 600, b"x" * 600, b'"}'),
        post_json("exactly the limit", "/raw", raw=b"x" * 1000),
        post_json("one over the limit", "/raw", raw=b"x" * 1001),
        post_json("over the limit where nobody reads", "/ignored", raw=b"x" * 1001),
        post_multipart("a router's own limit", "/uploads/", [("file", Upload("a", b"x" * 3000))]),
        post_multipart("over a router's own limit", "/uploads/", [("file", Upload("a", b"x" * 6000))]),
        post_multipart("over a route's own limit", "/uploads/small", [("file", Upload("a", b"x" * 600))]),
        flow(
            "a connection after a refusal",
            sent_json("POST", "/items", {"a": "x" * 1000}),
            sent_json("POST", "/items", {"a": 1}),
        ),
    ),
    *page(
        "Form Limits",
        "misc:forms",
        post_form("fields within the limit", "/notes", [("text", "a"), ("b", "c")]),
        post_form("fields over the limit", "/notes", [("text", "a")] * 4),
        post_multipart("a part within the limit", "/documents", [("text", "x" * 50)]),
        post_multipart("a part over the limit", "/documents", [("text", "x" * 51)]),
    ),
)
