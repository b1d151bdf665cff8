"""Path Operation Configuration, and its Advanced page."""

from ..case import get, page, post_json

CASES = page(
    "Path Operation Configuration",
    "path_operation",
    post_json("a described operation", "/items/", {"name": "Foo", "tags": ["a"]}),
    post_json("a described operation, wrong", "/items/", {"tags": 1}),
    get("tags", "/items/"),
    get("a deprecated operation", "/elements/"),
    get("an operation left out of the schema", "/hidden"),
    post_json("an own request body in the schema is not looked at", "/yaml-ish", raw=b"name: x"),
    get("an own operation id", "/own/own-id"),
    get("a named route finds its URL", "/own/named"),
    get("the schema of all that", "/openapi.json"),
)
