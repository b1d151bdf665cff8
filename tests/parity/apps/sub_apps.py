"""Sub-applications: mounted FastAPI apps, Starlette routes, nested mounts, a proxy's root_path, hosts."""

from a2wsgi import WSGIMiddleware
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse
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

served = FastAPI(servers=[{"url": "https://stag.example.com"}], root_path_in_servers=True)


@served.get("/app")
def served_app(request: Request):
    return {"root_path": request.scope.get("root_path"), "url": str(request.url), "path": request.scope["path"]}


SERVER = {"served": {"root_path": "/behind"}}
