"""`starlette.status`, passed on as it is."""

from starlette.status import *  # noqa: F403
import starlette.status as _source


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
