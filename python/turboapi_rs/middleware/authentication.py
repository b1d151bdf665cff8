"""`starlette.middleware.authentication`, passed on as it is."""

import starlette.middleware.authentication as _source
from starlette.middleware.authentication import *  # noqa: F403


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
