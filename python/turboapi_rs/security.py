"""`fastapi.security`, passed on as it is."""

from fastapi.security import *  # noqa: F403
import fastapi.security as _source


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
