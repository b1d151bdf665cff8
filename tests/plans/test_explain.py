"""Which routes are compiled, and what is said of those that are not."""

import json
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, File, Form, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.middleware import Middleware
from turboapi_rs import plans
from turboapi_rs.cli import main
from turboapi_rs.plans import routes


def rows_of(app: FastAPI) -> dict[str, plans.Row]:
    return {row.path: row for row in plans.explain(app)}


def test_included_routers_are_walked_with_their_prefixes():
    app, router, inner = FastAPI(openapi_url=None), APIRouter(prefix="/outer"), APIRouter()

    @inner.get("/leaf/{n}")
    async def leaf(n: int):
        return n

    router.include_router(inner, prefix="/inner")
    app.include_router(router, prefix="/api")
    assert rows_of(app)["/api/outer/inner/leaf/{n}"].kind == "direct"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda app: app.add_middleware(_Unknown), "_Unknown: middleware that is not known here"),
        (lambda app: setattr(app, "max_body_size", 10), "max_body_size is set on the application"),
        (lambda app: setattr(app.router, "__class__", _Router), "the router is a _Router"),
    ],
)
def test_application_that_is_not_known_keeps_all_routes_asgi(change, said):
    app = FastAPI(openapi_url=None)

    @app.get("/")
    async def root():
        return {}

    change(app)
    row = rows_of(app)["/"]
    assert row.kind == "asgi"
    assert said in row.reason


class _Unknown:
    def __init__(self, app):
        self.app = app


class _Router(APIRouter):
    pass


def test_root_path_of_the_application_or_of_the_server_leaves_routes_direct():
    app = FastAPI(openapi_url=None, root_path="/prefix")

    @app.get("/")
    async def root():
        return {}

    assert rows_of(app)["/"].kind == "direct"
    (row,) = plans.explain(app, root_path="/outer")
    assert (row.kind, row.reason) == ("asgi", "both the server (--root-path) and the application have a root_path")
    app.root_path = ""
    (row,) = plans.explain(app, root_path="/outer")
    assert row.kind == "direct"


def test_routes_of_a_mounted_application_are_compiled_before_its_mount():
    app, mounted, deeper = FastAPI(openapi_url=None), FastAPI(openapi_url=None), FastAPI(openapi_url=None)

    @deeper.get("/items/{n}")
    async def items(n: int):
        return n

    mounted.mount("/deeper", deeper)
    app.mount("/part", mounted)
    app.mount("/of/{tenant}", deeper)
    assert [(row.path, row.kind) for row in plans.explain(app)] == [
        ("/part/deeper/items/{n}", "direct"),
        ("/part/deeper", "asgi"),
        ("/part", "asgi"),
        ("/of/{tenant}", "asgi"),
    ]


@pytest.mark.parametrize(
    ("settings", "outer", "reason"),
    [
        ({"root_path": "/r"}, {}, "an application is mounted where a root_path is set"),
        ({}, {"root_path": "/r"}, "an application is mounted where a root_path is set"),
        (
            {"middleware": [Middleware(CORSMiddleware)]},
            {},
            "the mounted application has middleware of its own (CORSMiddleware)",
        ),
    ],
)
def test_mounted_application_that_is_not_compiled_says_why(settings, outer, reason):
    app, mounted = FastAPI(openapi_url=None, **outer), FastAPI(openapi_url=None, **settings)

    @mounted.get("/")
    async def root():
        return {}

    app.mount("/part", mounted)
    row, _ = plans.explain(app)
    assert (row.path, row.kind, row.reason) == ("/part/", "asgi", reason)


def test_known_middleware_leaves_routes_direct():
    app = FastAPI(openapi_url=None)
    app.add_middleware(CORSMiddleware, allow_origins=["*"])

    @app.get("/")
    async def root():
        return {}

    assert rows_of(app)["/"].kind == "direct"


def test_version_outside_the_tested_range_compiles_nothing_and_warns(monkeypatch, caplog):
    app = FastAPI(openapi_url=None)

    @app.get("/")
    async def root():
        return {}

    monkeypatch.setattr(routes, "TESTED_FASTAPI", ((0, 1), (0, 2)))
    # What other versions have not.
    monkeypatch.delattr("fastapi.routing.iter_route_contexts")
    monkeypatch.delattr("fastapi.dependencies.models._get_cache_key")
    row = rows_of(app)["/"]
    assert row.kind == "asgi"
    assert "outside the tested versions (0.1 up to and without 0.2)" in row.reason

    class Core:
        def __getattr__(self, name):
            return lambda *args, **options: None

    plans.install(Core(), app)
    assert "no route is compiled: FastAPI" in caplog.text


def test_route_class_that_handles_requests_itself_stays_asgi():
    class Own(APIRoute):
        async def handle(self, scope, receive, send):
            await super().handle(scope, receive, send)

    app = FastAPI(openapi_url=None)
    app.router.route_class = Own

    @app.get("/")
    async def root():
        return {}

    assert rows_of(app)["/"].reason == "the route class Own overrides handle"


def test_forms_and_streams_are_noted():
    app = FastAPI(openapi_url=None)

    @app.post("/form")
    async def form(name: Annotated[str, Form()]):
        return name

    @app.post("/files")
    async def files(name: Annotated[str, Form()], data: Annotated[bytes, File()]):
        return name

    @app.post("/form-and-request")
    async def form_and_request(name: Annotated[str, Form()], request: Request):
        return name

    @app.get("/items")
    async def items():
        yield {"n": 1}

    rows = rows_of(app)
    assert (rows["/form"].kind, rows["/form"].note) == ("direct", "")
    assert (rows["/files"].kind, rows["/files"].note) == ("direct", "")
    assert (rows["/form-and-request"].kind, rows["/form-and-request"].note) == ("direct", "a form")
    assert (rows["/items"].kind, rows["/items"].note) == ("direct", "a stream of items")


def test_application_of_another_framework_has_no_rows():
    assert plans.explain(Starlette()) == []


def test_coroutines_that_may_suspend_are_tasks():
    app = FastAPI(openapi_url=None)

    async def waits():
        return await _nothing()

    @app.get("/plain")
    async def plain():
        return {}

    @app.get("/waits")
    async def dependent(value: Annotated[None, Depends(waits)]):
        return {}

    @app.get("/request")
    async def of_request(request: Request):
        return {}

    forms = {entry.path: entry.plan.is_task for entry in routes.read_app(app).entries}
    assert forms == {"/plain": False, "/waits": True, "/request": True}


async def _nothing():
    return None


def test_routes_are_listed_by_the_command(capsys, tmp_path, monkeypatch):
    (tmp_path / "listed_app.py").write_text(
        "from fastapi import FastAPI\napp = FastAPI(openapi_url=None)\n\n"
        "@app.get('/items/{item_id}')\nasync def item(item_id: int):\n    return item_id\n"
    )
    assert main(["routes", "listed_app:app", "--app-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "METHOD  PATH              RUNS    REASON OR NOTE",
        "GET     /items/{item_id}  direct",
        "",
        "1 of 1 routes run directly",
    ]
    assert main(["routes", "listed_app:app", "--app-dir", str(tmp_path), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["path"], row["methods"], row["kind"]) == ("/items/{item_id}", ["GET"], "direct")


def test_command_says_what_is_no_fastapi_application(capsys, tmp_path):
    (tmp_path / "plain_asgi.py").write_text("async def app(scope, receive, send): ...\n")
    assert main(["routes", "plain_asgi:app", "--app-dir", str(tmp_path)]) == 2
    assert "is no FastAPI application" in capsys.readouterr().err
    assert main(["routes", "not_there:app", "--app-dir", str(tmp_path)]) == 2
