"""One entity, several models; unions, lists and dicts of models."""

from typing import Annotated, Literal

from fastapi import FastAPI
from pydantic import BaseModel, Field

app = FastAPI()


class UserBase(BaseModel):
    username: str
    email: str


class UserIn(UserBase):
    password: str


class UserOut(UserBase):
    pass


class Car(BaseModel):
    type: Literal["car"] = "car"
    description: str


class Plane(BaseModel):
    type: Literal["plane"] = "plane"
    description: str
    size: int


VEHICLES = {"item1": {"description": "low"}, "item2": {"description": "high", "type": "plane", "size": 5}}


@app.post("/user/", response_model=UserOut)
async def create(user: UserIn):
    return {**user.model_dump(), "hashed": "supersecret" + user.password}


@app.get("/items/{item_id}", response_model=Plane | Car)
async def union(item_id: str):
    return VEHICLES[item_id]


@app.get("/tagged/{item_id}", response_model=Annotated[Plane | Car, Field(discriminator="type")])
async def tagged(item_id: str):
    return {"type": "car", **VEHICLES[item_id]}


@app.get("/weights", response_model=dict[str, float])
async def weights():
    return {"foo": 2.3, "bar": 3}


@app.get("/list", response_model=list[Car])
async def listed():
    return [{"description": "a"}, {"description": "b", "size": 1}]
