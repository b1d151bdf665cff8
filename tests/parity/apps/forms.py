"""Forms: fields, models, defaults, lists, limits."""

from typing import Annotated

from fastapi import FastAPI, Form, Request
from pydantic import BaseModel, Field

app = FastAPI()


class FormData(BaseModel):
    username: str
    password: str = Field(min_length=3)
    tags: list[str] = []
    with_alias: int | None = Field(default=None, alias="with-alias")


class StrictForm(BaseModel):
    model_config = {"extra": "forbid"}
    username: str
    password: str


@app.post("/login")
async def login(username: Annotated[str, Form()], password: Annotated[str, Form()]):
    return {"username": username, "password": password}


@app.post("/typed")
def typed(
    n: Annotated[int, Form(ge=0)],
    b: Annotated[bool, Form()] = False,
    names: Annotated[list[str] | None, Form()] = None,
    text: Annotated[str, Form(max_length=3)] = "abc",
):
    return {"n": n, "b": b, "names": names, "text": text}


@app.post("/optional")
async def optional(q: Annotated[str | None, Form()] = None):
    return {"q": q}


@app.post("/model")
async def model(data: Annotated[FormData, Form()]):
    return data


@app.post("/strict")
async def strict(data: Annotated[StrictForm, Form()]):
    return data


@app.post("/request")
async def by_request(request: Request):
    form = await request.form()
    return {"items": [[key, value] for key, value in form.multi_items()]}


@app.post("/limited")
async def limited(request: Request):
    async with request.form(max_fields=3, max_part_size=100) as form:
        return {"count": len(form.multi_items())}


limited_app = (
    FastAPI(form_limits={"max_fields": 2, "max_part_size": 20})
    if "form_limits" in FastAPI.__init__.__annotations__
    else app
)
