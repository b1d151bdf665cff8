"""Dependencies: functions, classes, sub-dependencies, caching, decorators, global, overridden, special parameters."""

from functools import partial
from typing import Annotated, Any

from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Query,
    Request,
    Response,
)
from fastapi.requests import HTTPConnection
from pydantic import BaseModel, Field

app = FastAPI()
ITEMS = [{"item_name": "Foo"}, {"item_name": "Bar"}, {"item_name": "Baz"}]


async def common(q: str | None = None, skip: int = 0, limit: int = 100):
    return {"q": q, "skip": skip, "limit": limit}


Commons = Annotated[dict, Depends(common)]


@app.get("/items/")
async def read_items(commons: Commons):
    return commons


@app.get("/users/")
def read_users(commons: Commons, limit: int = 5):
    return {"commons": commons, "limit": limit}


class CommonParams:
    def __init__(self, q: str | None = None, skip: int = 0, limit: int = 100):
        self.q, self.skip, self.limit = q, skip, limit


@app.get("/class/")
async def by_class(commons: Annotated[CommonParams, Depends()]):
    found = {"items": ITEMS[commons.skip : commons.skip + commons.limit]}
    return {**found, "q": commons.q} if commons.q else found


def query_extractor(q: str | None = None):
    return q


def query_or_cookie(
    q: Annotated[str | None, Depends(query_extractor)], last_query: Annotated[str | None, Cookie()] = None
):
    return q or last_query


@app.get("/sub/")
async def sub(found: Annotated[str | None, Depends(query_or_cookie)]):
    return {"q_or_cookie": found}


class Counter:
    """Counts its calls; an instance is a dependency."""

    def __init__(self):
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.calls


counter = Counter()


def one(n: Annotated[int, Depends(counter)]):
    return n


def two(n: Annotated[int, Depends(counter)]):
    return n


def fresh(n: Annotated[int, Depends(counter, use_cache=False)]):
    return n


@app.get("/cached")
async def cached(a: Annotated[int, Depends(one)], b: Annotated[int, Depends(two)]):
    return {"same": a == b}


@app.get("/uncached")
async def uncached(a: Annotated[int, Depends(one)], b: Annotated[int, Depends(fresh)]):
    return {"apart": b - a}


async def verify_token(x_token: Annotated[str, Header()]):
    if x_token != "fake-super-secret-token":
        raise HTTPException(status_code=400, detail="X-Token header invalid")


async def verify_key(x_key: Annotated[str, Header()]):
    if x_key != "fake-super-secret-key":
        raise HTTPException(status_code=400, detail="X-Key header invalid")
    return x_key


@app.get("/decorated/", dependencies=[Depends(verify_token), Depends(verify_key)])
async def decorated():
    return ITEMS


class Page(BaseModel):
    size: int = 10


def with_body(page: Page, more: Annotated[int, Body()] = 0):
    return page.size + more


@app.post("/body-in-dependency")
async def body_in_dependency(total: Annotated[int, Depends(with_body)], extra: Annotated[str, Body()] = "e"):
    return {"total": total, "extra": extra}


class Filter(BaseModel):
    name: str = Field(min_length=2)
    sizes: list[int] = []


def read_filter(item: Filter):
    return item


async def read_members(name: Annotated[str, Body(min_length=2)], n: Annotated[int, Body(ge=0)] = 5):
    return {"name": name, "n": n}


def read_nested(found: Annotated[Filter, Depends(read_filter)], q: int = 0):
    return {"q": q, "found": found}


def yield_filter(item: Annotated[Filter, Body(embed=True)]):
    yield item


def refuse(x_refuse: Annotated[str | None, Header()] = None):
    if x_refuse:
        raise HTTPException(403, x_refuse)


@app.post("/body/model")
async def body_model(found: Annotated[Filter, Depends(read_filter)]):
    return {"type": type(found).__name__, "set": sorted(found.model_fields_set), "found": found}


@app.post("/body/members", dependencies=[Depends(refuse)])
def body_members(found: Annotated[dict, Depends(read_members)]):
    return found


@app.post("/body/nested/{number}")
async def body_nested(number: int, found: Annotated[dict, Depends(read_nested)]):
    return {"number": number, **found}


@app.post("/body/yield")
async def body_yield(found: Annotated[Filter, Depends(yield_filter)]):
    return found


@app.post("/body/twice")
async def body_twice(
    found: Annotated[Filter, Depends(read_filter)], again: Annotated[Filter, Depends(read_filter, use_cache=False)]
):
    return {"same": found is again, "equal": found == again}


@app.post("/body/cached")
async def body_cached(found: Annotated[Filter, Depends(read_filter)], again: Annotated[dict, Depends(read_nested)]):
    return {"same": found is again["found"], "q": again["q"]}


def with_model(page: Annotated[Page, Query()]):
    return page


@app.get("/model-in-dependency")
def model_in_dependency(page: Annotated[Page, Depends(with_model)]):
    return page


def path_reader(item_id: int):
    return item_id * 2


@app.get("/path/{item_id}")
async def path_in_dependency(item_id: str, doubled: Annotated[int, Depends(path_reader)]):
    return {"item_id": item_id, "doubled": doubled}


def special(request: Request, response: Response, tasks: BackgroundTasks, connection: HTTPConnection):
    response.headers["x-from-dependency"] = request.method
    response.set_cookie("dep", "1")
    return {"same": request is connection, "path": connection.url.path, "tasks": type(tasks).__name__}


@app.get("/special")
async def special_params(found: Annotated[dict, Depends(special)], response: Response):
    response.headers["x-from-handler"] = "yes"
    return found


class FixedContent:
    def __init__(self, fixed: str):
        self.fixed = fixed

    def __call__(self, q: str = "") -> bool:
        return self.fixed in q

    async def later(self, q: str = "") -> str:
        return q[::-1]


checker = FixedContent("bar")


@app.get("/callable")
async def by_callable(found: Annotated[bool, Depends(checker)], turned: Annotated[str, Depends(checker.later)]):
    return {"found": found, "turned": turned}


def scaled(factor: int, n: int):
    return n * factor


@app.get("/partial")
async def by_partial(n: Annotated[int, Depends(partial(scaled, 3))]):
    return {"n": n}


@app.get("/lambda")
async def by_lambda(n: Annotated[Any, Depends(lambda: {"from": "lambda"})]):
    return n


def fails(status: int = 400):
    raise HTTPException(status, detail="from a dependency", headers={"x-dep": "1"})


@app.get("/fails", dependencies=[Depends(fails)])
async def never():
    return {"never": True}


def crashes():
    raise RuntimeError("dependency crashed")


@app.get("/crashes")
async def crashing(x: Annotated[None, Depends(crashes)], n: int):
    return {"never": True}


ORDER: list[str] = []


def step(name: str):
    def run():
        ORDER.append(name)
        return name

    return run


router = APIRouter(prefix="/ordered", dependencies=[Depends(step("router"))])


@router.get("/route", dependencies=[Depends(step("decorator 1")), Depends(step("decorator 2"))])
async def ordered(a: Annotated[str, Depends(step("parameter"))]):
    taken, ORDER[:] = list(ORDER), []
    return taken


app.include_router(router, dependencies=[Depends(step("include"))])


def original():
    return "original"


def replacement(q: str = "none"):
    return f"replaced {q}"


@app.get("/overridden")
async def overridden(value: Annotated[str, Depends(original)]):
    return {"value": value}


app.dependency_overrides[original] = replacement

guarded = FastAPI(dependencies=[Depends(verify_token), Depends(verify_key)])


@guarded.get("/items/")
async def guarded_items():
    return [{"item": "Portal Gun"}, {"item": "Plumbus"}]


@guarded.post("/items/")
def guarded_create(page: Page):
    return page
