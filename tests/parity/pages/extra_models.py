"""Extra Models."""

from ..case import get, page, post_json

CASES = page(
    "Extra Models",
    "extra_models",
    post_json("input, stored and output models", "/user/", {"username": "u", "email": "e", "password": "p"}),
    post_json("the input model misses a field", "/user/", {"username": "u", "email": "e"}),
    get("a union: the member that fits", "/items/item1"),
    get("a union: the fuller member", "/items/item2"),
    get("a tagged union", "/tagged/item2"),
    get("a dict of floats", "/weights"),
    get("a list of models drops extras", "/list"),
)
