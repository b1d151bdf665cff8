"""An application with one large file and one upload, for `test_large`; started by the command line."""

from __future__ import annotations

import hashlib
import os

from starlette.applications import Starlette
from starlette.responses import FileResponse, PlainTextResponse
from starlette.routing import Route
from turboapi_rs import Server, Upload

FILE = os.environ.get("LARGE_FILE", "")


async def download(request):
    return FileResponse(FILE)


async def upload(request):
    digest = hashlib.sha256()
    async for piece in request.stream():
        digest.update(piece)
    return PlainTextResponse(digest.hexdigest())


app = Starlette(routes=[Route("/file", download), Route("/upload", upload, methods=["POST"])])

server = Server()
if FILE:
    server.static_files("/files", os.path.dirname(FILE))


@server.post("/upload")
async def receive(upload: Upload):
    digest = hashlib.sha256()
    async for piece in upload:
        digest.update(piece)
    return 200, "text/plain", digest.hexdigest()


@server.post("/save")
async def save(upload: Upload):
    return 200, "text/plain", str(await upload.save_to(FILE + ".saved"))
