"""Parameters of the path, the query, the headers and the cookies: the native judge beside FastAPI's own.

Each annotation is that of a query parameter of a real route; the referee is `request_params_to_args`.
"""

import datetime
import os
import random
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from fastapi import Body, Cookie, FastAPI, Header, Path, Query
from fastapi.dependencies.utils import request_params_to_args
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel, StringConstraints
from starlette.datastructures import QueryParams
from turboapi_rs import _core

from tests.validate_support import Colour, Level, Mixed, same

TEXTS = int(os.environ.get("TURBOAPI_TEXTS", "400"))

ANNOTATIONS: dict[str, Any] = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "limited_int": Annotated[int, Query(ge=1, lt=100, multiple_of=3)],
    "limited_float": Annotated[float, Query(gt=0, le=10.5)],
    "finite": Annotated[float, Query(allow_inf_nan=False)],
    "short": Annotated[str, Query(min_length=2, max_length=4)],
    "pattern": Annotated[str, Query(pattern=r"^[a-z]+-\d+$")],
    "stripped": Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, min_length=1)],
    "literal": Literal["red", "7", "é"],
    "number_literal": Literal[1, 2],
    "colour": Colour,
    "level": Level,
    "mixed": Mixed,
    "optional_int": int | None,
    "optional_short": Annotated[str | None, Query(max_length=3)],
    "int_or_str": int | str,
    "str_or_int": str | int,
    "float_or_bool": float | bool,
    "date": datetime.date,
    "datetime": datetime.datetime,
    "uuid": uuid.UUID,
    "decimal": Decimal,
    "list_of_int": Annotated[list[int], Query()],
    "list_of_str": Annotated[list[str], Query(min_length=1, max_length=2)],
    "set_of_int": Annotated[set[int], Query()],
    "tuple": Annotated[tuple[int, str], Query()],
    "optional_list": Annotated[list[float] | None, Query()],
    "list_of_literal": Annotated[list[Literal["red", "blue"]], Query()],
    "aliased": Annotated[int, Query(alias="other-name")],
}

INTERESTING = [
    *"""0 1 -1 3 9 99 100 1.0 1.5 1_000 1__0 +5 -0 007 1e3 .5 1. nan inf -inf Infinity NaN true True on no off y N 2 red blue
RED a-1 ab abc abcde é 😀 7 two 9223372036854775807 9223372036854775808 99999999999999999999999 0x1 １ 2024-02-29 2023-02-29
2024-02-29T10:00:00 2024-02-29T10:00:00Z 12345678-1234-1234-1234-123456789012 1.50 -3 10.5 10.6 null None [] {} ' < >
""".split(),
    *["", " ", " 1 ", "1 ", "  a ", "a\x00b", "a b", "\n", '"', "\\", "x" * 2000, "7" * 5000],
]


class ParameterCase:
    def __init__(self, name: str, annotation: Any) -> None:
        self.name = name
        app = FastAPI()

        def endpoint(q: annotation) -> str:
            return "ok"

        app.get("/")(endpoint)
        self.fields = app.routes[-1].dependant.query_params
        (field,) = self.fields
        self.alias = field.alias
        self.is_sequence = any(kind in str(annotation) for kind in ("list", "set", "tuple"))
        adapter = field._type_adapter
        self.validator = _core._Validator.at(adapter.core_schema, ["query", field.alias], adapter.validator)

    def compare(self, texts: list[str]) -> str:
        values, errors = request_params_to_args(self.fields, QueryParams([(self.alias, text) for text in texts]))
        given: Any = None if not texts else texts if self.is_sequence else texts[-1]
        verdict, answer = self.validator.check(given)
        if verdict == "invalid":
            assert errors, (given, values)
            assert answer == JSONResponse({"detail": jsonable_encoder(errors)}).body
        elif verdict == "valid":
            assert not errors, (given, errors)
            same(self.validator.build(given), values["q"], f"{self.name}: {given!r}")
        return verdict


cases = {name: ParameterCase(name, annotation) for name, annotation in ANNOTATIONS.items()}


def random_text(rng: random.Random) -> str:
    text = rng.choice(INTERESTING)
    if rng.random() < 0.3:
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(INTERESTING[:60]) + text[at + rng.randrange(2) :]
    return text


@pytest.mark.parametrize("case", cases.values(), ids=lambda case: case.name)
def test_parameter_is_judged_as_fastapi_judges_it(case):
    verdicts = {case.compare([]) for _ in range(1)}
    rng = random.Random(f"parameters {case.name}")
    verdicts |= {case.compare([text]) for text in INTERESTING}
    for _ in range(TEXTS):
        verdicts.add(case.compare([random_text(rng) for _ in range(rng.choice([1, 1, 1, 2, 3]))]))
    assert verdicts & {"valid", "invalid"}


def test_errors_of_all_parameters_are_merged_in_the_order_of_fastapi():
    class Item(BaseModel):
        name: str
        size: int

    app = FastAPI()

    @app.post("/{number}")
    def endpoint(
        item: Item,
        number: Annotated[int, Path(gt=3)],
        limit: Annotated[int, Query(le=10)],
        wanted: str,
        x_token: Annotated[str, Header(min_length=4)],
        seen: Annotated[list[int], Query()],
        session: Annotated[float, Cookie()],
    ) -> str:
        return "ok"

    dependant = app.routes[-1].dependant
    judges = {}
    for group in (dependant.path_params, dependant.query_params, dependant.header_params, dependant.cookie_params):
        for field in group:
            adapter, place = field._type_adapter, [field.field_info.in_.value, field.alias]
            judges[field.name] = _core._Validator.at(adapter.core_schema, place, adapter.validator)
    judges["item"] = _core._Validator(dependant.body_params[0]._type_adapter.core_schema)
    given = {
        "number": "3",
        "limit": "x",
        "seen": ["1", "y", "z"],
        "x_token": "abc",
        "session": "s",
        "item": b'{"size": "1."}',
    }
    answers = [judge.check(given.get(name))[1] for name, judge in judges.items()]
    client = TestClient(app, cookies={"session": "s"})
    response = client.post(
        "/3?limit=x&seen=1&seen=y&seen=z",
        content=given["item"],
        headers={"x-token": "abc", "content-type": "application/json"},
    )
    assert response.status_code == 422
    assert _core._Validator.merge(answers) == response.content
    assert len(response.json()["detail"]) == 9


@pytest.mark.parametrize("content", [None, b""], ids=["no body", "empty body"])
def test_absent_body_is_missing(content):
    class Item(BaseModel):
        name: str

    app = FastAPI()

    @app.post("/one")
    def one(item: Item) -> str:
        return "ok"

    @app.post("/two")
    def two(item: Item, note: Annotated[str, Body()], mark: Annotated[int, Body()] = 1) -> str:
        return "ok"

    client = TestClient(app)
    headers = {"content-type": "application/json"}
    whole = _core._Validator(Item.__pydantic_core_schema__)
    fields = app.routes[-1].dependant.body_params
    members = _core._Validator.members(
        [(field.alias, field._type_adapter.core_schema, field.field_info.is_required(), False) for field in fields]
    )
    assert whole.check(None) == ("invalid", client.post("/one", content=content, headers=headers).content)
    assert members.check(None) == ("invalid", client.post("/two", content=content, headers=headers).content)
    for body in (b"null", b"[]", b"1", b'"text"', b"{}"):
        assert whole.check(body) == ("invalid", client.post("/one", content=body, headers=headers).content)
        assert members.check(body) == ("invalid", client.post("/two", content=body, headers=headers).content)


def test_absent_body_of_defaults_is_valid():
    schema = {"type": "int"}
    members = _core._Validator.members([("a", schema, False, False), ("b", schema, False, False)])
    assert members.check(None) == ("valid", None)
    assert members.build(None) == [..., ...]
    assert members.build(b'{"b": "7"}') == [..., 7]
