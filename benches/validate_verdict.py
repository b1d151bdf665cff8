"""Time of a native verdict beside Pydantic's own validation of the same body, on one thread.

    PYTHONPATH=python python benches/validate_verdict.py

Valid bodies: the verdict alone; parsed once natively and validated as a Python object; `validate_json`; what FastAPI
does (`json.loads`, then `validate_python`). Invalid ones: the verdict, which is the answer; FastAPI's error path.
Answers are compared before anything is timed; the best of 7 runs is shown, in microseconds.
"""

import json
import timeit

from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from tests.validate_support import Case, Gallery, Item, Limited

ITEM = {"name": "Foo", "description": "A thing", "price": 42.5, "tax": 3.2, "tags": ["a", "b"]}
IMAGE = {"url": "https://example.org/a.png", "width": 640}
VALID = {
    "item": (Item, ITEM),
    "limited": (Limited, {"age": 3, "score": 1.5, "code": "abc", "slug": "a-b"}),
    "gallery": (
        Gallery,
        {
            "title": "t",
            "cover": {"url": "u", "width": 1},
            "images": [{"url": f"https://x/{i}", "width": i} for i in range(20)],
        },
    ),
    "100 items": (list[Item], [ITEM] * 100),
}
INVALID = {
    "item": (Item, {"name": 1, "price": "x"}),
    "limited": (Limited, {"age": 300, "score": -1, "code": "a", "slug": "A"}),
    "broken json": (Item, None),
}


def best(call, *arguments) -> float:
    timer = timeit.Timer(lambda: call(*arguments))
    number, taken = timer.autorange()
    return min(*timer.repeat(6, number), taken) / number * 1e6


def once(case: Case, body: bytes) -> object:
    return case.adapter.validator.validate_python(case.validator.read(body), from_attributes=True)


def fastapi_value(case: Case, body: bytes) -> object:
    return case.adapter.validator.validate_python(json.loads(body), from_attributes=True)


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


print(f"{'valid body':12} {'bytes':>6} {'verdict':>9} {'once':>9} {'validate_json':>14} {'FastAPI':>9}")
for name, (schema, value) in VALID.items():
    case = Case(name, schema)
    body = json.dumps(value).encode()
    assert case.validator.check(body) == ("valid", True)
    assert once(case, body) == fastapi_value(case, body)
    verdict, by_json = best(case.validator.check, body), best(case.adapter.validator.validate_json, body)
    whole, fastapi = best(once, case, body), best(fastapi_value, case, body)
    print(f"{name:12} {len(body):6} {verdict:9.2f} {whole:9.2f} {by_json:14.2f} {fastapi:9.2f}")

print(f"\n{'invalid body':12} {'bytes':>6} {'verdict':>9} {'FastAPI':>9}")
for name, (schema, value) in INVALID.items():
    case = Case(name, schema)
    body = b'{"name": "x",, ' if value is None else json.dumps(value).encode()
    assert case.validator.check(body) == ("invalid", fastapi_error(case, body))
    verdict, fastapi = best(case.validator.check, body), best(fastapi_error, case, body)
    print(f"{name:12} {len(body):6} {verdict:9.2f} {fastapi:9.2f}")
