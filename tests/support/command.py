"""The command as people run it: `turboapi` in a child process.

Owns: running it to its end, or until it serves; its port, signals, memory.
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
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

REPO = Path(__file__).resolve().parents[2]

START_TIMEOUT_S = 90.0
"""Seconds from spawn until the server says where it listens. Importing FastAPI on a loaded machine takes ten."""

END_TIMEOUT_S = 60.0
"""Seconds that a command may take to its end."""

ANY_PORT = ("--port", "0")
"""The options of a server that listens where the system likes."""

_BANNER = re.compile(r"^turboapi: serving on (\S+) .*$", re.MULTILINE)


def _environment(folder: Path, env: dict[str, str] | None) -> dict[str, str]:
    # The package may be found by a path of ours that is relative, or by pytest's.
    paths = [os.path.abspath(path) for path in sys.path if path]
    return {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(paths), **(env or {})}


def turboapi(
    *arguments: str, folder: Path = REPO, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "turboapi_rs", *arguments],
        cwd=folder,
        env=_environment(folder, env),
        capture_output=True,
        text=True,
        timeout=END_TIMEOUT_S,
    )


class Command:
    """`turboapi run APP` for the time of a `with` block, which is entered when it serves.

    Args:
        arguments: the app and options of `turboapi run`.
        place: options that say where it listens.
        program: run in place of `python -m turboapi_rs run`.
    """

    def __init__(
        self,
        *arguments: str,
        place: Sequence[str] = ANY_PORT,
        folder: Path = REPO,
        env: dict[str, str] | None = None,
        program: Sequence[str] = (sys.executable, "-m", "turboapi_rs", "run"),
        **options: Any,
    ) -> None:
        self._log = tempfile.NamedTemporaryFile("w+", prefix="turboapi-", suffix=".log")
        self.process = subprocess.Popen(
            [*program, *arguments, *place],
            cwd=folder,
            env=_environment(folder, env),
            stdout=self._log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            **options,
        )
        self.banner = ""

    def __enter__(self) -> Command:
        try:
            self.banner = self.wait_for_line(_BANNER)[0]
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.close()

    def close(self) -> None:
        """Kill it, if it still runs."""
        self.process.kill()
        self.process.wait()
        self._log.close()

    def wait_for_line(self, pattern: str | re.Pattern[str]) -> re.Match[str]:
        """Wait until what it has written has this in it."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while (found := re.search(pattern, self.log())) is None:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}:\n{self.log()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"nothing that it wrote is like {pattern}:\n{self.log()}")
            time.sleep(0.02)
        return found

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return "127.0.0.1", self.port

    @property
    def port(self) -> int:
        """The port where it listens."""
        return int(_BANNER.search(self.banner)[1].rsplit(":", 1)[1])

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def log(self) -> str:
        """All that it has written."""
        return Path(self._log.name).read_text(errors="replace")

    def send(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send(signal.SIGTERM)

    def wait(self, timeout: float = END_TIMEOUT_S) -> int:
        """Its exit status."""
        return self.process.wait(timeout)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal, and wait for its exit status."""
        self.send(number)
        return self.wait()

    def rss_bytes(self) -> int:
        """Its resident memory now."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024
