"""Background Tasks."""

from ..case import flow, fresh, page, request, sent


def logged(name, target, lines):
    """A POST, then the log that its tasks left."""
    return flow(name, sent("POST", target), fresh(sent("GET", f"/log?count={lines}")))


CASES = page(
    "Background Tasks",
    "background",
    logged("from a handler and a dependency, in order", "/send/a@b.c?q=x", 4),
    logged("from a handler alone", "/send/a@b.c", 3),
    logged("from a def handler", "/sync", 1),
    logged("one that fails ends the rest, not the answer", "/fails", 1),
    flow("none after an error", sent("POST", "/refused"), sent("POST", "/sync"), fresh(sent("GET", "/log?count=1"))),
    logged("on a response", "/on-response", 1),
    logged("on a response instead of the handler's", "/both", 1),
    logged("after a stream", "/stream", 2),
    logged("in the context of the request", "/context", 1),
    request("a wrong method starts none", "GET", "/sync"),
)
