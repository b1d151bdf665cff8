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
from typing import Any, NoReturn

from fastapi.exceptions import FastAPIError

from turboapi_rs._core import advance, drive

_log = logging.getLogger("turboapi_rs.plans")

_ENDED = object()


Open = list[tuple[Any, bool, bool]]
"""The generators of one request that wait at their `yield`, as they were opened: each with `is_async` and
`is_function_scoped`."""


def enter(opened: Open, generator: Generator[Any], is_function_scoped: bool) -> Any:
    """Run a generator up to its `yield`, in a context of its own, as a thread pool would."""
    value = copy_context().run(next, generator, _ENDED)
    if value is _ENDED:
        raise RuntimeError("generator didn't yield")
    opened.append((generator, False, is_function_scoped))
    return value


def enter_async(opened: Open, generator: AsyncGenerator[Any], is_function_scoped: bool) -> Any:
    """Run an asynchronous generator, which does not suspend, up to its `yield`."""
    value = advance(generator, _ENDED)
    if value is _ENDED:
        raise RuntimeError("generator didn't yield")
    opened.append((generator, True, is_function_scoped))
    return value


def close_function_scope(opened: Open) -> None:
    """Close those that end before the answer is sent. What they raise is the route's exception."""
    for entry in reversed(opened[:]):
        if entry[2]:
            opened.remove(entry)
            _leave(entry[0], entry[1], None)


def close(opened: Open) -> None:
    """Close the rest; the answer is under way, so that what they raise can only be logged."""
    raised: BaseException | None = None
    while opened:
        generator, is_async, _ = opened.pop()
        raised = _left(generator, is_async, raised)
    if raised is not None:
        _log.error("a dependency with yield raised after the answer", exc_info=raised)


def unwind(opened: Open, raised: BaseException) -> NoReturn:
    """Let an exception pass through all of them, and raise what comes out."""
    pending: BaseException | None = raised
    for is_function_scoped in (True, False):
        for entry in reversed(opened[:]):
            if entry[2] is is_function_scoped:
                opened.remove(entry)
                pending = _left(entry[0], entry[1], pending)
    if pending is None:
        raise FastAPIError("an exception was swallowed by a dependency with yield, and no response was made")
    raise pending


def may_block(opened: Open) -> bool:
    """One of them is a `def` generator."""
    return not all(is_async for _, is_async, _ in opened)


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
            if advance(generator, _ENDED) is _ENDED:
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
