"""JSON of response models, beside Pydantic's own serializer."""

from __future__ import annotations

import datetime
import enum
import functools
import threading
import warnings
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    RootModel,
    TypeAdapter,
    computed_field,
    field_serializer,
    model_validator,
)
from turboapi_rs.plans.writers import writer_of


class Tag(BaseModel):
    name: str
    weight: float = 1.0


class Item(BaseModel):
    name: str = Field(min_length=1)
    price: float
    count: int = 0
    ok: bool = True
    tags: list[Tag] = []
    words: dict[str, int] = {}
    note: str | None = None
    kind: Literal["a", "b"] = "a"
    first: Tag | None = None
    aliased: int = Field(default=3, serialization_alias="Aliased!")
    checked: Annotated[int, AfterValidator(lambda value: value)] = 1


adapter: TypeAdapter[Item] = TypeAdapter(Item)
writer, is_settled = writer_of(adapter.core_schema, by_alias=True)
assert writer is not None
assert is_settled


def by_pydantic(value: Any, *, by_alias: bool = True) -> bytes:
    return adapter.serializer.to_json(value, by_alias=by_alias)


text = st.text(st.characters(exclude_categories=("Cs",)))
tags = st.builds(Tag, name=text, weight=st.floats(allow_nan=False, allow_infinity=False))
items = st.builds(
    Item, name=text.filter(bool), price=st.floats(), count=st.integers(-(2**70), 2**70), ok=st.booleans(),
    tags=st.lists(tags, max_size=3), words=st.dictionaries(text, st.integers(), max_size=3), note=st.none() | text,
    kind=st.sampled_from(["a", "b"]), first=st.none() | tags, aliased=st.integers(),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(items)
def test_what_is_written_is_what_pydantic_writes(item: Item) -> None:
    written = writer.dump(item)
    if written is not None:
        assert written == by_pydantic(item)


def test_a_usual_instance_is_written() -> None:
    item = Item(
        name='n\n\x01"\\é€😀', price=0.1, tags=[Tag(name="t")], words={"x": -1}, first=Tag(name="f", weight=1e14)
    )
    assert writer.dump(item) == by_pydantic(item)
    assert writer.dump(item) is not None
    by_name, _ = writer_of(adapter.core_schema, by_alias=False)
    assert by_name is not None
    assert by_name.dump(item) == by_pydantic(item, by_alias=False)


def changed(**values: Any) -> Item:
    item = Item(name="x", price=1.0)
    item.__dict__.update(values)
    return item


class Text(str):
    pass


class Subclass(Tag):
    more: int = 1


@pytest.mark.parametrize(
    "item",
    [
        changed(price=1),
        changed(count=True),
        changed(count=1.0),
        changed(ok=1),
        changed(name=Text("x")),
        changed(name=None),
        changed(name=b"x"),
        changed(kind="c"),
        changed(extra=1),
        changed(words={1: 1}),
        changed(tags=(Tag(name="x"),)),
        changed(tags=[Subclass(name="x")]),
        changed(first={"name": "x"}),
        changed(price=float("nan")),
        changed(price=float("inf")),
        changed(price=1e300),
        changed(price=5e-324),
        changed(count=2**63),
        changed(name="\ud800"),
        Item.model_construct(name="x"),
        None,
        {"name": "x"},
        Subclass(name="x"),
    ],
    ids=repr,
)
def test_anything_unusual_is_left_to_pydantic(item: Any) -> None:
    assert writer.dump(item) is None


def test_the_order_is_the_instances_own() -> None:
    item = Item(name="x", price=1.0)
    turned = dict(reversed(item.__dict__.items()))
    object.__setattr__(item, "__dict__", turned)
    assert writer.dump(item) == by_pydantic(item)


class Computed(BaseModel):
    a: int = 1

    @computed_field  # type: ignore[prop-decorator]
    @property
    def b(self) -> int:
        return 2


class Serialized(BaseModel):
    a: int = 1

    @field_serializer("a")
    def double(self, a: int) -> int:
        return a * 2


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int = 1


class Excluded(BaseModel):
    a: int = 1
    b: int = Field(default=2, exclude=True)


class Node(BaseModel):
    below: list[Node] = []


class Plain(BaseModel):
    a: Annotated[int, PlainSerializer(str)] = 1


class Color(enum.Enum):
    RED = "red"


class Dated(BaseModel):
    a: datetime.date


class Coloured(BaseModel):
    a: Color = Color.RED


class Either(BaseModel):
    a: float | int = 1


class Root(RootModel[int]):
    pass


@pytest.mark.parametrize(
    "kind", [Computed, Serialized, Open, Excluded, Node, Plain, Dated, Coloured, Either, Root, Any]
)
def test_what_is_not_known_has_no_writer(kind: Any) -> None:
    assert writer_of(TypeAdapter(kind).core_schema, by_alias=True) == (None, False)


class Watched(BaseModel):
    a: int = 1

    @model_validator(mode="after")
    def watch(self) -> Watched:
        return self


class Revalidated(BaseModel):
    model_config = ConfigDict(revalidate_instances="always")
    a: int = 1


@pytest.mark.parametrize(
    ("kind", "settled"),
    [(Watched, False), (Revalidated, False), (list[Tag], True), (Tag | None, True), (dict[str, Tag], False),
     (Annotated[list[Tag], Field(max_length=1)], False), (list[int], False), (Annotated[int, Field(gt=1)], False)],
)  # fmt: skip
def test_what_a_validator_may_change_is_validated_first(kind: Any, settled: bool) -> None:
    made, found = writer_of(TypeAdapter(kind).core_schema, by_alias=True)
    assert made is not None
    assert found is settled


def test_attributes_beyond_the_fields_are_left_to_pydantic() -> None:
    class Cached(BaseModel):
        a: int = 1

        @functools.cached_property
        def b(self) -> int:
            return 2

    made, _ = writer_of(TypeAdapter(Cached).core_schema, by_alias=True)
    assert made is not None
    item = Cached()
    assert made.dump(item) == b'{"a":1}'
    assert item.b == 2
    assert made.dump(item) is None


def test_instances_that_other_threads_change_are_written_whole() -> None:
    item = Item(name="x", price=1.0)
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            item.tags = [Tag(name="y"), Tag(name="z")]
            item.words = {"a": 1, "b": 2}
            item.words.pop("a", None)
            item.tags.clear()

    threads = [threading.Thread(target=change) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(3000):
                written = writer.dump(item)
                assert written is not None
                Item.model_validate_json(written.replace(b'"Aliased!"', b'"aliased"'))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
