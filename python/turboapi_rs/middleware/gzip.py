"""`fastapi.middleware.gzip`, passed on as it is."""

from fastapi.middleware.gzip import *  # noqa: F403
import fastapi.middleware.gzip as _source


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
