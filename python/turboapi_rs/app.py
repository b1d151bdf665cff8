"""`TurboAPI`: FastAPI with `.run()`.

Owns: the one method. Does not own: anything of FastAPI's, which is inherited as it is.
"""

from __future__ import annotations

from typing import Any

import fastapi

from turboapi_rs.config import ServerConfig
from turboapi_rs.server import serve


class TurboAPI(fastapi.FastAPI):
    """A FastAPI application that can serve itself.

    Everything is FastAPI's: a `TurboAPI` runs under any ASGI server, and `turboapi run` serves any FastAPI app.

    Example:
        >>> app = TurboAPI(title="items")
        >>> @app.get("/")
        ... def hello():
        ...     return {"message": "Hello World"}
    """

    def run(self, config: ServerConfig | None = None, **settings: Any) -> None:
        """Serve until SIGINT or SIGTERM, on the calling thread. See `turboapi_rs.serve`."""
        serve(self, config, **settings)
