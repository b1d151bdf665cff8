"""CPU per GB of large downloads and uploads: ours, uvicorn's and granian's, in one interleaved run.

Owns: starting each server in a process of its own, moving bytes, reading its CPU and memory. Does not own: the load of
small requests (`benches/load`).
Rule: every byte is hashed and compared before anything is timed; figures of one run are compared with each other alone.

Run: `PYTHONPATH=python python benches/files.py [--mib 256] [--rounds 3]`
"""

from __future__ import annotations

import argparse
import hashlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

MIB = 1024 * 1024
CHUNK = bytes(range(256)) * 4096
TICKS = os.sysconf("SC_CLK_TCK")

APP = """
import os
from starlette.applications import Starlette
from starlette.responses import FileResponse, PlainTextResponse
from starlette.routing import Route

async def download(request):
    return FileResponse(os.environ["BENCH_FILE"])

async def upload(request):
    count = 0
    async for piece in request.stream():
        count += len(piece)
    return PlainTextResponse(str(count))

app = Starlette(routes=[Route("/file", download), Route("/upload", upload, methods=["POST"])])
"""

RAW = """
import os
from turboapi_rs import Server, Upload

server = Server()
folder, name = os.path.split(os.environ["BENCH_FILE"])
server.static_files("/files", folder)

@server.post("/upload")
async def upload(upload: Upload):
    return 200, "text/plain", str(await upload.save_to("/dev/shm/turboapi-bench-upload"))
"""


def command(kind: str, port: int) -> list[str]:
    """The command line of one server."""
    python = sys.executable
    return {
        "ours raw": [python, "-m", "turboapi_rs", "run", "raw_app:server", "--workers", "1", "--max-body", "0"],
        "ours ASGI": [python, "-m", "turboapi_rs", "run", "asgi_app:app", "--workers", "1", "--max-body", "0"],
        "uvicorn": [python, "-m", "uvicorn", "asgi_app:app", "--log-level", "error"],
        "granian": [
            python,
            "-m",
            "granian",
            "--interface",
            "asgi",
            "asgi_app:app",
            "--workers",
            "1",
            "--no-access-log",
        ],
    }[kind] + ["--port", str(port)]


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for entry in pathlib.Path(f"/proc/{pid}/task").iterdir():
        children = (entry / "children").read_text().split()
        for child in children:
            found += tree(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its children."""
    ticks = 0
    for one in tree(pid):
        fields = pathlib.Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


def memory_kib(pid: int, name: str = "VmRSS") -> int:
    """Resident memory of a process and its children."""
    total = 0
    for one in tree(pid):
        for line in pathlib.Path(f"/proc/{one}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                total += int(line.split()[1])
    return total


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def connect(port: int) -> socket.socket:
    """Connect, waiting for the server to start."""
    until = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=60)
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def read_head(sock: socket.socket) -> tuple[int, bytes]:
    """The length told by the head, and what came with it."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            raise ConnectionError(data)
        data += piece
    head, rest = data.split(b"\r\n\r\n", 1)
    if not head.startswith(b"HTTP/1.1 200"):
        raise ValueError(head)
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1]), rest
    raise ValueError(head)


def download(port: int, path: str, *, digest: bool = False) -> str:
    """Reads a file; gives its hash, or what was read."""
    hasher = hashlib.sha256()
    with connect(port) as sock:
        sock.sendall(b"GET %s HTTP/1.1\r\nhost: x\r\n\r\n" % path.encode())
        length, rest = read_head(sock)
        left = length - len(rest)
        hasher.update(rest)
        buffer = bytearray(4 * MIB)
        view = memoryview(buffer)
        while left:
            count = sock.recv_into(buffer)
            if not count:
                raise ConnectionError("torn")
            left -= count
            if digest:
                hasher.update(view[:count])
    return hasher.hexdigest() if digest else str(length)


def upload(port: int, size: int) -> str:
    """Sends so many bytes; gives what is answered."""
    with connect(port) as sock:
        sock.sendall(b"POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size // len(CHUNK)):
            sock.sendall(CHUNK)
        length, rest = read_head(sock)
        while len(rest) < length:
            rest += sock.recv(65536)
    return rest.decode()


def main() -> int:
    """Measure; gives the exit code: 1 where ours is not the lowest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    size = options.mib * MIB
    kinds = ["ours raw", "ours ASGI", "uvicorn", "granian"]
    sums: dict[tuple[str, str], list[float]] = {}
    peaks: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "large.bin")
        with file.open("wb") as target:
            for _ in range(size // len(CHUNK)):
                target.write(CHUNK)
        expected = hashlib.sha256(CHUNK * (size // len(CHUNK))).hexdigest() if size <= 512 * MIB else None
        pathlib.Path(folder, "asgi_app.py").write_text(APP)
        pathlib.Path(folder, "raw_app.py").write_text(RAW)
        environment = {
            **os.environ,
            "BENCH_FILE": str(file),
            "PYTHONPATH": f"{folder}:{os.environ.get('PYTHONPATH', '')}",
        }
        servers = {}
        try:
            for kind in kinds:
                port = free_port()
                servers[kind] = subprocess.Popen(command(kind, port), env=environment, cwd=folder), port
            for kind, (process, port) in servers.items():
                path = "/files/large.bin" if kind == "ours raw" else "/file"
                got = download(port, path, digest=True)
                if expected and got != expected:
                    raise AssertionError(f"{kind}: other bytes")
                if upload(port, 16 * MIB) != str(16 * MIB):
                    raise AssertionError(f"{kind}: the upload is not whole")
                peaks[kind] = memory_kib(process.pid)
            for _ in range(options.rounds):
                for kind, (process, port) in servers.items():
                    path = "/files/large.bin" if kind == "ours raw" else "/file"
                    for what in ("download", "upload"):
                        before = cpu_seconds(process.pid)
                        moved = download(port, path) if what == "download" else upload(port, size)
                        if moved != str(size):
                            raise AssertionError(f"{kind}: {what} is not whole")
                        sums.setdefault((what, kind), []).append(cpu_seconds(process.pid) - before)
            for what in ("download", "upload"):
                for kind in kinds:
                    best = min(sums[what, kind]) / (size / 1e9)
                    grown = (memory_kib(servers[kind][0].pid, "VmHWM") - peaks[kind]) / 1024
                    print(f"{what:9} {kind:10} {best:6.3f} s of CPU per GB   peak of memory +{grown:.1f} MiB")
        finally:
            for process, _ in servers.values():
                process.send_signal(signal.SIGINT)
            for process, _ in servers.values():
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
            pathlib.Path("/dev/shm/turboapi-bench-upload").unlink(missing_ok=True)
    ours = {what: min(sums[what, "ours ASGI"]) for what in ("download", "upload")}
    theirs = {what: min(min(sums[what, kind]) for kind in ("uvicorn", "granian")) for what in ours}
    return 0 if all(ours[what] <= theirs[what] for what in ours) else 1


if __name__ == "__main__":
    raise SystemExit(main())
