"""`fastapi.middleware.cors`, passed on as it is."""

from fastapi.middleware.cors import *  # noqa: F403
import fastapi.middleware.cors as _source


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
