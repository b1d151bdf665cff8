"""`fastapi.params`, passed on as it is."""

from fastapi.params import *  # noqa: F403
import fastapi.params as _source


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
