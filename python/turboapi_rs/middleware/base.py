"""`starlette.middleware.base`, passed on as it is."""

from starlette.middleware.base import *  # noqa: F403
import starlette.middleware.base as _source


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
