"""Bigger applications: routers in routers, prefixes, dependencies, response classes, a path parameter in a prefix."""

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Query
from fastapi.responses import HTMLResponse, PlainTextResponse


async def token_header(x_token: Annotated[str, Header()]):
    if x_token != "fake-super-secret-token":
        raise HTTPException(status_code=400, detail="X-Token header invalid")


async def query_token(token: str):
    if token != "jessica":
        raise HTTPException(status_code=400, detail="No Jessica token provided")


users = APIRouter()


@users.get("/users/", tags=["users"])
async def read_users():
    return [{"username": "Rick"}, {"username": "Morty"}]


@users.get("/users/{username}")
def read_user(username: str):
    return {"username": username}


items = APIRouter(prefix="/items", dependencies=[Depends(token_header)], responses={404: {"description": "Not found"}})


@items.get("/")
async def read_items():
    return {"plumbus": {"name": "Plumbus"}}


@items.get("/{item_id}")
async def read_item(item_id: str):
    if item_id not in ("plumbus", "gun"):
        raise HTTPException(status_code=404, detail="Item not found")
    return {"item_id": item_id}


@items.put("/{item_id}", responses={403: {"description": "Operation forbidden"}})
def update_item(item_id: str):
    if item_id != "plumbus":
        raise HTTPException(status_code=403, detail="You can only update the item: plumbus")
    return {"item_id": item_id}


admin = APIRouter()


@admin.post("/")
async def update_admin():
    return {"message": "Admin getting schwifty"}


deep = APIRouter(prefix="/deep", default_response_class=PlainTextResponse)


@deep.get("")
async def deep_root():
    return "deep root"


@deep.get("/html", response_class=HTMLResponse)
async def deep_html():
    return "<p>html</p>"


middle = APIRouter(prefix="/{team}")


@middle.get("/about")
async def about(team: str, limit: Annotated[int, Query(le=5)] = 1):
    return {"team": team, "limit": limit}


middle.include_router(deep)

app = FastAPI(dependencies=[Depends(query_token)])
app.include_router(users)
app.include_router(items)
app.include_router(admin, prefix="/admin", tags=["admin"], dependencies=[Depends(token_header)])
app.include_router(users, prefix="/again")
app.include_router(middle, prefix="/teams")


@app.get("/")
async def root():
    return {"message": "Hello Bigger Applications!"}


other = APIRouter(redirect_slashes=False)


@other.get("/slash/")
async def slash():
    return {}


fixed = FastAPI(redirect_slashes=False, docs_url=None, redoc_url=None, openapi_url=None)
fixed.include_router(other)
