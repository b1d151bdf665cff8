"""Dependencies with `yield`, without an event loop.

Owns: opening and closing the generators of a direct plan, in FastAPI's order. Does not own: those of a task.
Rule: as `contextlib.contextmanager` in the two exit stacks of a FastAPI request: those of function scope close before
the answer is sent, those of request scope after it; an exception passes through all of them, the latest first.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator, Generator
from contextvars import copy_context
from typing import Any

from fastapi.exceptions import FastAPIError

from turboapi_rs._core import drive

_log = logging.getLogger("turboapi_rs.plans")

_ENDED = object()


class Opened:
    """The generators of one request that are waiting at their `yield`."""

    __slots__ = ("_function", "_request", "has_blocking")

    def __init__(self) -> None:
        #: One of them is a `def` generator, which may block.
        self.has_blocking = False
        self._request: list[tuple[Any, bool]] = []
        self._function: list[tuple[Any, bool]] = []

    def enter(self, generator: Generator[Any], is_function_scoped: bool) -> Any:
        """Run a generator up to its `yield`, in a context of its own, as a thread pool would."""
        self.has_blocking = True
        value = copy_context().run(next, generator, _ENDED)
        if value is _ENDED:
            raise RuntimeError("generator didn't yield")
        (self._function if is_function_scoped else self._request).append((generator, False))
        return value

    def enter_async(self, generator: AsyncGenerator[Any], is_function_scoped: bool) -> Any:
        """Run an asynchronous generator, which does not suspend, up to its `yield`."""
        try:
            value = drive(generator.__anext__())
        except StopAsyncIteration:
            raise RuntimeError("generator didn't yield") from None
        (self._function if is_function_scoped else self._request).append((generator, True))
        return value

    def close_function_scope(self) -> None:
        """Close those that end before the answer is sent. What they raise is the route's exception."""
        while self._function:
            _leave(*self._function.pop(), None)

    def close(self) -> None:
        """Close the rest; the answer is under way, so that what they raise can only be logged."""
        raised: BaseException | None = None
        while self._request:
            raised = _left(*self._request.pop(), raised)
        if raised is not None:
            _log.error("a dependency with yield raised after the answer", exc_info=raised)

    def unwind(self, raised: BaseException) -> None:
        """Let an exception pass through all of them, and raise what comes out."""
        pending: BaseException | None = raised
        for stack in (self._function, self._request):
            while stack:
                pending = _left(*stack.pop(), pending)
        if pending is None:
            raise FastAPIError("an exception was swallowed by a dependency with yield, and no response was made")
        raise pending


def _left(generator: Any, is_async: bool, raised: BaseException | None) -> BaseException | None:
    """What is pending after a generator was left with `raised` pending."""
    try:
        is_swallowed = _leave(generator, is_async, raised)
    except BaseException as new:
        return new
    return None if is_swallowed else raised


def _leave(generator: Any, is_async: bool, raised: BaseException | None) -> bool:
    """Leave one generator as `contextlib` does; True when it swallowed the exception."""
    if raised is None:
        if is_async:
            try:
                drive(generator.__anext__())
            except StopAsyncIteration:
                return False
            drive(generator.aclose())
        else:
            if copy_context().run(next, generator, _ENDED) is _ENDED:
                return False
            generator.close()
        raise RuntimeError("generator didn't stop")
    kind, trace = type(raised), raised.__traceback__
    if is_async:
        manager: Any = object.__new__(contextlib._AsyncGeneratorContextManager)
        manager.gen = generator
        return bool(drive(manager.__aexit__(kind, raised, trace)))
    manager = object.__new__(contextlib._GeneratorContextManager)
    manager.gen = generator
    return bool(copy_context().run(manager.__exit__, kind, raised, trace))
