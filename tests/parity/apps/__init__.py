"""FastAPI apps for the referee: ordinary code, as a user would write it, and nothing that differs from run to run."""

import inspect
from typing import Any


def known(function: Any, **options: Any) -> dict[str, Any]:
    """Those of `options` that this FastAPI has: the apps are made on the lowest version, too."""
    return {name: value for name, value in options.items() if name in inspect.signature(function).parameters}
