"""Raw routes as they are declared.

Owns: `RawRoutes` (routes read from signatures, once; static responses; folders of files), the marks `direct` and
`blocking`.
Does not own: signatures (`signatures`), serving (`server`), sockets and calls (`turboapi_rs._core`).
Rule: what cannot be served is refused when it is declared, by name.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from turboapi_rs.signatures import RouteError, name_of, read_params

if TYPE_CHECKING:
    from turboapi_rs._core import CoreServer

__all__ = ["RawRoutes", "blocking", "direct"]

#: A static response, as the native server renders it: status, content type, body, fields.
type StaticSpec = tuple[int, str, bytes, list[tuple[str, str]]]

#: Bytes of a static response's body.
MAX_STATIC_BYTES = 1024 * 1024

#: What `symlinks` of static files may be.
SYMLINKS = ("inside", "never", "anywhere")

#: Seconds that `max_age` may be: RFC 9111 section 1.2.2 has caches hold no larger number.
MAX_AGE_SECONDS = 2**31


def cache_control(max_age: float) -> list[tuple[str, str]]:
    """Make the field of an answer that may be kept so many seconds; none for 0."""
    # Written so that NaN is refused, which is neither above nor below anything.
    if not isinstance(max_age, (int, float)) or not (0 <= max_age <= MAX_AGE_SECONDS and max_age == int(max_age)):
        raise ValueError(f"max_age: {max_age!r} is not a whole number of seconds from 0 to {MAX_AGE_SECONDS}")
    return [("cache-control", f"max-age={int(max_age)}")] if max_age else []


def direct[Handler: Callable[..., Any]](handler: Handler) -> Handler:
    """Pin a plain function to the worker: it is called there always, however long it takes.

    Raw handlers of a `Server` run there anyway; FastAPI `def` routes earn it by being fast.
    """
    handler.__turboapi_pin__ = "direct"  # type: ignore[attr-defined]
    return handler


def blocking[Handler: Callable[..., Any]](handler: Handler) -> Handler:
    """Pin a plain function to the offload pool: it may block there without holding up other connections."""
    handler.__turboapi_pin__ = "blocking"  # type: ignore[attr-defined]
    return handler


def pin_of(handler: Any, default: str) -> str:
    """Tell where a plain function is pinned: `"direct"`, `"blocking"`, or `default` when it has no mark."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    pin: str = getattr(handler, "__turboapi_pin__", default)
    return pin


class RawRoutes:
    """Routes that call plain functions, static responses and folders of files, in the order of their declaration.

    Threads: any thread adds; nothing is added while a native server holds them.
    """

    def __init__(self) -> None:
        #: Given to a native server in this order: the first route that takes a path wins.
        self._entries: list[Callable[[Any], None]] = []
        #: Method and path without names of parameters, of what was added.
        self._taken: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        #: Native servers that have these routes and have not ended.
        self._holders = 0

    def route(self, method: str, path: str, handler: Callable[..., Any] | None = None) -> Any:
        """Add a route; without `handler`, a decorator that adds it.

        Args:
            method: HTTP method, such as `"GET"`. GET answers HEAD as well.
            path: `"/items/{item_id}"`; `{rest:path}` takes the rest of the path.
            handler: called as the signature says.

        Raises:
            RouteError: the signature asks for what a raw route has not, or `@blocking` marks an `async def` function.
            ValueError: the method has a route for the path already.
            RuntimeError: the server was started and has not ended.
        """
        if handler is None:
            return lambda function: self.route(method, path, function)
        method = method.upper()
        params = read_params(path, handler)
        is_async = inspect.iscoroutinefunction(handler)
        name = name_of(handler)
        if is_async and pin_of(handler, "") == "blocking":
            raise RouteError(f"{name}: @blocking is for plain functions; this one runs on the event loop")
        pin = pin_of(handler, "direct")
        if not is_async and any(param[0] == "upload" for param in params):
            if pin_of(handler, "") == "direct":
                raise RouteError(
                    f"{name}: a plain function that takes an Upload waits for its body; it cannot be @direct"
                )
            pin = "blocking"

        def install(core: CoreServer) -> None:
            try:
                core.route(method, path, handler, name=name, params=params, is_async=is_async, pin=pin)
            except ValueError as error:
                raise ValueError(f"route {method} {path} ({name}): {error}") from None

        self._add(method, path, install)
        return handler

    def get(self, path: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate the handler of a GET route."""
        return self.route("GET", path)

    def post(self, path: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate the handler of a POST route."""
        return self.route("POST", path)

    def put(self, path: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate the handler of a PUT route."""
        return self.route("PUT", path)

    def patch(self, path: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate the handler of a PATCH route."""
        return self.route("PATCH", path)

    def delete(self, path: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate the handler of a DELETE route."""
        return self.route("DELETE", path)

    def static_response(
        self,
        path: str,
        body: bytes | str,
        *,
        status: int = 200,
        content_type: str | None = None,
        headers: dict[str, str] | None = None,
        max_age: float = 0,
    ) -> None:
        """Answer `path` with a fixed response that never enters Python.

        Args:
            path: absolute path to match exactly, such as `"/health"`. No parameters.
            body: response body. `str` is encoded as UTF-8. At most 1 MiB.
            status: HTTP status code, 200 to 599.
            content_type: by default `text/plain; charset=utf-8` for `str`, `application/octet-stream` for `bytes`.
            headers: further fields.
            max_age: whole seconds sent in `Cache-Control: max-age`, up to 2**31. 0 sends no header.

        Raises:
            ValueError: `path` has a parameter or a route already, `status` or `max_age` is out of range, the body is
                too large.
            TypeError: the body is neither `bytes` nor `str`.
            RuntimeError: the server was started and has not ended.

        Threads: call before `start`. The stored bytes are read by all workers and never written again.

        Source: RFC 9111 section 5.2.2.1 (max-age). No FastAPI counterpart.

        Example:
            >>> from turboapi_rs import Server
            >>> server = Server()
            >>> server.static_response("/health", "ok")
        """
        rendered = read_static(path, body, status, content_type, headers, max_age)

        def install(core: CoreServer) -> None:
            try:
                core.static_response(path, rendered)
            except ValueError as error:
                raise ValueError(f"static response {path}: {error}") from None

        self._add("GET", path, install)

    def static_files(
        self,
        prefix: str,
        directory: str | os.PathLike[str],
        *,
        index: str | None = None,
        max_age: float = 0,
        headers: dict[str, str] | None = None,
        precompressed: bool = True,
        hidden: bool = False,
        symlinks: str = "inside",
    ) -> None:
        """Serve the files of a folder below `prefix`, without entering Python.

        Ranges (single and several), entity tags, `Last-Modified` and all conditions are answered; a file is sent by
        the kernel, and is never held in memory. An entity tag is made of the time of the last change, in nanoseconds,
        and the size: replace files by renaming new ones over them.

        Args:
            prefix: absolute path without parameters, such as `"/static"`; `"/"` serves all that no earlier route takes.
            directory: the folder. It is opened now, and served even if it is renamed later.
            index: file that answers for a folder, such as `"index.html"`; a folder's path without its last slash is
                redirected there (307). None: a folder is 404.
            max_age: whole seconds sent in `Cache-Control: max-age`, up to 2**31. 0 sends no header.
            headers: further fields of every answer with a file.
            precompressed: `app.js.br`, `app.js.zst` or `app.js.gz` is sent for `app.js` where it is there and the
                client takes it. Keep them as new as the file itself: that is not checked.
            hidden: names that begin with a dot are served too.
            symlinks: which symbolic links are followed: `"inside"`, relative ones that stay in the folder; `"never"`;
                `"anywhere"`: whoever may make a link in the folder then chooses what is served.

        Raises:
            OSError: there is no such folder, or it may not be entered. It names the folder.
            ValueError: `prefix` has a parameter or is no path, `max_age` or `symlinks` is none of what is allowed, a
                route takes all of these paths already, or `index` is no plain name.
            RuntimeError: the server was started and has not ended.

        Threads: call before `start`. Workers share the open folder, and write nothing.

        Source: RFC 9110 sections 13 and 14. Starlette: `StaticFiles`.

        Example:
            >>> import pathlib, tempfile, urllib.request
            >>> from turboapi_rs import Server
            >>> folder = tempfile.TemporaryDirectory()
            >>> pathlib.Path(folder.name, "a.txt").write_text("hello") and None
            >>> server = Server()
            >>> server.static_files("/static", folder.name)
            >>> with server.start(port=0, workers=1):
            ...     urllib.request.urlopen(server.url + "/static/a.txt").read()
            b'hello'
            >>> folder.cleanup()
        """
        if not prefix.startswith("/") or "{" in prefix:
            raise ValueError(f"prefix {prefix!r}: files are served below an absolute path without parameters")
        if index is not None and (not index or "/" in index or index in (".", "..") or "\0" in index):
            raise ValueError(f"index {index!r} is not the plain name of a file")
        if symlinks not in SYMLINKS:
            raise ValueError(f"symlinks: {symlinks!r} is not one of {', '.join(SYMLINKS)}")
        folder = os.path.abspath(directory)
        if not os.path.isdir(folder):
            os.listdir(folder)  # raises the system's own reason
        pairs = list((headers or {}).items())
        pairs += cache_control(max_age)

        def install(core: CoreServer) -> None:
            try:
                core.static_files(
                    prefix,
                    folder,
                    pairs,
                    index=index,
                    precompressed=precompressed,
                    hidden=hidden,
                    symlinks=symlinks,
                )
            except ValueError as error:
                raise ValueError(f"static files {prefix}: {error}") from None

        self._add("GET", prefix.rstrip("/") + "/{path:path}", install)

    def install(self, core: CoreServer) -> None:
        """Give all routes to a native server.

        Raises:
            ValueError: a pattern is malformed, or an earlier route takes all of its paths.
        """
        for entry in list(self._entries):
            entry(core)

    def _add(self, method: str, path: str, install: Callable[[Any], None]) -> None:
        # What a parameter is called makes no other path; a convertor does.
        shape = (method, re.sub(r"{[^:{}]*", "{", path).replace("{:str}", "{}"))
        with self._lock:
            if self._holders:
                raise RuntimeError("the server was started already")
            if shape in self._taken:
                raise ValueError(f"route {method} {path}: there is one already")
            self._taken.add(shape)
            self._entries.append(install)

    def _release(self) -> None:
        with self._lock:
            self._holders -= 1


def read_static(
    path: str,
    body: bytes | str,
    status: int,
    content_type: str | None,
    headers: dict[str, str] | None,
    max_age: float,
) -> StaticSpec:
    """Check a static response; give what the native server renders."""
    if not path.startswith("/") or "{" in path:
        raise ValueError(f"path {path!r}: a static response has an absolute path without parameters")
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        raise ValueError(f"status {status!r} is outside 200..=599")
    if not isinstance(body, (bytes, bytearray, memoryview, str)):
        raise TypeError(f"a static body is bytes or str, not {type(body).__name__}")
    data = body.encode() if isinstance(body, str) else bytes(body)
    if len(data) > MAX_STATIC_BYTES:
        raise ValueError(f"a static body of {len(data)} bytes is larger than {MAX_STATIC_BYTES}")
    if content_type is None:
        content_type = "text/plain; charset=utf-8" if isinstance(body, str) else "application/octet-stream"
    pairs = list((headers or {}).items())
    pairs += cache_control(max_age)
    return status, content_type, data, pairs
