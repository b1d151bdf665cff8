"""A worker process under a supervisor.

Owns: one process's life: its orders, its report that it is ready, its counts, its end.
Does not own: when it is started and ended (`turboapi_rs.supervisor`).
Rule: it ends when its supervisor does, however that ended.

Run by the supervisor as `python -m turboapi_rs.supervised DESCRIPTOR`; the descriptor is a socket, over which lines of
JSON go: the orders down, reports up.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import signal
import socket
import sys
import threading
from typing import Any

from turboapi_rs.config import ConfigError, ServerConfig
from turboapi_rs.loading import AppNotFound, AppTarget
from turboapi_rs.server import StartupError, make_serving
from turboapi_rs.serving import tell_of_crashes

#: Seconds between two reports of requests and memory.
REPORT_EVERY = 0.25


@dataclasses.dataclass(frozen=True)
class Orders:
    """What a worker process is told."""

    app: AppTarget
    config: ServerConfig
    #: Listening sockets, inherited.
    fds: list[int]
    path: list[str]
    supervisor: int
    #: Requests and memory are reported only if somebody looks at them.
    reports: bool

    def to_json(self) -> str:
        """One line."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Orders:
        """Read what `to_json` wrote."""
        fields = json.loads(line)
        app, config = AppTarget(**fields.pop("app")), ServerConfig(**fields.pop("config"))
        return cls(app=app, config=config, **fields)


def main(argv: list[str] | None = None) -> int:
    """Serve until the supervisor says otherwise; gives the exit code."""
    tell_of_crashes()
    arguments = sys.argv[1:] if argv is None else argv
    channel = socket.socket(fileno=int(arguments[0]))
    channel.set_inheritable(False)
    # A terminal sends these to the whole group; the supervisor decides what they mean.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGHUP})
    orders = Orders.from_json(channel.makefile("r").readline())
    _end_with(orders.supervisor)
    sys.path[:] = orders.path
    blames_setting = False
    try:
        code, message = _serve(orders, channel)
    except ConfigError as error:
        code, message, blames_setting = 2, str(error), True
    if message:
        with contextlib.suppress(OSError):
            _report(channel, failed=message, blames_setting=blames_setting)
    return code


def _serve(orders: Orders, channel: socket.socket) -> tuple[int, str]:
    try:
        serving = make_serving(orders.app.load(), orders.config, fds=orders.fds)
        # No `threading.Event`: a signal that comes while the handler of the one before it is inside of `set` would wait
        # for ever for the lock that it has.
        is_told = False
        drain = _Drain(serving.core, channel)

        def stop(number: int, frame: object) -> None:
            nonlocal is_told
            was_told, is_told = is_told, True
            if was_told or not serving.is_running:
                # Before it serves there is nothing to drain.
                serving.cut()
            else:
                drain.begin()

        signal.signal(signal.SIGTERM, stop)
        try:
            serving.start()
        except RuntimeError:
            if is_told:
                return 0, ""
            raise
        # The server has its own. With these open the port would still take connections while it drains.
        for inherited in orders.fds:
            os.close(inherited)
        if is_told:
            drain.begin()
        _report(channel, ready=serving.driver, notice=serving.notice)
        watch = threading.Thread(target=_watch, args=(drain, orders.reports), daemon=True)
        watch.start()
        try:
            serving.join()
        finally:
            # Not left to the end of the interpreter: `turboapi_rs.serving` says why. It hears what it hears when the
            # supervisor ends.
            channel.shutdown(socket.SHUT_RD)
            watch.join()
        # All is done: a signal that comes late must not look like a death.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    except ConfigError:
        raise
    except (AppNotFound, ValueError) as error:
        return 2, str(error)
    except OSError as error:
        return 2, f"cannot listen: {error.strerror or error}"
    except StartupError as error:
        return 3, f"the application did not start: {error}"
    except RuntimeError as error:
        return 1, str(error)
    return 0, ""


class _Drain:
    """The drain of this process: begun once, by a signal or by the end of the channel, which may come together.

    Threads: any.
    """

    def __init__(self, core: Any, channel: socket.socket) -> None:
        self.core, self.channel = core, channel
        # A signal may come while its own handler has it.
        self._lock = threading.RLock()
        self._is_begun = False

    def begin(self) -> None:
        """Drain, unless that has begun; with what waits to be accepted, if all processes end."""
        with self._lock:
            if self._is_begun:
                return
            self._is_begun = True
            if self._is_last():
                self.core.note_last()
            self.core.stop()

    def _is_last(self) -> bool:
        """The supervisor has nothing more to say: it ends, and so do the others."""
        try:
            return not self.channel.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True


def _watch(drain: _Drain, reports: bool) -> None:
    """Report now and then; the end of the channel is the end of all workers."""
    core, channel = drain.core, drain.channel
    while True:
        readable, _, _ = select.select([channel], [], [], REPORT_EVERY if reports else None)
        try:
            if readable and not channel.recv(1):
                drain.begin()
                return
            if reports:
                _report(channel, requests=core.requests(), rss=resident_bytes())
        except OSError:
            drain.begin()
            return


def _report(channel: socket.socket, **fields: Any) -> None:
    channel.sendall(json.dumps(fields).encode() + b"\n")


def resident_bytes() -> int:
    """Bytes of memory that this process holds now; where the system does not say, the most it ever held."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        # Kilobytes on most systems, bytes on macOS, the one without /proc that we run on.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _end_with(supervisor: int) -> None:
    """Have the kernel end this process with its supervisor, should that be killed.

    The channel's end says the same a moment later, and also where the kernel has no such call.

    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != supervisor:
        # It was killed before the call.
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    raise SystemExit(main())
