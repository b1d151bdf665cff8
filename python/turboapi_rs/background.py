"""`fastapi.background`, passed on as it is."""

import fastapi.background as _source
from fastapi.background import *  # noqa: F403


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
