"""`starlette.middleware.base`, passed on as it is."""

import starlette.middleware.base as _source
from starlette.middleware.base import *  # noqa: F403


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
