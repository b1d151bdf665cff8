"""Raw routes: plain functions, no framework. `turboapi run examples.raw:server`, or run this file."""

from turboapi_rs import RawRequest, Server

server = Server()


@server.get("/")
def hello() -> dict[str, str]:
    """A dict is JSON."""
    return {"message": "Hello World"}


@server.get("/items/{item_id}")
def read_item(item_id: int, q: str | None = None) -> dict[str, int | str | None]:
    """Path and query parameters are converted before Python is entered."""
    return {"item_id": item_id, "q": q}


@server.post("/echo")
def echo(body: bytes) -> tuple[int, str, bytes]:
    """The 3-tuple: status, content type, body."""
    return 200, "application/octet-stream", body


@server.get("/agent")
def agent(request: RawRequest) -> tuple[int, str, str, dict[str, str]]:
    """The 4-tuple: the same with headers."""
    return 200, "text/plain; charset=utf-8", request.header("user-agent") or "", {"vary": "user-agent"}


@server.get("/count/{to}")
def count(to: int) -> tuple[int, str, bytes, object, dict[str, str]]:
    """The 5-tuple: an iterator, sync or async, is streamed."""
    return 200, "text/plain", b"", (f"{number}\n" for number in range(to)), {"cache-control": "no-store"}


server.static_response("/health", "ok")

if __name__ == "__main__":
    server.run()
