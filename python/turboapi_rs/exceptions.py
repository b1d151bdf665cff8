"""`fastapi.exceptions`, passed on as it is."""

import fastapi.exceptions as _source
from fastapi.exceptions import *  # noqa: F403


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
