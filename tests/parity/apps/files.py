"""Files: bytes, UploadFile, several, with form fields, optional."""

import asyncio
import hashlib
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, File, Form, HTTPException, Request, UploadFile
from fastapi.responses import JSONResponse
from pydantic import BaseModel

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


kept: dict[str, UploadFile] = {}
seen: list[str] = []
PROCESSES = 1
"""One case reads what the one before it wrote, too."""


@app.post("/keep")
async def keep(file: UploadFile):
    kept["async"] = file
    return file.file.closed


@app.post("/keep-sync")
def keep_sync(file: UploadFile):
    kept["def"] = file
    return file.file.closed


@app.post("/keep-and-refuse")
async def keep_and_refuse(file: UploadFile):
    kept["refused"] = file
    raise HTTPException(418, "not today")


class Refused(Exception):
    def __init__(self, file: UploadFile):
        self.file = file


@app.exception_handler(Refused)
async def read_refused(request: Request, raised: Refused):
    seen.append("refused")
    kept["handled"] = raised.file
    return JSONResponse((await raised.file.read()).decode(), 409)


@app.get("/handled")
async def is_handled_file_closed():
    # It is closed when the answer has been sent, perhaps on another thread.
    for _ in range(1000):
        if kept["handled"].file.closed:
            return True
        await asyncio.sleep(0.005)
    return False


@app.post("/refuse")
async def refuse(file: UploadFile):
    raise Refused(file)


@app.post("/refuse-def")
def refuse_def(file: UploadFile):
    raise Refused(file)


@app.post("/refuse-later")
async def refuse_later(file: UploadFile):
    await asyncio.sleep(0)
    raise Refused(file)


@app.post("/refuse-with-request")
async def refuse_with_request(file: UploadFile, request: Request):
    raise Refused(file)


@app.get("/kept")
async def is_kept():
    return {name: file.file.closed for name, file in kept.items()}


def opened(file: UploadFile):
    seen.append("in")
    yield file.file.read().decode()
    seen.append(f"out, closed: {file.file.closed}")


async def counted(file: UploadFile, note: Annotated[str, Form()] = "none"):
    return {"size": file.size, "note": note}


@app.post("/in-dependency")
def in_dependency(text: Annotated[str, Depends(opened)]):
    return text


@app.post("/in-dependencies")
async def in_dependencies(text: Annotated[str, Depends(opened)], count: Annotated[dict, Depends(counted)]):
    return {"text": text, **count}


@app.post("/refuse-in-dependency")
def refuse_in_dependency(text: Annotated[str, Depends(opened)], file: UploadFile):
    raise Refused(file)


@app.post("/in-background")
async def in_background(file: UploadFile, tasks: BackgroundTasks):
    async def look():
        seen.append(f"background, closed: {file.file.closed}")

    tasks.add_task(look)
    return file.filename


@app.get("/seen")
async def seen_so_far(last: str):
    # What comes after an answer may come late: on another thread than the one that this request is read by.
    for _ in range(1000):
        if seen and seen[-1].startswith(last):
            break
        await asyncio.sleep(0.005)
    return seen


class Letter(BaseModel):
    subject: str
    file: UploadFile


@app.post("/model")
async def model(letter: Annotated[Letter, Form()]):
    return {"subject": letter.subject, "name": letter.file.filename}


@app.post("/fields")
async def fields(
    name: Annotated[str, Form()], numbers: Annotated[list[int], Form()], flag: Annotated[bool, Form()] = False
):
    return {"name": name, "numbers": numbers, "flag": flag}
