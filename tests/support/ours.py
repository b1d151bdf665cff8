"""Whether this checkout's server can be used, and the settings that CI varies.

Owns: the skip of tests that need the extension, the driver and the worker count under test.
"""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import pytest


def has_server() -> bool:
    """True when the extension is built for this interpreter."""
    try:
        return importlib.util.find_spec("turboapi_rs._core") is not None
    except ModuleNotFoundError:
        return False


needs_server = pytest.mark.skipif(not has_server(), reason="turboapi_rs._core is not built for this interpreter")

DRIVER = os.environ.get("TURBOAPI_TEST_DRIVER", "auto")
"""The I/O driver under test."""

WORKERS = int(os.environ.get("TURBOAPI_TEST_WORKERS", "1"))
"""How many workers each server under test has."""


def settings(**more: Any) -> dict[str, Any]:
    """Server settings under test, with `more`."""
    return {"driver": DRIVER, "workers": WORKERS, **more}
