"""Middleware, and Advanced Middleware."""

from ..case import flow, get, page, post_json, request, sent

GZIP = {"accept-encoding": "gzip"}

CASES = (
    *page(
        "Middleware",
        "middleware",
        get("adds a header and state", "/", headers={"x-request-id": "7"}),
        get("answers in place of the app", "/", headers={"x-stop": "1"}),
        get("sees an HTTPException as a response", "/refused"),
        get("catches what the app raises", "/crash"),
        get("sees an answer to an unknown path", "/nowhere"),
        get("passes a stream", "/stream"),
        post_json("passes a body", "/items", {"n": 1}),
        post_json("reads a body before the app", "/items", {"n": 1}, headers={"x-peek": "1"}),
        post_json("sees a validation error as a response", "/items", {"n": "x"}),
        request("a method not allowed", "PUT", "/"),
        request("HEAD through middleware", "HEAD", "/stream"),
    ),
    *page(
        "Advanced Middleware",
        "middleware:zipped",
        get("GZip: a long body", "/long", headers=GZIP),
        get("GZip: not asked for", "/long"),
        get("GZip: not accepted", "/long", headers={"accept-encoding": "gzip;q=0"}),
        get("GZip: among others", "/long", headers={"accept-encoding": "br, gzip;q=0.5, *"}),
        get("GZip: a short body", "/short", headers=GZIP),
        get("GZip: JSON from a def route", "/json", headers=GZIP),
        get("GZip: a stream", "/stream", headers=GZIP),
        get("GZip: a file", "/file", headers=GZIP),
        get("GZip: a file, not asked for", "/file"),
        get("GZip: a part of a file", "/file", headers={**GZIP, "range": "bytes=100-899"}),
        get("GZip: a static file", "/site/numbers.bin", headers=GZIP),
        get("GZip: a static file, not asked for", "/site/numbers.bin"),
        get("GZip: encoded already", "/encoded", headers=GZIP),
        get("GZip: events are left alone", "/events", headers=GZIP),
        get("GZip: an error", "/nowhere", headers=GZIP),
        request("GZip: HEAD of a GET route", "HEAD", "/long", headers=GZIP),
    ),
    *page(
        "Advanced Middleware",
        "middleware:hosted",
        get("TrustedHost: allowed", "/", headers={"host": "example.com"}),
        get("TrustedHost: allowed with a port", "/", headers={"host": "example.com:8000"}),
        get("TrustedHost: allowed by a wildcard", "/", headers={"host": "a.b.example.org"}),
        get("TrustedHost: in capitals", "/", headers={"host": "EXAMPLE.com"}),
        get("TrustedHost: not allowed", "/", headers={"host": "evil.com"}),
        get("TrustedHost: a name that only ends alike", "/", headers={"host": "notexample.org"}),
        get("TrustedHost: IPv6", "/", headers={"host": "[::1]:8000"}),
    ),
    *page(
        "Advanced Middleware",
        "middleware:www",
        get("TrustedHost: redirected to www", "/?a=1", headers={"host": "example.com"}),
    ),
    *page(
        "Advanced Middleware",
        "middleware:secure",
        get("HTTPSRedirect", "/?a=1", headers={"host": "example.com"}),
        get("HTTPSRedirect: an unknown path", "/x y".replace(" ", "%20"), headers={"host": "example.com:8000"}),
        request("HTTPSRedirect: a POST", "POST", "/", headers={"host": "example.com"}, body=b"x"),
    ),
    *page(
        "Advanced Middleware",
        "middleware:session",
        get("Session: empty", "/get"),
        get("Session: a forged cookie", "/get", headers={"cookie": "session=eyJhIjoxfQ==.x.y"}),
        flow("Session: none kept without its cookie", sent("GET", "/get"), sent("GET", "/get")),
    ),
)
