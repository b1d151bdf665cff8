"""Cookies, one by one and as a model."""

from typing import Annotated

from fastapi import Cookie, FastAPI, Request
from pydantic import BaseModel

app = FastAPI()


class Cookies(BaseModel):
    session_id: str
    fatebook_tracker: str | None = None
    count: int = 0


class Strict(BaseModel):
    model_config = {"extra": "forbid"}
    session_id: str


@app.get("/one")
async def one(ads_id: Annotated[str | None, Cookie()] = None):
    return {"ads_id": ads_id}


@app.get("/typed")
def typed(n: Annotated[int, Cookie(ge=0)], b: Annotated[bool, Cookie(alias="is-new")] = False):
    return {"n": n, "b": b}


@app.get("/model")
async def model(cookies: Annotated[Cookies, Cookie()]):
    return cookies


@app.get("/strict")
async def strict(cookies: Annotated[Strict, Cookie()]):
    return cookies


@app.get("/all")
async def every(request: Request):
    return request.cookies
