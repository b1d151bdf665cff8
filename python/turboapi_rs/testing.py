"""The app on a real socket, for tests.

Owns: `LiveServer`. Rule: port 0 by default; errors of the start are raised in the caller; the end is bounded.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from turboapi_rs.config import ServerConfig
from turboapi_rs.server import make_core


class LiveServer:
    """Serve an application in this process for the time of a `with` block. Several may run at once.

    Args:
        app: a `Server`, a FastAPI or `TurboAPI` app, or any ASGI 3 application.
        settings: as for `ServerConfig`. Port 0 and one worker unless told otherwise.

    Raises:
        ConfigError, OSError, StartupError: as `serve`, from the `with` statement.

    Example:
        >>> from turboapi_rs import Server
        >>> import urllib.request
        >>> server = Server()
        >>> server.static_response("/health", "ok")
        >>> with LiveServer(server) as live:
        ...     urllib.request.urlopen(live.url + "/health").read()
        b'ok'
    """

    def __init__(self, app: Any, config: ServerConfig | None = None, **settings: Any) -> None:
        if config is None:
            settings = {"port": 0, "workers": 1, "drain_grace": 5.0, **settings}
        self.config = ServerConfig.of(config, **settings)
        self.core = make_core(app, self.config)

    @property
    def address(self) -> str:
        """`127.0.0.1:43210`, or `unix:/path`."""
        return self.core.addresses()[0]

    @property
    def url(self) -> str:
        """`http://127.0.0.1:43210`."""
        return f"http://{self.address}"

    @property
    def port(self) -> int:
        """The port."""
        return int(self.address.rsplit(":", 1)[1])

    def start(self) -> LiveServer:
        """Start serving."""
        self.core.start()
        return self

    def stop(self) -> None:
        """Drain, and wait until every worker has ended."""
        self.core.stop()
        self.core.join()

    def __enter__(self) -> LiveServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
