"""`starlette.middleware.sessions`, passed on as it is."""

from starlette.middleware.sessions import *  # noqa: F403
import starlette.middleware.sessions as _source


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
