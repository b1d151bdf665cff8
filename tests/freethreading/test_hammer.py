"""Each public thing that changes, changed from many threads at once; what must hold is looked at in the end."""

from __future__ import annotations

import contextvars
import json
import threading

import pytest
from turboapi_rs import RouteError, Server
from turboapi_rs.testing import LiveServer

from tests.support.wire import Connection, request_bytes

ROUNDS = 5


def ask(port: int, path: str) -> bytes:
    with Connection(("127.0.0.1", port)) as connection:
        return connection.exchange(request_bytes("GET", path)).body


def test_routes_added_at_once_are_all_there(at_once, live):
    server = Server()

    def add(number: int) -> None:
        for index in range(25):
            server.route("GET", f"/{number}/{index}", answer(f"{number}-{index}"))
            server.static_response(f"/static/{number}/{index}", f"{number} {index}")

    at_once(add)
    serving = live(server)
    with Connection(("127.0.0.1", serving.port)) as connection:
        for number in range(8):
            for index in range(25):
                found = connection.exchange(request_bytes("GET", f"/{number}/{index}")).body
                assert found == f"{number}-{index}".encode()
                found = connection.exchange(request_bytes("GET", f"/static/{number}/{index}")).body
                assert found == f"{number} {index}".encode()


def answer(text: str):
    def handler():
        return text

    return handler


def test_one_of_many_equal_routes_is_taken(at_once, live):
    server = Server()

    def add(number: int) -> int | None:
        try:
            server.route("GET", "/same", answer(str(number)))
        except (ValueError, RouteError):
            return None
        return number

    (winner,) = [number for number in at_once(add) if number is not None]
    assert ask(live(server).port, "/same") == str(winner).encode()


def test_route_added_while_the_server_starts_is_served_or_refused(at_once):
    for _ in range(ROUNDS):
        server = Server()
        server.route("GET", "/", answer("there"))
        live = LiveServer(server)

        def work(number: int, server: Server = server, live: LiveServer = live) -> bool:
            if number == 0:
                live.start()
                return True
            try:
                server.route("GET", f"/{number}", answer(str(number)))
            except RuntimeError:
                return False
            return True

        try:
            added = at_once(work)
            assert ask(live.port, "/") == b"there"
            for number, was_added in enumerate(added[1:], start=1):
                found = ask(live.port, f"/{number}")
                assert (found == str(number).encode()) is was_added, (number, was_added, found)
        finally:
            live.stop()


def test_servers_started_and_stopped_at_once_answer_as_themselves(at_once):
    def serve(number: int) -> list[bytes]:
        found = []
        for turn in range(ROUNDS):
            server = Server()
            server.route("GET", "/", answer(f"{number} {turn}"))
            with LiveServer(server, workers=1 + turn % 2) as live:
                found.append(ask(live.port, "/"))
        return found

    for number, found in enumerate(at_once(serve, 4)):
        assert found == [f"{number} {turn}".encode() for turn in range(ROUNDS)]


def test_one_application_is_served_by_many_servers_at_once(at_once):
    server = Server()
    server.route("GET", "/", answer("one"))

    def serve(number: int) -> bytes:
        with LiveServer(server) as live:
            return ask(live.port, "/")

    assert at_once(serve, 4) == [b"one"] * 4


@pytest.mark.parametrize("workers", [1, 2])
def test_stop_from_many_threads_ends_the_server_once(at_once, workers):
    for _ in range(ROUNDS):
        server = Server()
        server.route("GET", "/", answer("one"))
        live = LiveServer(server, workers=workers).start()
        port = live.port

        def work(number: int, live: LiveServer = live, port: int = port) -> None:
            if number % 2:
                live.stop()
            else:
                try:
                    assert ask(port, "/") == b"one"
                except AssertionError:
                    raise
                except Exception:
                    # It was stopped before it could answer.
                    pass

        at_once(work)
        live.stop()


def test_every_request_gets_its_own_answer_and_a_fresh_context(at_once, live):
    seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="")
    lock, calls = threading.Lock(), []
    server = Server()

    @server.get("/plain/{number}")
    def plain(number: int):
        before = seen.get()
        seen.set(f"{before}{number} ")
        with lock:
            calls.append(number)
        return {"number": number, "seen": seen.get()}

    @server.get("/later/{number}")
    async def later(number: int):
        before = seen.get()
        seen.set(f"{before}{number} ")
        with lock:
            calls.append(number)
        return {"number": number, "seen": seen.get()}

    serving = live(server, workers=2)

    def work(number: int) -> None:
        with Connection(("127.0.0.1", serving.port)) as connection:
            for turn in range(50):
                mine = number * 1000 + turn
                path = ("/plain/", "/later/")[turn % 2]
                found = json.loads(connection.exchange(request_bytes("GET", f"{path}{mine}")).body)
                assert found == {"number": mine, "seen": f"{mine} "}

    at_once(work)
    assert sorted(calls) == sorted(number * 1000 + turn for number in range(8) for turn in range(50))


def test_streams_of_many_clients_are_each_closed_once(at_once, live):
    lock, opened, closed = threading.Lock(), [], []
    server = Server()

    def note(where: list[str], name: str) -> None:
        with lock:
            where.append(name)

    def pieces(name: str):
        note(opened, name)
        try:
            for number in range(5):
                yield f"{name}:{number};"
        finally:
            note(closed, name)

    async def pieces_later(name: str):
        note(opened, name)
        try:
            for number in range(5):
                yield f"{name}:{number};"
        finally:
            note(closed, name)

    @server.get("/sync/{name}")
    def stream(name: str):
        return 200, "text/plain", b"", pieces(name), {}

    @server.get("/async/{name}")
    def stream_later(name: str):
        return 200, "text/plain", b"", pieces_later(name), {}

    serving = live(server, workers=2)

    def work(number: int) -> None:
        with Connection(("127.0.0.1", serving.port)) as connection:
            for turn in range(20):
                kind, name = ("sync", "async")[turn % 2], f"{number}-{turn}"
                found = connection.exchange(request_bytes("GET", f"/{kind}/{name}"))
                assert found.body == "".join(f"{name}:{index};" for index in range(5)).encode()
                assert not found.is_torn

    at_once(work)
    serving.stop()
    assert len(opened) == len(set(opened)) == 160
    assert sorted(closed) == sorted(opened)


@pytest.mark.parametrize("workers", [1, 2])
def test_requests_are_counted_exactly(at_once, live, workers):
    server = Server()
    server.route("GET", "/", answer("one"))
    serving = live(server, workers=workers)
    before = serving._serving.core.requests()

    def work(number: int) -> None:
        with Connection(("127.0.0.1", serving.port)) as connection:
            for _ in range(50):
                assert connection.exchange(request_bytes("GET", "/")).body == b"one"

    at_once(work)
    assert serving._serving.core.requests() - before == 8 * 50
