"""A Pydantic model for the whole query."""

from typing import Annotated, Literal

from fastapi import FastAPI, Query
from pydantic import BaseModel, Field, model_validator

app = FastAPI()


class Filter(BaseModel):
    limit: int = Field(100, gt=0, le=100)
    offset: int = Field(0, ge=0)
    order_by: Literal["created_at", "updated_at"] = "created_at"
    tags: list[str] = []


class Strict(Filter):
    model_config = {"extra": "forbid"}


class Open(BaseModel):
    model_config = {"extra": "allow"}
    known: int


class Aliased(BaseModel):
    page_size: int = Field(alias="pageSize")


class Checked(BaseModel):
    low: int
    high: int

    @model_validator(mode="after")
    def in_order(self):
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


@app.get("/items/")
async def items(filter_query: Annotated[Filter, Query()]):
    return filter_query


@app.get("/strict/")
async def strict(filter_query: Annotated[Strict, Query()]):
    return filter_query


@app.get("/open/")
async def open_(query: Annotated[Open, Query()]):
    return query


@app.get("/aliased/")
def aliased(query: Annotated[Aliased, Query()]):
    return {"size": query.page_size}


@app.get("/checked/")
async def checked(query: Annotated[Checked, Query()]):
    return query
