"""One application on its sockets, from start to end.

Owns: `Serving`, waiting so that signals are seen, the banner. Does not own: sockets and workers (`turboapi_rs._core`),
what is served (`turboapi_rs.server`).
Rule: a start that failed leaves nothing behind; whoever waits is woken by a signal at once.
Threads: `stop` and `cut` from any thread and any signal handler; `join` from any number of threads.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import os
import resource
import signal
import socket
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from turboapi_rs import gil
from turboapi_rs._core import CoreServer
from turboapi_rs.config import ConfigError, ServerConfig

__all__ = ["Serving", "check_descriptors", "running", "serve_until_signal", "tell_of_crashes"]

#: Descriptors that a worker has while nobody is connected, and one connection: its listener, its ring or epoll, what
#: wakes it; in an interpreter of its own an event loop; a worker process has its own, and its supervisor a channel.
_DESCRIPTORS_PER_WORKER = {"shared": 5, "interpreters": 9, "processes": 2}

#: Seconds between two looks at the GIL while serving.
GIL_WATCH_PERIOD = 1.0

#: Those that run. At the end of the program they are drained: a worker may not outlive its interpreter.
_running: weakref.WeakSet[Serving] = weakref.WeakSet()

#: The threads that wait for their ends; the program waits for them at its own. A thread that wakes while CPython 3.13
#: ends reads of its own state what is freed, and the process dies of SIGSEGV (seen in worker processes under load).
_joiners: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def check_descriptors(config: ServerConfig) -> None:
    """Refuse more workers than this process may have descriptors for, before half of them have started.

    Raises:
        ConfigError: with both numbers, and what to change.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return
    workers = config.workers or os.cpu_count() or 1
    needed = len(os.listdir("/dev/fd")) + workers * _DESCRIPTORS_PER_WORKER[config.isolation]
    if needed > limit:
        raise ConfigError(
            f"workers: {workers} need {needed} file descriptors, and this process may open {limit}: "
            "ask for fewer, or raise the limit (ulimit -n)"
        )


class Serving:
    """A native server with the thread that waits for its end.

    Args:
        core: made, not started.
        config: what it was made from.
        release: called once, when the server has ended or its start has failed.
        notice: a line for people, said before the banner.
    """

    def __init__(
        self, core: CoreServer, config: ServerConfig, release: Callable[[], None], *, notice: str | None = None
    ) -> None:
        self.core = core
        self.config = config
        self.notice = notice
        self.is_starting = False
        self._release = release
        self._ended = threading.Event()
        self._fault: BaseException | None = None
        self._joiner: threading.Thread | None = None
        self._addresses: list[str] = []
        self.driver = "none"
        self.workers = 0

    @property
    def addresses(self) -> list[str]:
        """Where it listens, or listened: `127.0.0.1:8000`, `unix:/path`."""
        return list(self._addresses)

    @property
    def url(self) -> str:
        """The first address as `http://127.0.0.1:8000`, or `unix:/path`."""
        return _as_url(self._addresses[0])

    @property
    def has_ended(self) -> bool:
        """True when the last worker has ended, or the start has failed."""
        return self._ended.is_set()

    @property
    def is_running(self) -> bool:
        """True from the end of `start` until the last worker has ended."""
        return bool(self._addresses) and not self._ended.is_set()

    def start(self) -> None:
        """Bind, start workers and application, listen. Returns when it serves.

        Raises:
            OSError, ConfigError, StartupError: why it does not. Nothing is left behind.
        """
        try:
            self.is_starting = True
            _attend(self.core.start, on_interrupt=self.core.cut)
        except BaseException:
            self._release()
            self._ended.set()
            raise
        finally:
            self.is_starting = False
        # Asked now: the native server tells nothing while it is joined.
        self._addresses, self.driver, self.workers = self.core.addresses(), self.core.driver(), self.core.workers()
        _running.add(self)
        self._joiner = threading.Thread(target=self._wait, name="turboapi-join", daemon=True)
        self._joiner.start()
        _joiners.add(self._joiner)

    def _wait(self) -> None:
        try:
            self.core.join()
        except BaseException as error:
            self._fault = error
        finally:
            _running.discard(self)
            self._release()
            self._ended.set()

    def stop(self) -> None:
        """Begin the drain; a second call cuts what is left. Returns at once."""
        self.core.stop()

    def cut(self) -> None:
        """Cut every connection. Returns at once."""
        self.core.cut()

    def routes_state(self) -> list[dict[str, Any]]:
        """Tell where the calls of each plain function run, and what was counted.

        Returns:
            A dict a route: `method`, `path`, `handler`, `pin` (`direct`, `blocking` or `earned`), `mode` (`direct` or
            `offload`), `direct_calls`, `offloaded_calls`, `promotions`, `demotions`, `streak` and `needed` (fast calls
            in a row so far, and those asked for). `async def` routes are not listed.

        Threads: any; the counts are read while workers go on counting.
        """
        return self.core.routes_state()

    def offload_state(self) -> dict[str, int]:
        """Tell what the offload pool does, and what it has done.

        Returns:
            `queued`, `running`, `threads`, `max_threads`, `max_queued`, `completed`, `refused`. Empty unless running.

        Threads: any.
        """
        return self.core.offload_state()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until every worker has ended; False when `timeout` seconds did not suffice.

        Raises:
            RuntimeError: a worker died.
        """
        if timeout is not None:
            self._ended.wait(timeout)
        elif not self._ended.is_set():
            _attend(self._ended.wait, each_second=_watch_gil(self.config))
        if not self._ended.is_set():
            return False
        if self._joiner is not None:
            self._joiner.join()
        if self._fault is not None:
            raise self._fault
        return True


def running() -> list[Serving]:
    """The servers of this process that run now, for an application that wants the counters of its own.

    Threads: any.
    """
    return list(_running)


def serve_until_signal(serving: Serving) -> None:
    """Start, say where, and wait for the end, which SIGINT or SIGTERM begins when this is the main thread.

    Raises:
        KeyboardInterrupt: SIGINT came before the server had started.
        SystemExit: SIGTERM did; its code is the conventional one.
    """
    with _signals(serving) as stopped_by:
        try:
            serving.start()
        except BaseException:
            if not stopped_by:
                raise
            number = stopped_by[0]
            print(f"turboapi: stopped by {number.name} before it had started", file=sys.stderr, flush=True)
            raise (KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)) from None
        if serving.notice is not None:
            print(serving.notice, file=sys.stderr, flush=True)
        print(banner(serving), file=sys.stderr, flush=True)
        serving.join()


def tell_of_crashes() -> None:
    """Have a crash of native code, or a thread that such code ends, say on which line it came.

    The process would end by its signal without a word. Only where nobody else has asked for it.
    """
    # Not above: it refuses to be imported into the interpreter of a worker.
    import faulthandler

    if faulthandler.is_enabled():
        return
    # Without a descriptor of its own for errors there is nobody to tell.
    with contextlib.suppress(AttributeError, OSError, RuntimeError, ValueError):
        faulthandler.enable(all_threads=False)


def banner(serving: Serving) -> str:
    """Say in one line where and how a server runs."""
    where = ", ".join(map(_as_url, serving.addresses))
    version = ".".join(map(str, sys.version_info[:3])) + ("t" if gil.is_free_threaded_build() else "")
    workers = serving.workers
    return (
        f"turboapi: serving on {where} (Python {version}, GIL {'on' if gil.is_on() else 'off'}; "
        f"{workers} worker{'s' if workers != 1 else ''}, {serving.driver}, isolation {serving.config.isolation})"
    )


def _as_url(address: str) -> str:
    return address if address.startswith("unix:") else f"http://{address}"


def _watch_gil(config: ServerConfig) -> Callable[[], None] | None:
    """A look at the GIL, for a server that runs without it."""
    if gil.is_on() or config.log_level in ("error", "off"):
        return None
    looks = gil.watch()

    def look() -> None:
        line = next(looks)
        if line is not None:
            print(line, file=sys.stderr, flush=True)

    return look


def _attend(
    job: Callable[[], object],
    *,
    on_interrupt: Callable[[], None] | None = None,
    each_second: Callable[[], None] | None = None,
) -> None:
    """Run a job that does nothing but wait. On the main thread, signal handlers run as soon as their signal comes.

    A signal that arrives just before a lock is waited for would be seen only when the lock is released. A byte in a
    socket, written by the interpreter's own C handler, cannot be missed.

    Args:
        job: run on a thread of its own, in a copy of the caller's context.
        on_interrupt: called when a handler raises, to make the job end; it is waited for. None: it is left alone.
        each_second: called about so often while the job runs.
    """
    if threading.current_thread() is not threading.main_thread():
        job()
        return
    awake, wake = socket.socketpair()
    wake.setblocking(False)
    awake.settimeout(None if each_second is None else GIL_WATCH_PERIOD)
    fault: list[BaseException] = []
    done = threading.Event()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            context.run(job)
        except BaseException as error:
            fault.append(error)
        finally:
            done.set()
            with contextlib.suppress(OSError):
                wake.send(b"\0")

    before = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    try:
        # A signal of before the descriptor was set has had its handler run by now: starting a thread runs bytecode.
        thread = threading.Thread(target=run, name="turboapi-wait", daemon=True)
        thread.start()
        try:
            while not done.is_set():
                try:
                    awake.recv(64)
                except TimeoutError:
                    if each_second is not None:
                        each_second()
        except BaseException:
            if on_interrupt is not None:
                on_interrupt()
                thread.join()
            raise
        thread.join()
    finally:
        signal.set_wakeup_fd(before)
        awake.close()
        wake.close()
    if fault:
        raise fault[0]


@contextlib.contextmanager
def _signals(serving: Serving) -> Iterator[list[signal.Signals]]:
    """Stop the server on SIGINT and SIGTERM. Gives the signal that ended the start, when one has."""
    stopped_by: list[signal.Signals] = []
    if threading.current_thread() is not threading.main_thread():
        yield stopped_by
        return

    def stop(number: int, frame: types.FrameType | None) -> None:
        if not serving.is_starting:
            serving.stop()
        elif not stopped_by:
            # Nothing is served yet, so there is nothing to drain.
            stopped_by.append(signal.Signals(number))
            serving.cut()
        else:
            # A start-up that blocks its thread hears of nothing.
            os._exit(128 + number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped_by
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@atexit.register
def _drain_all() -> None:
    for serving in list(_running):
        serving.stop()
    for joiner in list(_joiners):
        joiner.join()
