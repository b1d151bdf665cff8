"""Large bodies both ways: CPU of a GiB, growth of memory, every byte looked at; ours and peers, in one run.

    python benches/load/large.py [--mib 1024] [--rounds 1] [--only ours] [--json FILE]

Each server runs one worker and the same FastAPI application: a download from an async generator in pieces of 64 KiB, a
download of a file, an upload that the handler reads piece by piece. One client, on one connection; what it reads is
hashed and compared. Per server and case: user and system time of its processes over that body, scaled to a GiB; how far
its resident memory rose above what it was before. Servers take turns. Traffic stays on 127.0.0.1; every server is
stopped by its pid. Needs Linux's /proc.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import socket
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from benches.load.apps import LARGE_PIECE  # noqa: E402, after the path
from benches.load.cases import Ask, Case, Contender, granian, ours, uvicorn  # noqa: E402
from benches.load.events import resident_bytes  # noqa: E402
from benches.load.run import Server  # noqa: E402

MIB = 1024 * 1024
PIECES_IN_A_MIB = MIB // len(LARGE_PIECE)
READ_BYTES = 256 * 1024
READY = Ask("/")
TIMEOUT_S = 30.0


def piece(number: int) -> bytes:
    """What the application makes too."""
    return number.to_bytes(8) + LARGE_PIECE[8:]


def contenders(driver: str) -> tuple[Contender, ...]:
    """The servers, and the application that all of them run."""
    app = "benches.load.apps:fastapi"
    mine = ours(app, READY, driver)
    # The others know no bound.
    mine = dataclasses.replace(mine, command=(*mine.command, "--max-body", "0"))
    return (mine, granian("asgi", app, READY), uvicorn(app, READY))


class Client:
    """One connection that reads bodies as they come."""

    def __init__(self, port: int, watch: Callable[[], None]) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self._watch = watch
        self._unread = b""

    def close(self) -> None:
        """Leave."""
        self._sock.close()

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._unread:
            self._more()
        found, self._unread = self._unread.split(mark, 1)
        return found

    def _more(self) -> None:
        got = self._sock.recv(READ_BYTES)
        if not got:
            raise RuntimeError("the server closed the connection")
        self._unread += got

    def _take(self, count: int, use: Callable[[bytes], None]) -> None:
        while count:
            if not self._unread:
                self._more()
            taken, self._unread = self._unread[:count], self._unread[count:]
            count -= len(taken)
            use(taken)

    def answer(self, use: Callable[[bytes], None]) -> None:
        """Read one answer with status 200, by its framing."""
        head = self._until(b"\r\n\r\n").lower()
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise RuntimeError(head.decode("latin-1"))
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if b"content-length" in fields:
            return self._take(int(fields[b"content-length"]), use)
        taken = 0
        while size := int(self._until(b"\r\n"), 16):
            self._take(size, use)
            self._take(2, bool)
            taken += size
            if taken >= 64 * MIB:
                taken = 0
                self._watch()
        self._take(2, bool)

    def download(self, target: str) -> str:
        """The hash of a body."""
        digest = hashlib.sha256()
        self._sock.sendall(f"GET {target} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
        self.answer(digest.update)
        return digest.hexdigest()

    def upload(self, target: str, pieces: int) -> bytes:
        """The answer to a body of so many pieces."""
        length = pieces * len(LARGE_PIECE)
        head = f"POST {target} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {length}\r\n\r\n"
        self._sock.sendall(head.encode())
        for number in range(pieces):
            self._sock.sendall(piece(number))
            if number % 1024 == 0:
                self._watch()
        read = bytearray()
        self.answer(read.extend)
        return bytes(read)


def measure(contender: Contender, mib: int, wanted: str) -> dict[str, dict[str, float]]:
    """Figures of one server, a case each."""
    server = Server(Case("large", (contender,), bool), contender)
    pieces = mib * PIECES_IN_A_MIB
    figures = {}

    def has_download(target: str) -> Callable[[Client, int], bool]:
        return lambda client, _: client.download(target) == wanted

    def has_upload(client: Client, count: int) -> bool:
        return json.loads(client.upload("/large", count)) == {"bytes": count * len(LARGE_PIECE)}

    cases: dict[str, Callable[[Client, int], bool]] = {
        "generator": has_download(f"/large/{pieces}"),
        "file": has_download("/large-file"),
        "upload": has_upload,
    }
    try:
        server.wait_until_it_answers()
        for name, is_right in cases.items():
            highest = 0

            def watch() -> None:
                nonlocal highest
                highest = max(highest, resident_bytes(server.process.pid))

            client = Client(server.port, watch)
            try:
                client.download("/large/16")
                client.upload("/large", 16)
                before, cpu = resident_bytes(server.process.pid), server.cpu()
                try:
                    found = is_right(client, pieces)
                except OSError as error:
                    raise RuntimeError(f"{contender.name}: {name}: {error}") from error
                if not found:
                    raise RuntimeError(f"{contender.name}: {name}: not the bytes that were sent")
                spent = server.cpu() - cpu
                watch()
            finally:
                client.close()
            figures[name] = {"cpu_s": spent * 1024 / mib, "grown_mib": (highest - before) / MIB}
    finally:
        server.stop()
    return figures


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--driver", choices=("uring", "epoll", "auto"), default="uring", help="of ours")
    parser.add_argument("--only", help="one server, by its name")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    options = parser.parse_args()
    chosen = [each for each in contenders(options.driver) if options.only in (None, each.name)]
    if not chosen:
        parser.error(f"no server {options.only}")
    with tempfile.NamedTemporaryFile() as file:
        digest = hashlib.sha256()
        for number in range(options.mib * PIECES_IN_A_MIB):
            file.write(piece(number))
            digest.update(piece(number))
        file.flush()
        os.environ["LARGE_FILE"] = file.name
        figures = [
            (each.name, measure(each, options.mib, digest.hexdigest()))
            for _ in range(options.rounds)
            for each in chosen
        ]
    print(f"{options.mib} MiB, {options.rounds} rounds, one worker, driver {options.driver}, "
          f"Python {sys.version.split()[0]}: CPU of a GiB (growth of memory)\n")  # fmt: skip
    names = list(figures[0][1])
    print("| server | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
    for contender in chosen:
        mine = [each for name, each in figures if name == contender.name]
        cells = [
            f"{statistics.median(each[case]['cpu_s'] for each in mine):.2f} s "
            f"({max(each[case]['grown_mib'] for each in mine):.1f} MiB)"
            for case in names
        ]
        print(f"| {contender.name} | " + " | ".join(cells) + " |")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
