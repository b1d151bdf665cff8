"""Many streams of events at once: CPU of an event, memory of a stream, delay of an event; ours and peers, in one run.

    python benches/load/events.py [--streams 1000] [--seconds 30] [--rounds 1] [--only ours] [--json FILE]

Each server runs one worker and the same FastAPI application, whose streams send ten events a second each, an event
carrying the time at which it was made. The server is started, streams are opened, and once each of them has given an
event it is watched for `--seconds`: user and system time of its processes divided by the events that arrived; growth of
its resident memory divided by the streams; time from the making of an event to its arrival. Servers take turns, one at
a time, round after round. Traffic stays on 127.0.0.1; every server is stopped by its pid. Needs Linux's /proc.
"""

from __future__ import annotations

import argparse
import json
import resource
import selectors
import statistics
import sys
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from benches.load.cases import Ask, Case, Contender, granian, ours, uvicorn  # noqa: E402, after the path
from benches.load.run import Server, processes  # noqa: E402
from benches.load.streams import open_stream  # noqa: E402

ASK = Ask("/clock")

OPEN_TIMEOUT_S = 60.0
"""From the first connection to an event on each."""


def contenders(driver: str) -> tuple[Contender, ...]:
    """The servers, and the application that all of them run."""
    app = "benches.load.apps:fastapi"
    return (ours(app, ASK, driver), granian("asgi", app, ASK), uvicorn(app, ASK))


def resident_bytes(pid: int) -> int:
    """Memory of a process and its descendants."""
    total = 0
    for process in processes(pid):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1024
    return total


class Streams:
    """The client's side: every stream, and the delay of each event that came."""

    def __init__(self, port: int, count: int) -> None:
        self.delays: list[float] = []
        self.events = 0
        self._selector = selectors.DefaultSelector()
        self._sockets = []
        waiting = set()
        for _ in range(count):
            sock = open_stream(port, ASK.target)
            self._sockets.append(sock)
            waiting.add(sock.fileno())
            self._selector.register(sock, selectors.EVENT_READ)
        deadline = time.monotonic() + OPEN_TIMEOUT_S
        while waiting:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(waiting)} of {count} streams gave no event")
            waiting -= self.read(1.0)

    def read(self, wait: float) -> set[int]:
        """Read what is there; give the streams on which events came."""
        found = set()
        for key, _ in self._selector.select(wait):
            data = key.fileobj.recv(65536)
            now = time.monotonic()
            at = data.find(b'"at":')
            while at >= 0:
                end = data.find(b"}", at)
                self.delays.append(now - float(data[at + 5 : end]))
                self.events += 1
                found.add(key.fd)
                at = data.find(b'"at":', end)
        return found

    def close(self) -> None:
        """Leave."""
        for sock in self._sockets:
            sock.close()
        self._selector.close()


def measure(contender: Contender, count: int, seconds: float) -> dict[str, float]:
    """Figures of one server."""
    case = Case("events", (contender,), lambda body: body.startswith(b'data: {"n":'), streams=count)
    server = Server(case, contender)
    try:
        server.wait_until_it_answers()
        before = resident_bytes(server.process.pid)
        streams = Streams(server.port, count)
        try:
            streams.delays.clear()
            streams.events = 0
            cpu, started = server.cpu(), time.monotonic()
            while time.monotonic() - started < seconds:
                streams.read(0.1)
            lasted, spent = time.monotonic() - started, server.cpu() - cpu
            grown = resident_bytes(server.process.pid) - before
        finally:
            streams.close()
    finally:
        server.stop()
    delays = sorted(streams.delays)
    return {
        "cpu_us": spent / streams.events * 1e6,
        "rss_kib": grown / count / 1024,
        "p50_ms": delays[len(delays) // 2] * 1e3,
        "p99_ms": delays[len(delays) * 99 // 100] * 1e3,
        "per_second": streams.events / lasted,
    }


def table(figures: dict[str, list[dict[str, float]]]) -> str:
    """Medians over the rounds, as Markdown."""
    middle = {
        name: {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
        for name, rounds in figures.items()
    }
    mine = middle.get("ours")
    lines = [
        "| server | CPU of an event | ÷ ours | RSS of a stream | delay, median | delay, p99 | events a second |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, each in middle.items():
        ratio = f"{each['cpu_us'] / mine['cpu_us']:.1f}" if mine else ""
        lines.append(
            f"| {name} | {each['cpu_us']:.1f} µs | {ratio} | {each['rss_kib']:.1f} KiB | {each['p50_ms']:.1f} ms "
            f"| {each['p99_ms']:.1f} ms | {each['per_second']:,.0f} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30, help="of watching, a round and server")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--driver", choices=("uring", "epoll", "auto"), default="uring", help="of ours")
    parser.add_argument("--only", help="one server, by its name")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    chosen = [each for each in contenders(options.driver) if options.only in (None, each.name)]
    if not chosen:
        parser.error(f"no server {options.only}")
    figures: dict[str, list[dict[str, float]]] = {each.name: [] for each in chosen}
    for _ in range(options.rounds):
        for contender in chosen:
            figures[contender.name].append(measure(contender, options.streams, options.seconds))
    print(f"{options.streams} streams, 10 events a second each, {options.rounds} x {options.seconds:g} s, one worker, "
          f"driver {options.driver}, Python {sys.version.split()[0]}\n\n{table(figures)}")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
