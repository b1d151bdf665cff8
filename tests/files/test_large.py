"""Large downloads and uploads: every byte equal, memory flat. `TURBOAPI_TEST_LARGE_MIB=1024` for the large ones."""

from __future__ import annotations

import hashlib
import os

import pytest

from tests.conftest import DRIVER
from tests.support.command import Command
from tests.support.wire import Connection

MIB = 1024 * 1024
SIZE = int(os.environ.get("TURBOAPI_TEST_LARGE_MIB", "64")) * MIB
GROWTH_BYTES = 32 * MIB
PIECE = bytes(range(256)) * (MIB // 256)


def numbered(index: int) -> bytes:
    """One MiB that is like no other."""
    return index.to_bytes(8, "big") + PIECE[8:]


@pytest.fixture
def large(tmp_path):
    path, digest = tmp_path / "large.bin", hashlib.sha256()
    with path.open("wb") as file:
        for index in range(SIZE // MIB):
            file.write(numbered(index))
            digest.update(numbered(index))
    return path, digest.hexdigest()


def read_all(connection: Connection) -> tuple[int, str]:
    """Length and hash of one answer's body, without holding it."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.read_some()
    head, rest = data.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200"), head
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    digest, got = hashlib.sha256(rest), len(rest)
    while got < length:
        piece = connection.read_some()
        assert piece, f"torn at {got} of {length}"
        digest.update(piece)
        got += len(piece)
    return got, digest.hexdigest()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["app", "server"])
def test_large_bodies_are_equal_and_memory_stays_flat(large, name):
    path, digest = large
    command = Command(
        f"tests.files.served_large:{name}",
        "--driver",
        DRIVER,
        "--workers",
        "1",
        "--max-body",
        "0",
        env={"LARGE_FILE": str(path)},
    )
    with command as server, Connection(server.address, timeout=60) as connection:
        target = b"/file" if name == "app" else b"/files/large.bin"
        head = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
        for _ in range(20):
            connection.send(head % (b"/upload", 1) + b"x")
            assert connection.read_answer("POST").status == 200
        before = server.rss_bytes()
        for _ in range(2):
            connection.send(b"GET " + target + b" HTTP/1.1\r\nhost: x\r\n\r\n")
            assert read_all(connection) == (SIZE, digest)
            assert server.rss_bytes() - before <= GROWTH_BYTES
        uploads = [(b"/upload", digest.encode())]
        if name == "server":
            uploads.append((b"/save", str(SIZE).encode()))
        for upload, expected in uploads:
            connection.send(head % (upload, SIZE))
            for index in range(SIZE // MIB):
                connection.send(numbered(index))
                if index % 64 == 0:
                    assert server.rss_bytes() - before <= GROWTH_BYTES
            assert connection.read_answer("POST").body == expected
            assert server.rss_bytes() - before <= GROWTH_BYTES
        if name == "server":
            saved = path.with_name("large.bin.saved")
            with saved.open("rb") as file:
                assert hashlib.file_digest(file, "sha256").hexdigest() == digest
