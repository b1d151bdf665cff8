"""The native JSON encoder and decoder, with Python's `json` as the referee.

`TURBOAPI_EXAMPLES` sets how many generated examples each property gets (default 300; 100,000 was run once).
"""

import collections
import enum
import gc
import json
import math
import os
import sys
import threading
import typing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from turboapi_rs import _core

EXAMPLES = int(os.environ.get("TURBOAPI_EXAMPLES", "300"))
many = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


def reference(value: object, default: typing.Callable[[object], object] | None = None) -> bytes:
    """What `starlette.responses.JSONResponse.render` gives."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=None, separators=(",", ":"), default=default)
    return text.encode("utf-8")


def outcome(call: typing.Callable[..., object], *arguments: object) -> object:
    try:
        return call(*arguments)
    except Exception as fault:
        return type(fault), str(fault)


class Colour(str, enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    BIG = 3


class Text(str):
    def __str__(self) -> str:
        return "not this"


class Whole(int):
    def __repr__(self) -> str:
        return "not this"


class Real(float):
    def __repr__(self) -> str:
        return "not this"


class Reversed(list):
    def __iter__(self):
        return iter(list(reversed([self[i] for i in range(len(self))])))


class Doubled(dict):
    def items(self):
        return [(key, value * 2) for key, value in super().items()]


Point = collections.namedtuple("Point", "x y")

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.text(st.characters(codec=None)),
    st.text(alphabet='"\\\n\t\x00\x1fé€😀 a'),
    st.sampled_from([Colour.RED, Size.BIG, Text("é"), Whole(7), Real(1.5), Whole(2**80)]),
)
keys = st.one_of(st.text(max_size=8), st.integers(), st.floats(), st.booleans(), st.none(), st.sampled_from(list(Size)))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=5),
        st.dictionaries(st.text(max_size=5), inner, max_size=5).map(collections.OrderedDict),
        st.tuples(inner, inner).map(lambda pair: Point(*pair)),
    ),
    max_leaves=25,
)


@many
@given(values)
def test_bytes_or_exception_equal_those_of_json_dumps(value):
    assert outcome(_core._json_dumps, value) == outcome(reference, value)


@many
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_float_prints_as_its_repr(value):
    assert _core._json_dumps(value) == repr(value).encode()


@pytest.mark.parametrize(
    "value",
    [
        Text("a"),
        Whole(12),
        Real(0.1),
        Colour.RED,
        Size.BIG,
        Reversed([1, 2]),
        Doubled(a=1),
        Doubled(),
        Point(1, [2]),
        collections.Counter("aab"),
        collections.defaultdict(list, a=[1]),
        {1: 1, 1.5: 2, True: 3, None: 4, Size.BIG: 5, 10**400: 6},
        {Text("k"): 1},
        10**4000,
        -(2**63),
        2**63,
        [[], {}, (), ""],
        "é" * 40 + "\x7f\x80\u2028\ufeff",
    ],
    ids=lambda value: type(value).__name__,
)
def test_subclasses_and_odd_keys_print_as_json_prints_them(value):
    assert _core._json_dumps(value) == reference(value)


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        [math.inf],
        {"a": -math.inf},
        {math.nan: 1},
        Real("nan"),
        "\ud800",
        {"\udfff": 1},
        {1, 2},
        object(),
        b"bytes",
        {b"k": 1},
        {(1, 2): 1},
        10**5000,
        {10**5000: 1},
        1j,
    ],
    ids=lambda value: type(value).__name__,
)
def test_fault_is_that_of_json_dumps(value):
    expected = outcome(reference, value)
    assert isinstance(expected, tuple), "the reference must refuse it too"
    if "at 0x" not in str(expected):
        assert outcome(_core._json_dumps, value) == expected


def test_circular_value_is_refused_as_json_refuses_it():
    loop: list[object] = []
    loop.append({"again": loop})
    with pytest.raises(ValueError, match="Circular reference detected"):
        _core._json_dumps(loop)


@pytest.mark.parametrize("depth", [100, 127, 128, 129, 500])
def test_deep_value_prints_whole(depth):
    value: object = 1
    for _ in range(depth):
        value = [{"a": value}]
    assert _core._json_dumps(value) == reference(value)


def test_very_deep_value_is_a_recursion_error():
    value: object = 1
    for _ in range(100_000):
        value = [value]
    with pytest.raises(RecursionError):
        _core._json_dumps(value)
    # Taken apart by hand: the interpreter's own teardown of such a list is not under test.
    while isinstance(value, list):
        value = value.pop()


def test_default_is_called_for_what_json_has_no_form_for():
    value = {"a": {1}, "b": [{2}, {3}], "c": object}
    default = lambda other: sorted(other) if isinstance(other, set) else other.__name__  # noqa: E731
    assert _core._json_dumps(value, default) == reference(value, default)


def test_default_that_raises_or_returns_its_argument_is_refused():
    def refuse(other: object) -> object:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        _core._json_dumps([object()], refuse)
    with pytest.raises(ValueError, match="Circular reference detected"):
        _core._json_dumps([object()], lambda other: other)


def test_refs_return():
    shared = ["x" * 50, {"k" * 30: 1.25}, 10**30, object]
    value = {"a": shared, "b": (shared, Point(1, 2)), "c": collections.OrderedDict(z=shared)}
    default = str
    watched = [value, shared, *shared, default]
    _core._json_dumps(value, default)
    before = [sys.getrefcount(item) for item in watched]
    for _ in range(1000):
        _core._json_dumps(value, default)
        outcome(_core._json_dumps, [value, math.nan])
    assert [sys.getrefcount(item) for item in watched] == before


def test_value_changed_by_other_threads_is_read_without_harm():
    shared: dict[object, object] = {str(i): [i, {"n": i}] for i in range(50)}
    growing: list[object] = list(range(50))
    document = {"d": shared, "l": growing}
    stop = threading.Event()

    def change(seed: int) -> None:
        i = seed
        while not stop.is_set():
            i += 1
            shared[str(i % 100)] = [i, {"n": 10**25 + i}]
            shared.pop(str((i + 50) % 100), None)
            growing.append("x" * (i % 7))
            if len(growing) > 100:
                del growing[10:]

    threads = [threading.Thread(target=change, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2000):
            json.loads(_core._json_dumps(document))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    gc.collect()


json_texts = st.one_of(
    values.map(lambda value: json.dumps(value, default=str, skipkeys=True)),
    st.text(alphabet='{}[]",:0123456789.eE+-truefalsnN \\u\n\tdé😀aInity', max_size=40),
    st.recursive(
        st.sampled_from(
            ['"a"', "1", "-0", "1.5e3", "NaN", "tru", '"\\ud83d\\ude00"', '"\\ud800"', "1e400", "", "9" * 30]
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
            st.lists(st.tuples(st.sampled_from(['"a"', '"b"', '""']), inner), max_size=4).map(
                lambda items: "{" + ",".join(f"{key}:{value}" for key, value in items) + "}"
            ),
        ),
        max_leaves=8,
    ),
)


def shown(value: object) -> object:
    """A form in which NaN equals itself, and 1, 1.0 and True differ."""
    return repr(value)


def loads_outcome(loads: typing.Callable[[bytes], object], text: bytes) -> object:
    try:
        return shown(loads(text))
    except json.JSONDecodeError as fault:
        return fault.msg, fault.pos
    except Exception as fault:
        return type(fault), str(fault)


@many
@given(json_texts, st.integers(0, 3))
def test_decoded_value_or_exception_equals_that_of_json_loads(text, encoding):
    try:
        body = text.encode(["utf-8", "utf-8-sig", "utf-16", "utf-8"][encoding], "surrogatepass")
    except UnicodeEncodeError:
        return
    assert loads_outcome(_core._json_loads, body) == loads_outcome(json.loads, body)


@many
@given(json_texts, st.binary(max_size=4), st.integers(0, 60))
def test_syntax_error_equals_that_of_json_loads(text, noise, place):
    body = text.encode("utf-8", "surrogatepass")
    body = body[:place] + noise + body[place + 1 :]
    expected = loads_outcome(json.loads, body)
    verdict = _core._json_check(body)
    if verdict is not None:
        assert verdict == ("ok" if isinstance(expected, str) else expected)
    assert loads_outcome(_core._json_loads, body) == expected
