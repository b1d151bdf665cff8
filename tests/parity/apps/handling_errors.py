"""Errors: HTTPException, handlers of the app, overridden handlers, errors nobody handles."""

from typing import Annotated

from fastapi import Body, FastAPI, HTTPException, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

app = FastAPI()


class UnicornException(Exception):
    def __init__(self, name: str):
        self.name = name


class PonyException(UnicornException):
    pass


class Item(BaseModel):
    title: str
    size: int


@app.exception_handler(UnicornException)
async def unicorn_handler(request: Request, error: UnicornException):
    return JSONResponse(status_code=418, content={"message": f"Oops! {error.name}", "path": request.url.path})


@app.exception_handler(ZeroDivisionError)
def zero_handler(request: Request, error: ZeroDivisionError):
    return PlainTextResponse("divided by zero", status_code=422)


@app.get("/items/{item_id}")
async def read_item(item_id: str):
    if item_id != "foo":
        raise HTTPException(status_code=404, detail="Item not found")
    return {"item": item_id}


@app.get("/headers")
async def with_headers():
    raise HTTPException(403, detail={"code": 7, "why": ["a", None]}, headers={"X-Error": "There goes my error"})


@app.get("/sync")
def in_sync():
    raise HTTPException(status_code=409)


@app.get("/no-detail/{code}")
async def no_detail(code: int):
    raise HTTPException(status_code=code)


@app.get("/list-detail")
async def list_detail():
    raise HTTPException(400, detail=[1, {"a": "é"}])


@app.get("/starlette")
async def starlette_error():
    raise StarletteHTTPException(status_code=410, detail="gone")


@app.get("/unicorns/{name}")
async def read_unicorn(name: str):
    if name == "pony":
        raise PonyException(name)
    raise UnicornException(name)


@app.get("/zero")
def zero():
    return 1 / 0


@app.get("/unhandled")
async def unhandled():
    raise RuntimeError("the message must not be shown")


@app.get("/unhandled-sync")
def unhandled_sync():
    raise RuntimeError("the message must not be shown")


@app.get("/group")
async def group():
    raise ExceptionGroup("several", [ValueError("a"), UnicornException("b")])


@app.post("/items/")
async def create(item: Item):
    return item


@app.get("/return-wrong")
async def return_wrong() -> Item:
    return {"title": 1}


overriding = FastAPI()


@overriding.exception_handler(StarletteHTTPException)
async def plain_http(request: Request, error: StarletteHTTPException):
    return PlainTextResponse(str(error.detail), status_code=error.status_code)


@overriding.exception_handler(RequestValidationError)
async def with_body(request: Request, error: RequestValidationError):
    return JSONResponse(status_code=400, content=jsonable_encoder({"detail": error.errors(), "body": error.body}))


@overriding.exception_handler(ResponseValidationError)
async def bad_response(request: Request, error: ResponseValidationError):
    return JSONResponse(status_code=503, content=jsonable_encoder({"errors": error.errors(), "body": error.body}))


@overriding.exception_handler(Exception)
async def anything(request: Request, error: Exception):
    return JSONResponse(status_code=500, content={"caught": type(error).__name__})


@overriding.get("/items/{item_id}")
async def overriding_read(item_id: int):
    if item_id == 3:
        raise HTTPException(status_code=418, detail="Nope! I don't like 3.")
    return {"item_id": item_id}


@overriding.post("/items/")
async def overriding_create(item: Item):
    return item


@overriding.post("/two/")
async def overriding_two(item: Item, n: Annotated[int, Body()]):
    return item


@overriding.get("/wrong")
async def overriding_wrong() -> Item:
    return {"title": 1}


@overriding.get("/crash")
async def crash():
    raise KeyError("x")


reusing = FastAPI()
SEEN: list[str] = []


@reusing.exception_handler(StarletteHTTPException)
async def reuse_http(request: Request, error: StarletteHTTPException):
    SEEN.append(f"http {error.status_code}")
    return await http_exception_handler(request, error)


@reusing.exception_handler(RequestValidationError)
async def reuse_validation(request: Request, error: RequestValidationError):
    SEEN.append(f"validation {len(error.errors())}")
    return await request_validation_exception_handler(request, error)


@reusing.exception_handler(404)
async def lost(request: Request, error: HTTPException):
    return JSONResponse({"lost": request.url.path}, status_code=404)


@reusing.get("/items/{item_id}")
async def reusing_read(item_id: int):
    if item_id == 3:
        raise HTTPException(status_code=418, detail="no")
    if item_id == 4:
        raise HTTPException(status_code=404, detail="no")
    return {"item_id": item_id}


@reusing.get("/seen")
async def seen():
    return SEEN


debugging = FastAPI(debug=False)


@debugging.get("/crash")
async def debugging_crash():
    raise ValueError("x")
