"""Routes and static responses replaced while requests run: each request finds one whole table, one whole response."""

from __future__ import annotations

import os
import threading
import time

import pytest
from turboapi_rs import Server

from tests.support.wire import Connection, request_bytes

SETTINGS = {
    "port": 0,
    "workers": int(os.environ.get("TURBOAPI_TEST_WORKERS", "2")),
    "driver": os.environ.get("TURBOAPI_TEST_DRIVER", "auto"),
}

PATHS = ["/a", "/b", "/c", "/d"]
SECONDS = 1.0


def routes(version: int) -> Server:
    """Routes of one version: in another order each time, so that the place of one means another in the next."""
    server = Server()
    for index in range(len(PATHS)):
        path = PATHS[(index + version) % len(PATHS)]
        server.route("GET", path + "/{n}", handler(version, path, is_async=path == "/c"))
    server.static_response("/version", f"{version}")
    server.static_response("/large", text(version))
    return server


def handler(version: int, path: str, *, is_async: bool):
    def plain(n: int):
        return f"{version} {path} {n}"

    async def later(n: int):
        return f"{version} {path} {n}"

    return later if is_async else plain


def text(serial: int) -> str:
    return f"{serial:08}" * (1 + serial * 997 % 20_000)


def ask(connection: Connection, path: str) -> str:
    response = connection.exchange(request_bytes("GET", path))
    assert response.status == 200, response
    return response.body.decode()


def test_each_request_is_answered_by_one_table_while_tables_are_replaced(at_once):
    server = routes(0)
    latest = [0]
    ending = threading.Event()

    def change() -> None:
        for version in range(1, 100_000):
            if ending.is_set():
                return
            server.take_routes(routes(version))
            latest[0] = version

    with server.start(**SETTINGS):
        port = int(server.addresses[0].rpartition(":")[2])
        changer = threading.Thread(target=change)
        changer.start()

        def read(number: int) -> int:
            until = time.monotonic() + SECONDS
            with Connection(("127.0.0.1", port)) as connection:
                count = 0
                while time.monotonic() < until:
                    path = PATHS[(count + number) % len(PATHS)]
                    at_least = latest[0]
                    version, found, n = ask(connection, f"{path}/{count}").split(" ")
                    assert (found, int(n)) == (path, count)
                    assert at_least <= int(version) <= latest[0] + 1
                    assert int(ask(connection, "/version")) >= int(version)
                    count += 1
            return count

        try:
            counts = at_once(read, threads=4)
        finally:
            ending.set()
            changer.join()
        assert all(counts)
        assert latest[0] > 1
    with server.start(**SETTINGS), Connection(("127.0.0.1", int(server.addresses[0].rpartition(":")[2]))) as connection:
        assert ask(connection, "/version") == "0"


def test_static_response_is_whole_while_it_is_published(at_once):
    server = routes(0)
    with server.start(**SETTINGS):
        port = int(server.addresses[0].rpartition(":")[2])
        ending = threading.Event()

        def publish() -> None:
            for serial in range(1, 1_000_000):
                if ending.is_set():
                    return
                server.publish("/large", text(serial), headers={"x-serial": f"{serial}"})

        publisher = threading.Thread(target=publish)
        publisher.start()

        def read(number: int) -> int:
            until = time.monotonic() + SECONDS
            last = 0
            with Connection(("127.0.0.1", port)) as connection:
                while time.monotonic() < until:
                    found = ask(connection, "/large")
                    serial = int(found[:8])
                    assert found == text(serial)
                    assert serial >= last
                    last = serial
            return last

        try:
            assert max(at_once(read, threads=3)) > 0
        finally:
            ending.set()
            publisher.join()


@pytest.mark.once
def test_what_cannot_be_replaced_is_refused():
    server = routes(0)
    with pytest.raises(RuntimeError, match="does not run"):
        server.publish("/large", "x")
    with pytest.raises(RuntimeError, match="does not run"):
        server.take_routes(Server())
    with server.start(**SETTINGS):
        with pytest.raises(ValueError, match="no static response"):
            server.publish("/none", "x")
        with pytest.raises(TypeError):
            server.publish("/large", 7)
        with pytest.raises(ValueError, match="header"):
            server.publish("/large", "x", headers={"a": "b\nc"})
        wrong = Server()
        wrong.get("/{a}{b}")(lambda a, b: None)
        with pytest.raises(ValueError, match="segment"):
            server.take_routes(wrong)
        port = int(server.addresses[0].rpartition(":")[2])
        with Connection(("127.0.0.1", port)) as connection:
            assert ask(connection, "/version") == "0"
            server.take_routes(Server())
            assert connection.exchange(request_bytes("GET", "/version")).status == 404
