"""`fastapi.testclient`, passed on as it is."""

from fastapi.testclient import *  # noqa: F403
import fastapi.testclient as _source


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
