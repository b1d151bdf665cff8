"""Path operation configuration, and what shows of it outside the schema: none of it, except in errors."""

from enum import Enum

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel

app = FastAPI()


class Tags(Enum):
    items = "items"
    users = "users"


class Item(BaseModel):
    name: str
    tags: set[str] = set()


@app.post("/items/", status_code=201, tags=["items"], summary="Create", response_description="The created item")
async def create(item: Item) -> Item:
    """
    Create an item:

    - **name**: each item must have a name
    \f
    :param item: user input.
    """
    return item


@app.get("/items/", tags=[Tags.items], operation_id="some_specific_id")
async def read():
    return [{"name": "Foo"}]


@app.get("/elements/", tags=[Tags.users], deprecated=True)
async def elements():
    return [{"item_id": "Foo"}]


@app.get("/hidden", include_in_schema=False)
async def hidden():
    return {"hidden": True}


@app.post(
    "/yaml-ish",
    openapi_extra={
        "requestBody": {"content": {"application/x-own": {"schema": Item.model_json_schema()}}, "required": True},
        "x-aperture-labs-portal": "blue",
    },
)
async def own_body(name: str = "n"):
    return {"name": name}


def own_id(route):
    return f"{route.tags[0] if route.tags else 'none'}-{route.name}"


router = APIRouter(generate_unique_id_function=own_id, tags=["own"], default_response_class=JSONResponse)


@router.get("/own-id", responses={418: {"description": "teapot", "model": Item}})
async def own_id_route():
    return {}


@router.get("/named", name="another")
async def named():
    return {"url": str(app.url_path_for("another"))}


app.include_router(router, prefix="/own", responses={404: {"description": "Not found"}})
