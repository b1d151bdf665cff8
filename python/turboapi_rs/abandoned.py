"""Iterators that a task leaves behind when it is cancelled or fails, on the loops that a worker steps.

Owns: which iterators a task asked for items on behalf of Starlette or FastAPI, and the one time each is closed; that an
exception which nobody catches any more keeps nothing alive.
Does not own: what closes them (`handoff` a sync one, `guest_loop` an async one), those of compiled routes (`pulling`).
Rule: an iterator is closed when the task that asked it has ended before the items did, and no `next()` of it runs.
Source: `starlette.concurrency.iterate_in_threadpool`, the producer task of `fastapi.routing.get_request_handler`.

Starlette drops the iterator of a `StreamingResponse` whose peer has left, and leaves the rest to the interpreter. Two
things keep it alive then: the cancellation, which anyio's `task_done` holds in a circle with its own traceback, and,
without a GIL, the thread that made it, which has to give its share of the references back and may be idle for long.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any


def let_go(fault: BaseException) -> None:
    """Clear what the frames hold that an exception, its causes and its parts came through.

    For one that reached the server in the middle of a response, after it was logged. Starlette and anyio hold such
    exceptions in variables of those same frames, and with them an async iterator that would wait for the collector.

    Args:
        fault: whose frames have ended; one that still runs is left as it is.
    """
    seen: set[int] = set()
    pending: list[BaseException | None] = [fault]
    while pending:
        error = pending.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        pending += (error.__cause__, error.__context__)
        if isinstance(error, BaseExceptionGroup):
            pending += error.exceptions
        traceback.clear_frames(error.__traceback__)


def asks_iterator(func: Callable[..., Any]) -> bool:
    """True for the function that Starlette hands to a thread for each item of a sync iterator."""
    return getattr(func, "__name__", "") == "_next" and func.__module__ == "starlette.concurrency"


def begins_stream(frame: FrameType) -> bool:
    """True for the frame in which FastAPI's own pipeline iterates a path operation that yields events.

    It does so in a task of its own, which is cancelled when the client leaves while the generator waits for its item to
    be taken. Nobody else has that generator.
    """
    return frame.f_code.co_name == "_producer" and frame.f_globals.get("__name__") == "fastapi.routing"


class Asked:
    """The iterators that tasks of one loop ask for items.

    Args:
        close: is given the method that closes an iterator, and has it called where it may be.
        method: its name.

    Threads: the loop's own.
    """

    def __init__(self, close: Callable[[Callable[[], Any]], None], method: str = "close") -> None:
        self._close, self._method = close, method
        self._of: dict[Any, list[Any]] = {}

    def note(self, task: Any, iterator: Any) -> None:
        """Note that the running task asks `iterator` for an item."""
        iterators = self._of.get(task)
        if iterators is None:
            self._of[task] = [iterator]
            task.add_done_callback(self._leave)
        elif not any(known is iterator for known in iterators):
            iterators.append(iterator)

    def _leave(self, task: Any) -> None:
        iterators = self._of.pop(task, ())
        # `exception()` would mark an exception as seen.
        if not task.cancelled() and task._exception is None:
            return
        for iterator in iterators:
            close = getattr(iterator, self._method, None)
            if close is not None:
                self._close(close)
