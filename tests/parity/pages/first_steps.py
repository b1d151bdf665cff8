"""First Steps; and the wire forms that any route must take: methods, HEAD, slashes, HTTP/1.0."""

from ..case import flow, get, page, raw, request, sent

CASES = page(
    "First Steps",
    "first_steps",
    get("hello", "/"),
    get("a def route answers as an async one", "/sync"),
    get("None is null", "/nothing"),
    get("a list of every JSON type", "/list"),
    get("text with escapes and emoji", "/text"),
    get("an integer wider than 64 bits", "/number"),
    *(
        request(f"{method} reaches its route", method, "/thing")
        for method in ("PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE")
    ),
    request("HEAD reaches its route and has no body", "HEAD", "/thing"),
    request("HEAD of a route for GET and HEAD", "HEAD", "/both"),
    request("HEAD of a route for GET alone is refused", "HEAD", "/"),
    request("a method the route lacks is refused with Allow", "POST", "/"),
    request("a method no route has is refused with Allow", "PROPFIND", "/"),
    request("OPTIONS where no route takes it", "OPTIONS", "/"),
    get("an unknown path is not found", "/nowhere"),
    request("POST to an unknown path is not found", "POST", "/nowhere", body=b"{}"),
    get("a missing slash redirects", "/with-slash"),
    get("a missing slash redirects and keeps the query", "/with-slash?a=1&b=%20"),
    request("a POST to a missing slash redirects", "POST", "/with-slash"),
    get("an extra slash redirects", "/without-slash/"),
    get("two slashes are not one", "//"),
    get("an empty segment is not found", "/without-slash//"),
    get("a redirect names the host that was asked", "/with-slash", headers={"host": "example.org:81"}),
    raw("a GET in HTTP/1.0", "GET", "/", b"GET / HTTP/1.0\r\nhost: testserver\r\n\r\n"),
    raw("a HEAD in HTTP/1.0", "HEAD", "/both", b"HEAD /both HTTP/1.0\r\nhost: testserver\r\n\r\n"),
    raw(
        "a request with connection: close",
        "GET",
        "/",
        b"GET / HTTP/1.1\r\nhost: testserver\r\nconnection: close\r\n\r\n",
    ),
    raw("header names in capitals", "GET", "/", b"GET / HTTP/1.1\r\nHOST: testserver\r\nACCEPT: */*\r\n\r\n"),
    request("a GET with a body that nobody reads", "GET", "/", body=b"x" * 70_000),
    flow(
        "a connection serves several requests",
        sent("GET", "/"),
        sent("POST", "/thing"),
        sent("GET", "/nowhere"),
        sent("GET", "/"),
    ),
    flow(
        "an unread body is not taken for the next request",
        sent("POST", "/thing", body=b"GET /nowhere HTTP/1.1\r\n\r\n"),
        sent("GET", "/"),
    ),
    get("a fragment-like path is a path", "/%23"),
)
