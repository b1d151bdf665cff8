"""Server CPU per request: ours beside the bare server and peers, in one run.

    python benches/load/run.py [--rounds 5] [--seconds 3] [--connections 64] [--only raw,asgi] [--json FILE]

For each server in turn, round after round: user and system time of all its processes over a run of wrk, divided by the
requests answered. One worker each, traffic on 127.0.0.1 only. The answer is checked before it is timed. Prints the
median, the spread, and ratios to the bare server. Needs wrk (Debian: apt-get install wrk) and Linux's /proc.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
TICK = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class Contender:
    """A server to measure."""

    name: str
    command: list[str]
    path: str = "/"


def contenders() -> list[Contender]:
    """Those that this machine has."""
    python = sys.executable
    bare = REPO / "target/release/examples/bare"
    ours = [python, "-m", "turboapi_rs", "run", "--workers", "1", "--port", "{port}"]
    found = []
    if bare.exists():
        for driver in ("uring", "epoll"):
            command = [str(bare), "--workers", "1", "--port", "{port}", "--driver", driver]
            found.append(Contender(f"bare, {driver}", command))
    for driver in ("uring", "epoll"):
        found.append(Contender(f"raw handler, {driver}", [*ours, "examples.raw:server", "--driver", driver]))
    found.append(Contender("static response, uring", [*ours, "examples.raw:server", "--driver", "uring"], "/health"))
    found.append(Contender("ASGI, ours", [*ours, "benches.load.apps:asgi"]))
    found.append(Contender("FastAPI, ours", [*ours, "benches.load.apps:fastapi"]))
    granian = shutil.which("granian", path=str(Path(python).parent))
    if granian:
        peer = [granian, "--workers", "1", "--no-access-log", "--port", "{port}", "--interface"]
        found.append(Contender("granian, RSGI", [*peer, "rsgi", "benches.load.apps:rsgi"]))
        found.append(Contender("granian, ASGI", [*peer, "asginl", "benches.load.apps:asgi"]))
        found.append(Contender("granian, FastAPI", [*peer, "asgi", "benches.load.apps:fastapi"]))
    uvicorn = [python, "-m", "uvicorn", "--log-level", "error", "--no-access-log", "--port", "{port}"]
    found.append(Contender("uvicorn, FastAPI", [*uvicorn, "benches.load.apps:fastapi"]))
    return found


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def processes(pid: int) -> list[int]:
    """A process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found = [pid]
    if children.exists():
        for child in children.read_text().split():
            found += processes(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants."""
    total = 0
    for process in processes(pid):
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


class Server:
    """A contender that runs, from its first answer to its end."""

    def __init__(self, contender: Contender) -> None:
        self.port = free_port()
        command = [part.format(port=self.port) for part in contender.command]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPO), *sys.path])}
        self.url = f"http://127.0.0.1:{self.port}{contender.path}"
        self.process = subprocess.Popen(
            command, cwd=REPO, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def __enter__(self) -> Server:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(self.url, timeout=2) as answer:
                    body = answer.read()
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.process.args} does not answer") from None
                time.sleep(0.05)
        assert body.replace(b'": "', b'":"') in (b'{"message":"Hello World"}', b"ok"), body
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def measure(contender: Contender, seconds: float, connections: int) -> float:
    """Microseconds of server CPU for one request."""
    with Server(contender) as server:
        wrk = ["wrk", "-t1", f"-c{connections}"]
        subprocess.run([*wrk, "-d1", server.url], capture_output=True, check=True)
        before = cpu_seconds(server.process.pid)
        ran = subprocess.run([*wrk, f"-d{seconds:g}", server.url], capture_output=True, check=True, text=True)
        spent = cpu_seconds(server.process.pid) - before
    if "Non-2xx" in ran.stdout or "Socket errors" in ran.stdout:
        raise RuntimeError(f"{contender.name}: {ran.stdout}")
    return spent / int(re.search(r"(\d+) requests in", ran.stdout)[1]) * 1e6


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--only", default="", help="words of which a contender's name must contain one")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not shutil.which("wrk"):
        parser.error("wrk is missing (Debian: apt-get install wrk)")
    build = ["cargo", "build", "-q", "--release", "--example", "bare", "--no-default-features", "--features", "runtime"]
    subprocess.run(build, cwd=REPO, check=True)
    words = [word for word in options.only.split(",") if word]
    chosen = [one for one in contenders() if not words or any(word in one.name for word in words)]
    figures: dict[str, list[float]] = {one.name: [] for one in chosen}
    for _ in range(options.rounds):
        for one in chosen:
            figures[one.name].append(measure(one, options.seconds, options.connections))
    bare = {name.split(", ")[1]: statistics.median(each) for name, each in figures.items() if name.startswith("bare")}
    print(f"| server | CPU per request, median | lowest to highest of {options.rounds} | ratio to bare |")
    print("|---|---|---|---|")
    for name, each in figures.items():
        middle = statistics.median(each)
        reference = bare.get(name.split(", ")[-1]) or bare.get("uring")
        ratio = f"{middle / reference:.2f}" if reference else ""
        print(f"| {name} | {middle:.1f} us | {min(each):.1f} to {max(each):.1f} | {ratio} |")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
