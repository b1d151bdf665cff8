"""Forms: the same fields and files as Starlette's parser finds, at every split of the bytes."""

from __future__ import annotations

import asyncio
import random

import pytest
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from turboapi_rs import FormError
from turboapi_rs._core import parse_form

KIND = b"multipart/form-data; boundary=%s"


def ours(content_type: bytes, pieces: list[bytes]):
    """Names, values, files as our parser finds them; None when it refuses."""
    try:
        form = parse_form(content_type, pieces)
    except FormError:
        return None
    return [
        (name, value if isinstance(value, str) else (value.filename, value.read(), sorted(value.headers)))
        for name, value in form
    ]


def starlettes(content_type: bytes, pieces: list[bytes]):
    """The same as Starlette finds them."""

    async def stream():
        for piece in pieces:
            yield piece

    async def parse():
        headers = Headers(raw=[(b"content-type", content_type)])
        form = await MultiPartParser(headers, stream()).parse()
        found = []
        for name, value in form.multi_items():
            if isinstance(value, str):
                found.append((name, value))
            else:
                found.append((name, (value.filename, await value.read(), sorted(value.headers.raw))))
        return found

    try:
        return asyncio.run(parse())
    except (MultiPartException, KeyError):
        return None


def part(disposition: bytes, content: bytes, *fields: bytes) -> bytes:
    lines = [b"Content-Disposition: form-data; " + disposition, *fields]
    return b"--b\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + content + b"\r\n"


END = b"--b--\r\n"
FORMS = [
    END,
    b"--b--",
    b"\r\n\r\npreamble" + part(b'name="a"', b"1") + END,
    part(b'name="a"', b"") + END,
    part(b'name="a"', b"1\r\n2\r\n--bb\r\n--\r\n-\r\r\n") + END,
    part(b'name="a"; filename="f.txt"', b"\x00\xff" * 50, b"Content-Type: text/plain", b"X-A:   b  ") + END,
    part(b'name="a"; filename=""', b"") + END,
    part(b'name="a"', b"1") + part(b'name="a"', b"2") + part(b'name="b"; filename="f"', b"3") + END,
    part(b'name="n\xc3\xa4me"; filename="\xe2\x82\xac.txt"', "wért".encode()) + END,
    part(b'name="\xff"', b"\xff\xfe") + END,
    part(rb'name="a\"b\\c"; filename="C:\dir\f.txt"', b"1") + END,
    part(b'name="a;b"; x="y', b"1") + END,
    part(b"name=a", b"1") + END,
    part(b'NAME="a"; name="b"', b"1") + END,
    part(b"name*=utf-8''x; name=y; filename*=utf-8''z", b"1") + END,
    part(b'name="a"', b"1").replace(b"Content-", b"cOnTENT-") + END,
    part(b'name="a"', b"1") + b"--b \t \r\nContent-Disposition: form-data; name=c\r\n\r\n2\r\n--b--epilogue\r\n--b\r\n",
    part(b'name="a"', b"1\r\n--b x") + END,
    part(b'name="a"', b"1\r\n--bx\r\n--b-\r\n--b\r") + END,
    b"--b\r\n\r\nno name\r\n" + END,
    b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n" + END,
    b"--b\r\nContent-Disposition: name=a\r\n\r\n1\r\n" + END,
    b"--b\r\nnofield\r\n\r\n1\r\n" + END,
    b"--b\r\n: x\r\n\r\n1\r\n" + END,
    b"--b\r\na b: x\r\n\r\n1\r\n" + END,
    b"--b\r\na: x\ry\r\n\r\n1\r\n" + END,
    b"--b\r\nContent-Disposition: form-data; name=a\nb\r\n\r\n1\r\n" + END,
    b"--b\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n" + END,
    b"--c\r\n" + END,
    b"junk" + END,
    b"--b\r\n" + b"a: b\r\n" * 9 + b"\r\n1\r\n" + END,
    b"--b\r\nContent-Disposition: x; name=a\r\n" + b"a: b\r\n" * 7 + b"\r\n1\r\n" + END,
]


@pytest.mark.parametrize("body", FORMS, ids=range(len(FORMS)))
def test_form_is_read_as_starlette_reads_it_at_every_split(body):
    expected = starlettes(KIND % b"b", [body])
    for at in range(len(body) + 1):
        assert ours(KIND % b"b", [body[:at], body[at:]]) == expected, at
    for size in (1, 2, 3, 7):
        assert ours(KIND % b"b", [body[i : i + size] for i in range(0, len(body), size)]) == expected


@pytest.mark.parametrize(
    "content_type",
    [
        b"multipart/form-data; boundary=b",
        b'multipart/form-data; boundary="b"',
        b"multipart/form-data;BOUNDARY=b;charset=latin-1",
        b"multipart/form-data; charset=utf-16; boundary=b",
        b"multipart/form-data; charset=nonsense; boundary=b",
        b"multipart/form-data; boundary=c; boundary=b",
        b"multipart/form-data; boundary*=b",
        b"multipart/form-data",
        b"text/plain",
        b"multipart/form-data; boundary=" + b"x" * 300,
    ],
)
def test_boundary_and_charset_are_read_as_starlette_reads_them(content_type):
    body = part("name=ä".encode(), "wért".encode()) + END
    assert ours(content_type, [body]) == starlettes(content_type, [body])


def test_generated_forms_are_read_as_starlette_reads_them():
    rng = random.Random(4)
    pieces = [
        b"--b",
        b"\r\n",
        b"\r",
        b"\n",
        b"-",
        b"b",
        b"--b--",
        b" ",
        b"a",
        b":",
        b";",
        b'"',
        b"\\",
        b"\xff",
        b"name=a",
    ]
    pieces += [b"Content-Disposition: form-data; name=a\r\n\r\n", b'Content-Disposition: x; name="q"; filename=f\r\n']
    pieces += [b"--b\r\n", b"\r\n--b\r\n", b"\r\n--b--", b"\r\n\r\n"]
    accepted = 0
    for _ in range(3000):
        body = b"--b\r\nContent-Disposition: x; name=s\r\n\r\n" * rng.randint(0, 1)
        body += b"".join(rng.choices(pieces, k=rng.randint(0, 14)))
        # A form that is not whole is refused here; Starlette keeps what had come.
        body += b"\r\n--b--" * rng.randint(0, 1)
        found = ours(KIND % b"b", [body])
        expected = starlettes(KIND % b"b", [body])
        if found is None and expected is not None:
            with pytest.raises(FormError, match="not whole"):
                parse_form(KIND % b"b", [body])
            continue
        assert found == expected, body
        accepted += found is not None
        cut = rng.randint(0, len(body))
        assert ours(KIND % b"b", [body[:cut], body[cut:]]) == found, (body, cut)
    assert accepted > 300


@pytest.mark.parametrize(
    ("body", "status", "what"),
    [
        (b"", 400, "not whole"),
        (part(b"name=a", b"1"), 400, "not whole"),
        (part(b"name=a", b"") * 1001 + END, 413, "max_form_parts"),
        (b"--b\r\nx: " + b"y" * 1_000_000, 413, "max_form_head"),
        (b"--b\r\n" + b"y" * 1_000_000, 413, "max_form_head"),
        (part(b"name=a", b"x" * (1024 * 1024 + 1)) + END, 413, "max_form_field"),
    ],
)
def test_form_is_refused_by_name_and_status(body, status, what):
    with pytest.raises(FormError, match=what) as raised:
        parse_form(KIND % b"b", [body])
    assert raised.value.args[1] == status
