"""Files: bytes, UploadFile, several, with form fields, optional."""

import hashlib
from typing import Annotated

from fastapi import FastAPI, File, Form, UploadFile

app = FastAPI()


def about(file: UploadFile, content: bytes) -> dict:
    return {
        "filename": file.filename,
        "type": file.content_type,
        "size": file.size,
        "headers": sorted(file.headers.items()),
        "sha": hashlib.sha256(content).hexdigest(),
    }


@app.post("/bytes")
async def as_bytes(file: Annotated[bytes, File()]):
    return {"length": len(file)}


@app.post("/upload")
async def as_upload(file: UploadFile):
    return about(file, await file.read())


@app.post("/upload-sync")
def as_upload_sync(file: UploadFile):
    return about(file, file.file.read())


@app.post("/optional")
async def optional(file: UploadFile | None = None):
    return {"file": file and file.filename}


@app.post("/many")
async def many(files: list[UploadFile]):
    return [about(file, await file.read()) for file in files]


@app.post("/many-bytes")
async def many_bytes(files: Annotated[list[bytes], File(description="several")]):
    return [len(file) for file in files]


@app.post("/mixed")
async def mixed(file: Annotated[bytes, File()], fileb: Annotated[UploadFile, File()], token: Annotated[str, Form()]):
    return {"size": len(file), "token": token, "type": fileb.content_type, "content": (await fileb.read()).decode()}


@app.post("/seek")
async def seek(file: UploadFile):
    first = await file.read(3)
    await file.seek(1)
    rest = await file.read()
    await file.write(b"!")
    await file.seek(0)
    return {"first": first.decode(), "rest": rest.decode(), "all": (await file.read()).decode()}
