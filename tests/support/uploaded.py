"""Raw routes that take their bodies as they arrive, for tests that serve them in other interpreters and processes.

Owns: each way to take a body, on a loop and off it, and what is answered when it is not as it should be. Does not own: what
is asked (the tests).
Rule: that of `apart`.
"""

import asyncio
import hashlib
import os
import threading
from pathlib import Path

from turboapi_rs import FormError, RawRequest, Server, Upload

server = Server()
SAVED = Path(__file__).with_name("saved.bin")


def note(line):
    if log := os.environ.get("TURBOAPI_TEST_LOG"):
        with open(log, "a") as file:
            file.write(line + "\n")


@server.post("/pieces")
async def pieces(upload: Upload):
    digest, size = hashlib.sha256(), 0
    async for piece in upload:
        assert type(piece) is bytes
        digest.update(piece)
        size += len(piece)
        note(f"took {size}")
    return {"size": size, "sha256": digest.hexdigest()}


@server.post("/pieces/sync")
def pieces_sync(upload: Upload):
    digest, size = hashlib.sha256(), 0
    for piece in upload:
        digest.update(piece)
        size += len(piece)
        note(f"took {size}")
    return {"size": size, "sha256": digest.hexdigest()}


@server.post("/read")
async def read(upload: Upload):
    return 200, "text/plain", await upload.read()


@server.post("/read/sync")
def read_sync(upload: Upload):
    return 200, "text/plain", upload.read()


async def back(upload):
    async for piece in upload:
        yield piece.swapcase()


@server.post("/back")
async def sent_back(upload: Upload):
    return 200, "text/plain", b"", back(upload), {}


def told(form):
    with form:
        return [
            [name, value if isinstance(value, str) else [value.filename, value.content_type, value.size, digest(value)]]
            for name, value in form
        ]


def digest(file):
    return hashlib.sha256(file.read()).hexdigest()


@server.post("/form")
async def form(upload: Upload):
    return told(await upload.form())


@server.post("/form/sync")
def form_sync(upload: Upload):
    return told(upload.form())


@server.post("/form/caught")
async def form_caught(upload: Upload):
    try:
        return told(await upload.form())
    except FormError as error:
        return {"args": error.args, "is": isinstance(error, ValueError)}


def saved(size):
    content = SAVED.read_bytes()
    SAVED.unlink()
    return {"size": size, "is": [len(content), hashlib.sha256(content).hexdigest()]}


@server.post("/save")
async def save(upload: Upload):
    return saved(await upload.save_to(SAVED))


@server.post("/save/sync")
def save_sync(upload: Upload):
    return saved(upload.save_to(path=str(SAVED)))


@server.post("/save/nowhere")
async def save_nowhere(upload: Upload):
    try:
        await upload.save_to(SAVED.with_name("absent") / "saved.bin")
    except OSError as error:
        return {"errno": error.errno, "type": type(error).__name__}


@server.post("/save/wrong")
async def save_wrong(upload: Upload):
    try:
        await upload.save_to(7)
    except TypeError:
        return "TypeError"


@server.post("/left")
async def left(upload: Upload):
    note("asked")
    try:
        await upload.save_to(SAVED)
    except BaseException as error:
        note(type(error).__name__)
        raise


@server.post("/left/sync")
def left_sync(upload: Upload):
    note("asked")
    try:
        for _ in upload:
            pass
    except BaseException as error:
        note(type(error).__name__)
        raise


@server.post("/twice")
async def twice(upload: Upload):
    found = [(await upload.read()).decode(), [piece async for piece in upload]]
    try:
        await upload.read()
    except RuntimeError as error:
        found.append(str(error))
    return found


@server.post("/twice/sync")
def twice_sync(upload: Upload):
    found = [upload.read().decode(), list(upload)]
    try:
        upload.read()
    except RuntimeError as error:
        found.append(str(error))
    return found


@server.post("/wrong-way")
async def wrong_way(upload: Upload):
    found = []
    try:
        next(upload)
    except RuntimeError as error:
        found.append(str(error))
    try:
        await asyncio.to_thread(upload.__anext__)
    except RuntimeError as error:
        found.append(str(error))
    return [*found, (await upload.read()).decode()]


@server.post("/tasks")
async def tasks(upload: Upload):
    """Of two tasks that ask at once, one is refused."""
    first = asyncio.ensure_future(anext(upload))
    await asyncio.sleep(0)
    try:
        await anext(upload)
    except RuntimeError as error:
        refused = str(error)
    else:
        refused = None
    note("asked")
    return [refused, (await first).decode(), (await upload.read()).decode()]


@server.post("/threads")
def threads(upload: Upload):
    """What several threads of the handler's own took, together."""
    found, lock = [], threading.Lock()

    def take():
        for piece in upload:
            with lock:
                found.append(piece)

    each = [threading.Thread(target=take) for _ in range(3)]
    for thread in each:
        thread.start()
    for thread in each:
        thread.join()
    return {"size": sum(map(len, found))}


@server.post("/thread")
async def in_a_thread(upload: Upload):
    return (await asyncio.to_thread(b"".join, upload)).decode()


@server.post("/raises")
async def raises(upload: Upload):
    await anext(upload)
    raise KeyError("what")


@server.post("/skipped")
def skipped(upload: Upload):
    return "skipped"


@server.post("/named/{name}")
async def named(name: str, upload: Upload, whole: RawRequest, n: int = 1):
    request = upload.request
    shown = [request.method, request.path, request.header("X-Text"), request.body.decode(), repr(request)]
    return [name, n, len(await upload.read()), shown, whole.path_params, request.is_disconnected()]
