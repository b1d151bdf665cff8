"""`fastapi.middleware.httpsredirect`, passed on as it is."""

import fastapi.middleware.httpsredirect as _source
from fastapi.middleware.httpsredirect import *  # noqa: F403


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
