"""An application in the interpreter of one worker.

Owns: the stand-in for the native half, which refuses to be loaded into a second interpreter; loading an
application there.
Does not own: the interpreter, and calling handlers (the native half does both, from outside).
Rule: what cannot be served here is refused at the start, in one line that says what to use instead.
Imported by the native half, in a worker's interpreter, before anything else of this package.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import types
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NoReturn, Self

if TYPE_CHECKING:
    from turboapi_rs.raw_routes import StaticSpec

__all__ = ["CoreServer", "FormError", "Request", "Upload", "load"]


class ConfigError(ValueError):
    """A setting is wrong; the text says which."""


class StartupError(RuntimeError):
    """The application refused to start."""


class Request:
    """One whole request, as a raw handler sees it: the native class's likeness."""

    __slots__ = (
        "_ask",
        "_target",
        "body",
        "client",
        "headers",
        "http_version",
        "method",
        "path",
        "path_params",
        "query_params",
        "query_string",
        "raw_path",
    )

    def __init__(
        self,
        method: str,
        path: str,
        raw_path: bytes,
        query_string: bytes,
        query_params: list[tuple[str, str]],
        path_params: dict[str, str],
        headers: list[tuple[str, str]],
        body: bytes,
        http_version: str,
        client: tuple[str, int] | None,
        target: str,
        ask: Callable[[], bool] | None,
    ) -> None:
        self.method = method
        self.path = path
        self.raw_path = raw_path
        self.query_string = query_string
        self.query_params = query_params
        self.path_params = path_params
        self.headers = headers
        self.body = body
        self.http_version = http_version
        self.client = client
        self._target = target
        # Set later by the native half, if the handler turns out to answer later.
        self._ask = ask

    def header(self, name: str, default: str | None = None) -> str | None:
        """The first field of that name, in any case, or `default`."""
        wanted = name.lower()
        return next((value for found, value in self.headers if found == wanted), default)

    def is_disconnected(self) -> bool:
        """True once the client has left, or was cut off, before its response was whole."""
        return self._ask is not None and self._ask()

    def __repr__(self) -> str:
        return f"<Request {self.method} {self._target}>"


class FormError(ValueError):
    """A form is broken or passes a limit: the native class's likeness."""


class Upload:
    """A body as it arrives: the native class's likeness."""

    __slots__ = ("_anext", "_next", "_save_to", "form", "read", "request")

    def __init__(
        self,
        request: Request,
        take_next: Callable[[], bytes],
        take_anext: Callable[[], Awaitable[bytes]],
        read: Callable[[], Any],
        save_to: Callable[[str | os.PathLike[str]], Any],
        form: Callable[[], Any],
    ) -> None:
        self.request = request
        self._next = take_next
        self._anext = take_anext
        self.read = read
        self._save_to = save_to
        self.form = form

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        return self._next()

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[bytes]:
        return self._anext()

    def save_to(self, path: str | os.PathLike[str]) -> Any:
        """As the native one: by position or by name, which a function of the native half's does not take."""
        return self._save_to(path)


class CoreServer:
    """Notes what a `Server` installs."""

    def __init__(self) -> None:
        self.routes: list[tuple[Any, ...]] = []
        self.static: list[tuple[Any, ...]] = []
        self.folders: list[tuple[Any, ...]] = []

    def route(
        self, method: str, path: str, handler: Any, *, name: str, params: list[Any], is_async: bool, pin: str
    ) -> None:
        """As the native one."""
        self.routes.append((method, path, handler, name, params, is_async, pin))

    def static_response(self, path: str, response: StaticSpec) -> None:
        """As the native one."""
        self.static.append((path, response))

    def static_files(self, prefix: str, directory: str, headers: list[tuple[str, str]], **options: Any) -> None:
        """As the native one."""
        self.folders.append((prefix, os.fspath(directory), headers, options))


def _stand_in() -> types.ModuleType:
    module = types.ModuleType("turboapi_rs._core", "What there is of the native half in a worker's interpreter.")
    for thing in (ConfigError, StartupError, FormError, Request, Upload, CoreServer):
        setattr(module, thing.__name__, thing)
    module.__getattr__ = _absent  # type: ignore[method-assign]
    return module


def _absent(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)

    def refuse(*arguments: Any, **named: Any) -> NoReturn:
        raise RuntimeError(f"turboapi_rs._core.{name} is not there in the interpreter of a worker")

    return refuse


Loaded = tuple[str | None, list[Any], list[Any], list[Any], tuple[type[Request], type[Upload]], Any]
"""Why an application cannot be served here (or None), its routes, its static responses, its folders of files, the
classes of its requests and of their bodies; the application itself, if it is an ASGI one."""

CLASSES = (Request, Upload)


def load(target: str, app_dir: str, factory: bool) -> Loaded:
    """Import an application into this interpreter."""
    sys.modules["turboapi_rs._core"] = _stand_in()
    from turboapi_rs.loading import AppNotFound
    from turboapi_rs.loading import load as load_app
    from turboapi_rs.server import Server, as_asgi3

    core = CoreServer()
    try:
        app = load_app(target, app_dir=app_dir, factory=factory)
    except AppNotFound as error:
        return _refused(_refusing_module(error) or str(error))
    if not isinstance(app, Server):
        return None, [], [], [], CLASSES, as_asgi3(app)
    app.install(core)  # type: ignore[arg-type]
    return None, core.routes, core.static, core.folders, CLASSES, None


def _refused(reason: str) -> Loaded:
    return reason, [], [], [], CLASSES, None


def leave() -> None:
    """Wait for the application's threads; the last call before the interpreter ends."""
    import threading

    threading._shutdown()  # type: ignore[attr-defined]
    # A worker is no thread of Python's, so `threading` keeps a stand-in for it, which complains when it is deleted
    # after the module it belongs to.
    with contextlib.suppress(AttributeError):
        vars(threading._thread_local_info).clear()  # type: ignore[attr-defined]


def _refusing_module(error: BaseException) -> str | None:
    """Name the extension module that does not let itself be imported here, if that is the cause."""
    cause: BaseException | None = error
    while cause is not None:
        text = str(cause)
        found = re.search(r"module (\S+) does not support loading in subinterpreters", text)
        if isinstance(cause, ImportError) and (found or "subinterpreter" in text):
            name = found[1] if found else cause.name or text
            name += _importer(cause)
            return (
                f"isolation: 'interpreters' needs modules that can be imported into more than one interpreter, and "
                f"{name} refuses: use isolation 'processes', or 'shared'"
            )
        cause = cause.__cause__ or cause.__context__
    return None


def _importer(error: BaseException) -> str:
    """Say which module's import raised."""
    trace = error.__traceback__
    importer = ""
    while trace is not None:
        name = trace.tb_frame.f_globals.get("__name__", "")
        if name and not name.startswith(("importlib", "turboapi_rs.")):
            importer = f" (imported by {name})"
        trace = trace.tb_next
    return importer
