"""Finding an application by its string, such as `main:app`.

Owns: importing the module, walking to the attribute, calling a factory. Does not own: serving what was found.
Rule: whatever is wrong is one line that names module, attribute and cause.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.machinery
import marshal
import os
import sys
import types
from collections.abc import Callable
from typing import Any, NoReturn

from turboapi_rs import gil
from turboapi_rs.replaced import Replacement

__all__ = ["AppNotFound", "AppTarget", "load"]


class AppNotFound(Exception):
    """The application string leads nowhere. The text names module, attribute and cause."""


@dataclasses.dataclass(frozen=True, slots=True)
class AppTarget:
    """Where an application is to be found: what another process or interpreter can be told.

    Args:
        target: `module:attribute`.
        app_dir: put in front of the import path.
        factory: call the attribute to get the application.
    """

    target: str
    app_dir: str = "."
    factory: bool = False

    def load(self) -> Any:
        """Import it, as `load` does. Who turns the GIL on by it is noted."""
        with gil.culprit_noted, _as_from_cache:
            return load(self.target, app_dir=self.app_dir, factory=self.factory)


def _compile_as_from_cache() -> Callable[[], None]:
    """Have modules that are compiled from now on get the constants that they would have from a bytecode cache.

    Without the GIL, the numbers and bytes in code that was unmarshalled are immortal, and those of code that `compile`
    gave are not (CPython gh-118527): each use of one counts a reference on a cache line that all workers write, and two
    workers computed half as fast. That hit the first start, and every start where no bytecode is written.
    """
    if not gil.is_free_threaded_build():
        return lambda: None
    plain: Any = importlib.machinery.SourceFileLoader
    inherited = plain.source_to_code

    def source_to_code(self: Any, *arguments: Any, **named: Any) -> types.CodeType:
        return marshal.loads(marshal.dumps(inherited(self, *arguments, **named)))

    def restore() -> None:
        plain.source_to_code = inherited

    plain.source_to_code = source_to_code
    return restore


_as_from_cache = Replacement(_compile_as_from_cache)


def load(target: str, *, app_dir: str = ".", factory: bool = False) -> Any:
    """Import an application.

    Args:
        target: `module:attribute`; the attribute may be dotted, and is `app` when left out.
        app_dir: put in front of the import path.
        factory: call the attribute; what it returns is the application.

    Raises:
        AppNotFound: naming module, attribute and cause.
    """
    module_name, _, attribute = target.partition(":")
    attribute = attribute or "app"
    if not module_name:
        _lost(target, attribute, "no module is named; write module:attribute, such as main:app")
    folder = os.path.abspath(app_dir)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        found: Any = importlib.import_module(module_name)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        _lost(module_name, attribute, f"{type(error).__name__}: {error}", error)
    try:
        for part in attribute.split("."):
            found = getattr(found, part)
    except AttributeError as error:
        _lost(module_name, attribute, "the module has no such attribute", error)
    if factory:
        if not isinstance(found, Callable):  # type: ignore[arg-type]
            _lost(module_name, attribute, "it is no factory: it cannot be called")
        try:
            found = found()
        except Exception as error:
            _lost(module_name, attribute, f"the factory raised {type(error).__name__}: {error}", error)
    from turboapi_rs.server import Server

    if not isinstance(found, Server) and not callable(found):
        _lost(
            module_name,
            attribute,
            f"a value of type {type(found).__name__} is neither a Server nor an ASGI application",
        )
    return found


def _lost(module: str, attribute: str, cause: str, error: BaseException | None = None) -> NoReturn:
    cause = " ".join(cause.split())
    raise AppNotFound(f"cannot load attribute {attribute!r} of module {module!r}: {cause}") from error
