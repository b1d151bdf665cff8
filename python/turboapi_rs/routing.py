"""`fastapi.routing`, passed on as it is."""

from fastapi.routing import *  # noqa: F403
import fastapi.routing as _source


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
