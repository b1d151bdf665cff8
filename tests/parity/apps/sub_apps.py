"""Sub-applications: mounted FastAPI apps, Starlette routes, nested mounts, a proxy's root_path, hosts."""

from collections.abc import AsyncIterable
from typing import Annotated

from a2wsgi import WSGIMiddleware
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Form, HTTPException, Query, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel
from starlette.routing import Host, Mount, Route, Router

app = FastAPI()
sub = FastAPI(title="sub")
deeper = FastAPI()


@app.get("/app")
def read_main():
    return {"message": "Hello World from main app"}


@sub.get("/sub")
async def read_sub(request: Request):
    return {"root_path": request.scope["root_path"], "path": request.scope["path"], "url": request.url.path}


@sub.get("/items/{n}")
def read_item(n: int):
    return {"n": n}


@sub.get("/crash")
async def crash():
    raise RuntimeError("crash")


@sub.get("/slash/")
async def slash():
    return {}


@deeper.get("/{name}")
async def read_deeper(name: str, request: Request):
    return {"name": name, "url": str(request.url_for("read_deeper", name="x"))}


@deeper.exception_handler(404)
async def deeper_lost(request: Request, error: Exception):
    return PlainTextResponse("lost below", status_code=404)


async def plain(request: Request):
    return PlainTextResponse(f"plain {request.path_params}")


async def bare_asgi(scope, receive, send):
    body = f"{scope['type']} {scope['root_path']} {scope['path']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def wsgi_app(environ, start_response):
    size = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(size) if size else b""
    start_response(
        "201 Created", [("Content-Type", "text/plain"), ("X-Wsgi", "yes"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    )
    lines = [
        environ["REQUEST_METHOD"],
        environ["SCRIPT_NAME"],
        environ["PATH_INFO"],
        environ["QUERY_STRING"],
        environ.get("HTTP_X_ONE", ""),
    ]
    return ["\n".join(lines).encode("latin-1"), b"\n", body]


sub.mount("/deeper", deeper)
app.mount("/subapi", sub)
app.mount("/wsgi", WSGIMiddleware(wsgi_app))
app.mount("/bare", bare_asgi)
app.router.routes.append(Mount("/plain", routes=[Route("/{name}/{rest:path}", plain)]))
app.router.routes.append(Host("{team}.example.org", Router([Route("/", plain)])))


@app.get("/subapi/late")
async def never():
    return {"never": "the mount was first"}


proxied = FastAPI(root_path="/api/v1")


@proxied.get("/app")
def proxied_app(request: Request):
    return {"root_path": request.scope.get("root_path"), "url": str(request.url), "base": str(request.base_url)}


@proxied.get("/slash/")
def proxied_slash():
    return {}


@proxied.get("/items/{item_id}")
async def proxied_item(item_id: int):
    return {"item_id": item_id}


@proxied.exception_handler(LookupError)
async def proxied_handler(request: Request, error: LookupError):
    return JSONResponse({"root_path": request.scope.get("root_path"), "url": str(request.url)}, status_code=404)


@proxied.get("/fails")
async def proxied_fails():
    raise LookupError


@proxied.get("/link")
async def proxied_link(request: Request):
    return {"link": str(request.url_for("proxied_item", item_id=3)), "path": request.scope["path"]}


proxied.mount("/sub", sub)


class Odd(Exception):
    """Handled by the mounted application alone."""


class Thing(BaseModel):
    size: int


part = FastAPI()
outer = FastAPI(dependencies=[Depends(lambda: None)])
told: list[str] = []


@outer.get("/outer/{n}")
async def read_outer(n: int):
    return {"n": n}


@outer.get("/part/taken")
async def taken():
    return {"taken": "before the mount"}


@outer.post("/part/half")
async def half():
    return {"half": "another method"}


@part.get("/half")
async def part_half():
    return {"half": "the mount's"}


@part.get("/taken")
async def part_taken():
    return {"taken": "never"}


@part.get("/scope/{name:path}")
async def part_scope(name: str, request: Request):
    scope = request.scope
    return {
        "root_path": scope["root_path"],
        "app_root_path": scope.get("app_root_path"),
        "path": scope["path"],
        "raw_path": scope["raw_path"].decode(),
        "params": scope["path_params"],
        "apps": [scope["app"] is part, scope["router"] is outer.router, scope["route"].path],
        "endpoint": scope["endpoint"].__name__,
        "url": str(request.url),
        "base_url": str(request.base_url),
        "link": str(request.url_for("read_outer", n=3)),
    }


@part.get("/same/{name}")
async def part_same(name: str, q: list[int] = Query(default=[])):
    return {"name": name, "q": q}


@part.post("/things")
async def part_things(thing: Thing, tasks: BackgroundTasks) -> Thing:
    tasks.add_task(told.append, "thing")
    return thing


@part.post("/form")
async def part_form(name: Annotated[str, Form()]):
    return {"name": name}


@part.get("/raises/{status}")
async def part_raises(status: int):
    raise HTTPException(status, "refused", headers={"x-part": "1"})


@part.get("/odd")
def part_odd():
    raise Odd


@part.exception_handler(Odd)
async def on_odd(request: Request, error: Odd):
    return JSONResponse({"root_path": request.scope["root_path"], "url": str(request.url)}, status_code=418)


@part.get("/wrong")
async def part_wrong() -> Thing:
    return {"size": "none"}


async def opened(request: Request):
    yield request.scope["root_path"]


@part.get("/opened")
async def part_opened(root_path: Annotated[str, Depends(opened)], link: str = ""):
    return {"root_path": root_path}


@part.get("/lines")
async def part_lines() -> AsyncIterable[Thing]:
    for size in range(3):
        yield Thing(size=size)


@part.get("/streamed")
async def part_streamed(request: Request):
    async def pieces():
        yield request.scope["root_path"]
        yield "!"

    return StreamingResponse(pieces(), media_type="text/plain")


def overridden():
    return "as declared"


@part.get("/overridden")
async def part_overridden(value: Annotated[str, Depends(overridden)]):
    return {"value": value}


part.dependency_overrides[overridden] = lambda: "overridden"
router = APIRouter(prefix="/included")


@router.get("/{n}")
async def included(n: int, request: Request):
    return {"n": n, "route": request.scope["route"].path}


part.include_router(router)
gzipped = FastAPI()
gzipped.add_middleware(GZipMiddleware, minimum_size=1)
gzipped.include_router(router)
outer.mount("/part", part)
outer.mount("/zipped", gzipped)
outer.mount("/tenant/{tenant}", part)
outer.mount("/again/and", part)

allowing = FastAPI()
allowing.add_middleware(CORSMiddleware, allow_origins=["https://a.example"], expose_headers=["x-part"])
allowing.mount("/part", part)
zipping = FastAPI()
zipping.add_middleware(GZipMiddleware, minimum_size=1)
zipping.mount("/part", part)
served = FastAPI(servers=[{"url": "https://stag.example.com"}], root_path_in_servers=True)


@served.get("/app")
def served_app(request: Request):
    return {"root_path": request.scope.get("root_path"), "url": str(request.url), "path": request.scope["path"]}


@served.get("/items/{n}")
async def served_item(n: int, request: Request):
    return {"n": n, "link": str(request.url_for("served_app")), "base": str(request.base_url)}


@served.get("/plain/{n}")
async def served_plain(n: int):
    return {"n": n}


@served.post("/things")
async def served_things(thing: Thing) -> Thing:
    return thing


@served.get("/slash/")
async def served_slash():
    return {}


@served.get("/odd")
async def served_odd():
    raise Odd


@served.exception_handler(Odd)
async def on_served_odd(request: Request, error: Odd):
    return JSONResponse({"root_path": request.scope["root_path"], "url": str(request.url)}, status_code=418)


served.mount("/part", part)

SERVER = {"served": {"root_path": "/behind"}}
