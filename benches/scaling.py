"""Whether a second worker brings a second core: throughput and CPU per request, beside this machine's own ceiling.

    python benches/scaling.py [--workers 2] [--rounds 7] [--slice 0.5] [--work 2000] [--handler work] [--json FILE]

The handler is pure Python that computes. The ceiling are processes side by side that know no server and call that
function in a loop; `apart` are as many servers of one worker each; beside them one server of so many workers, a row an
isolation that this interpreter has. Each worker has a connection of its own, on which requests lie ready in batches, so
that nobody waits for the client, which costs next to nothing: there is no load tool to take a core. All contenders run
from the start and are asked in turn, a slice each, round after round; the order changes from round to round, and a
figure is the median of the ratios within rounds, for a machine with other work is as slow for one as for the next.
Needs Linux's /proc.

The same without a network: requests that are parsed, routed, called and answered in the threads of one process
(`benches/in_process.rs`, built for this interpreter), where nothing else wants a core. There, each round has processes
of its own: where the addresses of one fall decides on up to a fifth of what its handlers cost, for as long as it lives.

Then, for what a request costs: `raw` (a handler of a dict) and `compiled` (a FastAPI route with parameters),
one server of so many workers against as many servers of one, microseconds of CPU for a request.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import py_compile
import re
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
START_TIMEOUT_S = 120.0
"""From spawn to the first answer."""

BATCH = 32
"""Requests of a cheap handler that lie ready on a connection: more would not be read at once."""

APP = """
import threading
from turboapi_rs import Server

WORK = {work}

def compute(rounds=WORK):
    total = 0
    for number in range(rounds):
        total = (total + number * number) % 65521
    return total

server = Server()

@server.get("/work")
def work():
    total = 0
    for number in range(WORK):
        total = (total + number * number) % 65521
    return total

class Bound:
    def compute(self):
        total = 0
        for number in range(WORK):
            total = (total + number * number) % 65521
        return total

# One instance, whose method all workers call.
method = server.get("/method")(Bound().compute)

@server.get("/raw")
def raw():
    return {{"message": "Hello World"}}

@server.get("/thread")
def thread():
    return threading.get_native_id()
"""

COMPILED = """
import threading
from fastapi import FastAPI
app = FastAPI()

@app.get("/items/{item_id}")
async def read_item(item_id: int, q: str | None = None):
    return {"item_id": item_id, "q": q}

@app.get("/thread")
async def thread() -> int:
    return threading.get_native_id()
"""

LOOP = """
import sys
from scaled import compute
calls = 0
print("ready", flush=True)
for line in sys.stdin:
    from time import monotonic
    end, calls = monotonic() + float(line), 0
    while monotonic() < end:
        compute()
        calls += 1
    print(calls, flush=True)
"""


def processes(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for thread in Path(f"/proc/{pid}/task").iterdir():
        # Threads end while they are looked at.
        with contextlib.suppress(FileNotFoundError):
            for child in (thread / "children").read_text().split():
                found += processes(int(child))
    return found


def cpu_ns(pids: list[int]) -> int:
    """Time on a core of all threads of these processes and their descendants."""
    total = 0
    for pid in pids:
        for process in processes(pid):
            for thread in Path(f"/proc/{process}/task").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    total += int((thread / "schedstat").read_text().split()[0])
    return total


class Loops:
    """The ceiling: processes that call the function and nothing else."""

    def __init__(self, count: int, folder: Path) -> None:
        self.children = [
            subprocess.Popen(
                [sys.executable, "-c", LOOP], cwd=folder, env=environment(folder), text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )
            for _ in range(count)
        ]  # fmt: skip
        for child in self.children:
            assert child.stdout.readline() == "ready\n"

    @property
    def pids(self) -> list[int]:
        """Its processes."""
        return [child.pid for child in self.children]

    def run(self, seconds: float) -> float:
        """Calls a second, of all together."""
        for child in self.children:
            child.stdin.write(f"{seconds}\n")
            child.stdin.flush()
        return sum(int(child.stdout.readline()) for child in self.children) / seconds

    def stop(self) -> None:
        """Ends them."""
        for child in self.children:
            child.kill()
            child.wait()


class InProcess(Loops):
    """Dispatch without a network: processes of so many threads each (`benches/in_process.rs`)."""

    def __init__(self, binary: str, mode: str, target: str, threads: list[int], folder: Path) -> None:
        home = {"PYTHONHOME": sys.base_prefix, "LD_LIBRARY_PATH": sysconfig.get_config_var("LIBDIR")}
        self.children = [
            subprocess.Popen(
                [binary, mode, str(count), "scaled:server", target], cwd=folder, env=environment(folder) | home,
                text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )
            for count in threads
        ]  # fmt: skip
        for child in self.children:
            if child.stdout.readline() != "ready\n":
                raise RuntimeError(f"{mode} does not dispatch")


def in_process_binary() -> str:
    """Builds it for this interpreter; gives its path."""
    command = ["cargo", "bench", "--bench", "in_process", "--no-run", "--message-format", "json"]
    folder = REPO / "target" / f"in-process-{sys.version_info[0]}.{sys.version_info[1]}{sys.abiflags}"
    environment = {**os.environ, "PYO3_PYTHON": sys.executable, "CARGO_TARGET_DIR": str(folder)}
    built = subprocess.run(command, cwd=REPO, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    artifacts = [json.loads(line) for line in built.stdout.splitlines() if line.startswith("{")]
    (binary,) = [each["executable"] for each in artifacts if each.get("target", {}).get("name") == "in_process"]
    return binary


class Servers:
    """One server of many workers, or many of one, and a connection to each of their workers."""

    def __init__(self, app: str, target: str, workers: list[int], folder: Path, options: list[str], batch: int) -> None:
        self.request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        self.batch, self.folder = batch, folder
        self.logs, self.children, self.lines = [], [], []
        for count in workers:
            log = tempfile.NamedTemporaryFile("w+", suffix=".log")  # noqa: SIM115, it lives as long as the server
            self.logs.append(log)
            command = [sys.executable, "-m", "turboapi_rs", "run", app, "--port", "0", "--workers", str(count)]
            command += options
            self.children.append(
                subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=log, stderr=subprocess.STDOUT)
            )
        for child, log, count in zip(self.children, self.logs, workers, strict=True):
            self.lines += connections(port_of(child, log), count)
        self.mark = self.expected()

    @property
    def pids(self) -> list[int]:
        """Its processes."""
        return [child.pid for child in self.children]

    def expected(self) -> int:
        """The size of an answer: all are alike."""
        line = self.lines[0]
        sizes = set()
        for _ in range(3):
            line.sendall(self.request)
            read = b""
            while b"\r\n\r\n" not in read:
                read += line.recv(65536)
            head, _, body = read.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), read
            size = int(re.search(rb"content-length: (\d+)", head)[1])
            while len(body) < size:
                body += line.recv(65536)
            sizes.add(len(head) + 4 + size)
        (size,) = sizes
        return size

    def run(self, seconds: float) -> float:
        """Requests a second, of all together. Each line always has a batch under way and one that waits."""
        batch, size = self.request * self.batch, self.mark * self.batch
        read = dict.fromkeys(self.lines, 0)
        asked = dict.fromkeys(self.lines, 2)
        started = time.monotonic()
        end = started + seconds
        at_end = 0
        is_over = False
        with selectors.DefaultSelector() as selector:
            for line in self.lines:
                selector.register(line, selectors.EVENT_READ)
                line.sendall(batch + batch)
            while selector.get_map():
                ready = selector.select(max(0.0, end - time.monotonic()) if not is_over else 30)
                for key, _ in ready:
                    line = key.fileobj
                    got = len(line.recv(1 << 20))
                    assert got, "the server closed the connection"
                    read[line] += got
                    while not is_over and asked[line] - read[line] // size < 2:
                        line.sendall(batch)
                        asked[line] += 1
                    if is_over and read[line] == asked[line] * size:
                        selector.unregister(line)
                if not is_over and time.monotonic() >= end:
                    is_over, at_end, lasted = True, sum(read.values()), time.monotonic() - started
                    for line in self.lines:
                        if read[line] == asked[line] * size:
                            selector.unregister(line)
        self.answered = sum(read.values()) // self.mark
        return at_end / self.mark / lasted

    def stop(self) -> None:
        """Ends them, by their pids."""
        for line in self.lines:
            line.close()
        for child in self.children:
            child.send_signal(signal.SIGTERM)
        for child, log in zip(self.children, self.logs, strict=True):
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            log.close()


def environment(folder: Path) -> dict[str, str]:
    """What a child runs in."""
    paths = [str(folder), str(REPO / "python"), *filter(None, sys.path)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def port_of(child: subprocess.Popen, log) -> int:
    """Where it listens, once it does."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        said = Path(log.name).read_text()
        if found := re.search(r"serving on \S+:(\d+)", said):
            return int(found[1])
        if child.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"it does not serve:\n{said}")
        time.sleep(0.05)


def connections(port: int, workers: int) -> list[socket.socket]:
    """One to each worker: the kernel spreads connections as it likes, so others are closed again."""
    found: dict[bytes, socket.socket] = {}
    deadline = time.monotonic() + START_TIMEOUT_S
    while len(found) < workers:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(found)} of {workers} workers answer")
        line = socket.create_connection(("127.0.0.1", port), 30)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.sendall(b"GET /thread HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = line.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200"), answer
        thread = answer.rsplit(b"\r\n", 1)[1]
        if thread in found:
            line.close()
        else:
            found[thread] = line
    return list(found.values())


def spread(values: list[float], digits: int = 2) -> str:
    """The median, and from where to where."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def measure(contenders: dict[str, Loops | Servers], rounds: range, seconds: float, figures: dict) -> None:
    """Adds rates and CPU per request of each, a figure a round."""
    order = list(contenders)
    for contender in contenders.values():
        contender.run(seconds)
    for round_number in rounds:
        turn = round_number % len(order)
        for name in order[turn:] + order[:turn]:
            contender = contenders[name]
            before, started = cpu_ns(contender.pids), time.monotonic()
            rate = contender.run(seconds)
            spent, lasted = cpu_ns(contender.pids) - before, time.monotonic() - started
            done = contender.answered if isinstance(contender, Servers) else rate * lasted
            figures[name]["per_second"].append(rate)
            figures[name]["cpu_us"].append(spent / done / 1e3)


def report(title: str, figures: dict[str, dict[str, list[float]]], base: str) -> None:
    """A table, ratios to one of them."""
    print(f"\n{title}\n\n| | a second, median | ÷ {base} | CPU, µs | CPU ÷ {base} |\n|---|---|---|---|---|")
    for name, each in figures.items():
        ratios = {
            key: [mine / other for mine, other in zip(each[key], figures[base][key], strict=True)] for key in each
        }
        print(f"| {name} | {statistics.median(each['per_second']):,.0f} | {spread(ratios['per_second'])} | "
              f"{spread(each['cpu_us'], 1)} | {spread(ratios['cpu_us'])} |", flush=True)  # fmt: skip


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--slice", type=float, default=0.5, help="seconds of load, a round and contender")
    parser.add_argument("--work", type=int, default=2000, help="turns of the loop in the handler that computes")
    parser.add_argument(
        "--handler",
        choices=("work", "method"),
        default="work",
        help="in process: a function, or a method that is bound to one object",
    )
    parser.add_argument("--driver", choices=("uring", "epoll", "auto"), default="auto")
    parser.add_argument("--only", choices=("in-process", "throughput", "cpu"), help="one of the three")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    options = parser.parse_args()
    is_free = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    count, apart, driver = options.workers, [1] * options.workers, ["--driver", options.driver]
    print(f"Python {sys.version.split()[0]}{', free-threaded' if is_free else ''}, {count} workers, driver "
          f"{options.driver}, {options.rounds} rounds of {options.slice:g} s, load {os.getloadavg()[0]:.1f} on "
          f"{os.cpu_count()} cores")  # fmt: skip
    results = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "scaled.py").write_text(APP.format(work=options.work))
        # As the server loads it: constants of code that is unmarshalled are immortal, those of code just compiled not.
        py_compile.compile(str(folder / "scaled.py"), doraise=True)
        (folder / "scaled_fastapi.py").write_text(COMPILED)

        def several(start: dict, *, afresh: bool = False) -> dict[str, dict[str, list[float]]]:
            figures = {name: {"per_second": [], "cpu_us": []} for name in start}
            whole = range(options.rounds)
            for rounds in [whole[each : each + 1] for each in whole] if afresh else [whole]:
                with contextlib.ExitStack() as stack:
                    contenders = {}
                    for name, make in start.items():
                        contenders[name] = make()
                        stack.callback(contenders[name].stop)
                    measure(contenders, rounds, options.slice, figures)
            return figures

        def servers(app: str, target: str, workers: list[int], batch: int, *more: str):
            return lambda: Servers(app, target, workers, folder, [*driver, *more], batch)

        if options.only in (None, "in-process"):
            binary, target = in_process_binary(), f"/{options.handler}"
            results["in-process"] = several({
                "ceiling": lambda: Loops(count, folder),
                "one loop": lambda: Loops(1, folder),
                "apart": lambda: InProcess(binary, "shared", target, apart, folder),
                "shared": lambda: InProcess(binary, "shared", target, [count], folder),
                "interpreters": lambda: InProcess(binary, "interpreters", target, [count], folder),
            }, afresh=True)  # fmt: skip
            report(f"A handler that computes, dispatched in process: {target}", results["in-process"], "ceiling")
        if options.only in (None, "throughput"):
            computing = ("scaled:server", "/work")
            results["throughput"] = several({
                "ceiling": lambda: Loops(count, folder),
                "one loop": lambda: Loops(1, folder),
                "apart": servers(*computing, apart, 4),
                "shared": servers(*computing, [count], 4, "--isolation", "shared"),
                "interpreters": servers(*computing, [count], 4, "--isolation", "interpreters"),
            })  # fmt: skip
            report("A handler that computes", results["throughput"], "ceiling")
        if options.only in (None, "cpu"):
            for name, app, target in (
                ("raw", "scaled:server", "/raw"),
                ("compiled", "scaled_fastapi:app", "/items/42?q=text"),
            ):
                results[name] = several({
                    "apart": servers(app, target, apart, BATCH, "--isolation", "shared"),
                    "shared": servers(app, target, [count], BATCH, "--isolation", "shared"),
                })  # fmt: skip
                report(f"What a request costs: {name}, {target}", results[name], "apart")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
