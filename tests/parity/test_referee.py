"""The referee sees what it must see: tried on answers made by hand, then on two servers of one kind."""

import gzip
from dataclasses import replace

import pytest

from ..support.wire import Answer
from .case import get, page, request
from .compare import KNOWN_DIFFERENCES, difference
from .referee import Verdict, all_cases, app_by_app, judge, path_of, sides

ANSWER = Answer(
    200,
    "OK",
    "HTTP/1.1",
    (("content-type", "text/plain"), ("content-length", "2"), ("set-cookie", "a=1"), ("set-cookie", "b=2")),
    b"ok",
    "length",
)
CASE = page("p", "first_steps", get("n", "/"))[0]
HEAD = page("p", "first_steps", request("n", "HEAD", "/"))[0]


def headers(*pairs: tuple[str, str]) -> Answer:
    """The answer with these headers."""
    return replace(ANSWER, headers=pairs)


def test_same_answer_is_the_same():
    assert difference(CASE, 0, ANSWER, ANSWER) is None


@pytest.mark.parametrize(
    "other",
    [
        replace(ANSWER, status=201),
        replace(ANSWER, body=b"no"),
        replace(ANSWER, is_torn=True),
        headers(*ANSWER.headers[1:]),
        headers(*ANSWER.headers, ("x-extra", "1")),
        headers(("content-type", "text/html"), *ANSWER.headers[1:]),
        headers(*ANSWER.headers[:2], *reversed(ANSWER.headers[2:])),
        headers(ANSWER.headers[0], ("content-length", "3"), *ANSWER.headers[2:]),
    ],
    ids=["status", "body", "torn", "missing header", "extra header", "header value", "cookie order", "length"],
)
def test_changed_answer_differs(other):
    assert difference(CASE, 0, ANSWER, other) is not None


@pytest.mark.parametrize(
    "other",
    [
        headers(*reversed(ANSWER.headers[:2]), *ANSWER.headers[2:]),
        headers(*ANSWER.headers, ("date", "now"), ("server", "x"), ("connection", "close")),
        replace(headers(ANSWER.headers[0], *ANSWER.headers[2:], ("transfer-encoding", "chunked")), framing="chunked"),
        replace(ANSWER, reason="Fine"),
    ],
    ids=["order of names", "ignored headers", "framing", "reason phrase"],
)
def test_change_that_does_not_count_is_the_same(other):
    assert difference(CASE, 0, ANSWER, other) is None


def cookie(date: str, expires: str) -> Answer:
    """An answer of that second with a cookie that ends then."""
    day = "Mon, 30 Nov 2026"
    return headers(("date", f"{day} {date} GMT"), ("set-cookie", f"a=1; expires={day} {expires} GMT; Path=/"))


def test_cookies_end_as_long_after_their_answers():
    reference = cookie("10:00:59", "10:10:59")
    assert difference(CASE, 0, reference, cookie("10:01:00", "10:11:00")) is None
    assert difference(CASE, 0, reference, cookie("10:01:00", "10:11:01")) is None
    assert "expires" in difference(CASE, 0, reference, cookie("10:01:00", "10:12:00"))
    assert "missing" in difference(CASE, 0, reference, headers(("set-cookie", "a=1; Path=/")))


def test_compressed_bodies_are_compared_decompressed():
    def zipped(plain: bytes, level: int) -> Answer:
        body = gzip.compress(plain, level)
        return replace(headers(("content-encoding", "gzip"), ("content-length", str(len(body)))), body=body)

    assert difference(CASE, 0, zipped(b"ab" * 99, 9), zipped(b"ab" * 99, 0)) is None
    assert difference(CASE, 0, zipped(b"ab" * 99, 9), zipped(b"ab" * 98, 9)) is not None
    assert difference(CASE, 0, zipped(b"", 9), replace(zipped(b"", 9), body=b"torn")) is not None


def test_length_counts_in_an_answer_to_head():
    without = headers(ANSWER.headers[0], *ANSWER.headers[2:])
    assert difference(HEAD, 0, ANSWER, without) is not None


def test_listed_difference_that_is_gone_is_red():
    verdict = Verdict(CASE, (200,), None, "asgi")
    assert not verdict.is_red
    KNOWN_DIFFERENCES[CASE.id] = "for this test"
    try:
        assert verdict.is_red
        assert not replace(verdict, fault="differs").is_red
    finally:
        del KNOWN_DIFFERENCES[CASE.id]


def test_path_of_an_absolute_target():
    assert path_of(replace(CASE.requests[0], target="http://a.b/c/d?e=f")) == "/c/d"


def test_cases_are_many_and_on_every_page():
    cases = all_cases()
    assert len(cases) >= 300
    assert len({case.page for case in cases}) >= 45


@pytest.mark.once
def test_apps_are_the_same_in_processes_of_their_own():
    """Three apps here; all of them in the step `isolation` of scripts/test.sh."""
    cases = app_by_app([case for case in all_cases() if case.app in ("first_steps", "background", "sub_apps:served")])
    with sides(cases, "uvicorn", "turboapi-processes") as (left, right):
        different = [(v.case.id, v.fault) for v in (judge(case, left, right) for case in cases) if v.is_red]
    assert not different


@pytest.mark.once
def test_uvicorn_equals_itself():
    cases = [case for case in all_cases() if case.app in ("first_steps", "dependencies_yield", "streams")]
    with sides(cases, "uvicorn", "uvicorn") as (left, right):
        # What ours may do otherwise, uvicorn does as uvicorn does.
        different = [(v.case.id, v.fault) for v in (judge(case, left, right) for case in cases) if v.fault]
    assert not different
