"""One body, asked for by many at once: each piece of it goes to one of them, and none waits for what never comes.

An exchange wakes one taker. Before those of an `Upload` took turns, the second thread that waited for a piece had the first
one forgotten, and neither heard of the end once it had been told to the other.
"""

from __future__ import annotations

import asyncio
import queue
import random
import threading

import pytest
from turboapi_rs import Server, Upload

from tests.support.wire import request_bytes

ROUNDS = 3
SLICE_BYTES = 3000
SLICES = 30

BODY = random.Random(7).randbytes(SLICES * SLICE_BYTES)


def put_together(pieces: list[bytes]) -> bytes:
    """The pieces in the order of the body, as far as they are it. No two places of it look the same."""
    pieces, found = list(pieces), b""
    while fitting := [piece for piece in pieces if BODY.startswith(piece, len(found))]:
        longest = max(fitting, key=len)
        pieces.remove(longest)
        found += longest
    assert not pieces, [len(piece) for piece in pieces]
    return found


class Taken:
    """Bytes that were taken: the client sends more when all is, so that many wait for it."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[int] = queue.SimpleQueue()

    def note(self, piece: bytes) -> bytes:
        self._queue.put(len(piece))
        return piece

    def wait_for(self, count: int) -> None:
        while count > 0:
            count -= self._queue.get(timeout=10)
        assert count == 0


def send_in_slices(connection, taken: Taken) -> None:
    connection.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(BODY))
    for begin in range(0, len(BODY), SLICE_BYTES):
        connection.send(BODY[begin : begin + SLICE_BYTES])
        taken.wait_for(SLICE_BYTES)


@pytest.mark.parametrize("workers", [1, 2])
def test_each_piece_goes_to_one_of_many_threads(at_once, live, connect, workers):
    taken, found = Taken(), queue.SimpleQueue()
    server = Server()

    @server.post("/")
    def handler(upload: Upload):
        each = at_once(lambda number: [taken.note(piece) for piece in upload])
        found.put([piece for pieces in each for piece in pieces])
        return "read"

    connection = connect(live(server, workers=workers))
    for _ in range(ROUNDS):
        send_in_slices(connection, taken)
        assert connection.read_answer("POST").body == b"read"
        assert put_together(found.get(timeout=10)) == BODY
        # As one piece after another lies there already.
        assert connection.exchange(request_bytes("POST", "/", body=BODY), "POST").body == b"read"
        taken.wait_for(len(BODY))
        assert put_together(found.get(timeout=10)) == BODY


@pytest.mark.parametrize("workers", [1, 2])
def test_one_of_many_threads_takes_the_rest_of_a_body(at_once, live, connect, workers, tmp_path):
    """Some iterate, some read it, some save it: what one of these takes is nobody else's."""
    found, refusals = queue.SimpleQueue(), queue.SimpleQueue()
    server = Server()

    @server.post("/")
    def handler(upload: Upload):
        def take(number: int) -> list[bytes]:
            if number < 4:
                return list(upload)
            try:
                if number < 6:
                    return [upload.read()]
                path = tmp_path / f"{number}"
                assert upload.save_to(path) == path.stat().st_size
                return [path.read_bytes()]
            except RuntimeError as error:
                refusals.put(str(error))
                return []

        found.put(at_once(take))
        return "read"

    connection = connect(live(server, workers=workers))
    for _ in range(ROUNDS * 3):
        assert connection.exchange(request_bytes("POST", "/", body=BODY), "POST").body == b"read"
        each = found.get(timeout=10)
        assert put_together([piece for pieces in each for piece in pieces if piece]) == BODY
        assert sum(bool(pieces) for pieces in each[4:]) <= 1
    while not refusals.empty():
        assert refusals.get() == "the body was taken already"


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_all_that_wait_for_a_body_are_told_that_its_client_left(at_once, live, connect, workers, how):
    taken, found = Taken(), queue.SimpleQueue()
    server = Server()

    @server.post("/")
    def handler(upload: Upload):
        def take(number: int) -> type[BaseException] | None:
            try:
                for piece in upload:
                    taken.note(piece)
            except ConnectionResetError as error:
                return type(error)
            return None

        found.put(at_once(take))

    serving = live(server, workers=workers)
    for _ in range(ROUNDS):
        connection = connect(serving)
        connection.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(BODY))
        connection.send(BODY[:SLICE_BYTES])
        taken.wait_for(SLICE_BYTES)
        getattr(connection, how)()
        assert found.get(timeout=10) == [ConnectionResetError] * 8


@pytest.mark.parametrize("workers", [1, 2])
def test_task_is_refused_while_another_awaits_a_piece(live, connect, workers):
    taken, found, waits = Taken(), queue.SimpleQueue(), threading.Event()
    server = Server()

    async def take(upload: Upload, refusals: list[str]) -> list[bytes]:
        mine: list[bytes] = []
        while True:
            try:
                mine.append(taken.note(await anext(upload)))
            except StopAsyncIteration:
                return mine
            except RuntimeError as error:
                refusals.append(str(error))
            await asyncio.sleep(0)

    @server.post("/")
    async def handler(upload: Upload):
        # A wait that was given up takes nothing, and stands in nobody's way.
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(upload), 0.001)
        refusals: list[str] = []
        first = asyncio.create_task(take(upload, refusals))
        await asyncio.sleep(0)
        # Off the loop it is refused as well, and so is all that takes the rest.
        for ask in (upload.__anext__, upload.read, lambda: asyncio.to_thread(next, upload)):
            with pytest.raises(RuntimeError, match="another task or thread"):
                await ask()
        waits.set()
        each = await asyncio.gather(first, *(take(upload, refusals) for _ in range(3)))
        found.put([piece for pieces in each for piece in pieces])
        return sorted(set(refusals))

    connection = connect(live(server, workers=workers))
    connection.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(BODY))
    assert waits.wait(10)
    for begin in range(0, len(BODY), SLICE_BYTES):
        connection.send(BODY[begin : begin + SLICE_BYTES])
        taken.wait_for(SLICE_BYTES)
    answer = connection.read_answer("POST")
    assert answer.status == 200
    assert b"another task or thread" in answer.body
    assert put_together(found.get(timeout=10)) == BODY
