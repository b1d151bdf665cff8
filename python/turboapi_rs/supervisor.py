"""Isolation by processes: one supervisor, N worker processes, one port.

Owns: starting, watching, replacing and ending worker processes.
Does not own: serving (`turboapi_rs.supervised`, in the workers), the listening sockets (`turboapi_rs.listening`).
Rule: it keeps as many workers as were asked for, or ends saying why; a worker is replaced before it is ended, so that
somebody always accepts. It never imports the application. Threads: one, the main one; everything waits in one `select`.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
import types
from collections.abc import Iterator

from turboapi_rs.config import ConfigError, ServerConfig
from turboapi_rs.listening import listening, shown
from turboapi_rs.loading import AppTarget
from turboapi_rs.supervised import Orders

#: Starts in a row of one worker that may fail before all is given up. gunicorn gives up at the first.
MAX_FAILED_STARTS = 3

#: Seconds before a worker that died is started again: the first time, and at most. Doubled each time.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0

#: Seconds after which a worker that dies did not die of its start, and the pause is the first one again.
LIVED = 10.0

#: Seconds that a worker gets to end, on top of its drain, before it is killed.
KILL_AFTER = 15.0

#: Seconds between two orders to cut. One that comes before a worker has got to its order to drain is lost in that: of a
#: signal that waits there is no second one (signal(7)).
CUT_AGAIN = 0.1


class WorkersFailed(Exception):
    """The workers cannot be kept running. The text is the last worker's own.

    Attributes:
        code: exit code for the whole.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Worker:
    """One worker process."""

    def __init__(self, orders: Orders) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.set_inheritable(True)
            command = [
                sys.executable,
                *subprocess._args_from_interpreter_flags(),  # type: ignore[attr-defined]  # as multiprocessing does
                "-m",
                "turboapi_rs.supervised",
                str(theirs.fileno()),
            ]
            # Blocked until the child has said that it ignores them: Ctrl-C goes to the whole group.
            signals = {signal.SIGINT, signal.SIGHUP}
            before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
            try:
                self.process = subprocess.Popen(command, pass_fds=[theirs.fileno(), *orders.fds])
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.channel = ours
        self.started = time.monotonic()
        self.ready_at: float | None = None
        self.driver = ""
        #: What it has to say of the GIL, where that is on.
        self.notice: str | None = None
        self.requests = 0
        self.rss = 0
        #: What it said of its failure, and whether a setting is to blame.
        self.failure: str | None = None
        self.blames_setting = False
        self.is_told_to_end = False
        self.kill_at: float | None = None
        self.cut_at: float | None = None
        self._unread = b""
        with contextlib.suppress(OSError):
            ours.sendall(orders.to_json().encode() + b"\n")
        ours.setblocking(False)

    def read(self) -> bool:
        """Take its reports; false at their end."""
        is_open = True
        while is_open:
            try:
                data = self.channel.recv(65536)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            self._unread += data
            is_open = bool(data)
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            report = json.loads(line)
            if "ready" in report:
                self.ready_at = time.monotonic()
                self.driver, self.notice = report["ready"], report["notice"]
            elif "failed" in report:
                self.failure, self.blames_setting = report["failed"], report["blames_setting"]
            else:
                self.requests, self.rss = report["requests"], report["rss"]
        return is_open

    def end(self, grace: float, *, is_last: bool = False) -> None:
        """Have it drain; a second time cuts what is left.

        Args:
            grace: seconds that it has.
            is_last: all workers end; nobody else will take what waits to be accepted.
        """
        if self.is_told_to_end:
            self.cut_at = time.monotonic() + CUT_AGAIN
        self.is_told_to_end = True
        self.kill_at = time.monotonic() + grace + KILL_AFTER
        if is_last:
            # The end of what it is told says so.
            with contextlib.suppress(OSError):
                self.channel.shutdown(socket.SHUT_WR)
        self._send_sigterm()

    def cut_again(self) -> None:
        """Say once more what a second `end` said."""
        self.cut_at = time.monotonic() + CUT_AGAIN
        self._send_sigterm()

    def _send_sigterm(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)

    def died_of(self) -> str:
        """Say how it ended."""
        code = self.process.returncode
        if self.failure:
            return self.failure
        if code < 0:
            return f"worker process {self.process.pid} was ended by {signal.Signals(-code).name}"
        return f"worker process {self.process.pid} ended with code {code}"

    @property
    def exit_code(self) -> int:
        """Its code as a shell gives it."""
        code = self.process.returncode
        return code if code >= 0 else 128 - code


@dataclasses.dataclass
class _Slot:
    """One of the N: the worker that serves in it, and the one that is to follow."""

    current: _Worker | None = None
    next: _Worker | None = None
    failed_starts: int = 0
    pause: float = FIRST_PAUSE
    #: When it is to be started again.
    start_at: float | None = 0.0
    #: Until when no recycling is tried, after one that failed.
    recycle_after: float = 0.0


class Supervisor:
    """Keep N worker processes serving one application on one port.

    Args:
        app: what each worker imports.
        config: settings; `workers` is the number of processes, each with one worker thread.

    Threads: call `run` on the main thread.
    """

    def __init__(self, app: AppTarget, config: ServerConfig) -> None:
        self.config = config
        self.sockets: list[socket.socket] = []
        self.slots = [_Slot() for _ in range(config.workers or _cores())]
        self._app = dataclasses.replace(app, app_dir=os.path.abspath(app.app_dir))
        self._selector = selectors.DefaultSelector()
        self._leaving: list[_Worker] = []
        self._to_replace: collections.deque[_Slot] = collections.deque()
        self._signals: collections.deque[int] = collections.deque()
        self._is_draining = False
        self._has_served = False
        self._is_announced = False
        self._code = 0
        self._failure: WorkersFailed | ConfigError | None = None

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. SIGHUP replaces all workers, one by one.

        Raises:
            ConfigError: the workers say that a setting is wrong, which shows when they have imported the application.
            OSError: the address cannot be listened on.
            WorkersFailed: the workers do not start, or one ended badly.
        """
        with contextlib.ExitStack() as stack:
            self.sockets = stack.enter_context(listening(self.config))
            stack.enter_context(self._signals_caught())
            stack.callback(self._kill_all)
            while not (self._is_draining and not self._workers()):
                self._step()
        if self._failure is not None:
            raise self._failure
        if self._code != 0:
            raise WorkersFailed(self._code, "a worker process did not end as it should")

    def _orders(self) -> Orders:
        config = dataclasses.replace(
            self.config,
            workers=1,
            isolation="shared",
            uds=None,
            uds_mode=None,
            fd=None,
            max_requests=0,
            max_age=0.0,
            max_rss=0,
        )
        return Orders(
            app=self._app,
            config=config,
            fds=[bound.fileno() for bound in self.sockets],
            path=list(sys.path),
            supervisor=os.getpid(),
            reports=bool(self.config.max_requests or self.config.max_rss),
        )

    # ---- One turn. ----

    def _step(self) -> None:
        for key, _ in self._selector.select(self._until_next()):
            if isinstance(key.data, _Worker):
                if not key.data.read():
                    self._selector.unregister(key.data.channel)
            else:
                with contextlib.suppress(BlockingIOError):
                    key.data.recv(4096)
        while self._signals:
            self._obey(self._signals.popleft())
        self._reap()
        if not self._is_draining:
            self._start_due()
            self._follow_replacements()
            self._recycle()
            self._announce()
        now = time.monotonic()
        for worker in self._workers():
            if worker.kill_at is not None and worker.kill_at <= now:
                _say(f"worker process {worker.process.pid} does not end: killed")
                worker.kill_at = None
                worker.process.kill()
            elif worker.cut_at is not None and worker.cut_at <= now:
                worker.cut_again()

    def _until_next(self) -> float | None:
        """Seconds until something is due; signals and reports come by themselves."""
        now = time.monotonic()
        due = [at for worker in self._workers() for at in (worker.kill_at, worker.cut_at) if at is not None]
        due += [now + 0.05 for worker in self._workers() if worker.channel not in self._selector.get_map()]
        if not self._is_draining:
            due += [slot.start_at for slot in self.slots if slot.start_at is not None]
            if self.config.max_age:
                due += [
                    max(slot.current.ready_at + self.config.max_age, slot.recycle_after, now + 0.05)
                    for slot in self.slots
                    if slot.current and slot.current.ready_at and not slot.next
                ]
        return max(0.0, min(due) - now) if due else None

    def _workers(self) -> list[_Worker]:
        found = [worker for slot in self.slots for worker in (slot.current, slot.next) if worker]
        return found + self._leaving

    def _obey(self, number: int) -> None:
        if number == signal.SIGHUP:
            if not self._is_draining:
                self._to_replace.extend(slot for slot in self.slots if slot not in self._to_replace)
        elif number != signal.SIGCHLD:
            self._drain(cut=self._is_draining)

    def _drain(self, *, cut: bool = False) -> None:
        self._is_draining = True
        # The workers have their own. With the last of these the port is closed: nobody waits in a queue for nothing.
        for bound in self.sockets:
            bound.close()
        for worker in self._workers():
            # One that is being replaced drains already: it would take a second time for a cut.
            if cut or not worker.is_told_to_end:
                worker.end(0.0 if cut else self.config.drain_grace, is_last=True)

    def _reap(self) -> None:
        for worker in self._workers():
            if worker.process.poll() is None:
                continue
            # What it said last may not have been read yet.
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(worker.channel)
            worker.read()
            worker.channel.close()
            self._buried(worker)

    def _buried(self, worker: _Worker) -> None:
        was_ready, code = worker.ready_at is not None, worker.exit_code
        if worker in self._leaving:
            self._leaving.remove(worker)
            if code:
                _say(worker.died_of())
            return
        slot = next(slot for slot in self.slots if worker in (slot.current, slot.next))
        was_next = slot.next is worker
        if was_next:
            slot.next = None
        else:
            slot.current, slot.next = slot.next, None
        if self._is_draining:
            # One that was ended before it had started has nothing to be proud of, and nothing to be blamed for.
            # Nor is one that had drained and was told once more as its interpreter ended: nothing else dies of SIGTERM.
            if was_ready and code != 128 + signal.SIGTERM:
                self._code = self._code or code
            return
        if was_ready:
            self._died(slot, worker)
        elif was_next and slot.current:
            _say(f"{worker.died_of()}: the worker before it goes on")
            self._to_replace.clear()
            slot.recycle_after = time.monotonic() + LONGEST_PAUSE
        else:
            self._failed_to_start(slot, worker)

    def _died(self, slot: _Slot, worker: _Worker) -> None:
        lived = time.monotonic() - (worker.ready_at or worker.started)
        slot.pause = FIRST_PAUSE if lived >= LIVED else min(slot.pause * 2, LONGEST_PAUSE)
        if slot.current is None:
            _say(f"{worker.died_of()}: another one is started in {slot.pause:.1f} s")
            slot.start_at = time.monotonic() + slot.pause

    def _failed_to_start(self, slot: _Slot, worker: _Worker) -> None:
        slot.failed_starts += 1
        # A wrong setting or an application that is not there stays so. Anything else may be passing.
        is_hopeless = worker.failure is not None and worker.exit_code == 2 and not self._has_served
        if is_hopeless or slot.failed_starts >= MAX_FAILED_STARTS:
            reason = worker.died_of()
            blames_setting = is_hopeless and worker.blames_setting
            self._failure = ConfigError(reason) if blames_setting else WorkersFailed(worker.exit_code or 1, reason)
            self._drain()
            return
        slot.pause = min(slot.pause * 2, LONGEST_PAUSE)
        _say(f"{worker.died_of()}: another one is started in {slot.pause:.1f} s")
        slot.start_at = time.monotonic() + slot.pause

    def _start_due(self) -> None:
        for slot in self.slots:
            if slot.start_at is not None and slot.start_at <= time.monotonic():
                slot.start_at = None
                slot.current = self._spawn()

    def _spawn(self) -> _Worker:
        worker = _Worker(self._orders())
        self._selector.register(worker.channel, selectors.EVENT_READ, worker)
        return worker

    def _follow_replacements(self) -> None:
        for slot in self.slots:
            if slot.current and slot.current.ready_at:
                slot.failed_starts = 0
                self._has_served = True
            if slot.next and slot.next.ready_at and slot.current:
                before, slot.current, slot.next = slot.current, slot.next, None
                self._leaving.append(before)
                before.end(self.config.drain_grace)
        # One by one: the next is begun when the one before serves and its forerunner has drained.
        is_busy = self._leaving or any(slot.next for slot in self.slots)
        while self._to_replace and not is_busy:
            slot = self._to_replace.popleft()
            if slot.current and slot.current.ready_at:
                slot.next = self._spawn()
                is_busy = True

    def _recycle(self) -> None:
        config, now = self.config, time.monotonic()
        for slot in self.slots:
            worker = slot.current
            if not worker or not worker.ready_at or slot.next or slot in self._to_replace or now < slot.recycle_after:
                continue
            is_old = config.max_age and now - worker.ready_at >= config.max_age
            is_used_up = config.max_requests and worker.requests >= config.max_requests
            is_fat = config.max_rss and worker.rss >= config.max_rss
            if is_old or is_used_up or is_fat:
                self._to_replace.append(slot)

    def _announce(self) -> None:
        if self._is_announced or not all(slot.current and slot.current.ready_at for slot in self.slots):
            return
        self._is_announced = True
        count = len(self.slots)
        drivers = sorted({slot.current.driver for slot in self.slots if slot.current})
        version = ".".join(map(str, sys.version_info[:3])) + ("t" if "free-threading" in sys.version else "")
        # Said by the workers, who have imported the application; it is the same one.
        notice = next((slot.current.notice for slot in self.slots if slot.current and slot.current.notice), None)
        gil = "GIL off" if notice is None else "GIL on"
        if notice is not None:
            print(notice, file=sys.stderr, flush=True)
        _say(
            f"serving on {', '.join(shown(bound) for bound in self.sockets)} (Python {version}, {gil}; {count} "
            f"process{'es' if count != 1 else ''}, {'/'.join(drivers)}, isolation processes)"
        )

    # ---- What is held for the whole time. ----

    @contextlib.contextmanager
    def _signals_caught(self) -> Iterator[None]:
        def note(number: int, frame: types.FrameType | None) -> None:
            self._signals.append(number)

        awake, wake = socket.socketpair()
        with awake, wake:
            awake.setblocking(False)
            wake.setblocking(False)
            self._selector.register(awake, selectors.EVENT_READ, awake)
            before_fd = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
            numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
            before = {number: signal.signal(number, note) for number in numbers}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)
                signal.set_wakeup_fd(before_fd)
                self._selector.close()

    def _kill_all(self) -> None:
        """After a fault of our own nobody is left behind."""
        for worker in self._workers():
            worker.process.kill()
            worker.process.wait()


def supervise(app: AppTarget, config: ServerConfig) -> None:
    """Serve an application from processes, until SIGTERM or SIGINT. See `Supervisor`."""
    Supervisor(app, config).run()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _say(line: str) -> None:
    print(f"turboapi: {line}", file=sys.stderr, flush=True)
