"""Body: Multiple Parameters."""

from ..case import page, post_json, request

ITEM, USER = {"name": "Foo", "price": 42}, {"username": "dave", "full_name": "Dave"}

CASES = page(
    "Body: Multiple Parameters",
    "body_multiple",
    post_json("path, query and an optional body", "/mixed/5?q=bar", ITEM, method="PUT"),
    request("the optional body absent", "PUT", "/mixed/5?q=bar"),
    post_json("the path out of range, the body wrong", "/mixed/1001", {"name": 1}, method="PUT"),
    post_json("two models", "/two/5", {"item": ITEM, "user": USER}, method="PUT"),
    post_json("two models, one missing", "/two/5", {"item": ITEM}, method="PUT"),
    post_json("two models, both wrong", "/two/x", {"item": {"price": "x"}, "user": 3}, method="PUT"),
    request("two models, no body", "PUT", "/two/5"),
    post_json("two models, a list as body", "/two/5", [], method="PUT"),
    post_json("two models, a text as body", "/two/5", "x", method="PUT"),
    post_json("two models, null as body", "/two/5", raw=b"null", method="PUT"),
    post_json("two models, broken JSON", "/two/5", raw=b'{"item":', method="PUT"),
    post_json(
        "a single value beside models", "/singular?q=q", {"item": ITEM, "user": USER, "importance": 5}, method="PUT"
    ),
    post_json("a single value out of range", "/singular", {"item": ITEM, "user": USER, "importance": 0}, method="PUT"),
    post_json("an embedded model", "/embedded", {"item": ITEM}, method="PUT"),
    post_json("an embedded model sent bare", "/embedded", ITEM, method="PUT"),
    post_json("an embedded model by alias", "/embedded-aliased", {"theItem": ITEM}, method="PUT"),
    post_json("an embedded model by the name behind its alias", "/embedded-aliased", {"item": ITEM}, method="PUT"),
    post_json("single values", "/scalars", {"a": "4", "c": [1]}, method="PUT"),
    post_json("single values wrong", "/scalars", {"a": "x", "b": "b", "c": ["y"]}, method="PUT"),
    post_json("single values, an unknown key", "/scalars", {"a": 1, "z": 1}, method="PUT"),
    post_json("two optional models, one given", "/optional-two", {"user": USER}, method="PUT"),
    post_json("two optional models, null given", "/optional-two", {"user": None}, method="PUT"),
    request("two optional models, no body", "PUT", "/optional-two"),
)
