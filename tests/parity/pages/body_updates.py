"""Body - Updates."""

from ..case import flow, page, post_json, sent, sent_json

CASES = page(
    "Body - Updates",
    "body_updates",
    flow("PUT replaces all", sent_json("PUT", "/items/bar", {"name": "Barz", "price": 3}), sent("GET", "/items/bar")),
    flow("PATCH replaces what is set", sent_json("PATCH", "/items/foo", {"tags": ["a"]}), sent("GET", "/items/foo")),
    flow("PATCH with null sets null", sent_json("PATCH", "/items/foo", {"price": None}), sent("GET", "/items/foo")),
    flow("a wrong PATCH changes nothing", sent_json("PATCH", "/items/foo", {"tax": "x"}), sent("GET", "/items/foo")),
    post_json("PATCH of what is not there", "/items/nope", {}, method="PATCH"),
)
