"""What the servers under load serve: the same answer, each in its own way."""

import json

from fastapi import FastAPI

BODY = json.dumps({"message": "Hello World"}, separators=(",", ":")).encode()


async def rsgi(scope, proto):
    """granian's own protocol."""
    proto.response_bytes(
        status=200, headers=[("content-type", "application/json")], body=json.dumps({"message": "Hello World"}).encode()
    )


async def asgi(scope, receive, send):
    """Plain ASGI."""
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": BODY})


fastapi = FastAPI()


@fastapi.get("/")
async def hello():
    """FastAPI, async."""
    return {"message": "Hello World"}
