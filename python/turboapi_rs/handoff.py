"""anyio's hand-off of functions to threads, on the loops that a worker steps.

Owns: the replacement of one method of anyio's asyncio backend, for as long as such a loop lives.
Does not own: the threads and the way back (`turboapi_rs._core`).
Rule: only tasks of these loops get the server's offload pool; every other loop of the process, and every version of
anyio that is not known, gets anyio's own. What a function and its caller can observe is the same.
Source: `AsyncIOBackend.run_sync_in_worker_thread` and `WorkerThread.run` of anyio 4.11 to 4.16.

Starlette hands each `def` endpoint, and much else, to a thread through `anyio.to_thread.run_sync`. anyio ties its
threads to the task that `run_until_complete` was called for. A stepped loop has none, so that each request would
start a thread of its own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import importlib.metadata
import select
import sys
from collections.abc import Callable
from typing import Any

from turboapi_rs._core import _note_call_back as note_call_back
from turboapi_rs._core import _step_here
from turboapi_rs.abandoned import Asked, asks_iterator
from turboapi_rs.replaced import Replacement

__all__ = ["claim_of", "claim_own", "connect", "disconnect", "disown", "note_call_back"]

#: Versions of anyio whose asyncio backend is known: from the first one to below the second one.
KNOWN = ((4, 11), (5, 0))

#: Tokens of anyio's default limiter unless the application changed them: then it asked for a limit.
DEFAULT_TOKENS = 40

#: The attribute of a loop that has a hand-off of its own.
_ATTRIBUTE = "_turboapi_handoff"

_METHOD = "run_sync_in_worker_thread"


def connect(loop: Any, native: Any) -> None:
    """Hand functions that tasks of `loop` bring to anyio over to the offload pool behind `native`.

    Does nothing when anyio has not been imported yet, or is not known: call it again later. Idempotent.

    Threads: on the loop's own.
    """
    if "anyio" not in sys.modules or getattr(loop, _ATTRIBUTE, None) is not None:
        return
    if not _is_known():
        return
    setattr(loop, _ATTRIBUTE, _Handoff(loop, native))
    _replacement.begin()


def disconnect(loop: Any) -> None:
    """Give anyio its own way back, for tasks of `loop`, and for the process when no other loop needs ours."""
    handoff = getattr(loop, _ATTRIBUTE, None)
    if handoff is None:
        return
    setattr(loop, _ATTRIBUTE, None)
    handoff.release()
    _replacement.end()


def claim_of(loop: Any) -> Callable[[], None] | None:
    """Give what makes the calling thread an anyio worker thread of `loop` for good; None when anyio is not there.

    For threads of the pool that run compiled routes: there, too, a function may call back into the loop through
    `anyio.from_thread`. That it did is noted, since it could not on the thread that steps the loop.
    """
    handoff = getattr(loop, _ATTRIBUTE, None)
    return None if handoff is None else handoff.claim


def claim_own(loop: Any) -> None:
    """Make the calling thread, which steps `loop`, one whose functions may call back into it. Until `disown`.

    A `def` route that earned direct calls runs here, and may call back after all. Nobody else would step the loop then:
    the call does so itself, until it has its result.
    """
    handoff = getattr(loop, _ATTRIBUTE, None)
    if handoff is not None:
        handoff.claim_own()


def disown(loop: Any) -> None:
    """Undo `claim_own`, on the same thread."""
    handoff = getattr(loop, _ATTRIBUTE, None)
    if handoff is not None:
        handoff.disown()


def _is_known() -> bool:
    """True when all of anyio that is relied on is there."""
    try:
        version = importlib.metadata.version("anyio")
        first, last = KNOWN
        if not first <= tuple(int(part) for part in version.split(".")[:2]) < last:
            return False
        from anyio._backends import _asyncio
        from anyio._core import _eventloop
        from anyio.lowlevel import EventLoopToken
    except (ImportError, ValueError):
        return False
    needed = {
        _asyncio: ("AsyncIOBackend", "CancelScope", "_task_states", "_default_thread_limiter"),
        _eventloop: ("threadlocals",),
        _asyncio.AsyncIOBackend: (_METHOD, "checkpoint_if_cancelled"),
        EventLoopToken: ("__init__",),
    }
    return all(hasattr(owner, name) for owner, names in needed.items() for name in names)


def _replace() -> Callable[[], None]:
    """Put our method in front of anyio's; gives what takes it away again."""
    from anyio._backends._asyncio import AsyncIOBackend

    original = AsyncIOBackend.__dict__[_METHOD]
    call_original = original.__func__
    running_loop = asyncio._get_running_loop

    def run_sync_in_worker_thread(
        cls: Any, func: Any, args: Any, abandon_on_cancel: bool = False, limiter: Any = None
    ) -> Any:
        handoff = getattr(running_loop(), _ATTRIBUTE, None)
        if handoff is None:
            return call_original(cls, func, args, abandon_on_cancel, limiter)
        return handoff.run(cls, call_original, func, args, abandon_on_cancel, limiter)

    ours = classmethod(run_sync_in_worker_thread)
    setattr(AsyncIOBackend, _METHOD, ours)

    def restore() -> None:
        # Whoever came after us keeps what it put there; ours then finds no loop of ours, and calls the original.
        if AsyncIOBackend.__dict__[_METHOD] is ours:
            setattr(AsyncIOBackend, _METHOD, original)

    return restore


_replacement = Replacement(_replace)


def _noting(backend: Any) -> Any:
    """Derive a backend that notes each call back into the loop."""

    class Noting(backend):  # type: ignore[misc]
        @classmethod
        def run_async_from_thread(cls, func: Any, args: Any, token: Any) -> Any:
            note_call_back()
            return super().run_async_from_thread(func, args, token)

        @classmethod
        def run_sync_from_thread(cls, func: Any, args: Any, token: Any) -> Any:
            note_call_back()
            return super().run_sync_from_thread(func, args, token)

        @classmethod
        def check_cancelled(cls) -> None:
            note_call_back()
            super().check_cancelled()

    return Noting


def _stepping(backend: Any) -> Any:
    """Derive a backend for the thread that steps a loop: it steps on while a function waits for the loop."""
    from anyio import NoEventLoopError
    from anyio._core._eventloop import set_current_async_library, threadlocals

    def run(coroutine_function: Any, *args: Any) -> Any:
        note_call_back()
        loop = threadlocals.current_token.native_token
        if asyncio._get_running_loop() is not None:
            raise NoEventLoopError("Not running inside an AnyIO worker thread, and no event loop token was provided")
        context = contextvars.copy_context()
        context.run(set_current_async_library, "asyncio")
        future = context.run(asyncio.run_coroutine_threadsafe, coroutine_function(*args), loop)
        while not future.done():
            wait_s = _step_here()
            if wait_s and not future.done():
                # What other threads bring wakes the worker, which is here: looked for every millisecond.
                select.select([loop._selector.fileno()], [], [], min(wait_s, 0.001))
        return future.result()

    class Stepping(backend):  # type: ignore[misc]
        @classmethod
        def run_async_from_thread(cls, func: Any, args: Any, token: Any) -> Any:
            async def call() -> Any:
                try:
                    return await func(*args)
                except asyncio.CancelledError as cancelled:
                    raise concurrent.futures.CancelledError(str(cancelled)) from None

            return run(call) if token is None else super().run_async_from_thread(func, args, token)

        @classmethod
        def run_sync_from_thread(cls, func: Any, args: Any, token: Any) -> Any:
            async def call() -> Any:
                return func(*args)

            return run(call) if token is None else super().run_sync_from_thread(func, args, token)

        @classmethod
        def check_cancelled(cls) -> None:
            note_call_back()

    return Stepping


def _refuse(*call: Any) -> bool:
    return False


def _leave_open(close: Callable[[], None]) -> None:
    """The loop is closing: nothing is run for it any more."""


class _Handoff:
    """The hand-off of one loop."""

    def __init__(self, loop: Any, native: Any) -> None:
        from anyio import to_thread
        from anyio._backends import _asyncio
        from anyio._core._eventloop import threadlocals
        from anyio.lowlevel import EventLoopToken

        self._run_sync = to_thread.run_sync
        self._submit: Callable[..., bool] = native.submit
        self._loop = loop
        self._asked = Asked(self._close_in_thread)
        self._closing: set[Any] = set()
        self._scope = _asyncio.CancelScope
        self._task_states = _asyncio._task_states
        self._default_limiter = _asyncio._default_thread_limiter
        self._threadlocals = threadlocals
        self._token = EventLoopToken(_asyncio.AsyncIOBackend, loop)
        self._noting_token = EventLoopToken(_noting(_asyncio.AsyncIOBackend), loop)
        self._own_token = EventLoopToken(_stepping(_asyncio.AsyncIOBackend), loop)
        sniffio = sys.modules.get("sniffio")
        self._library = getattr(sniffio, "current_async_library_cvar", None)

    async def run(self, cls: Any, original: Any, func: Any, args: Any, abandon_on_cancel: bool, limiter: Any) -> Any:
        """What `run_sync_in_worker_thread` does."""
        task = asyncio.current_task()
        if asks_iterator(func):
            self._asked.note(task, args[0])
        state = self._task_states.get(task)
        if task._must_cancel:  # type: ignore[union-attr]
            await asyncio.sleep(0)
        elif state is not None and state.cancel_scope is not None:
            await cls.checkpoint_if_cancelled()
        if limiter is None:
            limiter = self._default_limiter.get(None)
            if limiter is None or limiter.total_tokens == DEFAULT_TOKENS:
                is_taken, result = await self._run(func, args, abandon_on_cancel)
                return result if is_taken else await original(cls, func, args, abandon_on_cancel)
        async with limiter:
            is_taken, result = await self._run(func, args, abandon_on_cancel)
        return result if is_taken else await original(cls, func, args, abandon_on_cancel, limiter)

    async def _run(self, func: Any, args: Any, abandon_on_cancel: bool) -> tuple[bool, Any]:
        """Give whether the pool has taken the call, and its result."""
        with self._scope(shield=not abandon_on_cancel) as scope:
            future = asyncio.get_running_loop().create_future()
            context = contextvars.copy_context()
            if self._library is not None and self._library.get() is not None:
                context.run(self._library.set, None)
            parent = scope._parent_scope
            visible = scope if abandon_on_cancel or parent is None else parent
            if not self._submit(future, context, self._call, (visible, func, args)):
                return False, None
            return True, await future
        return True, None  # abandoned: as anyio's, which falls off its end

    def _close_in_thread(self, close: Callable[[], None]) -> None:
        # A `close` that fails is told of as any task's exception that nobody asks for.
        task = self._loop.create_task(self._run_sync(close))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def release(self) -> None:
        """Let go of the way to the pool, which leads back here. What is still to come goes to anyio's own threads."""
        self._submit = _refuse
        self._asked = Asked(_leave_open)

    def _call(self, scope: Any, func: Any, args: Any) -> Any:
        """Make the call, on a thread of the pool that is an anyio worker thread for that time."""
        attributes = self._threadlocals.__dict__
        before = attributes.copy()
        attributes["current_token"] = self._token
        attributes["current_cancel_scope"] = scope
        try:
            return func(*args)
        except StopIteration as error:
            raise RuntimeError("coroutine raised StopIteration") from error
        finally:
            attributes.clear()
            attributes.update(before)

    def claim(self) -> None:
        """Make the calling thread an anyio worker thread, whose calls back into the loop are noted."""
        self._threadlocals.current_token = self._noting_token
        self._threadlocals.current_cancel_scope = None

    def claim_own(self) -> None:
        """As `claim`, for the thread that steps the loop."""
        self._threadlocals.current_token = self._own_token
        self._threadlocals.current_cancel_scope = None

    def disown(self) -> None:
        """Undo `claim_own`."""
        attributes = self._threadlocals.__dict__
        if attributes.get("current_token") is self._own_token:
            del attributes["current_token"], attributes["current_cancel_scope"]
