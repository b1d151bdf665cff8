"""Rules on text in the query: length, pattern, alias, deprecated, hidden, custom validators."""

from typing import Annotated

from fastapi import FastAPI, Query
from pydantic import AfterValidator, BeforeValidator, Json

app = FastAPI()


def must_start(value: str) -> str:
    if not value.startswith(("isbn-", "imdb-")):
        raise ValueError('it must start with "isbn-" or "imdb-"')
    return value


@app.get("/length")
async def length(q: Annotated[str | None, Query(min_length=3, max_length=5)] = None):
    return {"q": q}


@app.get("/pattern")
async def pattern(q: Annotated[str, Query(pattern="^fixed[0-9]+$")]):
    return {"q": q}


@app.get("/default")
async def default(q: Annotated[str, Query(min_length=3)] = "fixedquery"):
    return {"q": q}


@app.get("/alias")
def alias(
    q: Annotated[str | None, Query(alias="item-query", title="Query", description="long", deprecated=True)] = None,
):
    return {"q": q}


@app.get("/validation-alias")
async def validation_alias(q: Annotated[str, Query(validation_alias="other")] = "none"):
    return {"q": q}


@app.get("/hidden")
async def hidden(q: Annotated[str | None, Query(include_in_schema=False)] = None):
    return {"q": q or "not found"}


@app.get("/lists")
async def lists(q: Annotated[list[str], Query(min_length=1, max_length=2)] = ["foo", "bar"]):  # noqa: B006
    return {"q": q}


@app.get("/validator")
async def validator(id: Annotated[str | None, AfterValidator(must_start)] = None):
    return {"id": id}


@app.get("/before")
async def before(n: Annotated[int, BeforeValidator(lambda v: v.strip("#")), Query()]):
    return {"n": n}


@app.get("/json")
async def json_value(data: Annotated[Json[list[int]], Query()]):
    return {"data": data}


@app.get("/strict")
async def strict(n: Annotated[int, Query(strict=True)]):
    return {"n": n}


@app.get("/factory")
async def factory(n: Annotated[list[int], Query(default_factory=lambda: [1, 2])]):
    return {"n": n}
