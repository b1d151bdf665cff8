"""Time of `_core._json_dumps` beside `json.dumps` and `pydantic_core.to_json`, on one thread.

    PYTHONPATH=python python benches/json_dumps.py

Each answer is compared with `json.dumps` before anything is timed; the best of 7 runs is shown.
"""

import json
import timeit

import pydantic_core
from turboapi_rs import _core

ROW = {"id": 17, "name": "Łukasz the tester", "price": 12.5, "tags": ["a", "b"], "ok": True, "note": None}
VALUES = {
    "hello dict": {"message": "Hello World"},
    "one row": ROW,
    "10 KB list": [dict(ROW, id=i) for i in range(100)],
    "floats": [i / 7 for i in range(1000)],
    "escapes": ['say "hi"\n' * 20] * 20,
    "ascii text": ["the quick brown fox jumps over the lazy dog " * 20] * 20,
}


def python(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def best(call, value: object) -> float:
    timer = timeit.Timer(lambda: call(value))
    number, taken = timer.autorange()
    return min(min(timer.repeat(6, number)), taken) / number * 1e6


print(f"{'value':12} {'ours µs':>9} {'json µs':>9} {'pydantic µs':>12}")
for name, value in VALUES.items():
    assert _core._json_dumps(value) == python(value)
    ours, theirs, pydantic = (best(call, value) for call in (_core._json_dumps, python, pydantic_core.to_json))
    print(f"{name:12} {ours:9.2f} {theirs:9.2f} {pydantic:12.2f}")
