"""`fastapi.middleware.wsgi`, passed on as it is."""

import fastapi.middleware.wsgi as _source
from fastapi.middleware.wsgi import *  # noqa: F403


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
