"""`fastapi.encoders`, passed on as it is."""

from fastapi.encoders import *  # noqa: F403
import fastapi.encoders as _source


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
