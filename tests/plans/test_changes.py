"""Routes that change while they are served: the answers stay FastAPI's, whatever the plans were made of."""

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from tests.support.wire import request_bytes


async def old():
    return "old"


async def new():
    return "new"


async def by_name(name: str):
    return name


def app_of_three() -> tuple[FastAPI, APIRouter]:
    """`/items` by a router, `/first` by the application, and what takes all the rest."""
    app, router = FastAPI(openapi_url=None), APIRouter()
    router.add_api_route("/items", old)
    app.add_api_route("/first", old)
    app.include_router(router)
    app.add_api_route("/{name}", by_name)
    return app, router


@pytest.fixture
def asking(live, connect):
    def start(app):
        connection = connect(live(app))

        def ask(path: str) -> bytes:
            return connection.exchange(request_bytes("GET", path)).body

        return ask

    return start


def removed(app: FastAPI, router: APIRouter) -> None:
    del app.router.routes[0]


def put_first(app: FastAPI, router: APIRouter) -> None:
    app.router.routes.insert(0, APIRoute("/items", new))


def put_first_instead(app: FastAPI, router: APIRouter) -> None:
    """One more, and the others moved."""
    app.router.routes[:] = [APIRoute("/first", new), *app.router.routes]


def added_to_a_router(app: FastAPI, router: APIRouter) -> None:
    router.add_api_route("/more", new)


@pytest.mark.parametrize(
    ("change", "path", "before", "after"),
    [
        (removed, "/first", b'"old"', b'"first"'),
        (put_first, "/items", b'"old"', b'"new"'),
        (put_first_instead, "/first", b'"old"', b'"new"'),
        (added_to_a_router, "/more", b'"more"', b'"new"'),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_plans_give_way_to_routes_that_changed(change, path, before, after, asking, capfd):
    app, router = app_of_three()
    ask = asking(app)
    assert ask(path) == before
    change(app, router)
    assert [ask(path), ask(path)] == [after, after]
    assert capfd.readouterr().err.count("routes were changed while serving") == 1


@pytest.mark.parametrize("index", [0, 1], ids=["before", "behind"])
def test_route_added_to_a_mounted_application_is_found(asking, index):
    app, mounted = FastAPI(openapi_url=None), FastAPI(openapi_url=None)
    mounted.add_api_route("/items", old)
    app.mount("/part", mounted)
    ask = asking(app)
    assert ask("/part/items") == b'"old"'
    mounted.router.routes.insert(index, APIRoute("/items", new))
    mounted.router.routes.append(APIRoute("/more", new))
    assert [ask("/part/items"), ask("/part/more")] == [b'"new"' if index == 0 else b'"old"', b'"new"']


def test_plans_stay_when_a_route_is_added_behind_them(asking, capfd):
    app = FastAPI(openapi_url=None)
    app.add_api_route("/first", old)
    ask = asking(app)
    asked = []

    async def watched(scope, receive, send):
        asked.append(scope["path"])
        await stack(scope, receive, send)

    stack, app.middleware_stack = app.middleware_stack, watched
    app.add_api_route("/second", new)
    assert [ask("/first"), ask("/second"), ask("/first")] == [b'"old"', b'"new"', b'"old"']
    assert asked == ["/second"]
    assert "routes were changed" not in capfd.readouterr().err
