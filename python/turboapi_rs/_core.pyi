"""The native half. Use it through `turboapi_rs.Server` and `turboapi_rs.serve`."""

from collections.abc import Callable
from typing import Any

class ConfigError(ValueError):
    """A setting is wrong. The text says which, and what is allowed."""

class StartupError(RuntimeError):
    """The application refused to start. The text is the application's own."""

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

class CoreServer:
    def __init__(self, settings: dict[str, object]) -> None: ...
    def route(
        self,
        method: str,
        path: str,
        handler: Callable[..., Any],
        *,
        name: str,
        params: list[tuple[str, str, str, bool, object, bool]],
        is_async: bool,
    ) -> None: ...
    def plan_route(self, methods: list[str], path: str, run: Callable[..., Any], **options: object) -> None: ...
    def asgi_route(self, method: str | None, path: str) -> None: ...
    def static_response(
        self, path: str, status: int, content_type: str, body: bytes, headers: list[tuple[str, str]]
    ) -> None: ...
    def host_asgi(self, app: Callable[..., Any]) -> None: ...
    def start(self) -> None:
        """Bind, start workers and application, listen. Returns when serving.

        Raises:
            OSError: the address cannot be listened on.
            ConfigError: a setting is wrong.
            StartupError: the application refused to start.
        """
    def stop(self) -> None:
        """Begin the drain; a second call cuts what is left. Any thread."""
    def cut(self) -> None: ...
    def join(self) -> None:
        """Wait, detached, until every worker has ended."""
    def is_running(self) -> bool: ...
    def addresses(self) -> list[str]: ...
    def driver(self) -> str: ...
    def requests(self) -> int:
        """Begun since the start."""
    def workers(self) -> int: ...

def build_info() -> dict[str, Any]: ...
def set_log_level(level: str) -> None: ...
