"""`fastapi.params`, passed on as it is."""

import fastapi.params as _source
from fastapi.params import *  # noqa: F403


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
