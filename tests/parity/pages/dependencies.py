"""Dependencies, but for `yield`."""

from ..case import flow, get, page, post_json, request, sent

TOKEN = {"x-token": "fake-super-secret-token", "x-key": "fake-super-secret-key"}

CASES = (
    *page(
        "Dependencies",
        "dependencies",
        get("a function", "/items/?q=x&skip=1"),
        get("a function, defaults", "/items/"),
        get("a function, wrong", "/items/?skip=a&limit=b"),
        get("the same parameter in route and dependency", "/users/?limit=7"),
        get("the same parameter in route and dependency, wrong in both", "/users/?limit=x"),
        get("special parameters in a dependency", "/special"),
        get("a path parameter in a dependency", "/path/4"),
        get("a path parameter wrong for the dependency only", "/path/x"),
        get("a query model in a dependency", "/model-in-dependency?size=3"),
        get("a query model in a dependency, wrong", "/model-in-dependency?size=x"),
        post_json(
            "bodies in route and dependency", "/body-in-dependency", {"page": {"size": 2}, "more": 3, "extra": "x"}
        ),
        post_json("bodies in route and dependency, wrong", "/body-in-dependency", {"page": {"size": "x"}, "extra": 1}),
        request("bodies in route and dependency, none", "POST", "/body-in-dependency"),
        *(
            case
            for path, good in (
                ("model", {"name": "ab", "sizes": [1, "2"]}),
                ("members", {"name": "ab", "n": "7"}),
                ("nested/3?q=4", {"name": "ab"}),
                ("yield", {"item": {"name": "ab", "sizes": []}}),
                ("twice", {"name": "ab", "extra": 1}),
                ("cached?q=2", {"name": "ab", "sizes": [3]}),
            )
            for case in (
                post_json(f"a body in a dependency: {path}", f"/body/{path}", good),
                post_json(f"a body in a dependency: {path}, too short", f"/body/{path}", {"name": "a", "n": -1}),
                post_json(f"a body in a dependency: {path}, wrong", f"/body/{path}", {"name": 1, "sizes": ["x", None]}),
                post_json(f"a body in a dependency: {path}, wrong inside", f"/body/{path}", {"item": {"name": []}}),
                post_json(f"a body in a dependency: {path}, a list", f"/body/{path}", [1]),
                post_json(f"a body in a dependency: {path}, null", f"/body/{path}", None),
                request(f"a body in a dependency: {path}, none", "POST", f"/body/{path}"),
                request(
                    f"a body in a dependency: {path}, torn",
                    "POST",
                    f"/body/{path}",
                    headers={"content-type": "application/json"},
                    body=b'{"name": "a',
                ),
                request(
                    f"a body in a dependency: {path}, as text",
                    "POST",
                    f"/body/{path}",
                    headers={"content-type": "text/plain"},
                    body=b'{"name": "ab"}',
                ),
            )
        ),
        post_json(
            "a body in a dependency, refused by another", "/body/members", {"name": "ab"}, headers={"x-refuse": "no"}
        ),
        post_json(
            "a wrong body in a dependency, refused by another", "/body/members", {"name": 1}, headers={"x-refuse": "no"}
        ),
    ),
    *page(
        "Classes as Dependencies",
        "dependencies",
        get("a class", "/class/?q=foo3&skip=1&limit=1"),
        get("a class, defaults", "/class/"),
        get("a class, wrong", "/class/?skip=x"),
    ),
    *page(
        "Sub-dependencies",
        "dependencies",
        get("from the query", "/sub/?q=x"),
        get("from the cookie", "/sub/", headers={"cookie": "last_query=c"}),
        get("from neither", "/sub/"),
        get("called once a request", "/cached"),
        get("called again without the cache", "/uncached"),
        get("all in declared order", "/ordered/route"),
    ),
    *page(
        "Dependencies in path operation decorators",
        "dependencies",
        get("both pass", "/decorated/", headers=TOKEN),
        get("the first fails", "/decorated/", headers={**TOKEN, "x-token": "no"}),
        get("the second fails", "/decorated/", headers={**TOKEN, "x-key": "no"}),
        get("both headers missing", "/decorated/"),
        get("one refuses with headers", "/fails"),
        get("one refuses with the status that the query names", "/fails?status=409"),
        get("one crashes", "/crashes?n=1"),
        get("one crashes before the route's own errors show", "/crashes?n=x"),
    ),
    *page(
        "Global Dependencies",
        "dependencies:guarded",
        get("pass", "/items/", headers=TOKEN),
        get("fail", "/items/", headers={**TOKEN, "x-key": "no"}),
        get("missing", "/items/"),
        post_json("missing, with a wrong body", "/items/", {"size": "x"}),
        get("not asked of an unknown path", "/nowhere"),
        get("not asked of the schema", "/openapi.json"),
    ),
    *page(
        "Advanced Dependencies",
        "dependencies",
        get("an instance with __call__, and a method", "/callable?q=foobar"),
        get("a partial", "/partial?n=5"),
        get("a partial, wrong", "/partial?n=x"),
        get("a lambda", "/lambda"),
        get("an override with parameters of its own", "/overridden?q=z"),
        flow("state of an instance goes on", sent("GET", "/cached"), sent("GET", "/uncached"), sent("GET", "/cached")),
    ),
)
