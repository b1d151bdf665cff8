"""Forms: fields, models, defaults, lists, limits."""

from typing import Annotated

from fastapi import Depends, FastAPI, Form, Request, Response
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


class LooseForm(BaseModel):
    model_config = {"extra": "allow"}
    a: list[str] = []
    b: str | None = None


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


@app.post("/loose")
async def loose(data: Annotated[LooseForm, Form()]):
    return data


def who(name: Annotated[str, Form()], age: Annotated[int, Form()] = 1):
    return name, age


@app.post("/depends")
async def depends(who: Annotated[tuple, Depends(who)], note: Annotated[str, Form()] = "-"):
    return {"who": who, "note": note}


@app.post("/depends-model")
def depends_model(response: Response, who: Annotated[tuple, Depends(who)], data: Annotated[LooseForm, Form()]):
    response.headers["x-who"] = str(who)
    return data


@app.post("/mixed")
def mixed(
    q: int,
    name: Annotated[str, Form(alias="full-name")],
    limits: Annotated[dict[str, float], Form()] = {"x": 1.0},  # noqa: B006, FastAPI copies it
    ids: Annotated[set[int], Form()] = {1},  # noqa: B006, FastAPI copies it
    ratio: Annotated[float, Form(gt=0)] = 0.5,
):
    return {"q": q, "name": name, "limits": limits, "ids": sorted(ids), "ratio": ratio}


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
