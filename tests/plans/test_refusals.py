"""What is wrong with the parameters of a compiled route: answered as FastAPI answers it, and without FastAPI.

The referee is the same application under Starlette's `TestClient`.
"""

import datetime
import random
import uuid
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from urllib.parse import quote

import pytest
from fastapi import Body, Cookie, Depends, FastAPI, Header, HTTPException, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.testclient import TestClient
from pydantic import AfterValidator, BaseModel, Field, Json, field_validator

from tests.support.wire import request_bytes


class Colour(Enum):
    red = "red"
    blue = "blue"


class Filters(BaseModel):
    limit: int = Field(10, gt=0, le=100)
    tags: list[str] = []
    model_config = {"extra": "forbid"}


class Tokens(BaseModel):
    x_token: str
    x_count: int = 1


class Item(BaseModel):
    name: str
    size: int = Field(gt=0)


class Checked(BaseModel):
    name: str
    size: int = 1

    @field_validator("name")
    @classmethod
    def is_short(cls, name: str) -> str:
        if len(name) > 3:
            raise ValueError("too long a name")
        return name


def even(number: int) -> int:
    if number % 2:
        raise ValueError("odd")
    return number


QUERIES: dict[str, Any] = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "limited_int": Annotated[int, Query(ge=1, lt=100, multiple_of=3)],
    "limited_float": Annotated[float, Query(gt=0, le=10.5, allow_inf_nan=False)],
    "short": Annotated[str, Query(min_length=2, max_length=4)],
    "pattern": Annotated[str, Query(pattern=r"^[a-z]+-\d+$")],
    "lookahead": Annotated[str, Query(pattern=r"^[a-z]+$")],
    "literal": Literal["red", "7"],
    "colour": Colour,
    "optional_int": int | None,
    "int_or_str": int | str,
    "float_or_bool": float | bool,
    "date": datetime.date,
    "datetime": datetime.datetime,
    "timedelta": datetime.timedelta,
    "uuid": uuid.UUID,
    "decimal": Decimal,
    "list_of_int": Annotated[list[int], Query()],
    "short_list": Annotated[list[str], Query(min_length=2)],
    "set_of_int": Annotated[set[int], Query()],
    "aliased": Annotated[int, Query(alias="other-name")],
    "even": Annotated[int, AfterValidator(even)],
    "json": Annotated[Json[list[int]], Query()],
    "model": Annotated[Filters, Query()],
}

TEXTS = [
    *"""0 1 -1 3 99 100 1.0 1.5 1. .5 1_000 1__0 +5 007 1e3 nan inf -inf true on no y 2 red blue RED a-1 ab abc abcde é 7 %
9223372036854775808 99999999999999999999999 0x1 １ 2024-02-29 2023-02-29 2024-02-29T10:00:00 P1D 12345678-1234-1234-1234-123456789012
12345678-1234 [1] [x] {} ' < null""".split(),
    *["", " ", " 1 ", "a b", "\n", '"', "\\", "x" * 300, "7" * 5000],
]


class Watched:
    """An application that is served, and the number of requests that FastAPI itself was asked."""

    def __init__(self, app: FastAPI, live, connect) -> None:
        self.client = TestClient(app, raise_server_exceptions=False)
        self.connection = connect(live(app))
        self.asked, stack = 0, app.middleware_stack

        async def counts(scope: Any, receive: Any, send: Any) -> None:
            self.asked += 1
            await stack(scope, receive, send)  # type: ignore[misc]

        self.app, self.stack, self.counts = app, stack, counts

    def compare(self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None) -> int:
        given = {"host": "testserver", **(headers or {})}
        self.app.middleware_stack = self.stack
        expected = self.client.request(method, target, content=body, headers=given)
        self.app.middleware_stack = self.counts
        data = request_bytes(method, target, body=body, headers=tuple(given.items()))
        answer = self.connection.exchange(data, method)
        where = f"{method} {target} {body!r} {headers}"
        assert (answer.status, answer.body) == (expected.status_code, expected.content), where
        assert answer.header("content-type") == expected.headers.get("content-type"), where
        return answer.status


@pytest.fixture
def watch(live, connect):
    return lambda app: Watched(app, live, connect)


def app_of(annotations: dict[str, Any]) -> FastAPI:
    app = FastAPI(openapi_url=None)
    for name, annotation in annotations.items():

        def endpoint(q: annotation) -> str:  # type: ignore[valid-type]
            return "ok"

        app.get(f"/{name}")(endpoint)

        async def suspends(q: annotation, request: Request) -> str:  # type: ignore[valid-type]
            return "ok"

        app.get(f"/task/{name}")(suspends)
    return app


def test_query_parameters_are_refused_as_fastapi_refuses_them(watch):
    watched = watch(app_of(QUERIES))
    rng = random.Random("refusals")
    statuses = set()
    for name in QUERIES:
        key = {"aliased": "other-name", "model": "limit"}.get(name, "q")
        for prefix in ("/", "/task/"):
            statuses.add(watched.compare("GET", f"{prefix}{name}"))
            for text in TEXTS if prefix == "/" else rng.sample(TEXTS, 8):
                statuses.add(watched.compare("GET", f"{prefix}{name}?{key}={quote(text)}"))
            for _ in range(6):
                texts = rng.choices(TEXTS, k=rng.randrange(2, 4))
                query = "&".join(f"{key}={quote(text)}" for text in texts)
                watched.compare("GET", f"{prefix}{name}?{query}&unknown=1")
    assert statuses == {200, 422}
    assert watched.asked == 0


@pytest.mark.parametrize("place", ["path", "header", "cookie"])
def test_other_parameters_are_refused_as_fastapi_refuses_them(place, watch):
    app = FastAPI(openapi_url=None)
    kinds = {name: kind for name, kind in QUERIES.items() if kind in (int, float, bool, Colour, uuid.UUID)}
    kinds["limited"] = Annotated[int, {"path": Path, "header": Header, "cookie": Cookie}[place](ge=3, lt=50)]
    kinds["short"] = Annotated[str, {"path": Path, "header": Header, "cookie": Cookie}[place](max_length=4)]
    for name, kind in kinds.items():
        pattern = f"/{name}/{{q}}" if place == "path" else f"/{name}"
        marker = {"path": Path, "header": Header, "cookie": Cookie}[place]
        declared = kind if hasattr(kind, "__metadata__") else Annotated[kind, marker()]

        def endpoint(q: declared) -> str:  # type: ignore[valid-type]
            return "ok"

        app.get(pattern)(endpoint)
    watched = watch(app)
    texts = [text for text in TEXTS if text.isascii() and text.isprintable() and len(text) < 1000]
    for name in kinds:
        if place == "path":
            statuses = {
                watched.compare("GET", f"/{name}/{quote(text, safe='')}") for text in texts if text.strip(". /")
            }
        else:
            header = (lambda text: {"q": text}) if place == "header" else (lambda text: {"cookie": f"a=1; q={text};b"})
            statuses = {watched.compare("GET", f"/{name}", headers=header(text.strip())) for text in texts}
            watched.compare("GET", f"/{name}")
        assert statuses == {200, 422}
    assert watched.asked == 0


def everything() -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.post("/all/{number}")
    def all_of_them(
        item: Item,
        number: Annotated[int, Path(gt=3)],
        limit: Annotated[int, Query(le=10)],
        wanted: str,
        x_token: Annotated[str, Header(min_length=4)],
        seen: Annotated[list[int], Query()],
        session: Annotated[float, Cookie()],
    ) -> str:
        return "ok"

    @app.post("/checked/{number}")
    def checked(item: Checked, number: int) -> str:
        return "ok"

    @app.post("/task/{number}")
    async def task(item: Checked, number: int, request: Request) -> str:
        return "ok"

    @app.post("/two/{number}")
    def two(number: int, item: Item, note: Annotated[str, Body(max_length=3)] = "") -> str:
        return "ok"

    @app.post("/maybe/{number}")
    def maybe(number: int, item: Item | None = None) -> str:
        return "ok"

    @app.get("/models")
    def models(filters: Annotated[Filters, Query()], tokens: Annotated[Tokens, Header()]) -> str:
        return "ok"

    return app


BODIES = [
    b"",
    b"{}",
    b"null",
    b"[]",
    b"{",
    b'{"name": 1, "size": 0}',
    b'{"name": "far too long", "size": "x"}',
    b'{"name": "a", "size": 3}',
    b'{"item": {"name": "a"}, "note": "long"}',
    b'{"item": {"name": "a", "size": 2}, "note": "abc"}',
    b'{"name": "abcd"}',
    b"\xff",
    b'{"name": "abcd", "name": "ab", "size": 1e400}',
]


def test_errors_of_parameters_and_body_stand_in_the_order_of_fastapi(watch):
    watched = watch(everything())
    targets = ["/all/3?limit=x&seen=1&seen=y", "/all/9?limit=2&wanted=a&seen=3", "/all/x"]
    targets += [f"/{name}/{number}" for name in ("checked", "task", "two", "maybe") for number in ("5", "x")]
    for target in targets:
        for body in BODIES:
            for kind in ("application/json", "text/plain"):
                for headers in ({"x-token": "abc"}, {"x-token": "abcd", "cookie": "session=1.5"}):
                    watched.compare("POST", target, body, {**headers, "content-type": kind})
    asked, watched.asked = watched.asked, 0
    assert watched.compare("POST", targets[0], BODIES[5], {"content-type": "application/json"}) == 422
    assert watched.compare("POST", "/checked/x", BODIES[6], {"content-type": "application/json"}) == 422
    assert watched.compare("POST", "/task/5", BODIES[6], {"content-type": "application/json"}) == 422
    assert watched.compare("GET", "/models?limit=0&more=1", headers={"x-token": "a", "x-count": "y"}) == 422
    assert watched.asked == 0
    # What is no JSON by its type, and what `json.loads` itself does not decode.
    assert asked > 0


def test_dependency_that_would_be_called_is_called_once(watch):
    app, calls = FastAPI(openapi_url=None), []

    def page(number: Annotated[int, Query(ge=0)] = 0) -> int:
        calls.append("page")
        return number

    def guarded(x_key: Annotated[str, Header()], page: Annotated[int, Depends(page)]) -> int:
        calls.append("guarded")
        if x_key != "right":
            raise HTTPException(401)
        return page

    @app.get("/page/{n}")
    def paged(n: int, page: Annotated[int, Depends(page)]) -> int:
        return n

    @app.get("/guarded/{n}")
    def nested(n: int, page: Annotated[int, Depends(guarded)]) -> int:
        return n

    watched = watch(app)
    for target, headers, asks, called in (
        # Nothing can be called: no need of FastAPI.
        ("/page/x?number=-1", {}, 0, []),
        ("/page/3?number=y", {}, 0, []),
        ("/guarded/x?number=y", {}, 0, []),
        # The dependency is called, and only then the endpoint's own parameter is found wrong.
        ("/page/x?number=1", {}, 1, ["page"]),
        ("/guarded/3", {}, 1, ["page"]),
        ("/guarded/x", {"x-key": "wrong"}, 0, ["page", "guarded"]),
        ("/guarded/3", {"x-key": "right"}, 0, ["page", "guarded"]),
    ):
        calls.clear()
        watched.asked = 0
        watched.compare("GET", target, headers=headers)
        assert calls == called * 2, target
        if asks == 0 and not called:
            assert watched.asked == 0, target


def test_override_is_asked_before_its_dependency_is_found_wrong(watch):
    app = FastAPI(openapi_url=None)

    def page(number: int) -> int:
        return number

    @app.get("/{n}")
    def paged(n: int, page: Annotated[int, Depends(page)]) -> int:
        return page

    watched = watch(app)
    assert watched.compare("GET", "/x") == 422
    assert watched.asked == 0
    app.dependency_overrides[page] = lambda: 7
    assert watched.compare("GET", "/3") == 200
    assert watched.compare("GET", "/x") == 422
    assert watched.asked == 2


def test_handler_of_the_application_gets_what_is_wrong(watch):
    app = FastAPI(openapi_url=None)

    @app.exception_handler(RequestValidationError)
    async def handler(request: Request, error: RequestValidationError) -> PlainTextResponse:
        return PlainTextResponse(str(error.errors()), status_code=418)

    @app.post("/{n}")
    def endpoint(n: int, item: Item) -> str:
        return "ok"

    watched = watch(app)
    for body in BODIES[:6]:
        watched.compare("POST", "/x", body, {"content-type": "application/json"})
    assert watched.compare("POST", "/3", BODIES[5], {"content-type": "application/json"}) == 418


def test_default_that_is_made_is_not_made_twice_natively(watch):
    app, made = FastAPI(openapi_url=None), []

    def fresh() -> int:
        made.append(1)
        return 5

    @app.get("/{n}")
    def endpoint(n: int, q: Annotated[int, Query(default_factory=fresh)]) -> JSONResponse:
        return JSONResponse({"q": q})

    watched = watch(app)
    assert watched.compare("GET", "/3") == 200
    assert watched.compare("GET", "/x") == 422
    assert watched.compare("GET", "/x?q=y") == 422
