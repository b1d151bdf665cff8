"""An ASGI app under uvicorn, in a child process: what we are compared with.

    python -m tests.support.peer tests.apps.datasette_app:app

Prints `{"port": N}` when it serves; ends when its stdin ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import socket
import sys
from collections.abc import Iterator

import uvicorn


class Quiet(uvicorn.Server):
    """uvicorn without its signal handlers: the parent ends us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing."""
        yield


async def main(target: str) -> None:
    """Serves `target` until stdin ends."""
    module, _, attribute = target.partition(":")
    app = getattr(importlib.import_module(module), attribute)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        server = Quiet(uvicorn.Config(app, log_level="warning"))
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        print(json.dumps({"port": sock.getsockname()[1]}), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        server.should_exit = True
        await serving


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
