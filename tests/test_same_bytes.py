"""`gil_mode_same_bytes`: the same requests get the same bytes in every isolation, with the GIL and without it, on both drivers
and on every interpreter.

The bytes are those of `tests/golden`: each build, driver and isolation is held against the same file, and so against all
others. To have what is found there from now on:

    TURBOAPI_TEST_REWRITE=1 python -m pytest tests/test_same_bytes.py

then without the variable, and read the difference before it is committed.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from turboapi_rs import gil
from turboapi_rs._core import build_info
from turboapi_rs.loading import AppTarget
from turboapi_rs.testing import LiveServer

from tests.support import golden
from tests.support.apart import VALUES
from tests.support.bodies import BOUNDARY, multipart_body
from tests.support.bodies import Upload as File
from tests.support.command import REPO, Command
from tests.support.wire import answers_to, chunked, closing, request_bytes

# The drivers and two workers, whatever the leg has: a leg of the matrix may have one driver.
pytestmark = pytest.mark.once

REQUESTS = [
    request_bytes("GET", "/items/7?q=a%20b&deep=yes&tag=x&tag=y"),
    request_bytes("GET", "/items/99999999999999999999999"),
    request_bytes("GET", "/items/seven?deep=perhaps"),
    request_bytes("HEAD", "/items/7"),
    request_bytes("GET", "/floats/1.5"),
    request_bytes("GET", "/floats/nan"),
    request_bytes("POST", "/echo", body=b"\x00" * 70_000),
    request_bytes("POST", "/echo", headers=[("Transfer-Encoding", "chunked")], body=chunked(b"abc", b"def")),
    request_bytes("POST", "/request?a=1&a=2&b=%C3%A9", headers=[("X-Text", "one"), ("X-Text", "two")], body=b"12345"),
    request_bytes("GET", "/context"),
    request_bytes("GET", "/context"),
    request_bytes("GET", "/async"),
    request_bytes("GET", "/async"),
    request_bytes("GET", "/awaitable"),
    request_bytes("GET", "/far"),
    request_bytes("GET", "/stream"),
    request_bytes("GET", "/stream-async"),
    request_bytes("HEAD", "/stream"),
    request_bytes("GET", "/torn"),
    *[request_bytes("GET", f"/values/{name}") for name in VALUES],
    request_bytes("GET", "/raises"),
    request_bytes("GET", "/health"),
    request_bytes("GET", "/nowhere"),
    request_bytes("DELETE", "/echo"),
    b"GET /items/1 HTTP/1.1\r\n\r\n",
    # Targets and parameters.
    request_bytes("GET", "http://elsewhere.example/items/-7?deep=0"),
    request_bytes("OPTIONS", "*"),
    request_bytes("OPTIONS", "/items/7"),
    request_bytes("GET", "/items/%37?q=%C3%A9+%26&deep=TRUE&tag="),
    request_bytes("GET", "/items/7/"),
    request_bytes("GET", "//items/7"),
    request_bytes("GET", "/items/a%2Fb?q"),
    request_bytes("GET", "/items/%ff"),
    request_bytes("GET", "/floats/-1e400"),
    request_bytes("GET", "/needs?n=1&n=2&name=x"),
    request_bytes("GET", "/needs"),
    request_bytes("GET", "/needs?n=1.0&name=%ff"),
    # Framing of requests and answers.
    request_bytes("GET", "/stream", version="HTTP/1.0"),
    request_bytes("GET", "/items/7", version="HTTP/1.0", headers=[("Connection", "keep-alive")]),
    request_bytes("GET", "/four"),
    request_bytes("HEAD", "/health"),
    request_bytes("GET", "/health", version="HTTP/1.0"),
    request_bytes("POST", "/health", body=b"x"),
    request_bytes("POST", "/echo", headers=[("Expect", "100-continue")], body=b"after all"),
    request_bytes("POST", "/echo", headers=[("Expect", "200-maybe")], body=b"x"),
    request_bytes(
        "POST",
        "/echo",
        headers=[("Transfer-Encoding", "chunked")],
        body=b"3;name=value\r\nabc\r\n00\r\nX-Trailer: 1\r\n\r\n",
    ),
    request_bytes("POST", "/echo"),
    request_bytes("POST", "/json", body=b'{"a": [1, 2.50, null, true], "\\u00e9": "\xc3\xa9"}'),
    # What HTTP forbids, or a limit.
    request_bytes("GET", "/", version="HTTP/2.0"),
    request_bytes("G(T", "/"),
    request_bytes("GET", "/a b"),
    request_bytes("GET", "/", headers=[("Host", "a"), ("Host", "b")]),
    request_bytes("GET", "/", headers=[("X-Space ", "before the colon")]),
    request_bytes("GET", "/", headers=[("X-Folded", "one\r\n two")]),
    request_bytes("GET", "/", headers=[("X-Bare", "one\ntwo")]),
    request_bytes("GET", "/", headers=[("X-Nul", "\0")]),
    request_bytes("GET", "/" + "t" * 9000),
    request_bytes("GET", "/", headers=[("X-Large", "h" * 20_000)]),
    request_bytes("POST", "/echo", headers=[("Content-Length", "1"), ("Content-Length", "1")], body=b"x"),
    request_bytes("POST", "/echo", headers=[("Content-Length", "+1")], body=b"x"),
    request_bytes("POST", "/echo", headers=[("Content-Length", "99999999999")]),
    request_bytes("POST", "/echo", headers=[("Content-Length", "5"), ("Transfer-Encoding", "chunked")], body=b"0\r\n\r\n"),
    request_bytes("POST", "/echo", headers=[("Transfer-Encoding", "gzip, chunked")], body=b"0\r\n\r\n"),
    request_bytes("POST", "/echo", headers=[("Transfer-Encoding", "chunked")], body=b"x\r\nabc\r\n"),
]  # fmt: skip

SAME = [closing(request) for request in REQUESTS]
"""Each on a connection of its own."""

ASGI = [
    request_bytes("GET", "/shown?a=%20b&a=2", headers=[("X-Text", "\u00e9"), ("x-text", "two")]),
    request_bytes("GET", "/sh%6fwn", version="HTTP/1.0"),
    request_bytes("HEAD", "/shown"),
    request_bytes("GET", "/client", headers=[("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https")]),
    request_bytes("POST", "/whole", body=b"\x00" * 70_000),
    request_bytes("POST", "/whole", headers=[("Transfer-Encoding", "chunked")], body=chunked(b"abc", b"def")),
    request_bytes("POST", "/whole", headers=[("Expect", "100-continue")], body=b"after all"),
    request_bytes("POST", "/piecewise", body=b"one piece"),
    request_bytes("GET", "/stream"),
    request_bytes("GET", "/stream", version="HTTP/1.0"),
    request_bytes("HEAD", "/stream"),
    request_bytes("GET", "/late"),
    request_bytes("GET", "/sized"),
    request_bytes("GET", "/threads"),
    request_bytes("GET", "/empty"),
    request_bytes("GET", "/raises"),
    request_bytes("GET", "/torn"),
    request_bytes("GET", "/silent"),
    request_bytes("GET", "/misordered"),
    request_bytes("GET", "/path"),
    request_bytes("HEAD", "/path"),
    request_bytes("GET", "/nowhere"),
    request_bytes("OPTIONS", "*"),
    request_bytes("G(T", "/"),
    request_bytes("GET", "/", headers=[("Upgrade", "websocket"), ("Connection", "upgrade")]),
]

STARLETTE = [
    request_bytes("GET", "/plain/caf%C3%A9"),
    request_bytes("HEAD", "/plain/x"),
    request_bytes("POST", "/echo?a=1&b=%20", body=b"some text"),
    request_bytes("POST", "/echo", headers=[("Transfer-Encoding", "chunked")], body=chunked(b"abc", b"def")),
    request_bytes("GET", "/stream"),
    request_bytes("GET", "/stream-of-threads"),
    request_bytes("GET", "/later"),
    request_bytes("GET", "/refused"),
    request_bytes("GET", "/raises"),
    request_bytes("GET", "/state"),
    request_bytes("GET", "/sent", headers=[("Accept-Encoding", "gzip")]),
    request_bytes("GET", "/sent", headers=[("Range", "bytes=2-4")]),
    request_bytes("GET", "/static/nowhere"),
    request_bytes("GET", "/state/"),
]

MULTIPART = ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
FORM = multipart_body([("a", "1"), ("\u00e9", "\u20ac"), ("f", File("n.bin", "x" * 2_000_000, "x/y")), ("a", "")])  # type: ignore[arg-type]
TAKEN = [b"", b"short", b"\xff" * 1_000_000 + b"end"]

UPLOADS = [
    *[
        request_bytes("POST", f"/{way}", body=body)
        for way in ("pieces", "pieces/sync", "save", "save/sync")
        for body in TAKEN
    ],
    *[
        request_bytes("POST", f"/{way}", body=b"some text")
        for way in ("read", "read/sync", "twice", "twice/sync", "back")
    ],
    *[
        request_bytes("POST", f"/{way}", body=b"some text")
        for way in ("wrong-way", "thread", "threads", "raises", "skipped")
    ],
    request_bytes("POST", "/read", headers=[("Transfer-Encoding", "chunked")], body=chunked(b"abc", b"def")),
    request_bytes("POST", "/read/sync", headers=[("Expect", "100-continue")], body=b"after all"),
    request_bytes("POST", "/skipped", headers=[("Expect", "100-continue")]),
    request_bytes("POST", "/save/nowhere", body=b"x"),
    request_bytes("POST", "/save/wrong", body=b"x"),
    request_bytes("POST", "/named/%C3%A9?n=2", headers=[("X-Text", "\u00e9")], body=b"abc"),
    request_bytes("POST", "/named/x?n=x", body=b"abc"),
    request_bytes("POST", "/read", headers=[("Content-Length", "99999999999")]),
    *[request_bytes("POST", f"/form{way}", headers=[MULTIPART], body=FORM) for way in ("", "/sync", "/caught")],
    *[request_bytes("POST", f"/form{way}", headers=[MULTIPART], body=FORM[:-9]) for way in ("", "/sync", "/caught")],
    *[request_bytes("POST", f"/form{way}", body=b"x") for way in ("", "/sync", "/caught")],
]

OTHERS = {
    "asgi_hosted": ("hosted:app", [closing(request) for request in ASGI]),
    "asgi_starred": ("starred:app", [closing(request) for request in STARLETTE]),
    "uploads": ("uploaded:server", [closing(request) for request in UPLOADS]),
}
"""The other applications, and what they are asked."""

PIPELINED = [request for request in REQUESTS[:6] + REQUESTS[9:16] if not request.startswith(b"HEAD")]
BATCH = b"".join([*PIPELINED, closing(request_bytes("GET", "/health"))])

Serving = contextlib.AbstractContextManager[int]
Mode = Callable[[str, Path, str], Serving]


def in_process(isolation: str) -> Mode:
    @contextlib.contextmanager
    def serving(target: str, folder: Path, driver: str) -> Iterator[int]:
        # Another test may have imported its own copy, from a folder without the files that are sent.
        sys.modules.pop(target.partition(":")[0], None)
        app = AppTarget(target, str(folder))
        with LiveServer(app, driver=driver, workers=2, isolation=isolation) as live:
            yield live.port

    return serving


def by_command(isolation: str, **env: str) -> Mode:
    @contextlib.contextmanager
    def serving(target: str, folder: Path, driver: str) -> Iterator[int]:
        options = ("--isolation", isolation, "--driver", driver, "--workers", "2")
        with Command(target, *options, folder=folder, env=env) as command:
            assert f"GIL {'on' if env or gil.is_on() else 'off'}" in command.banner
            yield command.port
            assert command.end() == 0

    return serving


MODES = {
    "shared": in_process("shared"),
    "interpreters": in_process("interpreters"),
    "processes": by_command("processes"),
}
if gil.is_free_threaded_build():
    MODES |= {
        "shared, GIL on": by_command("shared", PYTHON_GIL="1"),
        "interpreters, GIL on": by_command("interpreters", PYTHON_GIL="1"),
        "processes, GIL on": by_command("processes", PYTHON_GIL="1"),
    }


DRIVERS = ["uring", "epoll"]


def folder_for(driver: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the applications."""
    if driver == "uring" and (refusal := build_info()["uring_refusal"]):
        pytest.skip(f"io_uring is refused here: {refusal}")
    folder = tmp_path_factory.mktemp("apart")
    for name in ("apart", "hosted", "starred", "uploaded"):
        shutil.copy(REPO / "tests" / "support" / f"{name}.py", folder)
        # Of another test's folder, where it is served in this process.
        sys.modules.pop(name, None)
    (folder / "sent.txt").write_text("sent by its path\n")
    return folder


class Found(NamedTuple):
    """What was answered in one mode."""

    whose: str
    answers: list[bytes]
    batch: bytes


@pytest.fixture(scope="module", params=DRIVERS)
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """Each mode asked all that is asked."""
    driver = request.param
    folder = folder_for(driver, tmp_path_factory)
    everywhere = []
    for mode, serving in MODES.items():
        with serving("apart:server", folder, driver) as port:
            answers = [answers_to(port, request) for request in SAME]
            everywhere.append(Found(f"{mode}, {driver}", answers, answers_to(port, BATCH)))
    return everywhere


def test_same_bytes_in_every_isolation(found):
    for index, request in enumerate(SAME):
        answers = {mode.whose: mode.answers[index] for mode in found}
        assert len(set(answers.values())) == 1, (request[:200], answers)
    for mode in found:
        golden.assert_agrees("every_isolation.txt", zip(SAME, mode.answers, strict=True), mode.whose)
    sound = [answer for answer in found[0].answers if answer.startswith(b"HTTP/1.1 2")]
    assert len(sound) == 45


def test_same_bytes_in_one_pipelined_batch(found):
    for mode in found:
        assert mode.batch.count(b"HTTP/1.1 ") == len(PIPELINED) + 1 == 13
        golden.assert_agrees("pipelined.txt", [(BATCH, mode.batch)], mode.whose)


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("name", OTHERS)
def test_other_applications_give_the_same_bytes(name, driver, tmp_path_factory):
    folder, (target, requests) = folder_for(driver, tmp_path_factory), OTHERS[name]
    for mode, serving in MODES.items():
        with serving(target, folder, driver) as port:
            answers = [answers_to(port, request) for request in requests]
        golden.assert_agrees(f"{name}.txt", zip(requests, answers, strict=True), f"{mode}, {driver}")


ALIKE = [
    b"",
    b"\n",
    b"\r\n",
    b"\\n",
    b"\xe9",
    "é".encode(),
    b"\\xe9",
    b"> ",
    b"a" * 70,
    b"a" * 71,
    b"\\{a*70}",
    b"{a*70}",
]
"""Bytes that a careless text would tell the same of."""


def test_golden_text_tells_bytes_apart(tmp_path, monkeypatch):
    assert len({golden.shown([(request, answer)]) for request in ALIKE for answer in ALIKE}) == len(ALIKE) ** 2
    monkeypatch.setattr(golden, "FOLDER", tmp_path)
    (tmp_path / "one.txt").write_text(golden.shown([(b"?", b"one\r\n")]))
    monkeypatch.setattr(golden, "IS_REWRITTEN", False)
    golden.assert_agrees("one.txt", [(b"?", b"one\r\n")], "the same")
    with pytest.raises(AssertionError, match=r"-< one\\r\\n\n\+< one\\n"):
        golden.assert_agrees("one.txt", [(b"?", b"one\n")], "another")
