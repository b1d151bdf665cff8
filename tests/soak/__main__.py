"""Many requests of all kinds, and what is left behind: nothing.

    python -m tests.soak [--requests 1000000] [--isolation shared,interpreters,processes] [--workers 2]
    python -m tests.soak --seconds 300 --app fastapi       by time, and nothing is counted: for a sanitizer

For each isolation a server is started as people start it. Pipelined batches of every kind of request are sent over a few
connections, and each answer compared with the first of its kind. Objects by type and the reference counts of chosen
objects are asked for after the warm-up, half-way and at the end, in each interpreter; memory is looked at in /proc.
Prints all of them; exits with 1 if something grew.

Owns: the clients, the counting. Does not own: what is served (`served`).
Rule: a count may waver, by caches and by what is on its way; it may not grow with the requests.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.command import ANY_PORT, REPO, Command
from tests.support.wire import Connection, request_bytes

CONNECTIONS = 8
"""At once; each is closed now and then, so that connections are counted too."""

BATCHES_PER_CONNECTION = 50

WAVERING = 200
"""Objects of one type, or references to one object, that may be more at the end than after the warm-up."""

RSS_MIB = 16.0
"""Memory that a process may have more at the end than after the warm-up: heaps settle, and tear."""

_JSON = [("Content-Type", "application/json")]
_CHUNKED = [("Transfer-Encoding", "chunked")]
_MULTIPART = [("Content-Type", "multipart/form-data; boundary=b")]
_FORM = (
    b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nsome\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + b"z" * 500 + b"\r\n--b--\r\n"
)

RAW = [
    request_bytes("GET", "/dict"),
    request_bytes("GET", "/bytes"),
    request_bytes("GET", "/four"),
    request_bytes("GET", "/items/7?q=some%20text&deep=yes"),
    request_bytes("GET", "/items/seven"),
    request_bytes("POST", "/echo", body=b"y" * 1000),
    request_bytes("POST", "/request?a=1&b=2", headers=[("X-One", "1")], body=b"12345"),
    request_bytes("GET", "/later"),
    request_bytes("GET", "/at-once"),
    request_bytes("GET", "/stream"),
    request_bytes("GET", "/stream-later"),
    request_bytes("GET", "/away"),
    request_bytes("GET", "/awaitable"),
    request_bytes("POST", "/taken", body=b"y" * 1000),
    request_bytes("POST", "/taken/away", headers=_CHUNKED, body=b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"),
    request_bytes("POST", "/taken/away", body=b"y" * 1000),
    request_bytes("POST", "/form", headers=_MULTIPART, body=_FORM),
    request_bytes("POST", "/form", headers=_MULTIPART, body=_FORM[:-9]),
    request_bytes("POST", "/form/refused", body=b"y"),
    request_bytes("GET", "/raises"),
    request_bytes("GET", "/wrong"),
    request_bytes("GET", "/static"),
    request_bytes("GET", "/files/__init__.py"),
    request_bytes("GET", "/files/absent"),
    request_bytes("GET", "/nowhere"),
    request_bytes("HEAD", "/dict"),
]
ASGI = [
    request_bytes("GET", "/at_once"),
    request_bytes("POST", "/echo", body=b"y" * 1000),
    request_bytes("POST", "/echo", headers=_CHUNKED, body=b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"),
    request_bytes("GET", "/late"),
    request_bytes("GET", "/stream"),
    request_bytes("GET", "/watched"),
    request_bytes("HEAD", "/stream"),
    request_bytes("GET", "/raises"),
    request_bytes("GET", "/raises_at_once"),
    request_bytes("GET", "/wrong"),
]
FASTAPI = [
    request_bytes("GET", "/async/7?q=text"),
    request_bytes("GET", "/async/seven"),
    request_bytes("GET", "/sync/7"),
    request_bytes("POST", "/items", headers=_JSON, body=b'{"name":"Foo","price":42.5,"tags":["a","b"]}'),
    request_bytes("POST", "/items", headers=_JSON, body=b'{"name":"","price":"cheap"}'),
    request_bytes("POST", "/items", headers=_JSON, body=b'{"name"'),
    request_bytes("GET", "/who"),
    request_bytes("GET", "/refused"),
    request_bytes("GET", "/tasks"),
    request_bytes("POST", "/form", headers=_MULTIPART, body=_FORM),
    request_bytes("GET", "/text"),
    request_bytes("GET", "/stream"),
    request_bytes("GET", "/events"),
    request_bytes("GET", "/hosted/"),
    request_bytes("GET", "/nowhere"),
    request_bytes("DELETE", "/items"),
]

KINDS = {"server": RAW, "asgi": ASGI, "fastapi": FASTAPI}
"""What each application of `served` is asked."""

IN_ONE_PROCESS = [
    ("shared", "server"),
    ("shared", "asgi"),
    ("shared", "fastapi"),
    ("interpreters", "server"),
    ("interpreters", "asgi"),
]
"""Isolations of one process, and what each can serve."""

_DATE = re.compile(rb"date: [^\r]*")


@dataclasses.dataclass
class Look:
    """What there was at one moment."""

    asked: int
    """Requests so far."""
    worlds: list[dict[str, Any]]
    """What each interpreter counted, in an order that stays."""
    rss: dict[int, float]
    """MiB of each process."""


class Soak:
    """One server under one isolation.

    Args:
        serving: the command that runs.
        requests: the kinds.
        worlds: interpreters that there are to count in.
    """

    def __init__(self, serving: Command, requests: list[bytes], worlds: int) -> None:
        self.serving, self.requests, self.worlds, self.asked = serving, requests, worlds, 0
        self._batch, self._answers, self._length = b"", b"", 0

    def learn(self) -> None:
        """Ask each kind by itself; what comes is what is to come ever after."""
        batch, answers = [], []
        for request in self.requests:
            head, end, body = request.partition(b"\r\n\r\n")
            with Connection(("127.0.0.1", self.serving.port)) as connection:
                connection.send(head + b"\r\nConnection: close" + end + body)
                answer = connection.read_to_end()
            assert answer.startswith(b"HTTP/1.1 "), (request, answer)
            batch.append(request)
            answers.append(answer.replace(b"connection: close\r\n", b""))
        self._batch, self._length = b"".join(batch), sum(map(len, answers))
        self._answers = _DATE.sub(b"date:", b"".join(answers))

    def ask(self, count: int) -> None:
        """Send so many requests, over all connections."""
        batches = -(-count // len(self.requests))
        faults: list[BaseException] = []
        shares = [batches // CONNECTIONS + (index < batches % CONNECTIONS) for index in range(CONNECTIONS)]

        def live(share: int) -> None:
            try:
                while share > 0:
                    turns = min(share, BATCHES_PER_CONNECTION)
                    self._ask_on(turns)
                    share -= turns
            except BaseException as fault:
                faults.append(fault)

        clients = [threading.Thread(target=live, args=(share,)) for share in shares]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        if faults:
            raise faults[0]
        self.asked += batches * len(self.requests)

    def _ask_on(self, turns: int) -> None:
        with Connection(("127.0.0.1", self.serving.port), timeout=60.0) as connection:
            for _ in range(turns):
                connection.send(self._batch)
                found = bytearray()
                while len(found) < self._length:
                    piece = connection.read_some()
                    if not piece:
                        raise ConnectionError(f"the server closed after {bytes(found[-300:])!r}")
                    found += piece
                if (without_date := _DATE.sub(b"date:", bytes(found))) != self._answers:
                    raise AssertionError(_difference(self._answers, without_date))

    def look(self) -> Look:
        """Count in each interpreter, and weigh each process."""
        found: dict[str, dict[str, Any]] = {}
        deadline = time.monotonic() + 60
        while len(found) < self.worlds:
            assert time.monotonic() < deadline, f"{len(found)} of {self.worlds} interpreters have answered"
            with Connection(("127.0.0.1", self.serving.port), timeout=60.0) as connection:
                counted = json.loads(connection.exchange(request_bytes("GET", "/counts")).body)
            found[counted["world"]] = counted
        worlds = [found[name] for name in sorted(found)]
        return Look(self.asked, worlds, {world["pid"]: _rss_mib(world["pid"]) for world in worlds})


def _difference(wanted: bytes, found: bytes) -> str:
    place = next((index for index, pair in enumerate(zip(wanted, found, strict=False)) if pair[0] != pair[1]), -1)
    return f"at byte {place}: {wanted[max(0, place - 100) : place + 200]!r} became {found[max(0, place - 100) : place + 200]!r}"


def _rss_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def grown(before: Look, after: Look) -> list[str]:
    """What is more than it may be."""
    faults = []
    for first, last in zip(before.worlds, after.worlds, strict=True):
        for kind in ("objects", "references"):
            for name, count in last[kind].items():
                more = count - first[kind].get(name, 0)
                if more > WAVERING:
                    faults.append(f"{kind} of {name}: {first[kind].get(name, 0)} became {count}")
    for pid, mib in after.rss.items():
        if mib - before.rss[pid] > RSS_MIB:
            faults.append(f"memory of process {pid}: {before.rss[pid]:.1f} became {mib:.1f} MiB")
    return faults


def _lines(name: str, looks: list[Look]) -> Iterator[str]:
    yield f"{name}: after " + ", ".join(f"{look.asked:,}" for look in looks) + " requests"
    for index, world in enumerate(looks[-1].worlds):
        totals = [sum(look.worlds[index]["objects"].values()) for look in looks]
        yield f"  interpreter {index} of process {world['pid']}: objects " + ", ".join(map(str, totals))
        for watched in world["references"]:
            seen = [look.worlds[index]["references"][watched] for look in looks]
            if len(set(seen)) > 1:
                yield f"    references to {watched}: " + ", ".join(map(str, seen))
    for pid in looks[-1].rss:
        yield f"  process {pid}: RSS MiB " + ", ".join(f"{look.rss[pid]:.1f}" for look in looks)


def soak(isolation: str, app: str, requests: int, workers: int, *, warm_up: float = 0.1) -> tuple[list[str], list[str]]:
    """Run one server; gives lines for people, and what has grown."""
    arguments = (f"tests.soak.served:{app}", "--isolation", isolation, "--workers", str(workers), "--log-level", "off")
    with Command(*arguments, folder=REPO, place=ANY_PORT) as serving:
        soaking = Soak(serving, KINDS[app], 1 if isolation == "shared" else workers)
        soaking.learn()
        soaking.ask(int(requests * warm_up))
        looks = [soaking.look()]
        for _ in range(2):
            soaking.ask(int(requests * (1 - warm_up) / 2))
            looks.append(soaking.look())
        assert serving.end() == 0
    return list(_lines(f"{app}, {isolation}", looks)), grown(looks[0], looks[-1])


def load(isolation: str, app: str, seconds: float, workers: int) -> str:
    """Send all kinds for so long; gives a line for people."""
    arguments = (f"tests.soak.served:{app}", "--isolation", isolation, "--workers", str(workers), "--log-level", "off")
    with Command(*arguments, folder=REPO, place=ANY_PORT) as serving:
        soaking = Soak(serving, KINDS[app], 1)
        soaking.learn()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            soaking.ask(len(soaking.requests) * CONNECTIONS * 5)
        assert serving.end() == 0, serving.log()
    return f"{app}, {isolation}: {soaking.asked:,} requests"


def main() -> int:
    """Soak, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000, help="for each isolation")
    parser.add_argument("--isolation", default="shared,interpreters,processes")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--app", choices=tuple(KINDS), help="one of them; all when not given")
    parser.add_argument("--seconds", type=float, help="in place of --requests, without counting")
    options = parser.parse_args()
    faults: list[str] = []
    for isolation in options.isolation.split(","):
        apps = ["server", "asgi"] if isolation == "interpreters" else list(KINDS)
        for app in [options.app] if options.app else apps:
            if options.seconds:
                print(load(isolation, app, options.seconds, options.workers), flush=True)
                continue
            started = time.monotonic()
            lines, more = soak(isolation, app, options.requests // len(apps), options.workers)
            print(*lines, f"  {time.monotonic() - started:.0f} s", sep="\n", flush=True)
            faults += [f"{app}, {isolation}: {fault}" for fault in more]
    if not options.seconds:
        print(*(faults or ["nothing grew"]), sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
