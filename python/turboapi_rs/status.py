"""`starlette.status`, passed on as it is."""

import starlette.status as _source
from starlette.status import *  # noqa: F403


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
