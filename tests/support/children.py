"""Server processes that tests start: ready when they say so, ended by their own pid, never left behind.

Owns: starting a child, reading its first line, stopping it.
Does not own: what the child serves (`tests.parity.host`, the CLI, a peer's own command).
Rule: a child that gets our stdin's end of file stops by itself, so a killed test run leaves nothing.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

REPO = Path(__file__).resolve().parents[2]

STARTUP_TIMEOUT_S = 120.0
"""Seconds from spawn to the ready line. Importing forty FastAPI apps on a busy two-core machine takes about ten."""

STOP_TIMEOUT_S = 40.0
"""Seconds from the stop request to a kill. Longer than the server's own drain, which is 30 s."""


class ChildFailed(RuntimeError):
    """The child ended, or said nothing, before it was ready."""


class Child:
    """A process that prints one JSON line on stdout when it is ready, and stops at the end of its stdin."""

    def __init__(self, args: Sequence[str], *, env: dict[str, str] | None = None, cwd: Path = REPO) -> None:
        self._log = tempfile.TemporaryFile("w+", errors="replace")
        # Sets of strings are printed in hash order (FastAPI's Allow header is one), so all servers get one seed.
        merged = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1", **(env or {})}
        self.process = subprocess.Popen(
            args, cwd=cwd, env=merged, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        self.ready: Any = None

    @classmethod
    def python(cls, *args: str, env: dict[str, str] | None = None) -> Child:
        """Runs this interpreter with `args`."""
        return cls([sys.executable, *args], env=env)

    def __enter__(self) -> Child:
        try:
            self.ready = json.loads(self._first_line())
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self.process.pid

    def log(self) -> str:
        """What the child has written to stderr."""
        self._log.seek(0)
        return self._log.read()

    def ask(self, question: str) -> Any:
        """Writes one line to the child and reads one JSON line back."""
        assert self.process.stdin is not None
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return json.loads(self._first_line())

    def signal(self, number: int) -> None:
        """Sends a signal to the child."""
        self.process.send_signal(number)

    def wait(self, timeout: float = STOP_TIMEOUT_S) -> int:
        """Waits for the child's exit status."""
        return self.process.wait(timeout)

    def stop(self) -> int:
        """Asks the child to end, waits, and kills it when it does not."""
        if self.process.poll() is None:
            assert self.process.stdin is not None
            try:
                self.process.stdin.close()
                self.process.wait(2)
            except (subprocess.TimeoutExpired, OSError):
                self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.wait()

    def kill(self) -> None:
        """Ends the child at once."""
        self.process.kill()
        self.process.wait()

    def _first_line(self) -> str:
        assert self.process.stdout is not None
        timer = threading.Timer(STARTUP_TIMEOUT_S, self.process.kill)
        timer.start()
        try:
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            raise ChildFailed(f"{self.process.args} ended with {self.process.wait()}:\n{self.log()[-4000:]}")
        return line
