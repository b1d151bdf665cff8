"""Body: Fields, and Body: Nested Models."""

from ..case import page, post_json

IMAGE = {"url": "http://example.com/baz.jpg", "name": "The Foo"}
ITEM = {"name": "Foo", "price": 42.0}
WIDE = {"an_id": "6b1c1e8a-8f6a-4a6e-9d40-3a2f1c0b7e11", "day": "2024-02-29"}

CASES = (
    *page(
        "Body: Fields",
        "body_nested",
        post_json("a field within its rules", "/items/1", {**ITEM, "sizes": [1, 2]}, method="PUT"),
        post_json("text too short", "/items/1", {**ITEM, "name": ""}, method="PUT"),
        post_json("text too long", "/items/1", {**ITEM, "name": "a" * 21}, method="PUT"),
        post_json("text off its pattern", "/items/1", {**ITEM, "name": "F00"}, method="PUT"),
        post_json(
            "text with a newline against a pattern with an end", "/items/1", {**ITEM, "name": "Foo\n"}, method="PUT"
        ),
        post_json("a number at an exclusive bound", "/items/1", {**ITEM, "price": 0}, method="PUT"),
        post_json("a list too long", "/items/1", {**ITEM, "sizes": [1, 2, 3, 4]}, method="PUT"),
        post_json("a validator accepts", "/accounts", {"password": "a", "repeat": "a", "age": 5}),
        post_json("a validator raises", "/accounts", {"password": "a", "repeat": "a", "age": -5}),
        post_json("a validator asserts", "/accounts", {"password": "a", "repeat": "a", "age": 500}),
        post_json("a model validator raises", "/accounts", {"password": "a", "repeat": "b"}),
        post_json(
            "a model validator is not run when a field is wrong",
            "/accounts",
            {"password": "a", "repeat": "b", "age": "x"},
        ),
    ),
    *page(
        "Body: Nested Models",
        "body_nested",
        post_json("a set drops repeats", "/items/1", {**ITEM, "tags": ["a", "b", "a"]}, method="PUT"),
        post_json("a nested list of models", "/items/1", {**ITEM, "images": [IMAGE, IMAGE]}, method="PUT"),
        post_json(
            "a nested URL is wrong", "/items/1", {**ITEM, "images": [IMAGE, {"url": "nope", "name": "x"}]}, method="PUT"
        ),
        post_json("a nested field is missing", "/items/1", {**ITEM, "images": [{"url": "http://a.b"}]}, method="PUT"),
        post_json("an object where a nested list goes", "/items/1", {**ITEM, "images": IMAGE}, method="PUT"),
        post_json(
            "three levels", "/offers", {"title": "t", "items": [{**ITEM, "images": [IMAGE]}], "extra": {"a": [1, "b"]}}
        ),
        post_json(
            "errors at three levels, in order",
            "/offers",
            {
                "items": [{"name": "", "price": -1, "images": [{"url": 1}]}, 5, {}],
                "extra": {"a": [1], "b": ["x", 2, 3]},
            },
        ),
        post_json("a list of models as body", "/images", [IMAGE]),
        post_json("a list of models, one wrong", "/images", [IMAGE, {}]),
        post_json("a URL is normalised", "/images", [{"url": "HTTP://EXAMPLE.com", "name": "n"}]),
        post_json("a discriminated union", "/pets", {"kind": "cat", "lives": 9}),
        post_json("a discriminated union, wrong field", "/pets", {"kind": "dog", "lives": 9}),
        post_json("a discriminated union, no such tag", "/pets", {"kind": "fish"}),
        post_json("a discriminated union, no tag", "/pets", {"lives": 9}),
        post_json("a plain union", "/plain-union", {"kind": "dog", "name": "Rex"}),
        post_json("a plain union, no member fits", "/plain-union", {"kind": "fish"}),
        post_json(
            "a scalar union keeps JSON types",
            "/scalar-union",
            {"a": 1, "b": 1.0, "c": "1", "d": True, "e": None, "f": 1.5},
        ),
        post_json("a scalar union, a list", "/scalar-union", {"a": []}),
        post_json("many types, defaults", "/wide", WIDE),
        post_json(
            "many types, all given",
            "/wide",
            {
                **WIDE,
                "at": "2024-01-02T03:04:05.678+02:00",
                "amount": "123.45",
                "color": "green",
                "email": "A@Example.com",
                "secret": "s",
                "shortName": "n",
                "second": "s",
                "flags": [1, "off", True],
                "ratio": 1,
                "blob": "é",
            },
        ),
        post_json(
            "many types, all wrong",
            "/wide",
            {
                "an_id": "x",
                "day": "x",
                "at": "x",
                "amount": "1234.567",
                "color": "blue",
                "email": "x",
                "secret": 1,
                "shortName": 1,
                "first": 1,
                "flags": ["z"],
                "ratio": "nan",
                "blob": 1,
                "more": 1,
            },
        ),
        post_json("a field by name where alias and name both go", "/wide", {**WIDE, "short_name": "n"}),
        post_json("a date with a time of zero", "/wide", {**WIDE, "day": "2024-02-29T00:00:00"}),
        post_json("a date with a time", "/wide", {**WIDE, "day": "2024-02-29T01:00:00"}),
        post_json("a datetime from a number", "/wide", {**WIDE, "at": 1700000000.5}),
        post_json("a datetime without a zone", "/wide", {**WIDE, "at": "2024-01-02 03:04"}),
        post_json("a decimal from a float", "/wide", {**WIDE, "amount": 1.1}),
        post_json("a decimal of too many places", "/wide", {**WIDE, "amount": "1.123"}),
        post_json("a generic model", "/pages", {"items": [IMAGE], "total": 1}),
        post_json("a generic model, wrong inside", "/pages", {"items": [1], "total": "x"}),
        post_json("a recursive model", "/nodes", {"name": "a", "next": {"name": "b", "next": None}}),
        post_json("a recursive model, wrong inside", "/nodes", {"name": "a", "next": {"next": {}}}),
        post_json("a root model", "/numbers", [1, "2"]),
        post_json("a root model, wrong inside", "/numbers", [1, "x"]),
    ),
)
