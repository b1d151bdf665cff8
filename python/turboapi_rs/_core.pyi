"""The native half. Use it through `turboapi_rs.Server` and `turboapi_rs.serve`."""

import os
from collections.abc import Callable
from typing import Any, Literal, Self, TypedDict, final

class ConfigError(ValueError):
    """A setting is wrong. The text says which, and what is allowed."""

class StartupError(RuntimeError):
    """The application refused to start. The text is the application's own."""

@final
class Request:
    """One whole request, as a raw handler sees it. Read-only; safe from any thread."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str:
        """Percent-decoded."""
    @property
    def raw_path(self) -> bytes:
        """As sent."""
    @property
    def query_string(self) -> bytes: ...
    @property
    def query_params(self) -> list[tuple[str, str]]:
        """In order, repeats kept."""
    @property
    def path_params(self) -> dict[str, str]: ...
    @property
    def headers(self) -> list[tuple[str, str]]:
        """Names in lower case, in order, repeats kept."""
    def header(self, name: str, default: str | None = None) -> str | None: ...
    @property
    def body(self) -> bytes: ...
    @property
    def http_version(self) -> str: ...
    @property
    def client(self) -> tuple[str, int] | None: ...
    def is_disconnected(self) -> bool:
        """Tell whether the client has left, or was cut off, before its response was whole.

        Returns:
            True once that is so, and from then on. A client that closes or resets its connection has left; so has one
            that ends its sending side, unless `half_close` is set. False once the response was sent whole. False, too,
            to a plain function that runs on the worker: until it returns nothing is noticed. Its stream, its
            awaitable, an `async def` handler (after each `await` that waits) and a `@blocking` one find it out.

        Raises:
            Nothing.

        Threads: any; it does not wait.

        Source: ASGI's `http.disconnect`; Starlette's `Request.is_disconnected`, which is awaited.

        Example:
            >>> @server.get("/search")
            ... @blocking
            ... def search(request: RawRequest):
            ...     for part in parts:
            ...         if request.is_disconnected():
            ...             return None
            ...         look_into(part)
        """

@final
class MiddlewareStack:
    """Starlette's middleware, run natively around compiled routes: layers from the outside in."""

    def __new__(cls, layers: list[tuple[str, dict[str, object]]]) -> Self:
        """Take what `turboapi_rs.plans.middleware.read` gives.

        Raises:
            ValueError: a header would not be allowed on the wire, or a pattern is not one that can be compiled here.
        """
    def trial(
        self,
        head: bytes,
        status: int,
        fields: list[tuple[bytes, bytes]],
        pieces: list[bytes],
        *,
        is_stream: bool = False,
        scheme: str = "http",
        server: tuple[str, int | None] | None = None,
        root_path: str = "",
    ) -> tuple[bool, int, list[tuple[bytes, bytes]], int | None, list[bytes]]:
        """One request, and the response that an application would give, through the layers. For tests.

        Returns:
            Whether the application is asked, status, fields, `content-length`, pieces of the body.
        """

@final
class CoreServer:
    """One native server: routes are added, then it is started, stopped and joined, once."""

    def __new__(cls, settings: dict[str, object]) -> Self: ...
    def route(
        self,
        method: str,
        path: str,
        handler: Callable[..., Any],
        *,
        name: str,
        params: list[tuple[str, str, str, bool, object, bool]],
        is_async: bool,
        pin: str = "direct",
    ) -> None: ...
    def plan_route(self, methods: list[str], path: str, run: Callable[..., Any], **options: object) -> None: ...
    def set_middleware(self, stack: MiddlewareStack) -> None: ...
    def answer_unmatched(
        self, paths: list[tuple[str, str]], redirect_slashes: bool, is_current: Callable[[], bool]
    ) -> None: ...
    def set_root_path(self, root_path: str) -> None: ...
    def watch_routes(self, lists: list[list[Any]], do_hold: Callable[[], bool]) -> None: ...
    def asgi_route(self, method: str | None, path: str) -> None: ...
    def routes_state(self) -> list[dict[str, Any]]: ...
    def offload_state(self) -> dict[str, int]: ...
    def static_response(self, path: str, response: tuple[int, str, bytes, list[tuple[str, str]]]) -> None: ...
    def publish_static(self, path: str, response: tuple[int, str, bytes, list[tuple[str, str]]]) -> None: ...
    def take_routes(self, other: CoreServer) -> None: ...
    def static_files(
        self,
        prefix: str,
        directory: str | os.PathLike[str],
        headers: list[tuple[str, str]],
        *,
        index: str | None,
        precompressed: bool,
        hidden: bool,
        symlinks: str,
    ) -> None: ...
    def host_asgi(self, app: Callable[..., Any]) -> None: ...
    def host_isolated(self, target: str, app_dir: str, factory: bool, path: list[str]) -> None: ...
    def start(self) -> None:
        """Bind, start workers and application, listen. Returns when serving.

        Raises:
            OSError: the address cannot be listened on.
            ConfigError: a setting is wrong.
            StartupError: the application refused to start.
        """
    def note_last(self) -> None:
        """All processes that share the socket end: the drain takes what waits there. Before `stop`. Any thread."""
    def stop(self) -> None:
        """Begin the drain; a second call cuts what is left. Any thread."""
    def cut(self) -> None:
        """Cut everything; a start that is still under way fails. Any thread."""
    def join(self) -> None:
        """Wait, detached, until every worker has ended."""
    def is_running(self) -> bool: ...
    def addresses(self) -> list[str]: ...
    def driver(self) -> str: ...
    def requests(self) -> int:
        """Begun since the start."""
    def workers(self) -> int: ...

class _BuildInfo(TypedDict):
    version: str
    python: str
    free_threaded: bool
    gil_enabled: bool
    #: What `driver="auto"` runs on here, tried for real.
    driver: str
    #: Why that is not io_uring.
    uring_refusal: str | None
    #: Cores that this process may use.
    cores: int

def build_info() -> _BuildInfo:
    """What this build is, and what it can do here."""

def interpreters_left_behind() -> int:
    """Interpreters of workers that could not be ended: the process must then end by `os._exit`."""

def set_log_level(level: str) -> None:
    """Send log lines of this level and above to standard error."""

def _note_call_back() -> None: ...
def _step_here() -> float: ...
def drive(coroutine: Any) -> Any:
    """Run a coroutine that does not suspend to its end, and give its result.

    Raises:
        RuntimeError: it suspended, and was closed.
    """

def advance(generator: Any, ended: object) -> Any:
    """Run an asynchronous generator that does not suspend to its next `yield`; `ended` at its end.

    Raises:
        RuntimeError: it suspended elsewhere.
    """

def _json_dumps(value: object, default: Callable[[object], object] | None = None) -> bytes: ...
def _json_loads(text: bytes) -> Any: ...
def _json_check(text: bytes) -> Literal["ok"] | tuple[str, int] | None: ...

@final
class _Writer:
    """JSON of the instances of a response model, as Pydantic writes it."""

    def __new__(cls, spec: tuple[Any, ...]) -> _Writer: ...
    def dump(self, value: object) -> bytes | None: ...

@final
class _Validator:
    def __new__(cls, schema: object, validator: object | None = None) -> Self: ...
    @staticmethod
    def at(schema: object, place: list[str], validator: object | None = None) -> _Validator: ...
    @staticmethod
    def members(members: list[tuple[str, object, bool, bool]]) -> _Validator: ...
    @staticmethod
    def merge(answers: list[bytes]) -> bytes: ...
    def check(self, input: bytes | str | list[str] | None) -> tuple[str, bytes | None]: ...
    def build(self, input: bytes | str | list[str] | None) -> Any: ...
    def left_to_pydantic(self) -> list[str]: ...

def encode_event_item(item: object) -> bytes:
    """One item of a stream of events, as bytes."""

def jsonable_bytes(value: object) -> bytes | None: ...

class FormError(ValueError):
    """A form is broken, or passes a limit. `args` are the text, which names the rule, and the status: 400 or 413."""

@final
class Upload:
    """A request body as it arrives, for raw handlers: taken piece by piece, poured into a file, or read as a form.

    In a coroutine: `async for piece in upload`, `await upload.save_to(path)`. In a plain function, which runs on the
    offload pool: `for piece in upload`, `upload.save_to(path)`. The client is told to go on (`100 Continue`)
    when the body is first asked for, and waits while it is not taken.

    Raises, from all that takes of the body:
        ConnectionResetError: the client left before its body was whole.
        RuntimeError: the body was taken already, or in the wrong way for where the handler runs; or a task awaits its
            next piece, which one may do at a time.

    Threads: any number may iterate a body, each piece goes to one of them; what takes the rest of it takes it once.
    """

    @property
    def request(self) -> Request:
        """The request, without its body."""
    def __iter__(self) -> Self: ...
    def __next__(self) -> bytes: ...
    def __aiter__(self) -> Self: ...
    def __anext__(self) -> Any: ...
    def read(self) -> Any:
        """All that is left. `bytes`, or an awaitable of it."""
    def save_to(self, path: str | os.PathLike[str]) -> Any:
        """Write what is left to a file, which takes its name when it is whole; gives its bytes, or an awaitable of it.

        Raises:
            OSError: the disk's. Nothing is left of the file.
        """
    def form(self) -> Any:
        """Read `multipart/form-data`; gives a `uploads.Form`, or an awaitable of it.

        Raises:
            FormError: it is broken or passes a limit. A handler that lets it pass answers 400 or 413.
        """

def parse_form(content_type: bytes, pieces: list[bytes]) -> Any:
    """Parse a form that is given in pieces, as `Upload.form` does."""
