"""Server CPU per request: ours beside the bare server and peers, in one run.

    python benches/load/run.py [--case raw-json,sse] [--rounds 5] [--seconds 3] [--connections 64] [--json FILE]

For each case all its servers are started, one worker each, and their answers checked. Then, round after round and
server by server, wrk asks for `--seconds`: user and system time of all processes of the server over that time, divided
by the requests answered. Prints the median, the spread, and ratios to the bare server and to ours. Traffic stays on
127.0.0.1; every server is stopped by its pid. Needs wrk (Debian: apt-get install wrk) and Linux's /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from benches.load.cases import BARE, Ask, Case, Contender, all_cases  # noqa: E402, after the path

TICK = os.sysconf("SC_CLK_TCK")

WARM_UP_S = 1.0
"""Load before the first round of a server: caches fill, def routes earn their direct calls."""

START_TIMEOUT_S = 60.0
"""From spawn to the first answer."""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def processes(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for thread in Path(f"/proc/{pid}/task").iterdir():
        # Threads end while they are looked at.
        with contextlib.suppress(FileNotFoundError):
            for child in (thread / "children").read_text().split():
                found += processes(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants."""
    ticks = 0
    for process in processes(pid):
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICK


class Server:
    """A contender that runs."""

    def __init__(self, case: Case, contender: Contender) -> None:
        self.case, self.contender, self.port = case, contender, free_port()
        command = [part.format(port=self.port) for part in contender.command]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPO), *filter(None, sys.path)])}
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115, it lives as long as the server
        self.process = subprocess.Popen(command, cwd=REPO, env=environment, stdout=self.log, stderr=self.log)

    def wait_until_it_answers(self) -> None:
        """Returns at the first right answer; raises when there is none, or a wrong one."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                status, body = self.ask_once()
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.log.seek(0)
                    raise RuntimeError(f"{self.contender.name} does not answer:\n{self.log.read()}") from None
                time.sleep(0.05)
        if status != self.contender.ask.status or not (self.contender.name == "bare" or self.case.is_right(body)):
            raise RuntimeError(f"{self.case.name}, {self.contender.name}: {status} {body[:200]!r}")

    def ask_once(self) -> tuple[int, bytes]:
        """Status and body; of a stream the first piece."""
        ask = self.contender.ask
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(ask.method, ask.target, ask.body or None, dict(ask.headers))
            answer = connection.getresponse()
            return answer.status, answer.readline() if self.case.streams else answer.read()

    def cpu(self) -> float:
        """Seconds of CPU used so far."""
        return cpu_seconds(self.process.pid)

    def stop(self) -> None:
        """Ends it, by its pid."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def wrk(server: Server, seconds: float, connections: int) -> int:
    """Loads a server; gives the requests answered, all of them with the right status."""
    ask = server.contender.ask
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(lua(ask))
        script.flush()
        url = f"http://127.0.0.1:{server.port}{ask.target}"
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}", "-s", script.name, url]
        told = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    answered = int(re.search(r"(\d+) requests in", told)[1])
    refused = int(found[1]) if (found := re.search(r"Non-2xx or 3xx responses: (\d+)", told)) else 0
    if refused != (answered if ask.status >= 400 else 0) or "Socket errors" in told:
        raise RuntimeError(f"{server.case.name}, {server.contender.name}: {told}")
    return answered


def lua(ask: Ask) -> str:
    """A request as wrk wants it."""
    lines = [f"wrk.method = {json.dumps(ask.method)}"]
    lines += [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in ask.headers]
    if ask.body:
        lines.append(f"wrk.body = {json.dumps(ask.body.decode())}")
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def event_counter(server: Server) -> Iterator[subprocess.Popen[str]]:
    """A client that holds the case's streams."""
    script = str(Path(__file__).with_name("streams.py"))
    command = [sys.executable, script, str(server.port), server.contender.ask.target, str(server.case.streams)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        try:
            if client.stdout.readline() != "open\n":
                raise RuntimeError(f"{server.case.name}, {server.contender.name}: the streams do not open")
            yield client
        finally:
            client.kill()


def events_so_far(client: subprocess.Popen[str]) -> int:
    """How many events the client has counted."""
    client.stdin.write("\n")
    client.stdin.flush()
    return int(client.stdout.readline())


def measure(server: Server, seconds: float, connections: int) -> tuple[float, float]:
    """Microseconds of CPU for one request (or event), and requests (or events) a second."""
    if server.case.streams:
        with event_counter(server) as client:
            cpu, count, started = server.cpu(), events_so_far(client), time.monotonic()
            time.sleep(seconds)
            spent, done = server.cpu() - cpu, events_so_far(client) - count
            lasted = time.monotonic() - started
    else:
        cpu, started = server.cpu(), time.monotonic()
        done = wrk(server, seconds, connections)
        spent, lasted = server.cpu() - cpu, time.monotonic() - started
    return spent / done * 1e6, done / lasted


def run_case(case: Case, options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Microseconds and rates of each contender, a figure a round."""
    figures = {contender.name: {"cpu_us": [], "per_second": []} for contender in case.contenders}
    with contextlib.ExitStack() as stack:
        servers = []
        for contender in case.contenders:
            server = Server(case, contender)
            stack.callback(server.stop)
            servers.append(server)
        for server in servers:
            server.wait_until_it_answers()
            if not case.streams:
                wrk(server, WARM_UP_S, options.connections)
        for _ in range(options.rounds):
            for server in servers:
                cpu_us, per_second = measure(server, options.seconds, options.connections)
                figures[server.contender.name]["cpu_us"].append(cpu_us)
                figures[server.contender.name]["per_second"].append(per_second)
    return figures


def table(figures: dict[str, dict[str, list[float]]]) -> str:
    """A case as a Markdown table."""
    middle = {name: statistics.median(each["cpu_us"]) for name, each in figures.items()}
    lines = ["| server | CPU, median | lowest to highest | ÷ bare | ÷ ours | a second |", "|---|---|---|---|---|---|"]
    for name, each in figures.items():
        to_bare, to_ours = (
            f"{middle[name] / middle[other]:.2f}" if other in middle else "" for other in ("bare", "ours")
        )
        spread = f"{min(each['cpu_us']):.1f} to {max(each['cpu_us']):.1f}"
        rate = f"{statistics.median(each['per_second']):,.0f}"
        lines.append(f"| {name} | {middle[name]:.1f} µs | {spread} | {to_bare} | {to_ours} | {rate} |")
    return "\n".join(lines)


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", default="", help="names, with commas between; all of them when not given")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="of load, a round and server")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--driver", choices=("uring", "epoll", "auto"), default="uring", help="of ours and of bare")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        parser.error("wrk is missing (Debian: apt-get install wrk)")
    cases = {case.name: case for case in all_cases(options.driver)}
    chosen = [name for name in options.case.split(",") if name] or list(cases)
    if unknown := [name for name in chosen if name not in cases]:
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(cases)}")
    build = [
        "cargo",
        "build",
        "-q",
        "--release",
        "--example",
        BARE.name,
        "--no-default-features",
        "--features",
        "runtime",
    ]
    subprocess.run(build, cwd=REPO, check=True)
    results = {}
    print(f"one worker each, {options.connections} connections, driver {options.driver}, {options.rounds} rounds of "
          f"{options.seconds:g} s, Python {sys.version.split()[0]}")  # fmt: skip
    for name in chosen:
        results[name] = run_case(cases[name], options)
        unit = "event" if cases[name].streams else "request"
        print(f"\n{name}: server CPU per {unit}\n\n{table(results[name])}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
