"""Dependencies with yield: entering and leaving, errors, scopes, streams, contexts."""

from ..case import flow, fresh, get, page, sent


def logged(name, target, lines):
    """A GET, then the log that it left."""
    return flow(name, sent("GET", target), fresh(sent("GET", f"/log?count={lines}")))


CASES = page(
    "Dependencies with yield",
    "dependencies_yield",
    logged("around an async handler", "/plain", 4),
    logged("around a def handler", "/sync", 3),
    logged("nested: left in reverse order", "/nested", 7),
    logged("no error", "/raise/nothing", 3),
    logged("sees the handler's HTTPException", "/raise/http", 3),
    logged("sees the handler's crash", "/raise/crash", 3),
    get("turns an error into another", "/translate?bad=1"),
    get("has nothing to turn", "/translate"),
    logged("swallows an error", "/swallow", 1),
    get("raises at its exit", "/fail-at-exit"),
    get("raises at its exit before the answer", "/fail-at-function-exit"),
    logged("is left when another fails to enter", "/fail-at-enter", 3),
    logged("scopes: function before the answer, request after", "/scopes", 7),
    logged("around a stream", "/stream", 8),
    get("sets a context variable for its handler", "/context"),
    flow("leaves no context variable to the next request", sent("GET", "/context"), sent("GET", "/no-context")),
    logged("uses a context manager", "/manager", 3),
    logged("limited to one at a time", "/limited", 3),
    logged("is entered although a parameter is wrong", "/invalid?n=x", 3),
)
