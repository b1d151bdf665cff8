"""`verdict_equal`: the native validator and FastAPI give the same verdict and the same error list.

The full campaign is `make verdicts`, a million bodies; here each schema gets a few hundred bodies.
"""

import gc
import json
import os
import random
import sys
from typing import Annotated, Any, Literal

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, BeforeValidator, Field, PlainValidator, TypeAdapter, ValidationError
from turboapi_rs import _core

from tests.validate_support import MEMBERS, SCHEMAS, Case, random_body

BODIES = int(os.environ.get("TURBOAPI_BODIES", "300"))

cases = {name: Case(name, schema) for name, schema in (SCHEMAS | MEMBERS).items()}
compiled = [case for case in cases.values() if case.validator is not None]


@pytest.mark.parametrize("case", compiled, ids=lambda case: case.name)
def test_verdict_equals_that_of_fastapi(case):
    rng = random.Random(f"suite {case.name}")
    verdicts = {case.compare(random_body(rng, case.schema)) for _ in range(BODIES)}
    assert verdicts & {"valid", "invalid"}, "nothing was decided"


@settings(max_examples=BODIES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(compiled), st.randoms(use_true_random=False))
def test_verdict_equals_that_of_fastapi_for_bodies_that_hypothesis_shrinks(case, rng):
    case.compare(random_body(rng, case.schema))


@pytest.mark.parametrize("name", ["Item", "Gallery", "Owner", "plain_list", "Temporal", "Choosing", "Around", "mixed"])
def test_referee_answers_as_a_live_app_does(name):
    case = cases[name]
    client = TestClient(case.app, raise_server_exceptions=False)
    rng = random.Random(f"live {name}")
    for _ in range(40):
        body = random_body(rng, case.schema)
        answer = client.post("/", content=body, headers={"content-type": "application/json"})
        expected, detail = case.referee(body)
        if expected == "valid":
            assert answer.status_code == 200, body
        elif expected == "invalid":
            assert (answer.status_code, answer.content) == (422, detail), body
        else:
            assert answer.status_code in (400, 500), body


@pytest.mark.parametrize(
    ("body", "position", "message"),
    [
        (b"{", 1, "Expecting property name enclosed in double quotes"),
        (b'{"a": 1,}', 7, "Illegal trailing comma before end of object"),
        (b'["\xc3\xa9", x]', 6, "Expecting value"),
        (b'"\\x"', 1, "Invalid \\escape"),
        (b"1 2", 2, "Extra data"),
        (b"\xef\xbb\xbf[", 1, "Expecting value"),
    ],
)
def test_broken_json_is_located_as_python_locates_it(body, position, message):
    verdict, answer = cases["Item"].validator.check(body)
    error = json.loads(answer)["detail"][0]
    assert (verdict, error["loc"], error["ctx"]) == ("invalid", ["body", position], {"error": message})
    assert cases["Item"].compare(body) == "invalid"


@pytest.mark.parametrize(
    "body",
    [
        b'"\\ud800"',
        b"\xff",
        "[1]".encode("utf-16"),
        b"[" * 100_000,
        b"9" * 5000,
        b'{"a": NaN}',
    ],
    ids=["lone surrogate", "not UTF-8", "UTF-16", "depth bomb", "endless integer", "NaN in an error"],
)
def test_body_that_only_python_can_judge_is_left_to_it(body):
    verdict = "unsure" if body == b'{"a": NaN}' else "undecided"
    assert cases["Item"].validator.check(body) == (verdict, None)


def test_missing_fields_are_reported_in_the_order_of_the_model():
    verdict, answer = cases["Limited"].validator.check(b'{"age": "x", "extra": 1}')
    locations = [error["loc"] for error in json.loads(answer)["detail"]]
    assert verdict == "invalid"
    assert locations == [["body", "age"], ["body", "score"], ["body", "code"]]


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (Annotated[int, BeforeValidator(int)], "written in Python"),
        (Annotated[int, PlainValidator(int)], "written in Python"),
        (bytes, "`bytes`"),
        (complex, "`complex`"),
    ],
)
def test_schema_that_is_not_compiled_says_why(annotation, reason):
    with pytest.raises(NotImplementedError, match=reason):
        _core._Validator(TypeAdapter(annotation).core_schema)


def test_part_left_to_pydantic_says_where_and_why():
    (reason,) = cases["Prepared"].validator.left_to_pydantic()
    assert reason.startswith("a: a validator written in Python")


def test_model_is_made_without_its_init_and_as_pydantic_makes_it():
    calls = []

    class Model(BaseModel):
        model_config = {"extra": "allow", "frozen": True}
        b: int
        a: list[str] = []

        def __setattr__(self, name, value):
            calls.append(name)
            super().__setattr__(name, value)

    model = _core._Validator(Model.__pydantic_core_schema__).build(b'{"x": [1.5], "b": "2"}')
    assert type(model) is Model
    assert list(vars(model).items()) == [("b", 2), ("a", [])]
    assert (model.model_fields_set, model.model_extra, model.__pydantic_private__) == ({"b", "x"}, {"x": [1.5]}, None)
    assert not calls
    assert model.a is not Model.model_fields["a"].default


def test_default_factory_that_raises_raises():
    class Model(BaseModel):
        a: int = Field(default_factory=lambda: 1 // 0)

    with pytest.raises(ZeroDivisionError):
        _core._Validator(Model.__pydantic_core_schema__).build(b"{}")


def test_validator_of_the_application_is_called_once():
    validator = cases["Checked"].validator
    assert validator.check(b'{"a": -1}') == ("unsure", None)
    assert validator.build(b'{"a": -1}').a == 1
    with pytest.raises(ValidationError, match="bad b"):
        validator.build(b'{"a": -1, "b": "bad"}')


class One(BaseModel):
    next: "One | Other | None" = None


class Other(BaseModel):
    next: "One | Other | None" = None


def test_choices_within_choices_are_not_tried_without_end():
    # Each choice fits, and so does each of those in it: Pydantic itself takes twice as long for each level.
    case = Case("One", One)
    for depth in (3, 60):
        body = b'{"next":' * depth + b"null" + b"}" * depth
        assert case.validator.check(body) == ("valid", None)
    assert case.compare(b'{"next":' * 3 + b"null" + b"}" * 3) == "valid"


def test_refs_return():
    marker = object()

    class Model(BaseModel):
        a: Annotated[int, Field(ge=1)]
        b: list[str] = []
        c: Literal["a string of a literal"] | None = None
        d: object = marker

    schema: Any = Model.__pydantic_core_schema__
    fields = schema["schema"]["fields"]
    watched = [schema, fields, Model, marker, Model.model_fields["b"].default]
    before = [sys.getrefcount(one) for one in watched]
    for _ in range(50):
        validator = _core._Validator(schema)
        validator.check(b'{"a": 0}')
        validator.build(b'{"a": 1, "b": ["x"]}')
        validator.build(b'{"a": 1, "c": "a string of a literal", "e": 1}')
    del validator
    gc.collect()
    assert [sys.getrefcount(one) for one in watched] == before


def test_one_validator_serves_many_threads():
    import threading

    case = cases["Gallery"]
    body = b'{"title": "t", "cover": {"url": "u", "width": "x"}, "images": [{"url": 1}]}'
    expected = case.validator.check(body)
    wrong: list[Any] = []

    def judge() -> None:
        for _ in range(500):
            if case.validator.check(body) != expected:
                wrong.append(1)

    threads = [threading.Thread(target=judge) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert case.compare(body) == "invalid"


def test_app_of_the_referee_is_fastapi_itself():
    assert type(cases["Item"].app) is FastAPI
