"""`fastapi.middleware.trustedhost`, passed on as it is."""

from fastapi.middleware.trustedhost import *  # noqa: F403
import fastapi.middleware.trustedhost as _source


def __getattr__(name: str) -> object:
    return getattr(_source, name)


def __dir__() -> list[str]:
    return dir(_source)
