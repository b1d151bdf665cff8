"""`fastapi.routing`, passed on as it is."""

import fastapi.routing as _source
from fastapi.routing import *  # noqa: F403


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
