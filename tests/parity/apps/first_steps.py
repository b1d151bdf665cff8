"""A first app: one route of each method, sync and async."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def root():
    return {"message": "Hello World"}


@app.get("/sync")
def root_sync():
    return {"message": "Hello from a thread"}


@app.get("/nothing")
async def nothing():
    return None


@app.get("/list")
async def a_list():
    return [1, 2.5, "three", True, None, {"four": [4]}]


@app.get("/text")
async def text():
    return 'naïve \u2028 \U0001f600 " \\ / \x01'


@app.get("/number")
async def number():
    return 12345678901234567890123


@app.put("/thing")
async def put():
    return {"method": "PUT"}


@app.post("/thing")
async def post():
    return {"method": "POST"}


@app.delete("/thing")
async def delete():
    return {"method": "DELETE"}


@app.patch("/thing")
async def patch():
    return {"method": "PATCH"}


@app.options("/thing")
async def options():
    return {"method": "OPTIONS"}


@app.head("/thing")
async def head():
    return {"method": "HEAD"}


@app.trace("/thing")
async def trace():
    return {"method": "TRACE"}


@app.api_route("/both", methods=["GET", "HEAD"])
async def both():
    return {"method": "either"}


@app.get("/with-slash/")
async def with_slash():
    return {"slash": True}


@app.get("/without-slash")
async def without_slash():
    return {"slash": False}
