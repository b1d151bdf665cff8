"""`fastapi.security`, passed on as it is."""

import fastapi.security as _source
from fastapi.security import *  # noqa: F403


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
