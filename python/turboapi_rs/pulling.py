"""A sync iterator, asked on threads of the pool.

Owns: one `next()` at a time, and one `close()`. Does not own: the threads (anyio's, which under this server are its own
pool's).
Rule: nobody waits for a thread that is in `next()`: whoever leaves meanwhile has that thread close the iterator.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
from starlette.concurrency import run_in_threadpool

_END = object()


class _Pulled:
    """A sync iterator that is closed once, by whoever has it last."""

    def __init__(self, iterator: Iterator[Any]) -> None:
        self._iterator = iterator
        self._lock = threading.Lock()
        self._is_running = self._is_left = False

    def ask(self) -> Any:
        """Give the next item, or `_END`."""
        with self._lock:
            if self._is_left:
                return _END
            self._is_running = True
        try:
            return next(self._iterator, _END)
        finally:
            with self._lock:
                self._is_running = False
                is_left = self._is_left
            if is_left:
                self._close()

    def leave(self) -> None:
        """Close the iterator, now or when its `next()` returns."""
        with self._lock:
            self._is_left = True
            is_running = self._is_running
        if not is_running:
            self._close()

    def _close(self) -> None:
        close = getattr(self._iterator, "close", None)
        if close is not None:
            close()


async def in_threads(iterator: Iterator[Any]) -> AsyncIterator[Any]:
    """Give the items of a sync iterator, each asked for on a thread; close it there.

    Args:
        iterator: whose `next()` and `close()` may block.
    """
    pulled = _Pulled(iterator)
    try:
        while (item := await run_in_threadpool(pulled.ask)) is not _END:
            yield item
    finally:
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(pulled.leave)
