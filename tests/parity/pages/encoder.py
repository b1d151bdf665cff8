"""JSON Compatible Encoder."""

from ..apps.encoder import VALUES
from ..case import get, page, post_json

CASES = page(
    "JSON Compatible Encoder",
    "encoder",
    post_json("a model to be stored", "/items/foo", {"title": "Foo", "timestamp": "2024-01-02T03:04:05"}, method="PUT"),
    post_json("a model to be stored, wrong", "/items/foo", {"title": "Foo", "timestamp": "x"}, method="PUT"),
    *(get(f"a handler returns {name}", f"/values/{name}") for name in [*VALUES, "generator"]),
    *(
        get(f"a def handler returns {name} in a dict", f"/sync/{name}")
        for name in ("datetime", "model", "int-keys", "lambda")
    ),
    get("nulls left out, names kept", "/excluding"),
    get("an encoder of the caller's", "/custom"),
)
