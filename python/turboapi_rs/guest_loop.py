"""The asyncio loop that a worker steps.

Owns: a `SelectorEventLoop` whose selector does not wait, and pulling async iterators.
Does not own: lifespan (`lifespan`), when the loop is stepped (the worker does that, through `turboapi_rs._core`).
Rule: nothing here blocks; the running loop is set only while a coroutine is stepped.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import selectors
import sys
import types
from asyncio import format_helpers
from asyncio.log import logger as asyncio_log
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextvars import copy_context
from functools import partial
from heapq import heapify, heappop, heappush
from time import monotonic
from typing import Any

from turboapi_rs import handoff
from turboapi_rs.abandoned import Asked, begins_stream

_log = logging.getLogger("turboapi_rs")

#: Seconds that tasks and executor threads get to end when their loop is closed.
CLOSE_GRACE = 5.0

#: Rounds of callbacks that one step may run. A timer that wakes a task takes two; a few more spare the worker's other
#: tasks nothing that they would notice, and the step its overhead.
ROUNDS_PER_STEP = 4

#: Cancelled timers that stay in the heap until they are this many, and half of all. As in asyncio.
MIN_CANCELLED = 100


class _GuestSelector(selectors.DefaultSelector):  # type: ignore[valid-type,misc]
    """Reports what is ready and never waits while the loop is a guest: the worker waits, on this one's descriptor."""

    is_guest = True

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(0 if self.is_guest else timeout)


class _Timer(asyncio.TimerHandle):
    """A timer of a loop that does not debug: as asyncio's, in fewer calls."""

    __slots__ = ()

    def __init__(self, when: float, callback: Callable[..., Any], args: Any, loop: GuestLoop, context: Any) -> None:
        self._context = copy_context() if context is None else context
        self._loop, self._callback, self._args = loop, callback, args  # type: ignore[assignment]
        self._cancelled = False
        self._repr = self._source_traceback = None
        self._when = when
        self._scheduled = True

    def cancel(self) -> None:
        if not self._cancelled:
            if self._scheduled:
                self._loop._timer_cancelled_count += 1  # type: ignore[attr-defined]
            self._cancelled = True
            self._callback = self._args = None  # type: ignore[assignment]


class GuestLoop(asyncio.SelectorEventLoop):
    """An asyncio loop that is stepped, and whose timers cost little.

    asyncio keeps its timers in a heap of handles that are compared in Python: with a thousand of them, setting one and
    taking it out takes longer than all else that a stream's event does. Here they lie in an agenda, which is native, as
    are its handles; everything else about timers and callbacks is asyncio's. An interpreter that has no agenda keeps a
    heap of tuples, which are compared natively. In debug mode the handles are asyncio's own.

    Threads: as asyncio's.
    """

    _agenda: Any = None

    def __init__(self, note_call_back: Callable[[], None]) -> None:
        super().__init__(_GuestSelector())
        self._note_call_back = note_call_back
        #: `(when, number, handle)`; the number keeps timers of one moment in order. Never bound anew.
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = itertools.count()
        self._begun = Asked(self._close_begun, "aclose")
        self._closing: set[asyncio.Task[None]] = set()

    def take_agenda(self, agenda: Any) -> None:
        """Have callbacks and timers kept natively. Before there are any timers."""
        self._agenda = agenda
        self.set_debug(self.get_debug())

    def set_debug(self, enabled: bool) -> None:
        """As asyncio's."""
        super().set_debug(enabled)
        agenda = self._agenda
        if agenda is None:
            return
        agenda.debug(enabled)
        quick = vars(self)
        for name in _NATIVE:
            quick.pop(name, None)
            if not enabled:
                quick[name] = getattr(agenda, name)
        quick.pop("create_future", None)
        if not enabled:
            quick["create_future"] = partial(asyncio.Future, loop=self)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """As asyncio's."""
        if when is None:
            raise TypeError("when cannot be None")
        self._check_closed()  # type: ignore[attr-defined]
        if self._debug:  # type: ignore[attr-defined]
            self._check_thread()  # type: ignore[attr-defined]
            self._check_callback(callback, "call_at")  # type: ignore[attr-defined]
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        if timer._source_traceback:  # type: ignore[attr-defined]
            del timer._source_traceback[-1]  # type: ignore[attr-defined]
        self.add_timer(timer)
        return timer

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """As asyncio's."""
        if delay is None:
            raise TypeError("delay must not be None")
        when = monotonic() + delay
        if self._debug or self._closed:  # type: ignore[attr-defined]
            return self.call_at(when, callback, *args, context=context)
        timer = _Timer(when, callback, args, self, context)
        heappush(self._timers, (when, next(self._numbers), timer))
        return timer

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> asyncio.Handle:
        """As asyncio's. Noted: a `def` route that asks the loop for something may wait for it."""
        self._note_call_back()
        return super().call_soon_threadsafe(callback, *args, context=context)

    def hand_over(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> asyncio.Handle:
        """As `call_soon_threadsafe`, for what nobody waits for."""
        return super().call_soon_threadsafe(callback, *args, context=context)

    def add_timer(self, timer: asyncio.TimerHandle) -> None:
        """Take a timer that was made elsewhere. On the loop's thread."""
        timer._scheduled = True  # type: ignore[attr-defined]
        if self._agenda is not None:
            self._agenda.add(timer.when(), timer)
            return
        heappush(self._timers, (timer._when, next(self._numbers), timer))  # type: ignore[attr-defined]

    def step(self, may_have_events: bool) -> float | None:
        """Run what is ready, without waiting.

        Args:
            may_have_events: the selector is asked; otherwise only in rounds after the first.

        Returns:
            When the next timer is due, in `time()`; 0.0 when there is more to run now; None when there is nothing.
        """
        ready = self._ready  # type: ignore[attr-defined]
        self._run_round(0 if may_have_events else None)
        rounds = ROUNDS_PER_STEP
        while ready and (rounds := rounds - 1):
            self._run_round(None)
        if ready:
            return 0.0
        return self._next_due()

    def _next_due(self) -> float | None:
        if self._agenda is not None:
            return self._agenda.next_due()
        self._drop_cancelled()
        timers = self._timers
        return timers[0][0] if timers else None

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """As asyncio's."""
        if self._agenda is None:
            super()._timer_handle_cancelled(handle)  # type: ignore[misc]
        elif handle._scheduled:  # type: ignore[attr-defined]
            self._agenda.note_cancelled()

    def _run_once(self) -> None:
        """What `run_forever` calls: at the end, when the loop is no guest any more."""
        due = self._next_due()
        timeout: float | None = None
        if self._ready or self._stopping:  # type: ignore[attr-defined]
            timeout = 0
        elif due is not None:
            timeout = min(max(due - self.time(), 0), 24 * 3600)
        self._run_round(-1 if timeout is None else timeout)

    def _run_round(self, timeout: float | None) -> None:
        """Ask the selector, unless `timeout` is None (below 0: wait without end), then run what is ready, once."""
        ready, timers = self._ready, self._timers  # type: ignore[attr-defined]
        if timeout is not None:
            self.look(None if timeout < 0 else timeout)
        if self._agenda is not None:
            self._agenda.collect()
            if not self._debug:  # type: ignore[attr-defined]
                self._agenda.run_round()
                return
        if timers:
            end = monotonic() + self._clock_resolution  # type: ignore[attr-defined]
            while timers and timers[0][0] < end:
                handle = heappop(timers)[2]
                handle._scheduled = False  # type: ignore[attr-defined]
                if handle._cancelled:  # type: ignore[attr-defined]
                    self._timer_cancelled_count -= 1
                else:
                    ready.append(handle)
        if self._debug:  # type: ignore[attr-defined]
            self._run_watched(len(ready))
            return
        handle: Any = None
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()
        # The frames of what a callback raised may keep this one: no cycle by way of the callback, as in asyncio.
        handle = None

    def look(self, timeout: float | None) -> None:
        """Make ready the callbacks of descriptors that are."""
        events = self._selector.select(timeout)  # type: ignore[attr-defined]
        if events:
            self._process_events(events)  # type: ignore[attr-defined]

    def _run_watched(self, count: int) -> None:
        """Run callbacks in debug mode, which tells of slow ones."""
        handle: Any = None
        for _ in range(count):
            handle = self._ready.popleft()  # type: ignore[attr-defined]
            if handle._cancelled:
                continue
            self._current_handle = handle
            started = self.time()
            try:
                # One that was made before debug mode was set is native.
                handle._run() if isinstance(handle, asyncio.Handle) else self._agenda.run_one(handle)
            finally:
                self._current_handle = None
            took = self.time() - started
            if took >= self.slow_callback_duration:
                asyncio_log.warning("Executing %s took %.3f seconds", handle, took)
        # As in `_run_round`.
        handle = None

    def _drop_cancelled(self) -> None:
        """Forget cancelled timers: those that come first, and all of them once they are many."""
        timers = self._timers
        if self._timer_cancelled_count > MIN_CANCELLED and 2 * self._timer_cancelled_count > len(timers):
            for _, _, handle in timers:
                if handle._cancelled:  # type: ignore[attr-defined]
                    handle._scheduled = False  # type: ignore[attr-defined]
            timers[:] = [timer for timer in timers if not timer[2]._cancelled]  # type: ignore[attr-defined]
            heapify(timers)
            self._timer_cancelled_count = 0
            return
        while timers and timers[0][2]._cancelled:  # type: ignore[attr-defined]
            heappop(timers)[2]._scheduled = False  # type: ignore[attr-defined]
            self._timer_cancelled_count -= 1

    def _asyncgen_firstiter_hook(self, agen: Any) -> None:
        """As asyncio's. One that FastAPI's own pipeline streams is closed with the task that does."""
        super()._asyncgen_firstiter_hook(agen)  # type: ignore[misc]
        if begins_stream(sys._getframe(1)) and (task := asyncio.current_task(self)) is not None:
            self._begun.note(task, agen)

    def _close_begun(self, aclose: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if not self._selector.is_guest:  # type: ignore[attr-defined]
            return  # `shutdown_asyncgens` does it
        task = self.create_task(aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def close(self) -> None:
        """As asyncio's."""
        super().close()
        self._timers.clear()
        if self._agenda is not None:
            self._agenda.clear()
            self._agenda = None
            for name in (*_NATIVE, "create_future"):
                vars(self).pop(name, None)


_NATIVE = ("call_soon", "call_later", "call_at")
"""What an agenda does for its loop."""


def report(
    loop: asyncio.AbstractEventLoop, handle: Any, callback: Any, arguments: tuple[Any, ...], error: BaseException
) -> None:
    """Tell the loop's exception handler what a callback raised, as asyncio does."""
    source = format_helpers._format_callback_source(callback, arguments)  # type: ignore[attr-defined]
    context = {"message": f"Exception in callback {source}", "exception": error, "handle": handle}
    loop.call_exception_handler(context)


def make_loop(native: Any) -> GuestLoop:
    """Make a loop ready to be stepped by the calling thread.

    Args:
        native: the way to the offload pool, for functions that its tasks hand to threads. None: they get asyncio's.

    Threads: call on the worker that will step it.
    """
    loop = GuestLoop(_nothing if native is None else handoff.note_call_back)
    asyncio.set_event_loop(loop)
    loop._run_forever_setup()  # type: ignore[attr-defined]  # made for embedding, CPython 3.13 and later
    asyncio._set_running_loop(None)
    loop._turboapi_native = native  # type: ignore[attr-defined]
    if native is not None:
        handoff.connect(loop, native)
    return loop


class Elsewhere:
    """Stands for the home loop as the running loop of threads that do not step it.

    A coroutine that cannot suspend may run on any thread. What it asks of the loop (a task, a callback, a timer) is
    handed over to the home loop, where it runs. Everything else is the home loop's own attribute.

    Threads: any.
    """

    def __init__(self, home: GuestLoop) -> None:
        self._home = home

    def __getattr__(self, name: str) -> Any:
        return getattr(self._home, name)

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> asyncio.Handle:
        """Have the home loop call `callback`."""
        return self._home.hand_over(callback, *args, context=context)

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None) -> Any:
        """Have the home loop call `callback` after `delay` seconds."""
        return self.call_at(self._home.time() + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None) -> Any:
        """Have the home loop call `callback` at `when`."""
        timer = asyncio.TimerHandle(when, callback, args, self._home, context)
        self._home.hand_over(self._schedule, timer)
        return timer

    def _schedule(self, timer: asyncio.TimerHandle) -> None:
        if not timer.cancelled():
            self._home.add_timer(timer)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """Make a task of the home loop, which starts there."""
        task = asyncio.Task(coro, loop=self._home, **options)
        self._home.hand_over(_nothing)
        return task

    def create_future(self) -> asyncio.Future[Any]:
        """Make a future of the home loop."""
        return self._home.create_future()


def _nothing() -> None:
    """Wakes the loop, or is not worth a note."""


def close_loop(loop: asyncio.SelectorEventLoop) -> None:
    """End a loop as `asyncio.Runner` does: cancel tasks, end async generators and the default executor, close."""
    # What still runs hands its functions to anyio's own threads: nobody steps the way back any more.
    handoff.disconnect(loop)
    loop._turboapi_native = None  # type: ignore[attr-defined]
    loop._run_forever_cleanup()  # type: ignore[attr-defined]
    loop._selector.is_guest = False  # type: ignore[attr-defined]
    try:
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        if pending:
            loop.run_until_complete(_end_of(pending))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor(CLOSE_GRACE))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _end_of(tasks: set[asyncio.Task[Any]]) -> None:
    _, late = await asyncio.wait(tasks, timeout=CLOSE_GRACE)
    for task in late:
        _log.warning("task still running when its loop was closed: %r", task)


def channel(
    native_receive: Callable[[], Awaitable[Any]], native_send: Callable[[Any], Awaitable[Any]]
) -> tuple[Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]]:
    """Make an application's `receive` and `send`.

    They are coroutine functions, as everywhere: calling one runs nothing, and what it gives can be made a task or be
    sent to the loop from another thread.

    Args:
        native_receive: gives an awaitable of the next message.
        native_send: takes a message, and gives an awaitable that is done when there is room for more.
    """

    async def receive() -> Any:
        return await native_receive()

    async def send(message: Any) -> None:
        await native_send(message)

    return receive, send


class KeepAlive:
    """Comments that keep a silent stream open, from one timer of the loop: a stream that sends costs it nothing.

    Args:
        outlet: of the stream.
        interval: seconds of silence before a comment.
    """

    __slots__ = ("_interval", "_loop", "_outlet", "_timer")

    def __init__(self, outlet: Any, interval: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._outlet, self._interval = outlet, interval
        self._timer = self._loop.call_later(interval, self._look)

    def _look(self) -> None:
        rest = self._interval - self._outlet.idle()
        if rest <= 0.002:
            self._outlet.ping()
            rest = self._interval
        self._timer = self._loop.call_later(rest, self._look)

    def stop(self) -> None:
        """No more comments."""
        self._timer.cancel()


def pump(
    iterable: Any,
    push: Callable[[Any], bool | None],
    room: Callable[[], Awaitable[Any]],
    leave: Callable[[], object],
    outlet: Any = None,
    ping: float | None = None,
) -> Coroutine[Any, Any, None]:
    """Send each item of an async iterable, waiting whenever the stream has no room.

    The iterator is closed exactly once, on this loop: at its end, on an error, when the peer leaves, at the drain.

    Args:
        iterable: of items.
        push: takes an item; false when `room()` is to be awaited before the next, None when nobody is left to read it.
        room: gives an awaitable.
        leave: called before the iterator is closed: from then on nobody tells of the end, by a cancellation, any more.
        outlet: of a stream of events, where comments go.
        ping: seconds of silence before a comment is sent; none without it.
    """
    pumping = _pump(iterable, push, room, leave, outlet, ping)
    # Begun here: a task cancelled before its first step never enters its coroutine, and would close nothing.
    pumping.send(None)
    return pumping


async def _pump(
    iterable: Any,
    push: Callable[[Any], bool | None],
    room: Callable[[], Awaitable[Any]],
    leave: Callable[[], object],
    outlet: Any,
    ping: float | None,
) -> None:
    keep_alive: KeepAlive | None = None
    iterator: Any = iterable
    try:
        await _task_step()
        if ping:
            keep_alive = KeepAlive(outlet, ping)
        iterator = aiter(iterable)
        async for item in iterator:
            has_room = push(item)
            if has_room is None:
                # Nobody is left to read it, and the producer was told, and goes on all the same.
                break
            if not has_room:
                await room()
    finally:
        if keep_alive is not None:
            keep_alive.stop()
        leave()
        close = getattr(iterator, "aclose", None) or getattr(iterable, "aclose", None)
        if close is not None:
            await close()


@types.coroutine
def _task_step() -> Iterator[None]:
    """Wait for the task's next step."""
    yield


async def await_it(awaitable: Awaitable[Any]) -> Any:
    """Wrap any awaitable into a coroutine, which is what a task takes."""
    return await awaitable
