"""The server as people start it: `turboapi run` in a child process.

Owns: starting the command, finding its port, signals, its memory.
Rule: ended by its pid, always; what it logged is in the failure.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

REPO = Path(__file__).resolve().parents[2]

START_TIMEOUT_S = 60.0
"""Seconds from spawn until the server says where it listens."""

_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


class Command:
    """`turboapi run APP --port 0` for the time of a `with` block."""

    def __init__(self, app: str, *options: str, env: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "turboapi_rs", "run", app, "--port", "0", *options]
        self._log = tempfile.NamedTemporaryFile("w+", prefix="turboapi-", suffix=".log")
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
        self.process = subprocess.Popen(
            command, cwd=REPO, env=environment, stdout=self._log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
        self.port = 0

    def __enter__(self) -> Command:
        deadline = time.monotonic() + START_TIMEOUT_S
        try:
            while not (found := _ADDRESS.search(self.log())):
                if self.process.poll() is not None:
                    raise RuntimeError(f"the server ended with {self.process.returncode}:\n{self.log()}")
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the server does not say where it listens:\n{self.log()}")
                time.sleep(0.02)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.port = int(found[1])
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self._log.close()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return "127.0.0.1", self.port

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def log(self) -> str:
        """All that it has written."""
        return Path(self._log.name).read_text(errors="replace")

    def terminate(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout: float) -> int:
        """Its exit status."""
        return self.process.wait(timeout)

    def rss_bytes(self) -> int:
        """Its resident memory now."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024
