"""CORS, as three apps: named origins with credentials, everything, a pattern with private networks."""

from fastapi import FastAPI, HTTPException
from fastapi.middleware.cors import CORSMiddleware


def routes(app: FastAPI) -> FastAPI:
    @app.get("/")
    async def root():
        return {"message": "Hello World"}

    @app.post("/items")
    def items(n: int):
        return {"n": n}

    @app.get("/refused")
    async def refused():
        raise HTTPException(403, headers={"vary": "Cookie"})

    @app.get("/crash")
    async def crash():
        raise RuntimeError("crash")

    @app.options("/own")
    async def own():
        return {"own": "options"}

    return app


app = routes(FastAPI())
app.add_middleware(
    CORSMiddleware,
    allow_origins=["http://localhost.example", "https://localhost.example"],
    allow_credentials=True,
    allow_methods=["*"],
    allow_headers=["*"],
    expose_headers=["x-one", "x-two"],
    max_age=60,
)

anyone = routes(FastAPI())
anyone.add_middleware(CORSMiddleware, allow_origins=["*"], allow_headers=["x-example"])

anyone_credentials = routes(FastAPI())
anyone_credentials.add_middleware(CORSMiddleware, allow_origins=["*"], allow_credentials=True)

pattern = routes(FastAPI())
pattern.add_middleware(
    CORSMiddleware, allow_origin_regex=r"https://.*\.example\.org", allow_methods=["POST"], allow_private_network=True
)
