"""Custom Response; Return a Response Directly; Response Cookies; Response Headers; Stream Data."""

from ..case import flow, get, page, post_json, raw, request, sent

CASES = (
    *page(
        "Custom Response",
        "custom_response",
        *(
            get(name.replace("-", " "), f"/{name}")
            for name in (
                "html",
                "html-response",
                "text",
                "text-dict",
                "redirect",
                "redirect-class",
                "redirect-302",
                "json",
                "json-model",
                "indented",
                "xml",
                "empty",
                "no-type",
                "bare-class",
                "text-type",
                "stream",
                "stream-sync",
                "stream-text",
                "stream-length",
                "stream-nothing",
                "stream-fails",
                "stream-fails-first",
            )
        ),
        request("HEAD of a class for HTML", "HEAD", "/html"),
        raw("a stream in HTTP/1.0", "GET", "/stream", b"GET /stream HTTP/1.0\r\nhost: t\r\n\r\n"),
        flow(
            "a connection goes on after a stream", sent("GET", "/stream"), sent("GET", "/empty"), sent("GET", "/text")
        ),
    ),
    *page(
        "Custom Response",
        "custom_response:html_app",
        get("a default class", "/"),
        get("a class over the default", "/json"),
        get("a model under a default class that takes text", "/model"),
        get("an error under a default class", "/nowhere"),
    ),
    *page(
        "Stream Data",
        "custom_response",
        get("yielded text", "/yield-text"),
        get("yielded bytes", "/yield-bytes"),
        get("yielded bytes, none", "/yield-bytes?n=0"),
        get("yielded bytes, wrong", "/yield-bytes?n=x"),
        get("yielded under an own class", "/yield-png"),
    ),
    *page(
        "Response Cookies, Response Headers",
        "custom_response",
        get("on the parameter", "/header-and-cookie"),
        get("on a response", "/header-direct"),
        get("in a dependency", "/by-dependency"),
        get("in a dependency, with a response", "/by-dependency-direct"),
        get("a long cookie", "/long-cookie", headers={"size": "4000", "cookie": "session=abc"}),
    ),
    *page(
        "Return a Response Directly",
        "custom_response",
        post_json("an encoded model", "/items/x", {"title": "t", "timestamp": "2024-01-02T03:04:05"}, method="PUT"),
        post_json("an encoded model, wrong", "/items/x", {"title": "t"}, method="PUT"),
    ),
)
