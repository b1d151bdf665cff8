"""`fastapi.middleware.trustedhost`, passed on as it is."""

import fastapi.middleware.trustedhost as _source
from fastapi.middleware.trustedhost import *  # noqa: F403


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
