"""`fastapi.middleware.gzip`, passed on as it is."""

import fastapi.middleware.gzip as _source
from fastapi.middleware.gzip import *  # noqa: F403


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
