"""The ASGI lifespan of an application.

Owns: the two conversations of start-up and shut-down, and what an application that has no lifespan is taken for.
Does not own: the loop (`guest_loop`), when a server starts and drains (`turboapi_rs._core`).
Rule: an application that says that it failed is believed, whatever its mode.
Source: ASGI specification, lifespan protocol 2.0.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from turboapi_rs import handoff

_log = logging.getLogger("turboapi_rs")


class LifespanFailed(Exception):
    """The application refused to start. The message is the application's own."""


class Lifespan:
    """The ASGI lifespan of one application on one loop.

    Args:
        app: the ASGI application.
        mode: `"auto"` (an app that raises before `startup.complete` is taken to have none), `"on"` or `"off"`.
        state: filled by the app; each request's scope gets a shallow copy.

    Source: ASGI specification, lifespan protocol 2.0.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], mode: str, state: dict[str, Any]) -> None:
        self.app = app
        self.mode = mode
        self.state = state
        self._task: asyncio.Task[None] | None = None
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._started = asyncio.Event()
        self._stopped = asyncio.Event()
        self._answered = False
        self._startup_failed: str | None = None
        self._shutdown_failed: str | None = None
        self._error: BaseException | None = None

    async def startup(self) -> None:
        """Run the app's start-up to its end.

        Raises:
            LifespanFailed: with the app's message.
        """
        if self.mode == "off":
            return
        loop: Any = asyncio.get_running_loop()
        self._task = task = loop.create_task(self._run())
        # Not in `_run`: of a task that is cancelled before its first step nothing runs.
        task.add_done_callback(self._ended)
        await self._events.put({"type": "lifespan.startup"})
        await self._started.wait()
        # anyio may have been imported by the application's start only.
        if (native := getattr(loop, "_turboapi_native", None)) is not None:
            handoff.connect(loop, native)
        if self._startup_failed is not None:
            raise LifespanFailed(self._startup_failed)
        if self._error is not None and not self._answered:
            if self.mode == "on":
                raise LifespanFailed("".join(traceback.format_exception(self._error)).rstrip()) from self._error
            _log.debug("the application has no lifespan: %r", self._error)

    async def shutdown(self) -> None:
        """Run the app's shut-down to its end. A failure is logged. A start-up that still runs is cancelled."""
        if self._task is None or self._task.done():
            return
        if not self._started.is_set():
            self._task.cancel()
            await self._stopped.wait()
            return
        await self._events.put({"type": "lifespan.shutdown"})
        await self._stopped.wait()
        if self._shutdown_failed is not None:
            _log.error("lifespan shutdown failed: %s", self._shutdown_failed)
        elif self._error is not None:
            _log.error("lifespan shutdown raised", exc_info=self._error)

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self.app(scope, self._events.get, self._send)
        except Exception as error:
            self._error = error

    def _ended(self, _: asyncio.Task[None]) -> None:
        self._started.set()
        self._stopped.set()

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            self._answered = True
            self._started.set()
        elif kind == "lifespan.startup.failed":
            self._answered = True
            self._startup_failed = message.get("message") or "the application's startup failed"
            self._started.set()
        elif kind == "lifespan.shutdown.complete":
            self._stopped.set()
        elif kind == "lifespan.shutdown.failed":
            self._shutdown_failed = message.get("message") or "no message"
            self._stopped.set()
        else:
            raise RuntimeError(f"unknown lifespan message {kind!r}")
