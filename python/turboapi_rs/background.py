"""`fastapi.background`, passed on as it is."""

from fastapi.background import *  # noqa: F403
import fastapi.background as _source


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
