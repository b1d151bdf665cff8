"""Static files, a frontend build, templates, files sent by hand."""

import os
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates

FILES = Path(os.environ.get("TURBOAPI_PARITY_FILES", "."))

app = FastAPI()
app.mount("/static", StaticFiles(directory=FILES / "site", check_dir=False), name="static")
app.mount("/html", StaticFiles(directory=FILES / "site", check_dir=False, html=True), name="html")
templates = Jinja2Templates(directory=FILES / "templates")


@app.get("/items/{id}", response_class=HTMLResponse)
async def read_item(request: Request, id: str):
    return templates.TemplateResponse(request=request, name="item.html", context={"id": id, "text": "<b>&</b>"})


@app.get("/missing-template")
async def missing_template(request: Request):
    return templates.TemplateResponse(request=request, name="none.html")


@app.get("/file", response_class=FileResponse)
async def file():
    return FILES / "site" / "numbers.bin"


@app.get("/download")
def download(name: str = "numbers.bin"):
    return FileResponse(FILES / "site" / "numbers.bin", filename=name, headers={"x-own": "1"})


@app.get("/lost-file")
async def lost_file():
    return FileResponse(FILES / "nowhere")


frontend = FastAPI()


@frontend.get("/api/ping")
async def ping():
    return {"pong": True}


frontend.frontend("/", directory=FILES / "site", fallback="index.html", check_dir=False)
