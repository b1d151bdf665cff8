"""Bigger Applications - Multiple Files."""

from ..case import get, page, request

TOKEN = {"x-token": "fake-super-secret-token"}

CASES = (
    *page(
        "Bigger Applications",
        "routers",
        get("the app's own route", "/?token=jessica"),
        get("the app's dependency refuses", "/?token=x"),
        get("the app's dependency is missing", "/"),
        get("a router's route", "/users/?token=jessica"),
        get("a router's route with a parameter", "/users/rick?token=jessica"),
        get("a router with a prefix and a dependency", "/items/?token=jessica", headers=TOKEN),
        get("a router's dependency refuses", "/items/?token=jessica", headers={"x-token": "no"}),
        get("both dependencies missing", "/items/"),
        get("a route below raises 404", "/items/nope?token=jessica", headers=TOKEN),
        request("a route below raises 403", "PUT", "/items/gun?token=jessica", headers=TOKEN),
        request("a route below is fine", "PUT", "/items/plumbus?token=jessica", headers=TOKEN),
        request("a router included with all", "POST", "/admin/?token=jessica", headers=TOKEN),
        request("a router included with all, without a token", "POST", "/admin/?token=jessica"),
        get("the same router twice", "/again/users/rick?token=jessica"),
        get("a parameter in a prefix", "/teams/blue/about?token=jessica&limit=3"),
        get("a parameter in a prefix, wrong query", "/teams/blue/about?token=jessica&limit=9"),
        get("a router in a router, empty path", "/teams/blue/deep?token=jessica"),
        get("a router's response class", "/teams/blue/deep/html?token=jessica"),
        get("a slash too many in a router", "/users/rick/?token=jessica"),
        get("a prefix alone", "/teams?token=jessica"),
        request("a method not allowed in a router", "DELETE", "/items/plumbus?token=jessica", headers=TOKEN),
        get("dependencies are not asked of an unknown path", "/nowhere"),
        get("the schema", "/openapi.json"),
    ),
    *page(
        "Bigger Applications",
        "routers:fixed",
        get("slashes are not redirected when told so", "/slash"),
        get("no docs when told so", "/docs"),
        get("no schema when told so", "/openapi.json"),
    ),
)
