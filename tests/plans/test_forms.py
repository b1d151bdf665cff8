"""Forms of compiled routes: bound natively, with Starlette's own parsers as the referees."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Annotated

import pytest
from fastapi import FastAPI, File, Form, UploadFile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.datastructures import FormData, Headers
from starlette.formparsers import FormParser
from starlette.testclient import TestClient

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


#: A form in parts, and what may be in it.
LINES = [
    b"--b\r\n",
    b"--b--",
    b"--b--\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"--b",
    b"- ",
    b"content-disposition: form-data; name=a\r\n",
    b'Content-Disposition: form-data; name="b"\r\n',
    b'Content-Disposition: form-data; name="f"; filename="f.txt"\r\n',
    b'Content-Disposition: form-data; name=f; filename="C:\\x\\\\y\\"z"\r\n',
    b'Content-Disposition: form-data; name="g"; filename=""\r\n',
    b"Content-Disposition: form-data; filename=g\r\n",
    b"content-disposition: form-data; name=\"f\"; filename*=utf-8''x\r\n",
    b"Content-Type: text/plain; charset=latin-1\r\n",
    b"X-Field:  padded \r\n",
    b"no field\r\n",
    b"text",
    "é".encode(),
    b"\xff",
    b"\x00",
]

PART = [
    b'--b\r\ncontent-disposition: form-data; name="a"\r\n\r\n',
    b'--b\r\ncontent-disposition: form-data; name="b"\r\n\r\n',
    b'--b\r\ncontent-disposition: form-data; name="f"; filename="f"\r\ncontent-type: image/png\r\n\r\n',
    b'--b\r\ncontent-disposition: form-data; name="g"; filename="g"\r\n\r\n',
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

    @app.post("/parts")
    async def parts(
        a: Annotated[list[str] | None, Form()] = None,
        b: Annotated[str, Form()] = "none",
        f: Annotated[list[UploadFile] | None, File()] = None,
        g: Annotated[bytes | None, File()] = None,
    ):
        files = [(file.filename, file.size, file.headers.raw, file.file.read()) for file in f or ()]
        return repr((a, b, files, g))

    @app.post("/parts-def")
    def parts_def(f: UploadFile | None = None):
        return repr(f and (f.filename, f.size, f.headers.raw, f.file.read()))

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


@pytest.mark.parametrize("target", ["/parts", "/parts-def", "/fields"])
@pytest.mark.parametrize("pieces", [LINES, PART + LINES])
def test_any_form_in_parts_is_read_as_fastapi_reads_it(live, connect, target, pieces):
    served = app()
    connection = connect(live(served))
    referee = TestClient(served)

    @settings(max_examples=EXAMPLES // 3, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.sampled_from(pieces), max_size=14).map(b"".join), st.sampled_from([b"", b"\r\n--b--\r\n"]))
    def check(begin, end):
        headers = {"content-type": "multipart/form-data; boundary=b"}
        wanted = referee.post(target, headers=headers, content=begin + end)
        given = connection.exchange(request_bytes("POST", target, headers=headers.items(), body=begin + end))
        assert (given.status, given.body) == (wanted.status_code, wanted.content)

    check()
