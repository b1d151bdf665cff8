"""Forms of compiled routes: bound natively, with Starlette's own parser as the referee."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Annotated

import pytest
from fastapi import FastAPI, Form
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.datastructures import FormData, Headers
from starlette.formparsers import FormParser

from tests.support.wire import request_bytes

EXAMPLES = int(os.environ.get("TURBOAPI_EXAMPLES", "300"))
FORM = "application/x-www-form-urlencoded"

#: What matters to a parser, and what is near it.
PIECES = [
    "a",
    "b",
    "=",
    "&",
    "&&",
    ";",
    "+",
    "%",
    "%2",
    "%26",
    "%3D",
    "%C3%A9",
    "%ff",
    "%zz",
    "\x00",
    " ",
    "é",
    "1",
    "",
]


class Pairs(BaseModel):
    """Everything that a form has, each name once."""

    model_config = {"extra": "allow"}


def app():
    app = FastAPI()

    @app.post("/pairs")
    def pairs(data: Annotated[Pairs, Form()]):
        return data

    @app.post("/fields")
    def fields(a: Annotated[list[str] | None, Form()] = None, b: Annotated[str, Form()] = "none"):
        return {"a": a, "b": b}

    return app


def reference(body: bytes) -> FormData:
    """What Starlette makes of a body."""

    async def stream():
        yield body

    return asyncio.run(FormParser(Headers(), stream()).parse())


@pytest.fixture
def ask(live, connect):
    connection = connect(live(app()))

    def ask(target, body):
        answer = connection.exchange(request_bytes("POST", target, headers=(("content-type", FORM),), body=body))
        assert answer.status == 200
        return json.loads(answer.body)

    return ask


def test_any_form_is_read_as_starlette_reads_it(ask):
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
    def check(text):
        body = text.encode()
        form = reference(body)
        values = {name: form.getlist(name) for name in form}
        assert ask("/pairs", body) == {name: found if len(found) > 1 else found[0] for name, found in values.items()}
        assert ask("/fields", body) == {"a": form.getlist("a") or None, "b": form.get("b") or "none"}

    check()
