"""Serving: a `Server` of raw routes, or any application.

Owns: `Server` (raw routes that are served), `serve` (any application, until a signal), making native servers.
Does not own: what a route is (`raw_routes`), starting and waiting (`serving`), sockets and calls
(`turboapi_rs._core`), compiling FastAPI routes (`turboapi_rs.plans`).
Rule: while a native server lives, its routes are added to by nobody.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import threading
from types import TracebackType
from typing import Any

from turboapi_rs import gil
from turboapi_rs._core import CoreServer, StartupError, set_log_level
from turboapi_rs.config import ConfigError, ServerConfig
from turboapi_rs.loading import AppTarget
from turboapi_rs.raw_routes import RawRoutes, blocking, direct, read_static
from turboapi_rs.serving import Serving, check_descriptors, serve_until_signal
from turboapi_rs.signatures import RouteError

__all__ = ["ConfigError", "RouteError", "Server", "StartupError", "blocking", "direct", "serve"]


class Server(RawRoutes):
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
        super().__init__()
        self._serving: Serving | None = None
        #: Its own one is being made. Written under the lock, as `_serving` is.
        self._is_making = False

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
        self._running().core.publish_static(path, read_static(path, body, status, content_type, headers, max_age))

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
        if is_own:
            # One of two threads that come here at once goes on: a second server would be nobody's to stop.
            if app._is_making or (app._serving is not None and not app._serving.has_ended):
                raise RuntimeError("the server was started already")
            app._is_making = True
        app._holders += 1
    serving = None
    try:
        serving = Serving(make_core(app, config, fds=fds), config, app._release, notice=line)
    except BaseException:
        app._release()
        raise
    finally:
        if is_own:
            with app._lock:
                app._is_making = False
                app._serving = serving or app._serving
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
        core.host_asgi(as_asgi3(app))
        if "fastapi" in sys.modules:
            from turboapi_rs import plans

            plans.install(core, app, root_path=config.root_path)
    else:
        raise ConfigError(f"app: {app!r} is neither a Server nor an ASGI application")
    return core


def as_asgi3(app: Any) -> Any:
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
