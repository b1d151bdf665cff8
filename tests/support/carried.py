"""An application that a test made, in the interpreters of other workers.

Owns: writing an application down with all that it closes over, and reading it there (`tests.support.carried:app`); what
stands there for the test's queues and events.
Does not own: which tests are run so (`scripts/test.sh isolation`).
Rule: the test goes on as it would: what is put into a queue there, and each event that is set there, comes to it over a
socket; an event that the test sets is a file there. What else is bound to the test's interpreter cannot be carried.
"""

from __future__ import annotations

import io
import os
import pickle
import queue
import socket
import tempfile
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
from starlette.datastructures import State
from turboapi_rs import Server

PLACE = "TURBOAPI_TEST_CARRIED"
"""The variable that names the file."""

TARGET = "tests.support.carried:app"

LARGE_BYTES = 50_000
"""What goes by a file, since a datagram has a bound."""


class NotCarried(Exception):
    """The application is bound to this interpreter; the text says by what."""


class FarQueue:
    """A queue of the test's."""

    def __init__(self, told: str, index: int) -> None:
        self._told, self._index = told, index

    def put(self, item: Any) -> None:
        """Put it into the test's queue."""
        _tell(self._told, self._index, "put", item)


class FarEvent:
    """An event of the test's."""

    def __init__(self, told: str, index: int, flag: str) -> None:
        self._told, self._index, self._flag = told, index, flag

    def set(self) -> None:
        """Set it, here and there."""
        Path(self._flag).touch()
        _tell(self._told, self._index, "set")

    def is_set(self) -> bool:
        """Say whether it was set, here or there."""
        return Path(self._flag).exists()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for it."""
        deadline = time.monotonic() + (3600.0 if timeout is None else timeout)
        while not self.is_set():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True


def _tell(told: str, *what: Any) -> None:
    data = cloudpickle.dumps(what)
    if len(data) > LARGE_BYTES:
        with tempfile.NamedTemporaryFile(dir=Path(told).parent, delete=False) as file:
            file.write(data)
        data = cloudpickle.dumps(Path(file.name))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(data, told)


class Carrier:
    """Carries applications of a test's module, and hears of them, for the time of a `with` block.

    Args:
        folder: a new one.
    """

    def __init__(self, module: ModuleType, folder: Path) -> None:
        self._module, self._folder = module, folder
        self._bound: list[Any] = []
        self._receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._receiver.bind(str(folder / "told"))
        self._listening = threading.Thread(target=self._listen)

    def __enter__(self) -> Carrier:
        self._listening.start()
        return self

    def __exit__(self, *_: object) -> None:
        _tell(str(self._folder / "told"))
        self._listening.join()
        self._receiver.close()

    def _listen(self) -> None:
        while what := pickle.loads(self._receiver.recv(2 * LARGE_BYTES)):
            if isinstance(what, Path):
                what = pickle.loads(what.read_bytes())
            index, method, *arguments = what
            getattr(self._bound[index], method)(*arguments)

    def carry(self, app: Any) -> None:
        """Write it down, for the next workers that are started.

        Raises:
            NotCarried: there is something in it that is nowhere else.
        """
        file = io.BytesIO()
        cloudpickle.register_pickle_by_value(self._module)
        try:
            _Pickler(file, self).dump(app)
        except (TypeError, pickle.PicklingError) as error:
            raise NotCarried(str(error)) from None
        finally:
            cloudpickle.unregister_pickle_by_value(self._module)
        path = self._folder / "app"
        path.write_bytes(file.getvalue())
        os.environ[PLACE] = str(path)

    def stand_in(self, bound: Any) -> Any:
        """What to make there of a queue or an event, or None."""
        index, told = len(self._bound), str(self._folder / "told")
        if isinstance(bound, queue.Queue | queue.SimpleQueue):
            self._bound.append(bound)
            own = getattr(bound, "__dict__", {})
            more = {name: value for name, value in own.items() if name not in vars(queue.Queue())}
            return FarQueue, (told, index), more
        if isinstance(bound, threading.Event):
            self._bound.append(bound)
            flag = self._folder / f"event-{index}"
            if bound.is_set():
                flag.touch()
            bound.set = lambda: (flag.touch(), threading.Event.set(bound))  # type: ignore[method-assign]
            return FarEvent, (told, index, str(flag))
        return None


class _Pickler(cloudpickle.Pickler):
    def __init__(self, file: io.BytesIO, carrier: Carrier) -> None:
        super().__init__(file)
        self._carrier = carrier

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Server):
            return _server, (obj._entries, obj._taken)
        if isinstance(obj, State):
            # It looks for what it was not given yet, itself among it.
            return State, (obj._state,)
        return self._carrier.stand_in(obj) or super().reducer_override(obj)


def _server(entries: list[Any], taken: set[Any]) -> Server:
    server = Server()
    server._entries, server._taken = entries, taken
    return server


def __getattr__(name: str) -> Any:
    if name == "app" and (path := os.environ.get(PLACE)):
        return pickle.loads(Path(path).read_bytes())
    raise AttributeError(name)
