"""`fastapi.requests`, passed on as it is."""

from fastapi.requests import *  # noqa: F403
import fastapi.requests as _source


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
