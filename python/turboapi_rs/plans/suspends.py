"""Whether a coroutine function can suspend.

Owns: the look at its bytecode. Rule: "no" only when there is no await in it at all, and nothing that asks for the task.
"""

from __future__ import annotations

import dis
import functools
import inspect
from collections.abc import Callable
from types import CodeType
from typing import Any

#: Instructions by which a coroutine gives control away.
_AWAITING = frozenset({"GET_AWAITABLE", "GET_AITER", "GET_ANEXT", "BEFORE_ASYNC_WITH", "SEND", "END_ASYNC_FOR"})

#: Names that mean nothing without a task around the coroutine.
_TASK_NAMES = frozenset({"current_task", "TaskGroup", "CancelScope", "get_current_task", "create_task_group"})


def may_suspend(call: Callable[..., Any] | None) -> bool:
    """True unless the code of a coroutine function or asynchronous generator function has no await.

    Example:
        >>> async def plain():
        ...     return 1
        >>> async def waits():
        ...     return await plain()
        >>> may_suspend(plain), may_suspend(waits)
        (False, True)
    """
    target: Any = call
    while isinstance(target, functools.partial):
        target = target.func
    if inspect.ismethod(target):
        target = target.__func__
    if not inspect.isfunction(target):
        bound = getattr(type(target), "__call__", None)  # noqa: B004 - the function itself is looked at
        if not inspect.isfunction(bound):
            return True
        target = bound
    if hasattr(target, "__wrapped__") or not (
        inspect.iscoroutinefunction(target) or inspect.isasyncgenfunction(target)
    ):
        return True
    code: CodeType = target.__code__
    if _TASK_NAMES.intersection(code.co_names):
        return True
    return any(instruction.opname in _AWAITING for instruction in dis.get_instructions(code))
