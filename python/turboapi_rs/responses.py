"""`fastapi.responses`, passed on as it is."""

from fastapi.responses import *  # noqa: F403
import fastapi.responses as _source


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
