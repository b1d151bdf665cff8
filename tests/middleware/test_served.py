"""Starlette's middleware over real sockets, under uvicorn and under this server: generated requests, the same answers."""

import os
import random
from collections.abc import Iterator

import pytest

from tests.parity.case import Case, Sent, flow, fresh, page, sent
from tests.parity.referee import Side, judge, sides

APPS = ("cors", "zipped", "outside", "hosts", "inside", "secure")
FLOWS = int(os.environ.get("TURBOAPI_MIDDLEWARE_FLOWS", "12"))
"""For each app. 60 were run once: 2,880 requests."""

TARGETS = (
    "/items/7",
    "/items/7?times=40",
    "/items/x",
    "/text",
    "/text?size=10",
    "/stream",
    "/stream?pieces=0",
    "/events",
    "/yielded/events",
    "/yielded/lines",
)
TARGETS += ("/encoded", "/refused", "/empty", "/own", "/nowhere", "/items/7/", "/text?size=%31%30&a=b%20c")
ORIGINS = ("https://a.example", "https://b1.example:80", "http://c.example", "https://b.example.evil", "null", "*")
ASKED = ("x-one", "X-ONE , x-two", "x-three", "", "authorization, content-type", "accept,,x-one")
HOSTS = (
    "a.example",
    "A.EXAMPLE:8000",
    "www.a.example",
    "b.example",
    "b.example:8443",
    "x.y.c.example",
    "c.example",
    "[::1]:80",
)


def generated(seed: str) -> Case:
    chance = random.Random(seed)

    def maybe(share: float, name: str, values: tuple[str, ...]) -> list[tuple[str, str]]:
        return [(name, chance.choice(values))] if chance.random() < share else []

    def one() -> Sent:
        method = chance.choice(("GET", "GET", "GET", "OPTIONS", "OPTIONS", "POST", "HEAD"))
        headers = [
            # Of the hosts, one that most apps let in comes often.
            ("host", chance.choice((*HOSTS, *["a.example"] * len(HOSTS)))),
            *maybe(0.7, "Origin", ORIGINS),
            *maybe(0.8 if method == "OPTIONS" else 0.1, "Access-Control-Request-Method", ("GET", "POST", "PUT", "get")),
            *maybe(0.3, "Access-Control-Request-Headers", ASKED),
            *maybe(0.2, "Access-Control-Request-Private-Network", ("true",)),
            *maybe(0.7, "Accept-Encoding", ("gzip", "br, gzip;q=0.5", "GZIP", "identity")),
            *maybe(0.2, "X-Forwarded-Proto", ("https", "http", "wss")),
        ]
        if method == "POST":
            body = chance.choice((b'{"name": "n"}', b'{"name": 1}', b"{", b'{"name": "' + b"n" * 400 + b'"}'))
            return sent("POST", "/items", headers=[*headers, ("content-type", "application/json")], body=body)
        return sent(method, chance.choice(TARGETS), headers=headers)

    return flow(seed, *(fresh(one()) if i == 0 else one() for i in range(8)))


CASES = [
    case for app in APPS for i in range(FLOWS) for case in page("layers", f"layers:{app}", generated(f"{app} {i}"))
]


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Side, Side]]:
    """Both servers with every app."""
    with sides(CASES, "uvicorn", "turboapi") as both:
        yield both


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_answers_are_the_same(case: Case, servers: tuple[Side, Side]):
    verdict = judge(case, *servers)
    assert verdict.fault is None, (verdict.fault, [request.data for request in case.requests])
