"""The app on a real socket, for tests.

Owns: `LiveServer`. Rule: port 0 by default; errors of the start are raised in the caller; the end is bounded.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from turboapi_rs.config import ServerConfig
from turboapi_rs.server import make_serving
from turboapi_rs.serving import Serving


class LiveServer:
    """Serve an application in this process for the time of a `with` block. Several may run at once.

    Args:
        app: a `Server`, a FastAPI or `TurboAPI` app, or any ASGI 3 application.
        settings: as for `ServerConfig`. Port 0 and one worker unless told otherwise.

    Raises:
        ConfigError, OSError, StartupError: as `serve`, from the `with` statement.
        RuntimeError: it was started already, and has not ended.

    Threads: any.

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
            has_place = settings.get("uds") is not None or settings.get("fd") is not None
            settings = {"workers": 1, "drain_grace": 5.0, **({} if has_place else {"port": 0}), **settings}
        self.app = app
        self.config = ServerConfig.of(config, **settings)
        self._serving: Serving | None = None
        self._starting = threading.Lock()

    @property
    def address(self) -> str:
        """`127.0.0.1:43210`, or `unix:/path`."""
        return self._started().addresses[0]

    @property
    def url(self) -> str:
        """`http://127.0.0.1:43210`."""
        return self._started().url

    @property
    def port(self) -> int:
        """The port."""
        return int(self.address.rsplit(":", 1)[1])

    @property
    def driver(self) -> str:
        """The I/O driver in use."""
        return self._started().driver

    def routes_state(self) -> list[dict[str, Any]]:
        """As `Serving.routes_state`."""
        return self._started().routes_state()

    def offload_state(self) -> dict[str, int]:
        """As `Serving.offload_state`."""
        return self._started().offload_state()

    def _started(self) -> Serving:
        if self._serving is None:
            raise RuntimeError("the server was not started")
        return self._serving

    def start(self) -> LiveServer:
        """Start serving. After `stop` it may be started again."""
        if not self._starting.acquire(blocking=False):
            raise RuntimeError("the server was started already")
        try:
            if self._serving is not None and not self._serving.has_ended:
                raise RuntimeError("the server was started already")
            serving = make_serving(self.app, self.config)
            serving.start()
            self._serving = serving
        finally:
            self._starting.release()
        return self

    def stop(self) -> None:
        """Drain, and wait until every worker has ended."""
        if self._serving is not None:
            self._serving.stop()
            self._serving.join()

    def __enter__(self) -> LiveServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
