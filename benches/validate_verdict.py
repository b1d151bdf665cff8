"""Time of native judging and building beside Pydantic's own validation of the same body, on one thread.

    PYTHONPATH=python:. python benches/validate_verdict.py

Valid bodies: the verdict alone; verdict and object; `validate_json`; what FastAPI does (`json.loads`, then
`validate_python`). Invalid ones: the verdict, which is the answer; FastAPI's error path. Answers are compared before
anything is timed; the calls of a row take turns, and the best of 15 turns is shown, in microseconds.
"""

import datetime
import itertools
import json
import random
import time
import typing
import uuid

from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from tests.validate_support import Case, Choosing, Gallery, Item, Limited, Owner, Point, same


class Record(BaseModel):
    id: uuid.UUID
    created: datetime.datetime
    name: str
    size: int


class User(BaseModel):
    id: int
    username: str
    email: str
    full_name: str | None = None
    is_active: bool = True
    age: int
    score: float
    role: typing.Literal["admin", "user", "guest"]
    tags: list[str] = []
    settings: dict[str, str] = {}


ITEM = {"name": "Foo", "description": "A thing", "price": 42.5, "tax": 3.2, "tags": ["a", "b"]}
USER = {
    "id": 123456,
    "username": "somebody",
    "email": "somebody@example.org",
    "full_name": "Some Body",
    "is_active": True,
    "age": 42,
    "score": 98.6,
    "role": "user",
    "tags": ["one", "two", "three"],
    "settings": {"theme": "dark", "language": "en"},
}
SHORT_USER = {key: USER[key] for key in ("id", "username", "email", "age", "score", "role")}
VALID = {
    "5 fields": (Item, ITEM),
    "5, defaults": (Item, {"name": "Foo", "price": 42.5}),
    "limits": (Limited, {"age": 3, "score": 1.5, "code": "abc", "slug": "a-b"}),
    "10 fields": (User, USER),
    "10, defaults": (User, SHORT_USER),
    "UUID, time": (
        Record,
        {"id": "12345678-1234-1234-1234-123456789012", "created": "2024-02-29T12:34:56Z", "name": "x", "size": 3},
    ),
    "discriminated": (Owner, {"pet": {"kind": "cat", "lives": 9}}),
    "unions": (Choosing, {"u": "x", "v": 3, "w": [1, 2]}),
    "dataclass": (Point, {"x": 1, "y": 2.5}),
    "nested": (
        Gallery,
        {
            "title": "t",
            "cover": {"url": "u", "width": 1},
            "images": [{"url": f"https://x/{i}", "width": i} for i in range(20)],
        },
    ),
    "100 of 5": (list[Item], [ITEM] * 100),
    "1,000 of 10": (list[User], [USER] * 1000),
}
INVALID = {
    "5 fields": (Item, {"name": 1, "price": "x"}),
    "limits": (Limited, {"age": 300, "score": -1, "code": "a", "slug": "A"}),
    "broken json": (Item, None),
}


def best(body: bytes, *calls: typing.Callable[[bytes], object]) -> list[float]:
    """The calls take turns, so that what else the machine does falls on all of them."""
    clock = time.perf_counter_ns
    start = clock()
    calls[0](body)
    rounds = max(1, min(5000, 2_000_000 // (clock() - start)))
    taken = [float("inf")] * len(calls)
    for _ in range(15):
        for place, call in enumerate(calls):
            start = clock()
            for _ in range(rounds):
                call(body)
            taken[place] = min(taken[place], (clock() - start) / rounds / 1000)
    return taken


def fastapi_value(case: Case) -> typing.Callable[[bytes], object]:
    return lambda body: case.adapter.validator.validate_python(json.loads(body), from_attributes=True)


def fastapi_error(case: Case, body: bytes) -> bytes:
    errors: list
    try:
        value = json.loads(body)
    except json.JSONDecodeError as fault:
        context = {"error": fault.msg}
        errors = [
            {
                "type": "json_invalid",
                "loc": ("body", fault.pos),
                "msg": "JSON decode error",
                "input": {},
                "ctx": context,
            }
        ]
    else:
        try:
            case.adapter.validate_python(value, from_attributes=True)
        except ValidationError as fault:
            errors = [{**error, "loc": ("body", *error["loc"])} for error in fault.errors(include_url=False)]
    return JSONResponse({"detail": jsonable_encoder(errors)}, status_code=422).body


print(
    f"{'valid body':13} {'bytes':>8} {'verdict':>9} {'+ object':>9} {'validate_json':>14} {'FastAPI':>9} {'ratio':>6}"
)
for name, (schema, value) in VALID.items():
    case = Case(name, schema)
    body = json.dumps(value).encode()
    assert case.validator.check(body) == ("valid", None)
    by_fastapi = fastapi_value(case)
    same(case.validator.build(body), by_fastapi(body), name)
    verdict, built, by_json, fastapi = best(
        body, case.validator.check, case.validator.build, case.adapter.validator.validate_json, by_fastapi
    )
    print(f"{name:13} {len(body):8,} {verdict:9.2f} {built:9.2f} {by_json:14.2f} {fastapi:9.2f} {built / by_json:6.2f}")


def letters(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz ") for _ in range(count))


def different(value: typing.Any, rng: random.Random) -> typing.Any:
    """The same value with other strings of the same lengths, but for the keys and what a literal names."""
    if isinstance(value, dict):
        return {key: part if key == "role" else different(part, rng) for key, part in value.items()}
    if isinstance(value, list):
        return [different(part, rng) for part in value]
    return letters(rng, len(value)) if isinstance(value, str) else value


# `validate_json` keeps the strings that it met before, which a body sent over and over makes the most of.
print(f"\n{'50,000 bodies':13} {'bytes':>8} {'':>9} {'+ object':>9} {'validate_json':>14} {'':>9} {'ratio':>6}")
for name, schema, value in (("5 fields", Item, ITEM), ("10 fields", User, USER)):
    case, rng = Case(name, schema), random.Random(1)
    bodies = [json.dumps(different(value, rng)).encode() for _ in range(50_000)]
    turns = [itertools.cycle(bodies), itertools.cycle(bodies)]
    built, by_json = best(
        bodies[0],
        lambda _, build=case.validator.build, bodies=turns[0]: build(next(bodies)),
        lambda _, validate=case.adapter.validator.validate_json, bodies=turns[1]: validate(next(bodies)),
    )
    print(f"{name:13} {len(bodies[0]):8,} {'':9} {built:9.2f} {by_json:14.2f} {'':9} {built / by_json:6.2f}")

print(f"\n{'invalid body':13} {'bytes':>8} {'verdict':>9} {'FastAPI':>9}")
for name, (schema, value) in INVALID.items():
    case = Case(name, schema)
    body = b'{"name": "x",, ' if value is None else json.dumps(value).encode()
    assert case.validator.check(body) == ("invalid", fastapi_error(case, body))
    verdict, fastapi = best(body, case.validator.check, lambda body, case=case: fastapi_error(case, body))
    print(f"{name:13} {len(body):8,} {verdict:9.2f} {fastapi:9.2f}")
