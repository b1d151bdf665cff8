"""Raw routes, and serving.

Owns: `Server` (routes read from signatures, once), `serve` (any application, until a signal).
Does not own: signatures (`signatures`), starting and waiting (`serving`), sockets and calls (`turboapi_rs._core`),
compiling FastAPI routes (`turboapi_rs.plans`).
Rule: what cannot be served is refused when it is declared, by name.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import re
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from turboapi_rs import gil
from turboapi_rs._core import CoreServer, StartupError, set_log_level
from turboapi_rs.config import ConfigError, ServerConfig
from turboapi_rs.loading import AppTarget
from turboapi_rs.serving import Serving, check_descriptors, serve_until_signal
from turboapi_rs.signatures import RouteError, name_of, read_params

__all__ = ["ConfigError", "RouteError", "Server", "StartupError", "blocking", "direct", "serve"]

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


class Server:
    """Routes that call plain functions, without a framework.

    A handler is called with what its signature asks for: path and query parameters (`int`, `float`, `bool`, `str`,
    optional, with a default, `list[...]` for repeated query keys), the raw body (`bytes`), the request (`RawRequest`),
    the body as it arrives (`Upload`).
    It returns one of the shapes of the dispatch protocol (docs/protocol.md).

    Threads: add routes before `start` or after the end; handlers run on all workers at once.

    Example:
        >>> server = Server()
        >>> @server.get("/items/{item_id}")
        ... def read_item(item_id: int, q: str | None = None):
        ...     return {"item_id": item_id, "q": q}
        >>> import urllib.request
        >>> with server.start(port=0, workers=1):
        ...     urllib.request.urlopen(server.url + "/items/7?q=x").read()
        b'{"item_id":7,"q":"x"}'
    """

    def __init__(self) -> None:
        #: Given to a native server in this order: the first route that takes a path wins.
        self._entries: list[Callable[[Any], None]] = []
        #: Method and path without names of parameters, of what was added.
        self._taken: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        #: Native servers that have these routes and have not ended.
        self._holders = 0
        self._serving: Serving | None = None

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
            >>> server = Server()
            >>> server.static_response("/health", "ok")
        """
        rendered = _static(path, body, status, content_type, headers, max_age)

        def install(core: CoreServer) -> None:
            try:
                core.static_response(path, *rendered)
            except ValueError as error:
                raise ValueError(f"static response {path}: {error}") from None

        self._add("GET", path, install)

    def publish(
        self,
        path: str,
        body: bytes | str,
        *,
        status: int = 200,
        content_type: str | None = None,
        headers: dict[str, str] | None = None,
        max_age: float = 0,
    ) -> None:
        """Replace the static response of `path` while the server runs.

        The new one is rendered first and put in place whole: each request gets the old one or the new one. The next
        `start` begins with what `static_response` was given.

        Args:
            path: as `static_response` was given it; the others as for `static_response`.

        Raises:
            ValueError, TypeError: as `static_response`, or the path has no static response.
            RuntimeError: the server does not run.

        Threads: any, also handlers.

        Example:
            >>> server = Server()
            >>> server.static_response("/motd", "good morning")
            >>> import urllib.request
            >>> with server.start(port=0, workers=1):
            ...     server.publish("/motd", "good evening")
            ...     urllib.request.urlopen(server.url + "/motd").read()
            b'good evening'
        """
        self._running().core.publish_static(path, *_static(path, body, status, content_type, headers, max_age))

    def take_routes(self, other: Server) -> None:
        """Serve by the routes and static responses of another `Server`, in place of all of one's own, while running.

        Each request is answered by one table of routes, the one that was there when its head was read; those before it
        are let go of when the last of their requests has ended. The next `start` begins with one's own routes again.

        Args:
            other: routes in the making; it stays as it is, and may go on to make further ones.

        Raises:
            ValueError: as `start`: a pattern of `other` is malformed, or one takes all paths of a later one.
            RuntimeError: the server does not run.

        Threads: any, also handlers. Of two calls at once the one that ends last counts.

        Example:
            >>> server, night = Server(), Server()
            >>> @server.get("/")
            ... def day():
            ...     return "day"
            >>> @night.get("/")
            ... def moon():
            ...     return "night"
            >>> import urllib.request
            >>> with server.start(port=0, workers=1):
            ...     server.take_routes(night)
            ...     urllib.request.urlopen(server.url).read()
            b'night'
        """
        serving = self._running()
        made = CoreServer(serving.config.to_core())
        other.install(made)
        serving.core.take_routes(made)

    def _running(self) -> Serving:
        serving = self._serving
        if serving is None or not serving.is_running:
            raise RuntimeError("the server does not run")
        return serving

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

    def start(self, config: ServerConfig | None = None, **settings: Any) -> Server:
        """Start serving, and return when requests are answered. Of use in a `with` block, which stops it at its end.

        Args:
            config: settings; single ones may be given by name as well. With `port=0` the system picks a port, and
                `url` says which.

        Raises:
            ConfigError, OSError, StartupError: as `serve`. The server is then as it was before, and may be started
                again.
            RuntimeError: it was started already.

        Threads: any. No signal is handled: `stop` ends it, and so does the end of the program.
        """
        serving = make_serving(self, ServerConfig.of(config, **settings), is_own=True)
        serving.start()
        return self

    def stop(self) -> None:
        """Begin the drain, and return at once; a second call cuts what is left. Nothing when it was not started."""
        serving = self._serving
        if serving is not None:
            serving.stop()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the server has ended; False when `timeout` seconds did not suffice.

        Raises:
            RuntimeError: a worker died.
        """
        serving = self._serving
        return serving.join(timeout) if serving is not None else True

    @property
    def is_running(self) -> bool:
        """True from the end of `start` until the last worker has ended."""
        serving = self._serving
        return serving is not None and serving.is_running

    @property
    def addresses(self) -> list[str]:
        """Where it listens: `127.0.0.1:8000`, `unix:/path`. Empty before `start`."""
        serving = self._serving
        return serving.addresses if serving is not None else []

    @property
    def url(self) -> str:
        """Where it listens, such as `http://127.0.0.1:8000`.

        Raises:
            RuntimeError: it was not started.
        """
        serving = self._serving
        if serving is None or not serving.addresses:
            raise RuntimeError("the server was not started")
        return serving.url

    def __enter__(self) -> Server:
        if not self.is_running:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.join()

    def run(self, config: ServerConfig | None = None, **settings: Any) -> None:
        """Serve until SIGINT or SIGTERM. See `serve`."""
        serve(self, config, **settings)

    def routes_state(self) -> list[dict[str, Any]]:
        """Tell where the calls of each plain function run, as `Serving.routes_state`. Empty before `start`."""
        serving = self._serving
        return serving.routes_state() if serving is not None else []

    def offload_state(self) -> dict[str, int]:
        """Tell what the offload pool does, as `Serving.offload_state`. Empty before `start`."""
        serving = self._serving
        return serving.offload_state() if serving is not None else {}

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


def _static(
    path: str,
    body: bytes | str,
    status: int,
    content_type: str | None,
    headers: dict[str, str] | None,
    max_age: float,
) -> tuple[int, str, bytes, list[tuple[str, str]]]:
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


def make_serving(app: Any, config: ServerConfig, *, is_own: bool = False, fds: list[int] | None = None) -> Serving:
    """Make the server of an application, unstarted. While it lives, the routes of a `Server` stay as they are.

    Args:
        is_own: it is the one that the `Server` itself stops and joins.
        fds: as for `make_core`.

    Raises:
        ConfigError: a setting is wrong, or `app` is no application.
    """
    if config.isolation == "processes":
        raise ConfigError("isolation: 'processes' is for `serve` with the application as a string")
    config, line = gil.settle(config)
    check_descriptors(config)
    if not isinstance(app, Server):
        return Serving(make_core(app, config, fds=fds), config, lambda: None, notice=line)
    with app._lock:
        if is_own and app._serving is not None and not app._serving.has_ended:
            raise RuntimeError("the server was started already")
        app._holders += 1
    try:
        serving = Serving(make_core(app, config, fds=fds), config, app._release, notice=line)
    except BaseException:
        app._release()
        raise
    if is_own:
        app._serving = serving
    return serving


def make_core(app: Any, config: ServerConfig, *, fds: list[int] | None = None) -> CoreServer:
    """Make the native server of an application: a `Server`, a FastAPI app, any ASGI 3 app, or where one is to be found.

    Args:
        app: the application.
        config: settings.
        fds: listening sockets to serve on, in place of those that `config` names; other processes serve on them too.

    Raises:
        ConfigError: a setting is wrong, or `app` is no application.
    """
    set_log_level(config.log_level)
    settings = config.to_core()
    if fds is not None:
        settings.update(bind="fd", fds=fds, shares_listener=True)
    core = CoreServer(settings)
    if isinstance(app, str):
        app = AppTarget(app)
    if config.isolation == "interpreters":
        if not isinstance(app, AppTarget):
            raise ConfigError("isolation: 'interpreters' needs the application as a string, such as 'main:app'")
        # Its static types are made by the interpreter that imports it first, which must be the one that ends last:
        # CPython 3.13.0 aborts otherwise.
        import datetime  # noqa: F401

        core.host_isolated(app.target, app.app_dir, app.factory, list(sys.path))
        return core
    if isinstance(app, AppTarget):
        app = app.load()
    if isinstance(app, Server):
        app.install(core)
    elif callable(app):
        core.host_asgi(_as_asgi3(app))
        if "fastapi" in sys.modules:
            from turboapi_rs import plans

            plans.install(core, app, root_path=config.root_path)
    else:
        raise ConfigError(f"app: {app!r} is neither a Server nor an ASGI application")
    return core


def _as_asgi3(app: Any) -> Any:
    """Wrap an ASGI 2 application (called with the scope alone) as uvicorn does."""
    if inspect.isclass(app):
        is_double = not hasattr(app, "__await__")
    else:
        call = app if inspect.isfunction(app) or inspect.ismethod(app) else type(app).__call__
        is_double = False
        if not inspect.iscoroutinefunction(call):
            with contextlib.suppress(TypeError, ValueError):
                is_double = len(inspect.signature(app).parameters) == 1
    if not is_double:
        return app

    async def single(scope: Any, receive: Any, send: Any) -> None:
        await app(scope)(receive, send)

    return single


def serve(app: Any, config: ServerConfig | None = None, **settings: Any) -> None:
    """Serve an application until SIGINT or SIGTERM, then drain.

    Args:
        app: a `Server`, a FastAPI or `TurboAPI` app, or any ASGI 3 application; or a string that names one, such as
            `"main:app"`, which other isolations than `"shared"` need.
        config: settings; single ones may be given by name as well.

    Raises:
        ConfigError: a setting is wrong.
        AppNotFound: a string leads to no application.
        OSError: the address cannot be listened on.
        StartupError: the application refused to start; the text is its own.
        WorkersFailed: isolation `"processes"`: the workers do not start, or do not end as they should.
        KeyboardInterrupt, SystemExit: SIGINT, or SIGTERM (code 143), came while the application was starting. Its
            lifespan task is cancelled.

    Threads: on the main thread, signals stop the server (a second one cuts it) and their handlers are put back
    afterwards. On another thread none is handled: use `Server.start` or `testing.LiveServer`, which can be stopped.
    """
    config = ServerConfig.of(config, **settings)
    if config.isolation == "processes":
        app = AppTarget(app) if isinstance(app, str) else app
        return _serve_from_processes(app, config)
    if isinstance(app, AppTarget) and config.isolation == "shared":
        try:
            app = app.load()
        except KeyboardInterrupt:
            print("turboapi: stopped by SIGINT while the application was imported", file=sys.stderr, flush=True)
            raise
    serve_until_signal(make_serving(app, config))


def _serve_from_processes(app: Any, config: ServerConfig) -> None:
    if not isinstance(app, AppTarget):
        raise ConfigError("isolation: 'processes' needs the application as a string, such as 'main:app'")
    if threading.current_thread() is not threading.main_thread():
        raise ConfigError("isolation: 'processes' is supervised by the main thread, and this is another one")
    from turboapi_rs.supervisor import supervise

    check_descriptors(config)
    supervise(app, config)
