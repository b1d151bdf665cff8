"""The GIL: whether it is on, who turned it on, what follows for a server.

Owns: detection, the name of the culprit, `--gil`, the workers that pay. Does not own: threads (`turboapi_rs._core`).
Rule: said in one line, once; a free-threaded build is watched for a GIL that comes on later.
Source: PEP 703; CPython `Python/import.c`, which turns the GIL on for an extension module that does not declare that it
can do without, and warns with the module's name.
"""

from __future__ import annotations

import dataclasses
import re
import sys
import sysconfig
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from turboapi_rs.config import ConfigError, ServerConfig
from turboapi_rs.replaced import Replacement

__all__ = ["check_gil", "culprit_noted", "is_on", "reason", "settle", "watch"]

#: The start of CPython's warning, and the module in it.
_WARNING = re.compile(r"The global interpreter lock \(GIL\) has been enabled to load module '([^']+)'")

#: What CPython's warning was seen to name.
_culprits: list[str] = []


def is_on() -> bool:
    """Say whether the GIL is on at this moment."""
    return getattr(sys, "_is_gil_enabled", lambda: True)()


def is_free_threaded_build() -> bool:
    """Say whether this interpreter can run without the GIL."""
    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def reason() -> str | None:
    """Say why the GIL is on; `None` when it is off."""
    if not is_on():
        return None
    if not is_free_threaded_build():
        return "this Python is built with it"
    if sys.flags.gil == 1:
        return "PYTHON_GIL=1 or -X gil=1 asks for it"
    culprit = next(iter(_culprits), None) or _culprit_of_registries()
    if culprit is not None:
        return f"the extension module {culprit!r} turned it on"
    return "an extension module turned it on"


def _note_culprits() -> Callable[[], None]:
    if is_on():
        return lambda: None
    before = warnings.showwarning

    def show(message: Any, category: type[Warning], filename: str, lineno: int, *rest: Any, **named: Any) -> None:
        found = _WARNING.match(str(message))
        if found is None:
            before(message, category, filename, lineno, *rest, **named)
        else:
            _culprits.append(found[1])

    def restore() -> None:
        # The application may have put its own there, which calls ours.
        if warnings.showwarning is show:
            warnings.showwarning = before

    # Whatever filters the environment sets: the warning is asked for. It comes once in a process, so it may stay.
    warnings.filterwarnings("default", message=r"The global interpreter lock \(GIL\)", category=RuntimeWarning)
    warnings.showwarning = show
    return restore


culprit_noted = Replacement(_note_culprits)
"""Notes which module turns the GIL on in a `with` block. CPython's own lines of warning are taken for ours."""


def _culprit_of_registries() -> str | None:
    """Find the module in what the `warnings` module remembers of warnings that it has shown."""
    for module in list(sys.modules.values()):
        registry = getattr(module, "__warningregistry__", None)
        for key in list(registry) if isinstance(registry, dict) else ():
            text = key[0] if isinstance(key, tuple) and key else None
            if isinstance(text, str) and (found := _WARNING.match(text)):
                return found[1]
    return None


def check_gil(config: ServerConfig) -> None:
    """Compare what was asked of the GIL with what is. Call it after the application was imported.

    Raises:
        ConfigError: `gil="refuse"` and the GIL is on, or `gil="require"` and it is off.
    """
    why = reason()
    if config.gil == "refuse" and why is not None:
        raise ConfigError(f"gil: refuse, but the GIL is on: {why}")
    if config.gil == "require" and why is None:
        raise ConfigError("gil: require, but the GIL is off: start Python with PYTHON_GIL=1")


def settle(config: ServerConfig) -> tuple[ServerConfig, str | None]:
    """Check `config.gil`, settle the workers that were left open, and give the line to say about it, if any.

    Where the GIL is on, one worker in one interpreter is as fast as many: so that is what `workers=None` means there.

    Raises:
        ConfigError: as `check_gil`.
    """
    check_gil(config)
    why = reason()
    is_alone = why is not None and config.isolation == "shared"
    workers = config.workers
    if workers is None:
        workers = 1 if is_alone else 0
    settled = dataclasses.replace(config, workers=workers)
    if why is None:
        return settled, None
    line = f"turboapi: the GIL is on ({why})"
    if is_alone and config.workers is None:
        line += ": 1 worker; --workers N overrides"
    return settled, line


def watch() -> Iterator[str | None]:
    """Look again at each step: gives one line, once, when the GIL was turned on after the start; else `None`."""
    while not is_on():
        yield None
    why = reason()
    yield f"turboapi WARN: the GIL was turned on while serving ({why}): workers take turns from now on"
    while True:
        yield None
