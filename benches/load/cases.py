"""What is measured: a request, the answer that it must get, and the servers that give it.

Owns: the table of cases and contenders. Does not own: running them (`run.py`).
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benches.load import apps

REPO = Path(__file__).resolve().parents[2]
BARE = REPO / "target/release/examples/bare"


@dataclasses.dataclass(frozen=True)
class Ask:
    """One request."""

    target: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    status: int = 200


@dataclasses.dataclass(frozen=True)
class Contender:
    """A server, and what it is asked in this case."""

    name: str
    """Unique within a case. `bare` and `ours` are what ratios refer to."""
    command: tuple[str, ...]
    """With `{port}` in it."""
    ask: Ask


@dataclasses.dataclass(frozen=True)
class Case:
    """One line of work, on several servers."""

    name: str
    contenders: tuple[Contender, ...]
    is_right: Callable[[bytes], bool]
    """Whether a body is the answer. The bare server's is not looked at: it says hello to everything."""
    streams: int = 0
    """So many endless streams are held, and events are counted in place of requests."""


def bare(ask: Ask, driver: str) -> Contender:
    """The runtime without Python: the ceiling. A body is echoed, whatever it is."""
    command = (str(BARE), "--workers", "1", "--port", "{port}", "--driver", driver)
    if ask.method == "POST":
        return Contender("bare", command, dataclasses.replace(ask, target="/echo", status=200))
    return Contender("bare", command, Ask("/"))


def ours(app: str, ask: Ask, driver: str, name: str = "ours") -> Contender:
    """This server, by its command line."""
    run = (sys.executable, "-m", "turboapi_rs", "run", "--workers", "1", "--port", "{port}", "--driver", driver, app)
    return Contender(name, run, ask)


def granian(interface: str, app: str, ask: Ask) -> Contender:
    """granian, one worker."""
    command = shutil.which("granian", path=str(Path(sys.executable).parent))
    start = (command,) if command else (sys.executable, "-m", "granian")
    options = ("--workers", "1", "--no-access-log", "--log-level", "error", "--port", "{port}")
    name = {"rsgi": "granian RSGI", "asginl": "granian ASGI", "asgi": "granian FastAPI"}[interface]
    return Contender(name, (*start, *options, "--interface", interface, app), ask)


def uvicorn(app: str, ask: Ask, name: str = "uvicorn FastAPI", *options: str) -> Contender:
    """uvicorn, one process."""
    command = (sys.executable, "-m", "uvicorn", "--log-level", "error", "--no-access-log", "--port", "{port}", *options)
    return Contender(name, (*command, app), ask)


def is_json(wanted: Any) -> Callable[[bytes], bool]:
    """A body that is this JSON, however it is spaced."""
    return lambda body: json.loads(body) == wanted


def all_cases(driver: str) -> list[Case]:
    """Every case, in the order of the table."""
    raw, asgi, fastapi = "benches.load.apps:raw", "benches.load.apps:asgi", "benches.load.apps:fastapi"
    hello, static, rows = Ask("/"), Ask("/static"), Ask("/rows")
    item = {"name": "Foo", "price": 42.5, "tags": ["a", "b"], "description": None}
    typed = (("content-type", "application/json"),)
    post = Ask("/items", "POST", typed, json.dumps(item).encode())
    wrong = Ask("/items", "POST", typed, b'{"name": "", "price": "cheap", "tags": [1]}', 422)
    urlencoded = (("content-type", "application/x-www-form-urlencoded"),)
    form = Ask("/login", "POST", urlencoded, b"username=johndoe&password=se%2Fcret+word&age=41")
    in_parts = (("content-type", "multipart/form-data; boundary=b0undary"),)
    parts = (
        b'--b0undary\r\nContent-Disposition: form-data; name="title"\r\n\r\nA note\r\n'
        b'--b0undary\r\nContent-Disposition: form-data; name="file"; filename="note.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\n" + b"x" * 1000 + b"\r\n--b0undary--\r\n"
    )
    upload = Ask("/upload", "POST", in_parts, parts)
    me = Ask("/me", headers=(("authorization", "Bearer token"),))

    def on_fastapi(name: str, ask: Ask, is_right: Callable[[bytes], bool], *more: Contender) -> Case:
        peers = (granian("asgi", fastapi, ask), uvicorn(fastapi, ask))
        return Case(name, (bare(ask, driver), ours(fastapi, ask, driver), *more, *peers), is_right)

    def errors(body: bytes) -> bool:
        return [error["loc"] for error in json.loads(body)["detail"]] == [
            ["body", "name"],
            ["body", "price"],
            ["body", "tags", 0],
        ]

    is_hello = is_json(apps.HELLO)
    return [
        Case(
            "raw-json",
            (bare(hello, driver), ours(raw, hello, driver), granian("rsgi", "benches.load.apps:rsgi", hello)),
            is_hello,
        ),
        Case("static", (bare(hello, driver), ours(raw, static, driver)), is_hello),
        Case(
            "asgi-hello",
            (
                bare(hello, driver),
                ours(asgi, hello, driver),
                granian("asginl", asgi, hello),
                uvicorn(asgi, hello, "uvicorn ASGI", "--lifespan", "off"),
            ),
            is_hello,
        ),
        on_fastapi(
            "fastapi-get",
            Ask("/items/7?q=x"),
            is_json({"item_id": 7, "q": "x"}),
            ours("benches.load.apps:hosted", Ask("/items/7?q=x"), driver, "ours as ASGI"),
        ),
        on_fastapi("fastapi-get-def", Ask("/items-def/7?q=x"), is_json({"item_id": 7, "q": "x"})),
        on_fastapi("fastapi-post", post, is_json(item)),
        on_fastapi("fastapi-post-def", dataclasses.replace(post, target="/items-def"), is_json(item)),
        on_fastapi("fastapi-form", form, is_json({"username": "johndoe", "age": 41})),
        on_fastapi("fastapi-upload", upload, is_json({"title": "A note", "name": "note.txt", "size": 1000})),
        on_fastapi("fastapi-deps", me, is_json({"user": "user"})),
        on_fastapi("fastapi-422", wrong, errors),
        on_fastapi(
            "fastapi-def",
            Ask("/hello-def"),
            is_hello,
            ours("benches.load.apps:hosted", Ask("/hello-def"), driver, "ours as ASGI"),
        ),
        on_fastapi("list-10k", rows, is_json(apps.ROWS), ours(raw, rows, driver, "ours raw")),
        Case(
            "sse",
            tuple(
                dataclasses.replace(contender, ask=Ask("/events"))
                for contender in (
                    ours(fastapi, Ask("/events"), driver),
                    granian("asgi", fastapi, Ask("/events")),
                    uvicorn(fastapi, Ask("/events")),
                )
            ),
            lambda body: body.startswith(b'data: {"n": 0}') or body.startswith(b'data: {"n":0}'),
            streams=1000,
        ),
    ]
