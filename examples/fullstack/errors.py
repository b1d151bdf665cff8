"""Errors of the application, and what is answered to them."""

from fastapi import FastAPI, Request
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response


class Conflict(Exception):
    """Something that must be unique is there already."""

    def __init__(self, kind: str, value: str) -> None:
        self.kind = kind
        self.value = value


def conflict(request: Request, error: Conflict) -> Response:
    """409."""
    return JSONResponse({"detail": f"The {error.kind} {error.value} already exists in the system"}, status_code=409)


async def invalid(request: Request, error: RequestValidationError) -> Response:
    """FastAPI's own answer, counted."""
    response = await request_validation_exception_handler(request, error)
    response.headers["X-Error-Count"] = str(len(error.errors()))
    return response


def add_handlers(app: FastAPI) -> None:
    """Tell an application what to answer."""
    app.add_exception_handler(Conflict, conflict)
    app.add_exception_handler(RequestValidationError, invalid)
