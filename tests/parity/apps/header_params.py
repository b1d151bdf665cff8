"""Headers, one by one and as a model."""

from typing import Annotated

from fastapi import FastAPI, Header, Request
from pydantic import BaseModel

app = FastAPI()


class Common(BaseModel):
    host: str
    save_data: bool
    if_modified_since: str | None = None
    x_tag: list[str] = []


class Strict(BaseModel):
    model_config = {"extra": "forbid"}
    host: str
    save_data: bool


@app.get("/agent")
async def agent(user_agent: Annotated[str | None, Header()] = None):
    return {"User-Agent": user_agent}


@app.get("/underscored")
async def underscored(strange_header: Annotated[str | None, Header(convert_underscores=False)] = None):
    return {"strange_header": strange_header}


@app.get("/tokens")
def tokens(x_token: Annotated[list[str] | None, Header()] = None):
    return {"X-Token values": x_token}


@app.get("/typed")
async def typed(
    x_count: Annotated[int, Header(le=10)], x_key: Annotated[str, Header(alias="X-Api-Key", min_length=3)] = "none"
):
    return {"count": x_count, "key": x_key}


@app.get("/model")
async def model(headers: Annotated[Common, Header()]):
    return headers


@app.get("/strict")
async def strict(headers: Annotated[Strict, Header()]):
    return headers


@app.get("/unconverted")
async def unconverted(headers: Annotated[Common, Header(convert_underscores=False)]):
    return headers


@app.get("/all")
async def every(request: Request):
    return {"raw": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.headers.raw]}
