"""Raw routes, and serving.

Owns: `Server` (routes read from signatures, once), `serve` (any application, until a signal).
Does not own: sockets and calls (`turboapi_rs._core`), compiling FastAPI routes (`turboapi_rs.plans`).
Rule: what cannot be served is refused when it is declared, by name.
"""

from __future__ import annotations

import contextlib
import inspect
import re
import signal
import socket
import sys
import threading
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, Union

from turboapi_rs._core import CoreServer, Request, StartupError, set_log_level
from turboapi_rs.config import ConfigError, ServerConfig, check_gil
from turboapi_rs.loading import AppTarget

__all__ = ["ConfigError", "RouteError", "Server", "StartupError", "blocking", "direct", "serve"]

_Param = tuple[str, str, str, bool, object, bool]

_SCALARS = {int: "int", float: "float", bool: "bool", str: "str"}

#: Bytes of a static response's body.
MAX_STATIC_BYTES = 1024 * 1024


class RouteError(TypeError):
    """A route cannot be served as it is declared. The text names handler and parameter."""


def direct[Handler: Callable[..., Any]](handler: Handler) -> Handler:
    """Mark a function that never blocks. Only a mark so far: raw handlers run on the worker with or without it."""
    handler.__turboapi_pin__ = "direct"  # type: ignore[attr-defined]
    return handler


def blocking[Handler: Callable[..., Any]](handler: Handler) -> Handler:
    """Mark a function that blocks. Only a mark so far: raw handlers run on the worker all the same."""
    handler.__turboapi_pin__ = "blocking"  # type: ignore[attr-defined]
    return handler


class Server:
    """Routes that call plain functions, without a framework.

    A handler is called with what its signature asks for: path and query parameters (`int`, `float`, `bool`, `str`,
    optional, with a default, `list[...]` for repeated query keys), the raw body (`bytes`), the request (`RawRequest`).
    It returns one of the shapes of the dispatch protocol (docs/protocol.md).

    Threads: add routes before `start`; handlers run on all workers at once.

    Example:
        >>> server = Server()
        >>> @server.get("/items/{item_id}")
        ... def read_item(item_id: int, q: str | None = None):
        ...     return {"item_id": item_id, "q": q}
    """

    def __init__(self) -> None:
        self._routes: list[tuple[str, str, Callable[..., Any], str, list[_Param], bool]] = []
        self._static: list[tuple[str, int, str, bytes, list[tuple[str, str]]]] = []
        self._core: CoreServer | None = None
        self._lock = threading.Lock()

    def route(self, method: str, path: str, handler: Callable[..., Any] | None = None) -> Any:
        """Add a route; without `handler`, a decorator that adds it.

        Args:
            method: HTTP method, such as `"GET"`. GET answers HEAD as well.
            path: `"/items/{item_id}"`; `{rest:path}` takes the rest of the path.
            handler: called as the signature says.

        Raises:
            RouteError: the signature asks for what a raw route has not.
            RuntimeError: the server was started already.
        """
        if handler is None:
            return lambda function: self.route(method, path, function)
        params = _read_params(path, handler)
        is_async = inspect.iscoroutinefunction(handler)
        with self._lock:
            self._refuse_when_started()
            self._routes.append((method.upper(), path, handler, _name_of(handler), params, is_async))
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
        max_age: float = 0.0,
    ) -> None:
        """Answer `path` with a fixed response that never enters Python.

        Args:
            path: absolute path to match exactly, such as `"/health"`. No parameters.
            body: response body. `str` is encoded as UTF-8. At most 1 MiB.
            status: HTTP status code, 200 to 599.
            content_type: by default `text/plain; charset=utf-8` for `str`, `application/octet-stream` for `bytes`.
            headers: further fields.
            max_age: seconds sent in `Cache-Control: max-age`. 0 sends no header.

        Raises:
            ValueError: `path` has a parameter, `status` is out of range, the body is too large.
            RuntimeError: the server was started already.

        Threads: call before `start`. The stored bytes are read by all workers and never written again.

        Source: RFC 9111 section 5.2.2.1 (max-age). No FastAPI counterpart.

        Example:
            >>> server = Server()
            >>> server.static_response("/health", "ok")
        """
        if not path.startswith("/") or "{" in path:
            raise ValueError(f"path {path!r}: a static response has an absolute path without parameters")
        if not 200 <= status <= 599:
            raise ValueError(f"status {status} is outside 200..=599")
        data = body.encode() if isinstance(body, str) else bytes(body)
        if len(data) > MAX_STATIC_BYTES:
            raise ValueError(f"a static body of {len(data)} bytes is larger than {MAX_STATIC_BYTES}")
        if content_type is None:
            content_type = "text/plain; charset=utf-8" if isinstance(body, str) else "application/octet-stream"
        pairs = list((headers or {}).items())
        if max_age > 0:
            pairs.append(("cache-control", f"max-age={int(max_age)}"))
        with self._lock:
            self._refuse_when_started()
            self._static.append((path, status, content_type, data, pairs))

    def install(self, core: CoreServer) -> None:
        """Give all routes to a native server.

        Raises:
            ValueError: a pattern is malformed or conflicts with another.
        """
        for method, path, handler, name, params, is_async in self._routes:
            try:
                core.route(method, path, handler, name=name, params=params, is_async=is_async)
            except ValueError as error:
                raise ValueError(f"route {method} {path} ({name}): {error}") from None
        for path, status, content_type, body, headers in self._static:
            try:
                core.static_response(path, status, content_type, body, headers)
            except ValueError as error:
                raise ValueError(f"static response {path}: {error}") from None

    def run(self, config: ServerConfig | None = None, **settings: Any) -> None:
        """Serve until SIGINT or SIGTERM. See `serve`."""
        serve(self, config, **settings)

    def _refuse_when_started(self) -> None:
        if self._core is not None:
            raise RuntimeError("the server was started already")


def make_core(app: Any, config: ServerConfig, *, fds: list[int] | None = None) -> CoreServer:
    """Make the native server of an application: a `Server`, a FastAPI app, or any ASGI 3 app.

    Args:
        app: the application.
        config: settings.
        fds: listening sockets to serve on, in place of those that `config` names.

    Raises:
        ConfigError: a setting is wrong, or `app` is no application.
    """
    check_gil(config)
    set_log_level(config.log_level)
    settings = config.to_core()
    if fds is not None:
        settings.update(bind="fd", fds=fds)
    core = CoreServer(settings)
    if isinstance(app, Server):
        app.install(core)
        with app._lock:
            app._core = core
    elif callable(app):
        core.host_asgi(_as_asgi3(app))
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

    Threads: on the main thread, signals stop the server (a second one cuts it) and their handlers are put back
    afterwards. On another thread no signal is handled: stop it through `testing.LiveServer` or your own means.
    """
    config = ServerConfig.of(config, **settings)
    if isinstance(app, str):
        app = AppTarget(app)
    if config.isolation == "processes":
        return _serve_from_processes(app, config)
    core = make_core(app.load() if isinstance(app, AppTarget) else app, config)
    with _signals(core):
        core.start()
        print(banner(core, config), file=sys.stderr, flush=True)
        wait(core)


def _serve_from_processes(app: Any, config: ServerConfig) -> None:
    if not isinstance(app, AppTarget):
        raise ConfigError("isolation: 'processes' needs the application as a string, such as 'main:app'")
    if threading.current_thread() is not threading.main_thread():
        raise ConfigError("isolation: 'processes' is supervised by the main thread, and this is another one")
    from turboapi_rs.supervisor import supervise

    supervise(app, config)


def banner(core: CoreServer, config: ServerConfig) -> str:
    """Say in one line where and how a server runs."""
    where = ", ".join(
        f"http://{address}" if not address.startswith("unix:") else address for address in core.addresses()
    )
    is_on = getattr(sys, "_is_gil_enabled", lambda: True)()
    version = ".".join(map(str, sys.version_info[:3]))
    built_without = "t" if "free-threading" in sys.version else ""
    gil = "GIL on" if is_on else "GIL off"
    workers = core.workers()
    return (
        f"turboapi: serving on {where} (Python {version}{built_without}, {gil}; "
        f"{workers} worker{'s' if workers != 1 else ''}, {core.driver()}, isolation {config.isolation})"
    )


def wait(core: CoreServer) -> None:
    """Wait for the end of a server. On the main thread, signal handlers run as soon as their signal comes.

    A signal that arrives just before a lock is waited for would be seen only when the lock is released. A byte in a
    socket, written by the interpreter's own C handler, cannot be missed.
    """
    if threading.current_thread() is not threading.main_thread():
        core.join()
        return
    awake, wake = socket.socketpair()
    wake.setblocking(False)
    fault: list[BaseException] = []
    done = threading.Event()

    def join() -> None:
        try:
            core.join()
        except BaseException as error:
            fault.append(error)
        finally:
            done.set()
            with contextlib.suppress(BlockingIOError):
                wake.send(b"\0")

    before = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    try:
        waiter = threading.Thread(target=join, name="turboapi-join", daemon=True)
        waiter.start()
        # A signal of before the descriptor was set has had its handler run by now: starting a thread runs bytecode.
        while not done.is_set():
            awake.recv(64)
        waiter.join()
    finally:
        signal.set_wakeup_fd(before)
        awake.close()
        wake.close()
    if fault:
        raise fault[0]


@contextlib.contextmanager
def _signals(core: CoreServer) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: types.FrameType | None) -> None:
        if not core.is_running():
            # Still starting: there is nothing to drain.
            raise KeyboardInterrupt
        core.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _name_of(handler: Callable[..., Any]) -> str:
    module = getattr(handler, "__module__", None)
    name = getattr(handler, "__qualname__", None) or type(handler).__qualname__
    return f"{module}.{name}" if module else name


def _read_params(path: str, handler: Callable[..., Any]) -> list[_Param]:
    """Read what a handler wants from its signature."""
    name = _name_of(handler)
    try:
        signature = inspect.signature(handler, eval_str=True)
    except (NameError, ValueError, TypeError) as error:
        raise RouteError(f"{name}: its signature cannot be read: {error}") from error
    in_path = {part.split(":")[0].lstrip("*") for part in re.findall(r"{([^}]*)}", path)}
    params = [_read_param(name, parameter, in_path) for parameter in signature.parameters.values()]
    for missing in sorted(in_path - {param[1] for param in params if param[0] == "path"}):
        if not any(param[0] == "request" for param in params):
            raise RouteError(f"{name}: the path has {{{missing}}}, which the handler does not take")
    return params


def _read_param(handler: str, parameter: inspect.Parameter, in_path: set[str]) -> _Param:
    name, annotation = parameter.name, parameter.annotation
    where = f"{handler}, parameter {name!r}"
    if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
        raise RouteError(f"{where}: arguments are passed by position")
    required = parameter.default is parameter.empty
    default = None if required else parameter.default
    if annotation is Request:
        return ("request", name, "request", True, None, False)
    if annotation is bytes or (name == "body" and annotation is parameter.empty):
        return ("body", name, "bytes", True, None, False)
    kind, is_list = _scalar_of(where, annotation)
    if name in in_path:
        if is_list:
            raise RouteError(f"{where}: a path parameter is no list")
        return ("path", name, kind, True, None, False)
    return ("query", name, kind, required, default, is_list)


def _scalar_of(where: str, annotation: Any) -> tuple[str, bool]:
    """Name the scalar, and say whether it is a list of them."""
    if annotation is inspect.Parameter.empty:
        return "str", False
    origin = typing.get_origin(annotation)
    if origin in (Union, types.UnionType):
        members = [member for member in typing.get_args(annotation) if member is not type(None)]
        if len(members) == 1:
            return _scalar_of(where, members[0])
    if origin is list:
        (member,) = typing.get_args(annotation)
        if member in _SCALARS:
            return _SCALARS[member], True
    if annotation in _SCALARS:
        return _SCALARS[annotation], False
    shown = getattr(annotation, "__name__", annotation)
    raise RouteError(f"{where}: {shown} is none of int, float, bool, str, a list of one, bytes or RawRequest")
