"""Schemas, bodies and the referee for the native validator.

Owns: the schemas compared, random bodies near their limits, and FastAPI's own answer to a body.
Does not own: the comparison (`test_validate.py`, and the campaign that this file runs).

Run a campaign from the project's root, a million bodies spread over all schemas:

    make verdicts BODIES=1000000 ARGS="--seed 1"

It stops at the first difference, with the schema and the body that show it, and exits 1.
"""

import argparse
import dataclasses
import datetime
import decimal
import enum
import inspect
import json
import random
import sys
import time
import typing
import uuid
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict

from fastapi import Body, FastAPI
from fastapi.dependencies.utils import request_body_to_args
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    RootModel,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
    with_config,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass
from turboapi_rs import _core


class Colour(str, enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(enum.Enum):
    ONE = 1
    TWO = "two"


class Item(BaseModel):
    name: str
    description: str | None = None
    price: float
    tax: float | None = None
    tags: list[str] = []


class Limited(BaseModel):
    age: int = Field(ge=0, le=120)
    score: float = Field(gt=0, lt=10.5)
    step: int = Field(default=5, multiple_of=5)
    ratio: float = Field(default=0.5, multiple_of=0.25)
    code: str = Field(min_length=2, max_length=4)
    slug: str = Field(default="a", pattern=r"^[a-z0-9-]+$")


class Forbids(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int
    b: bool = False


class Allows(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class AllowsIntegers(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, int]
    a: int


class Aliased(BaseModel):
    item_id: int = Field(alias="itemId")
    full_name: str = Field(validation_alias="fullName", min_length=1)
    note: str | None = Field(default=None, alias="Note")


class ByName(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    item_id: int = Field(alias="itemId")
    size: int = Field(default=1, alias="Größe", ge=1)


class NameLocated(BaseModel):
    model_config = ConfigDict(loc_by_alias=False)
    item_id: int = Field(alias="itemId")


class Stripping(BaseModel):
    model_config = ConfigDict(str_strip_whitespace=True, str_min_length=1, str_max_length=5, str_to_lower=True)
    a: str
    b: dict[str, str] = {}


class Coercing(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)
    a: str
    b: Annotated[str, Field(min_length=2)] = "ab"


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    i: int
    f: float
    s: str
    b: bool
    items: list[int] = []
    inner: Item | None = None


class StrictFields(BaseModel):
    i: StrictInt
    f: StrictFloat
    s: StrictStr
    b: StrictBool


class Finite(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)
    x: float
    y: Annotated[float, Field(ge=0)] = 0


class Image(BaseModel):
    url: str
    width: int


class Gallery(BaseModel):
    title: Annotated[str, Field(max_length=8)]
    cover: Image
    images: list[Image] | None = None
    by_name: dict[str, Image] = {}


class Tree(BaseModel):
    value: int
    children: list["Tree"] = []
    left: Optional["Tree"] = None


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    barks: bool = True


class Owner(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    second: Cat | Dog | None = None


class Choosing(BaseModel):
    u: int | str
    v: Annotated[int | str | None, Field(union_mode="left_to_right")] = None
    w: list[int] | dict[str, float] | bool = True
    x: Annotated[int, Field(ge=3)] | Annotated[str, Field(max_length=2)] | Literal["long"] = 3


class Literals(BaseModel):
    a: Literal["x", "y"]
    b: Literal[1, 2, True] = 1
    c: Literal["n", 7, None] = None
    d: Literal["só"] = "só"
    e: Literal[True] = True


class Enums(BaseModel):
    colour: Colour
    level: Level = Level.LOW
    mixed: Mixed = Mixed.ONE


class Containers(BaseModel):
    a: Annotated[list[int], Field(min_length=1, max_length=3)]
    b: Annotated[list[Any], Field(min_length=1, max_length=2)] = [1]
    c: tuple[int, str, float] = (1, "a", 1.0)
    d: tuple[int, ...] = ()
    e: Annotated[tuple[str, ...], Field(min_length=1, max_length=2)] = ("a",)
    f: set[int] = set()
    g: frozenset[str] = frozenset()
    h: Annotated[dict[str, int], Field(min_length=1, max_length=2)] = {"a": 1}
    i: dict[int, bool] = {}
    j: dict[Annotated[str, Field(min_length=2)], list[str]] = {}
    k: Annotated[list[int], Field(min_length=2), Field(fail_fast=True)] = [1, 2]


class Loose(BaseModel):
    a: Any
    b: None = None
    c: list = []
    d: dict = {}
    e: object = None
    f: tuple = ()
    g: set = set()


class Temporal(BaseModel):
    when: datetime.datetime
    day: datetime.date | None = None
    id: uuid.UUID | None = None
    cost: decimal.Decimal = decimal.Decimal(0)
    size: int


class Checked(BaseModel):
    a: Annotated[int, AfterValidator(abs)]
    b: str = "b"

    @field_validator("b")
    @classmethod
    def not_bad(cls, value: str) -> str:
        if value == "bad":
            raise ValueError("bad b")
        return value


class Prepared(BaseModel):
    a: Annotated[int, BeforeValidator(lambda value: value)]
    b: int = 0


class Ordered(BaseModel):
    low: int
    high: int

    @model_validator(mode="after")
    def in_order(self) -> "Ordered":
        if self.low > self.high:
            raise ValueError("low above high")
        return self


class Private(BaseModel):
    a: int
    _seen: list[int] = PrivateAttr(default_factory=list)


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)
    a: int
    b: str = "b"


class Loud(BaseModel):
    model_config = ConfigDict(str_to_upper=True, coerce_numbers_to_str=True)
    a: str
    by_key: dict[str, int] = {}


class PrivateAndExtra(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int
    _seen: list[int] = PrivateAttr(default_factory=list)
    _mark: str = "m"


class PostInit(BaseModel):
    a: int

    def model_post_init(self, context: Any) -> None:
        self.a += 1


class Made(BaseModel):
    one: int = 1
    two: list[int] = [1, 2]
    three: dict[str, list[int]] = {"k": [1]}
    four: list[str] = Field(default_factory=list)
    five: dict[str, int] = Field(default_factory=dict)
    six: set[int] = Field(default_factory=set)
    seven: str = Field(default_factory=lambda: "seven")
    eight: Item = Item(name="n", price=1)
    nine: tuple[int, ...] = (1, 2)
    ten: frozenset[int] = frozenset({1})


class Base(BaseModel):
    id: int
    name: str = "base"


class Derived(Base):
    model_config = ConfigDict(extra="ignore")
    name: str = "derived"
    tags: list[str] = []


class OpenDict(TypedDict):
    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    a: int
    b: NotRequired[Annotated[str, Field(max_length=2)]]


class Defaults(BaseModel):
    a: int = Field(default="not an int", validate_default=True)
    b: list[int] = Field(default_factory=list)
    c: int = Field(default_factory=lambda data: len(data))
    d: int


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Subtle(BaseModel):
    a: int | float
    b: float | int = 0.5
    c: bool | int | str | None = None
    d: Base | Derived | None = None
    e: Literal["x"] | Colour | str = "x"
    f: list[int] | list[str] | list[bool] = []
    g: Annotated[int | str, Field(union_mode="left_to_right")] = 0
    h: Literal[1] | bool | Level = True
    i: datetime.date | str | int = 0
    j: Movie | Item | dict[str, int] = {}


class Show(TypedDict, total=False):
    title: str
    seasons: list[int]


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.0


@pydantic_dataclass(config=ConfigDict(extra="forbid"))
class Closed:
    x: int
    names: list[str] = dataclasses.field(default_factory=list)
    hidden: int = dataclasses.field(default=1, init=False)
    z: int = Field(default=3, alias="Z", ge=1, kw_only=True)


@pydantic_dataclass
class WithInitVar:
    x: int
    seed: dataclasses.InitVar[int] = 3
    also: str = "also"


@dataclasses.dataclass(slots=True)
class Slotted:
    x: int
    tags: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(kw_only=True)
class Fixed(Point):
    name: Annotated[str, Field(max_length=3)]
    point: Point | None = None
    count: int = dataclasses.field(default=0, init=False)


@pydantic_dataclass
class Normed:
    x: int

    def __post_init__(self) -> None:
        if self.x == 3:
            raise ValueError("three")


@with_config(ConfigDict(extra="forbid", str_to_lower=True))
class ClosedDict(TypedDict, total=False):
    name: str
    inner: Movie


class Around(BaseModel):
    model_config = ConfigDict(extra="forbid", str_max_length=3)
    movie: Movie
    closed: ClosedDict = {}
    point: Point | None = None
    item: Item | None = None


class Cyclic(BaseModel):
    items: list["Cyclic"] = []
    by_name: dict[str, "Cyclic | int"] = {}
    point: Closed | None = None


class Shapes(BaseModel):
    movie: Movie
    show: Show | None = None
    point: Point | None = None


class Numbers(RootModel[list[int]]):
    pass


class Box[T](BaseModel):
    content: T
    label: str = ""


class Deep(BaseModel):
    level_1: dict[str, list[Box[Item]]]


type Json = dict[str, Json] | list[Json] | str | int | float | bool | None


class UnicodeNames(BaseModel):
    größe: int = Field(alias="größe")
    quote: str = Field(alias='say "hi"\n', default="")


SCHEMAS: dict[str, Any] = {
    **{
        model.__name__: model
        for model in [
            Item, Limited, Forbids, Allows, AllowsIntegers, Aliased, ByName, NameLocated, Stripping, Coercing, Strict,
            StrictFields, Finite, Gallery, Tree, Owner, Choosing, Literals, Enums, Containers, Loose, Temporal, Checked,
            Prepared, Ordered, Private, Frozen, Loud, PrivateAndExtra, PostInit, Made, Derived, OpenDict, Subtle, Defaults, Movie, Show, Point, Shapes, Closed, Normed, WithInitVar, Slotted, Fixed, ClosedDict, Around, Cyclic, Numbers, Deep, UnicodeNames,
        ]
    },
    "list_of_models": list[Item],
    "dict_of_models": dict[str, Limited],
    "box_of_int": Box[int],
    "box_of_box": Box[Box[list[int]]],
    "plain_int": int,
    "plain_str": Annotated[str, Field(min_length=1)],
    "plain_bool": bool,
    "plain_float": float,
    "plain_list": list[int],
    "plain_any": Any,
    "plain_dict": dict[str, Any],
    "optional_model": Item | None,
    "union_of_models": Item | Forbids | list[Item],
    "union_plain": int | float | str | bool | None,
    "tagged": Annotated[Cat | Dog, Field(discriminator="kind")],
    "json": Json,
    "pairs": list[tuple[str, int]],
    "big_limits": Annotated[int, Field(ge=-(2**63), le=2**63 - 1, multiple_of=3)],
    "float_limits": Annotated[float, Field(ge=0.1, le=1e20)],
    "enum": Colour,
    "nullable_limits": Annotated[int, Field(gt=3)] | None,
    "nested_lists": list[list[list[int]]],
    "times": list[datetime.time | None],
    "recursive_choices": dict[str, Tree | list[Tree] | dict[str, Tree] | tuple[Tree, ...] | None],
    "stripped": Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^\w+$")],
}  # fmt: skip


# Parameters that are members of the body, as FastAPI embeds them.
MEMBERS: dict[str, Any] = {
    "two_models": {"item": Item, "user": Annotated[Image, Body()]},
    "embedded": {"item": Annotated[Item, Body(embed=True)]},
    "mixed": {
        "item": Item,
        "importance": Annotated[int, Body(gt=0)],
        "note": Annotated[str | None, Body(alias="Note")],
        "checked": Annotated[int, Body(validate_default=True)],
    },
}
DEFAULTS: dict[str, Any] = {"note": None, "checked": 3}


class Case:
    """One schema: FastAPI's own route for it, and the native validator where it compiles."""

    def __init__(self, name: str, annotation: Any) -> None:
        self.name = name
        self.app = FastAPI()

        def endpoint(**parameters: Any) -> str:
            return "ok"

        parameters = annotation if name in MEMBERS else {"body": Annotated[annotation, Body()]}
        endpoint.__signature__ = inspect.Signature(
            [
                inspect.Parameter(
                    key,
                    inspect.Parameter.KEYWORD_ONLY,
                    annotation=kind,
                    default=DEFAULTS.get(key, inspect.Parameter.empty),
                )
                for key, kind in parameters.items()
            ]
        )
        self.app.post("/")(endpoint)
        route = self.app.routes[-1]
        self.fields = route.dependant.body_params
        self.embeds = route._embed_body_fields
        self.is_whole = name not in MEMBERS
        self.adapter = self.fields[0]._type_adapter
        self.schema = self.adapter.core_schema
        if not self.is_whole:
            fields = {field.alias: {"schema": field._type_adapter.core_schema} for field in self.fields}
            self.schema = {"type": "model-fields", "fields": fields}
        self.validator: _core._Validator | None = None
        self.reason = ""
        try:
            if self.is_whole:
                self.validator = _core._Validator(self.schema)
            else:
                self.validator = _core._Validator.members(
                    [
                        (
                            field.alias,
                            field._type_adapter.core_schema,
                            field.field_info.is_required(),
                            bool(field.field_info.validate_default),
                        )
                        for field in self.fields
                    ]
                )
        except NotImplementedError as fault:
            self.reason = str(fault)

    def referee(self, body: bytes) -> tuple[str, Any]:
        """What FastAPI makes of a body: `("valid", value)`, `("invalid", bytes)` or `("raises", exception)`."""
        try:
            try:
                received = json.loads(body)
            except json.JSONDecodeError as fault:
                errors: list[Any] = [
                    {
                        "type": "json_invalid",
                        "loc": ("body", fault.pos),
                        "msg": "JSON decode error",
                        "input": {},
                        "ctx": {"error": fault.msg},
                    }
                ]
            else:
                values, errors = finish(request_body_to_args(self.fields, received, self.embeds))
                if not errors:
                    return "valid", values["body"] if self.is_whole else values
            return "invalid", JSONResponse({"detail": jsonable_encoder(errors)}).body
        except Exception as fault:
            return "raises", fault

    def compare(self, body: bytes) -> str:
        """The native verdict on a body, after holding it, and what is built, against the referee's.

        Raises:
            AssertionError: they differ.
        """
        assert self.validator is not None
        verdict, detail = self.validator.check(body)
        if verdict == "undecided":
            return "unsure"
        expected, answer = self.referee(body)
        if verdict == "unsure":
            self.compare_unsure(body, expected, answer)
            return verdict
        assert (verdict, expected) in {("valid", "valid"), ("invalid", "invalid")}, (
            f"{self.name}: {body!r}: {verdict} here, {expected} there: {detail!r} and {answer!r}"
        )
        if verdict == "invalid":
            assert detail == answer, f"{self.name}: {body!r}:\n{detail!r}\n{answer!r}"
            return verdict
        built = self.validator.build(body)
        if not self.is_whole:
            pairs = zip(self.fields, built, strict=True)
            built = {field.name: answer[field.name] if value is ... else value for field, value in pairs}
        same(built, answer, f"{self.name}: {body!r}")
        return verdict

    def compare_unsure(self, body: bytes, expected: str, answer: Any) -> None:
        """What Pydantic judges is handed to it as `json.loads` reads it."""
        assert self.validator is not None
        if not self.is_whole:
            received = json.loads(body)
            built = self.validator.build(body)
            same(built, [received.get(field.alias, ...) for field in self.fields], f"{self.name}: {body!r}")
            return
        try:
            outcome: tuple[str, Any] = "valid", self.validator.build(body)
        except ValidationError as fault:
            outcome = "invalid", fault
        except Exception as fault:
            outcome = "raises", fault
        verdict, built = outcome
        if verdict == "invalid":
            try:
                errors = [{**error, "loc": ("body", *error["loc"])} for error in built.errors(include_url=False)]
                built = JSONResponse({"detail": jsonable_encoder(errors)}).body
            except ValueError as fault:
                verdict, built = "raises", fault
        assert verdict == expected, f"{self.name}: {body!r}: {outcome!r} here, {answer!r} there"
        if verdict == "valid":
            same(built, answer, f"{self.name}: {body!r}")
        elif verdict == "invalid":
            assert built == answer, f"{self.name}: {body!r}:\n{built!r}\n{answer!r}"
        else:
            assert type(built) is type(answer), f"{self.name}: {body!r}: {built!r} here, {answer!r} there"


def same(built: Any, expected: Any, place: str) -> None:
    """Holds two objects against each other: types, orders, and all that a model keeps.

    Raises:
        AssertionError: they differ.
    """
    assert type(built) is type(expected), f"{place}: {built!r}, not {expected!r}"
    if isinstance(expected, BaseModel):
        same(vars(built), vars(expected), place)
        for name in ("__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__"):
            assert hasattr(built, name) == hasattr(expected, name), f"{place}: {name} is on one side"
            if hasattr(expected, name):
                same(getattr(built, name), getattr(expected, name), f"{place}: {name}")
    elif dataclasses.is_dataclass(expected):
        same(getattr(built, "__dict__", None), getattr(expected, "__dict__", None), place)
        for name in getattr(type(expected), "__slots__", ()):
            same(getattr(built, name), getattr(expected, name), f"{place}: {name}")
    elif isinstance(expected, dict):
        same(list(built), list(expected), place)
        for key, value in expected.items():
            same(built[key], value, f"{place}: {key!r}")
    elif isinstance(expected, list | tuple):
        assert len(built) == len(expected), f"{place}: {built!r}, not {expected!r}"
        for one, other in zip(built, expected, strict=True):
            same(one, other, place)
    elif isinstance(expected, set | frozenset):
        # NaN is not equal to itself.
        assert sorted(map(repr, built)) == sorted(map(repr, expected)), f"{place}: {built!r}, not {expected!r}"
    elif isinstance(expected, float | datetime.datetime | datetime.time):
        assert repr(built) == repr(expected), f"{place}: {built!r}, not {expected!r}"
    elif isinstance(expected, enum.Enum) or expected is None or expected is ...:
        assert built is expected, place
    elif isinstance(expected, uuid.UUID):
        assert (built, built.is_safe) == (expected, expected.is_safe), f"{place}: {built!r}, not {expected!r}"
    else:
        assert built == expected, f"{place}: {built!r}, not {expected!r}"


def finish(coroutine: typing.Coroutine[Any, Any, Any]) -> Any:
    """Runs a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it suspended")


JUNK = [
    *"""null true false 0 1 -1 2 -0 7 1.0 2.0 1.5 0.1 -0.0 0.25 1e2 1E+2 1e400 -1e400 NaN Infinity -Infinity 5e-324 1e16
1e22 123456789012345680.0 9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 9.3e18
1000000000000000000000000000000 3e1 "" "0" "1" "1.0" "+1" "-0" "01" "1_000" "1__0" "1e3" "1." ".5" "nan" "inf" "-Infinity" "true"
"YES" "off" "T" "n" "é" "😀" "\\ud83d\\ude00" "\\ud800" "a\\u0000b" "\\u00e9\\n\\t\\"" "red" "RED" "two" "x" "y" "cat" "dog"
"long" "bad" "ab" "abcde" "a-1" [] {} [1] [null] [[1]] ["a"] [1,2,3] [1,"a",1.5] [[],{}] {"a":1} {"_sa_x":1,"b":2}
{"kind":"cat","lives":9} {"kind":"dog"} {"kind":1} {"kind":"fish"} {"x":1} {"title":"t"} {"a":1,"a":2} {"":0} [NaN]
{"name":"n","price":1} {"é":[true,false]} "2024-01-02" "2024-01-02T03:04:05Z" "12345678-1234-1234-1234-123456789012"
"2024-02-29T23:59:59.5+01:00" "2023-02-29" "0001-01-01" "2024-01-02T03:04:60Z" "1709210096" "12.50" "-3" "1e5"
"9223372036854775808" "99999999999999999999" "-1" "3.00" "0x1" "１"
""".split(),
    *['" 1 "', '"  pad  "', '"\\u2003wide\\u2003"', '"1 000"', '" true"', '"1\\n"', '" "', '"' + "7" * 1200 + '"'],
]


def random_body(rng: random.Random, schema: dict[str, Any]) -> bytes:
    """JSON text near what the schema accepts, now and then damaged."""
    text = Bodies(rng, schema).text()
    if rng.random() < 0.06:
        at = rng.randrange(len(text) + 1)
        text = (
            text[:at]
            + rng.choice(["", "", ",", "}", '"', "\\", "é", " ", "\n", "\x01", "x"])
            + text[at + rng.randrange(3) :]
        )
    if rng.random() < 0.02:
        text = rng.choice([" ", "\ufeff", "\n\t"]) + text + rng.choice(["", " ", "x", "\r\n"])
    encoding = "utf-16" if rng.random() < 0.003 else "utf-8"
    body = text.encode(encoding, "surrogatepass")
    if rng.random() < 0.003:
        body += b"\xff"
    return body


class Bodies:
    """Writes JSON text for a core schema."""

    def __init__(self, rng: random.Random, schema: dict[str, Any]) -> None:
        self.rng = rng
        self.schema = schema
        self.definitions: dict[str, Any] = {}
        # How often a part is replaced by junk: many bodies are to be valid, many to have one error, some to have several.
        self.junk = rng.choice([0.0, 0.02, 0.1, 0.3])

    def text(self) -> str:
        return self.part(self.schema, 0)

    def part(self, schema: dict[str, Any], depth: int) -> str:
        rng = self.rng
        if rng.random() < self.junk or depth > 12:
            return rng.choice(JUNK)
        write = getattr(self, "write_" + schema["type"].replace("-", "_"), None)
        if write is not None:
            return write(schema, depth)
        for key in ("schema", "python_schema", "lax_schema"):
            if key in schema:
                return self.part(schema[key], depth)
        return rng.choice(JUNK)

    def write_definitions(self, schema: dict[str, Any], depth: int) -> str:
        self.definitions.update((definition["ref"], definition) for definition in schema["definitions"])
        return self.part(schema["schema"], depth)

    def write_definition_ref(self, schema: dict[str, Any], depth: int) -> str:
        return self.part(self.definitions[schema["schema_ref"]], depth + 1)

    def write_nullable(self, schema: dict[str, Any], depth: int) -> str:
        return "null" if self.rng.random() < 0.3 else self.part(schema["schema"], depth)

    def write_none(self, schema: dict[str, Any], depth: int) -> str:
        return "null"

    def write_bool(self, schema: dict[str, Any], depth: int) -> str:
        return self.rng.choice(["true", "false", "true", "false", "0", "1", '"yes"', "1.0"])

    def write_int(self, schema: dict[str, Any], depth: int) -> str:
        rng = self.rng
        near = [schema[key] for key in ("ge", "gt", "le", "lt", "multiple_of") if key in schema] or [0]
        number = rng.choice(near) + rng.choice([-1, 0, 0, 1, 1, 2, 5, 10, 60])
        form = rng.random()
        if form < 0.8:
            return str(number)
        return rng.choice([f'"{number}"', f"{number}.0", f'" {number}"', f'"{number}.0"', f"{number}.5", f"{number}e0"])

    def write_float(self, schema: dict[str, Any], depth: int) -> str:
        rng = self.rng
        near = [schema[key] for key in ("ge", "gt", "le", "lt", "multiple_of") if key in schema] or [0]
        number = rng.choice(near) + rng.choice([-1, -0.25, 0, 0.25, 0.5, 1, 3, 1e-9, 1e-10])
        return rng.choice([repr(number), repr(number), f'"{number}"', str(int(number)), repr(rng.uniform(-10, 10))])

    def write_str(self, schema: dict[str, Any], depth: int) -> str:
        rng = self.rng
        near = [schema[key] for key in ("min_length", "max_length") if key in schema] or [rng.randrange(7)]
        length = max(0, rng.choice(near) + rng.choice([-1, 0, 0, 0, 1]))
        letters = "".join(rng.choice('abcabc019-é😀 "\\\n') for _ in range(length))
        if "pattern" in schema and rng.random() < 0.7:
            letters = "ab-1"[: max(1, length)]
        return json.dumps(letters, ensure_ascii=rng.random() < 0.3)

    def write_literal(self, schema: dict[str, Any], depth: int) -> str:
        return json.dumps(self.rng.choice(schema["expected"]))

    def write_enum(self, schema: dict[str, Any], depth: int) -> str:
        return json.dumps(self.rng.choice(schema["members"]).value)

    def write_datetime(self, schema: dict[str, Any], depth: int) -> str:
        pair = [f"{self.rng.choice([0, 1, 9, 12, 23, 24, 59, 60]):02}" for _ in range(4)]
        zone = self.rng.choice(["", "Z", "+00:00", "-23:59", "+24:00", f"+{pair[3]}:00"])
        fraction = self.rng.choice(["", ".5", ".123456", ".1234567", "."])
        return f'"2024-02-{self.rng.choice(["01", "29", "30"])}T{pair[0]}:{pair[1]}:{pair[2]}{fraction}{zone}"'

    def write_date(self, schema: dict[str, Any], depth: int) -> str:
        rng = self.rng
        year = rng.choice(["0000", "0001", "1900", "2000", "2023", "2024", "9999", "10000"])
        return f'"{year}-{rng.randrange(14):02}-{rng.choice([0, 1, 28, 29, 30, 31, 32]):02}"'

    def write_uuid(self, schema: dict[str, Any], depth: int) -> str:
        return json.dumps(str(uuid.UUID(int=self.rng.getrandbits(128))))

    def write_decimal(self, schema: dict[str, Any], depth: int) -> str:
        return self.rng.choice(
            ['"1.50"', '"-3"', "4", "1.5", '"1e5"', '"."', '"00.10"', '"' + "9" * 20 + "." + "1" * 20 + '"']
        )

    def write_list(self, schema: dict[str, Any], depth: int) -> str:
        near = [schema[key] for key in ("min_length", "max_length") if key in schema] or [1]
        count = max(0, self.rng.choice(near) + self.rng.choice([-1, 0, 0, 1]))
        if depth > 6:
            count = min(count, 1)
        items = schema.get("items_schema", {"type": "any"})
        return "[" + ",".join(self.part(items, depth + 1) for _ in range(count)) + "]"

    write_set = write_frozenset = write_list

    def write_tuple(self, schema: dict[str, Any], depth: int) -> str:
        items = list(schema["items_schema"])
        if "variadic_item_index" in schema:
            repeated = items.pop()
            near = [schema[key] for key in ("min_length", "max_length") if key in schema] or [1]
            items += [repeated] * max(0, self.rng.choice(near) + self.rng.choice([-1, 0, 0, 1]))
        elif self.rng.random() < 0.1:
            items = items[:-1] if self.rng.random() < 0.5 else [*items, {"type": "any"}]
        return "[" + ", ".join(self.part(item, depth + 1) for item in items) + "]"

    def write_dict(self, schema: dict[str, Any], depth: int) -> str:
        near = [schema[key] for key in ("min_length", "max_length") if key in schema] or [1]
        count = max(0, self.rng.choice(near) + self.rng.choice([-1, 0, 0, 1]))
        keys = [self.key(schema.get("keys_schema", {"type": "str"}), depth) for _ in range(count)]
        values = schema.get("values_schema", {"type": "any"})
        return "{" + ",".join(f"{key}:{self.part(values, depth + 1)}" for key in keys) + "}"

    def key(self, schema: dict[str, Any], depth: int) -> str:
        for _ in range(5):
            text = self.part(schema, depth + 1)
            if text.startswith('"'):
                return text
            if text[:1] not in "[{":
                return json.dumps(text)
        return '"k"'

    def write_model(self, schema: dict[str, Any], depth: int) -> str:
        return self.part(schema["schema"], depth)

    write_dataclass = write_model

    def write_dataclass_args(self, schema: dict[str, Any], depth: int) -> str:
        return self.members({field["name"]: field for field in schema["fields"]}, depth)

    def write_model_fields(self, schema: dict[str, Any], depth: int) -> str:
        return self.members(schema["fields"], depth)

    write_typed_dict = write_model_fields

    def members(self, fields: dict[str, Any], depth: int) -> str:
        rng = self.rng
        entries = []
        missing = rng.choice([0.0, 0.05, 0.3])
        for name, field in fields.items():
            has_default = field["schema"]["type"] == "default"
            if rng.random() < (0.3 if has_default else missing):
                continue
            alias = field.get("validation_alias", name)
            key = alias if isinstance(alias, str) and rng.random() < 0.95 else name
            entries.append((key, self.part(field["schema"], depth + 1)))
        if rng.random() < 0.08:
            entries.append((rng.choice(["extra", "_sa_extra", "", "é", *fields]), rng.choice(JUNK)))
        if rng.random() < 0.1:
            rng.shuffle(entries)
        if rng.random() < 0.02:
            entries += [(f"k{i}", "1") for i in range(40)]
        if rng.random() < 0.003:
            entries.append(("deep", "[" * 150 + "]" * 150))
        space = rng.choice(["", " ", "\n  "])
        return "{" + ",".join(f"{space}{json.dumps(key)}:{space}{value}" for key, value in entries) + "}"

    def write_union(self, schema: dict[str, Any], depth: int) -> str:
        choice = self.rng.choice(schema["choices"])
        return self.part(choice[0] if isinstance(choice, tuple) else choice, depth + (1 if depth > 4 else 0))

    def write_tagged_union(self, schema: dict[str, Any], depth: int) -> str:
        return self.part(self.rng.choice(list(schema["choices"].values())), depth)

    def write_any(self, schema: dict[str, Any], depth: int) -> str:
        return self.rng.choice(JUNK)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare native verdicts with FastAPI's own.")
    parser.add_argument("--bodies", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="the name of one schema")
    options = parser.parse_args()
    cases = [Case(name, schema) for name, schema in (SCHEMAS | MEMBERS).items() if options.only in (None, name)]
    compiled = [case for case in cases if case.validator is not None]
    started = time.monotonic()
    each = -(-options.bodies // len(compiled))
    print(f"{len(cases)} schemas, {len(compiled)} compiled, {each:,} bodies each, seed {options.seed}")
    print(f"{'schema':18} {'valid':>8} {'invalid':>8} {'unsure':>8}  left to Pydantic")
    total = 0
    for case in cases:
        if case.validator is None:
            print(f"{case.name:18} {'':>26}  all: {case.reason}")
            continue
        rng = random.Random(f"{options.seed} {case.name}")
        counts = dict.fromkeys(("valid", "invalid", "unsure"), 0)
        for _ in range(each):
            try:
                counts[case.compare(random_body(rng, case.schema))] += 1
            except AssertionError as difference:
                print(f"\nDIFFERENCE\n{difference}")
                return 1
        total += each
        left = "; ".join(case.validator.left_to_pydantic())
        print(f"{case.name:18} {counts['valid']:8} {counts['invalid']:8} {counts['unsure']:8}  {left}", flush=True)
    print(f"{total:,} bodies, no difference, {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
