"""Applications that raise, return too early, or never answer."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.asgi.apps import answer, body, http, start
from tests.support.wire import request_bytes

GET = request_bytes("GET", "/")


class Base(BaseException):
    """Not an Exception."""


@pytest.mark.parametrize(
    "error", [RuntimeError("x"), KeyError("x"), asyncio.CancelledError(), SystemExit(3), Base()], ids=repr
)
def test_exception_before_the_start_is_a_500_without_its_text(live, connect, error):
    @http
    async def app(scope, receive, send):
        if scope["path"] == "/fine":
            return await answer(send, b"fine")
        raise error

    server = live(app)
    connection = connect(server)
    answered = connection.exchange(GET)
    assert answered.status == 500
    assert b"Traceback" not in answered.body
    assert type(error).__name__.encode() not in answered.body
    assert connect(server).exchange(request_bytes("GET", "/fine")).body == b"fine"


def test_connection_is_kept_after_a_500(live, connect):
    @http
    async def app(scope, receive, send):
        if scope["path"] == "/fine":
            return await answer(send, b"fine")
        raise RuntimeError("x")

    connection = connect(live(app))
    assert connection.exchange(GET).status == 500
    assert connection.exchange(request_bytes("GET", "/fine")).body == b"fine"


def test_exception_after_the_start_only_is_a_500(live, connect):
    @http
    async def app(scope, receive, send):
        await start(send)
        raise RuntimeError("x")

    assert connect(live(app)).exchange(GET).status == 500


def test_exception_within_the_body_tears_it_and_is_logged(live, connect, capfd):
    @http
    async def app(scope, receive, send):
        await start(send)
        await body(send, b"half", more=True)
        raise RuntimeError("on purpose")

    server = live(app)
    answered = connect(server).exchange(GET)
    assert (answered.status, answered.body, answered.is_torn) == (200, b"half", True)
    server.stop()
    assert capfd.readouterr().err.count("RuntimeError: on purpose") == 1


def test_exception_within_a_body_of_known_length_tears_it(live, connect):
    @http
    async def app(scope, receive, send):
        await start(send, headers=[(b"content-length", b"10")])
        await body(send, b"half", more=True)
        raise RuntimeError("x")

    answered = connect(live(app)).exchange(GET)
    assert (answered.body, answered.is_torn) == (b"half", True)


def test_exception_after_the_end_leaves_the_answer_whole(live, connect):
    @http
    async def app(scope, receive, send):
        await answer(send, b"whole")
        raise RuntimeError("x")

    answered = connect(live(app)).exchange(GET)
    assert (answered.body, answered.is_torn) == (b"whole", False)


def test_return_without_an_answer_is_a_500(live, connect):
    @http
    async def app(scope, receive, send):
        pass

    assert connect(live(app)).exchange(GET).status == 500


def test_return_within_the_body_tears_it(live, connect):
    @http
    async def app(scope, receive, send):
        await start(send)
        await body(send, b"half", more=True)

    assert connect(live(app)).exchange(GET).is_torn


def test_log_names_method_path_and_traceback(live, connect, capfd, caplog):
    @http
    async def app(scope, receive, send):
        raise RuntimeError("the reason")

    caplog.set_level(logging.DEBUG)
    assert connect(live(app)).exchange(request_bytes("GET", "/some/path")).status == 500
    told = caplog.text + capfd.readouterr().err
    for part in ("GET", "/some/path", "Traceback", "the reason"):
        assert part in told


def test_an_app_of_the_older_two_call_form_does_no_harm(live, connect):
    class Two:
        def __init__(self, scope):
            pass

        async def __call__(self, receive, send):
            await answer(send)

    assert connect(live(Two)).exchange(GET).status in (200, 500)


def test_websocket_upgrade_is_refused_with_a_status(live, connect):
    @http
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await answer(send, b"plain")

    fields = (
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    )
    answered = connect(live(app)).exchange(request_bytes("GET", "/ws", headers=fields))
    assert answered.status == 501
    assert b"WebSocket" in answered.body
