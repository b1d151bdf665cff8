"""Handling Errors."""

from dataclasses import replace

from ..case import flow, get, page, post_json, request, sent

CASES = (
    *page(
        "Handling Errors",
        "handling_errors",
        get("no error", "/items/foo"),
        get("an HTTPException", "/items/bar"),
        get("an HTTPException with headers and a dict", "/headers"),
        get("an HTTPException from a def route", "/sync"),
        get("an HTTPException with a list", "/list-detail"),
        get("an HTTPException without detail", "/no-detail/404"),
        get("an HTTPException of a code without a name", "/no-detail/499"),
        get("an HTTPException of 204", "/no-detail/204"),
        get("an HTTPException of 304", "/no-detail/304"),
        get("an HTTPException of 500", "/no-detail/500"),
        get("an exception of Starlette's", "/starlette"),
        get("an exception with a handler", "/unicorns/yolo"),
        get("a subclass of an exception with a handler", "/unicorns/pony"),
        get("a sync handler for a builtin exception", "/zero"),
        get("an exception nobody handles", "/unhandled"),
        get("an exception nobody handles in a def route", "/unhandled-sync"),
        get("an exception group", "/group"),
        get("a return that breaks the model", "/return-wrong"),
        post_json("a validation error", "/items/", {"title": "towel", "size": "XL"}),
        flow("a connection goes on after a server error", sent("GET", "/unhandled"), sent("GET", "/items/foo")),
        request("a method not allowed", "DELETE", "/items/foo"),
    ),
    *page(
        "Handling Errors: overridden handlers",
        "handling_errors:overriding",
        get("HTTPException as text", "/items/3"),
        get("not found as text", "/nowhere"),
        request("method not allowed as text", "POST", "/items/3"),
        get("a validation error without a body", "/items/x"),
        post_json("a validation error with its body", "/items/", {"title": "towel", "size": "XL"}),
        post_json("a validation error with a list as body", "/items/", [1]),
        post_json("a validation error with broken JSON", "/items/", raw=b'{"title": x}'),
        post_json("a validation error of two bodies", "/two/", {"item": {}, "n": "x"}),
        request("a validation error with a body of bytes", "POST", "/items/", body=b"abc"),
        get("a response validation error", "/wrong"),
        get("any exception", "/crash"),
    ),
    *page(
        "Handling Errors: reused handlers",
        "handling_errors:reusing",
        flow(
            "handlers log and pass on",
            sent("GET", "/items/3"),
            sent("GET", "/items/x"),
            sent("GET", "/items/4"),
            sent("GET", "/nowhere"),
            sent("DELETE", "/items/1"),
            sent("GET", "/seen"),
        ),
    ),
    replace(get("debug off hides the traceback", "/crash"), page="Handling Errors", app="handling_errors:debugging"),
)
