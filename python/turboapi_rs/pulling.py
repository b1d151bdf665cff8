"""The items of a stream: asked for in the task of their request, or, of a sync iterator, on threads of the pool.

Owns: one `next()` at a time, and one `close()`. Does not own: the threads (anyio's, which under this server are its own
pool's), what an item is as bytes.
Rule: nobody waits for a thread that is in `next()`: whoever leaves meanwhile has that thread close the iterator.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import anyio
from starlette.concurrency import run_in_threadpool

from turboapi_rs.guest_loop import KeepAlive

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


async def pull(
    outlet: Any,
    iterator: Any,
    push: Callable[[Any], bool],
    *,
    ping: float | None = None,
    ends_with_drain: bool = True,
    then: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Send all items of a response whose head was sent, in the task of its request, and its end.

    The iterator is closed exactly once, on this loop: at its end, on an error, when the peer leaves, at the drain. Of
    the last two it is told by a cancellation, which goes no further than this.

    Args:
        outlet: the way of the items.
        iterator: an async one.
        push: sends an item; false when the next is to wait for room.
        ping: seconds of silence before a comment is sent; none without it.
        ends_with_drain: it may have no end of its own: it is told of the drain when that begins. Another one goes on
            until the grace is over.
        then: awaited at the end, unless there was an error.
    """
    task: Any = asyncio.current_task()
    outlet.watch(task, ends_with_drain)
    keep_alive = KeepAlive(outlet, ping) if ping else None
    was_told = is_whole = False
    try:
        async for item in iterator:
            if not push(item):
                await outlet.room()
        is_whole = True
    except asyncio.CancelledError:
        was_told = outlet.leave()
        if not was_told:
            raise
    finally:
        was_told = outlet.leave() or was_told
        if keep_alive is not None:
            keep_alive.stop()
        # A cancellation that told of the end of the stream is no cancellation of what comes after it.
        if was_told and task.cancelling():
            task.uncancel()
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
    if is_whole:
        outlet.end()
    else:
        outlet.abort()
    if then is not None:
        await then()


async def in_threads(iterator: Iterator[Any]) -> AsyncIterator[Any]:
    """Give the items of a sync iterator, each asked for on a thread; close it there, whoever is cancelled meanwhile.

    Args:
        iterator: whose `next()` and `close()` may block.
    """
    pulled = _Pulled(iterator)
    try:
        while (item := await run_in_threadpool(pulled.ask)) is not _END:
            yield item
    finally:
        # A task of its own: a function whose waiter is cancelled before a thread takes it is never called.
        leaving = asyncio.ensure_future(run_in_threadpool(pulled.leave))
        with anyio.CancelScope(shield=True):
            await asyncio.wait([leaving])
        leaving.result()
