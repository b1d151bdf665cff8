"""`fastapi.staticfiles`, passed on as it is."""

import fastapi.staticfiles as _source
from fastapi.staticfiles import *  # noqa: F403


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
