"""Bounds on path and query numbers."""

from typing import Annotated

from fastapi import FastAPI, Path, Query

app = FastAPI()


@app.get("/ge/{x}")
async def ge(x: Annotated[int, Path(title="at least one", ge=1)]):
    return {"x": x}


@app.get("/gt-le/{x}")
async def gt_le(x: Annotated[int, Path(gt=0, le=1000)], q: str | None = None):
    return {"x": x, "q": q}


@app.get("/lt/{x}")
def lt(x: Annotated[float, Path(lt=10.5)], size: Annotated[float, Query(gt=0, lt=10.5)]):
    return {"x": x, "size": size}


@app.get("/multiple/{x}")
async def multiple(x: Annotated[int, Path(multiple_of=3)]):
    return {"x": x}


@app.get("/fractions/{x}")
async def fractions(x: Annotated[float, Path(multiple_of=0.25)]):
    return {"x": x}


@app.get("/finite/{x}")
async def finite(x: Annotated[float, Path(allow_inf_nan=False)]):
    return {"x": x}


@app.get("/default-style/{x}")
async def default_style(*, x: int = Path(ge=0, le=10), q: str = Query(alias="item-query")):
    return {"x": x, "q": q}
