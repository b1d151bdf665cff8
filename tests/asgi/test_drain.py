"""SIGTERM under load, seen by clients that count: what was sent before the signal is answered whole; exit 0."""

from __future__ import annotations

import itertools
import json
import signal
import threading
import time
from dataclasses import dataclass

import pytest

from tests.conftest import COMMAND_OPTIONS, DRIVER
from tests.support.command import Command
from tests.support.wire import Connection, NoAnswer, request_bytes

APP = "tests.asgi.served:app"
CLIENTS = 24


@dataclass
class Sent:
    """One request and what came of it."""

    at: float
    """When the last byte had been given to the kernel."""
    target: str
    outcome: str = "nothing"


def ask(number: int, turn: int) -> tuple[str, bytes, str]:
    """The request of one turn: its kind changes from turn to turn."""
    kind = (number + turn) % 4
    if kind == 0:
        return "/", request_bytes("GET", "/"), "GET"
    if kind == 1:
        target = f"/slow/{10 + 37 * number % 400}"
        return target, request_bytes("GET", target), "GET"
    if kind == 2:
        target = f"/stream/{50 + 29 * number % 300}"
        return target, request_bytes("GET", target), "GET"
    body = json.dumps({"n": number, "pad": "x" * (turn % 3000)}).encode()
    fields = (("content-type", "application/json"),)
    return "/echo", request_bytes("POST", "/echo", headers=fields, body=body), "POST"


def client(number: int, address: tuple[str, int], sent: list[Sent], stop: threading.Event) -> None:
    """Asks until told to stop or refused; odd clients make a connection for each request."""
    connection = None
    for turn in itertools.count():
        if stop.is_set():
            break
        try:
            if connection is None or number % 2:
                connection = Connection(address, timeout=20)
        except OSError:
            break
        target, data, method = ask(number, turn)
        try:
            connection.send(data)
        except OSError:
            break
        record = Sent(time.monotonic(), target)
        sent.append(record)
        try:
            answer = connection.read_answer(method)
        except (NoAnswer, OSError) as error:
            record.outcome = repr(error)
            break
        record.outcome = "torn" if answer.is_torn else str(answer.status)
        if answer.header("connection") == "close" or number % 2:
            connection.close()
            connection = None


PROCESSES = ("--driver", DRIVER, "--workers", "2", "--isolation", "processes")


@pytest.mark.parametrize(
    ("stop_signal", "options"),
    [(signal.SIGTERM, COMMAND_OPTIONS), (signal.SIGINT, COMMAND_OPTIONS), (signal.SIGTERM, PROCESSES)],
    ids=["SIGTERM", "SIGINT", "processes"],
)
def test_every_request_sent_before_the_signal_gets_a_whole_answer(stop_signal, options):
    with Command(APP, *options) as server:
        records: list[list[Sent]] = [[] for _ in range(CLIENTS)]
        stop = threading.Event()
        threads = [
            threading.Thread(target=client, args=(number, server.address, records[number], stop))
            for number in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        time.sleep(1.5)
        signalled = time.monotonic()
        server.send(stop_signal)
        code = server.wait(20)
        stop.set()
        for thread in threads:
            thread.join()
        log = server.log()
    before = [record for mine in records for record in mine if record.at < signalled]
    assert len(before) > CLIENTS
    lost = [record for record in before if record.outcome != "200"]
    assert not lost, f"{len(lost)} of {len(before)}: {lost[:5]}\n{log}"
    torn = [(record.at - signalled, record) for mine in records for record in mine if record.outcome == "torn"]
    assert not torn, f"{torn}\n{log}"
    assert code == 0, log


def test_idle_connections_are_closed_at_once():
    with Command(APP, *COMMAND_OPTIONS) as server:
        idle = [Connection(server.address) for _ in range(5)]
        for connection in idle[1:]:
            assert connection.exchange(request_bytes("GET", "/")).status == 200
        started = time.monotonic()
        server.terminate()
        assert all(connection.is_closed_by_peer() for connection in idle)
        assert server.wait(10) == 0
        assert time.monotonic() - started < 3


def test_answers_begun_after_the_signal_say_close():
    with Command(APP, *COMMAND_OPTIONS) as server, Connection(server.address) as connection:
        connection.send(request_bytes("GET", "/slow/700"))
        time.sleep(0.3)
        server.terminate()
        answer = connection.read_answer()
        assert (answer.status, answer.header("connection")) == (200, "close")
        assert connection.is_closed_by_peer()
        assert server.wait(10) == 0


def test_new_connections_are_refused_during_the_drain():
    with Command(APP, *COMMAND_OPTIONS) as server, Connection(server.address) as connection:
        connection.send(request_bytes("GET", "/slow/1500"))
        time.sleep(0.3)
        server.terminate()
        time.sleep(0.3)
        with pytest.raises(OSError):  # noqa: PT011, refused or reset
            Connection(server.address).exchange(request_bytes("GET", "/"))
        assert connection.read_answer().status == 200
        assert server.wait(10) == 0


def test_a_stream_without_end_is_cut_after_the_grace():
    with Command(APP, *COMMAND_OPTIONS, "--drain-grace", "1") as server, Connection(server.address) as connection:
        connection.send(request_bytes("GET", "/endless"))
        assert connection.read_some()
        started = time.monotonic()
        server.terminate()
        assert connection.read_to_end()[-5:] != b"0\r\n\r\n"
        assert server.wait(10) == 0
        assert time.monotonic() - started < 5
