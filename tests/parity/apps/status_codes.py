"""Status codes: declared, without a body, additional, changed by the handler."""

from typing import Annotated

from fastapi import Body, Depends, FastAPI, Response, status
from fastapi.responses import JSONResponse

app = FastAPI()
STORE: dict[str, str] = {"foo": "Fighters"}


@app.post("/items/", status_code=201)
async def created(name: str):
    return {"name": name}


@app.delete("/items/{name}", status_code=status.HTTP_204_NO_CONTENT)
async def deleted(name: str):
    return None


@app.delete("/with-value/{name}", status_code=204, response_model=None)
def deleted_with_value(name: str):
    return {"ignored": name}


@app.get("/reset", status_code=205)
async def reset():
    return None


@app.get("/unchanged", status_code=304)
async def unchanged():
    return None


@app.get("/odd", status_code=299)
async def odd():
    return {"odd": True}


@app.get("/teapot", status_code=418)
async def teapot():
    return {"tea": True}


@app.put("/upsert/{name}")
async def upsert(name: str, value: Annotated[str, Body(embed=True)]):
    if name in STORE:
        return {"name": name, "value": value}
    return JSONResponse(status_code=201, content={"name": name, "value": value})


@app.put("/change/{name}", status_code=200)
async def change(name: str, response: Response):
    if name not in STORE:
        response.status_code = 201
    return {"name": name}


@app.get("/change-to-none")
async def change_to_none(response: Response):
    response.status_code = 204
    return {"dropped": True}


def choose(response: Response, code: int = 202):
    response.status_code = code


@app.get("/by-dependency", dependencies=[Depends(choose)])
async def by_dependency():
    return {"chosen": "by a dependency"}


@app.get("/by-both", status_code=201)
async def by_both(response: Response, chosen: Annotated[None, Depends(choose)]):
    return {"chosen": chosen}
