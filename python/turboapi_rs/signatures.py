"""What a raw handler wants, read from its signature once.

Owns: names, sources, types and defaults of parameters. Does not own: converting values (`turboapi_rs._core`).
Rule: what cannot be served is refused by the names of handler and parameter.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable
from typing import Any, Union

from turboapi_rs._core import Request, Upload

__all__ = ["Param", "RouteError", "name_of", "read_params"]

#: Source (`path`, `query`, `body`, `request`, `upload`), wire name, type, is required, default, is a list.
type Param = tuple[str, str, str, bool, object, bool]

_SCALARS = {int: "int", float: "float", bool: "bool", str: "str"}


class RouteError(TypeError):
    """A route cannot be served as it is declared. The text names handler and parameter."""


def name_of(handler: Callable[..., Any]) -> str:
    module = getattr(handler, "__module__", None)
    name = getattr(handler, "__qualname__", None) or type(handler).__qualname__
    return f"{module}.{name}" if module else name


def read_params(path: str, handler: Callable[..., Any]) -> list[Param]:
    """Read what a handler wants from its signature."""
    name = name_of(handler)
    try:
        signature = inspect.signature(handler, eval_str=True)
    except (NameError, ValueError, TypeError) as error:
        raise RouteError(f"{name}: its signature cannot be read: {error}") from error
    in_path = {part.split(":")[0].lstrip("*") for part in re.findall(r"{([^}]*)}", path)}
    params = [_read_param(name, parameter, in_path) for parameter in signature.parameters.values()]
    for missing in sorted(in_path - {param[1] for param in params if param[0] == "path"}):
        if not any(param[0] in ("request", "upload") for param in params):
            raise RouteError(f"{name}: the path has {{{missing}}}, which the handler does not take")
    return params


def _read_param(handler: str, parameter: inspect.Parameter, in_path: set[str]) -> Param:
    name, annotation = parameter.name, parameter.annotation
    where = f"{handler}, parameter {name!r}"
    if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
        raise RouteError(f"{where}: arguments are passed by position")
    required = parameter.default is parameter.empty
    default = None if required else parameter.default
    if annotation is Request:
        return ("request", name, "request", True, None, False)
    if annotation is Upload:
        return ("upload", name, "upload", True, None, False)
    if annotation is bytes or (name == "body" and annotation is parameter.empty):
        return ("body", name, "bytes", True, None, False)
    kind, is_list = _scalar_of(where, annotation)
    if name in in_path:
        if is_list:
            raise RouteError(f"{where}: a path parameter is no list")
        return ("path", name, kind, True, None, False)
    return ("query", name, kind, required, default, is_list)


def _scalar_of(where: str, annotation: Any) -> tuple[str, bool]:
    """Name the scalar, and say whether it is a list of them."""
    if annotation is inspect.Parameter.empty:
        return "str", False
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Union, types.UnionType):
        members = [member for member in arguments if member is not type(None)]
        if len(members) == 1:
            return _scalar_of(where, members[0])
    # Looked up by identity of types alone: an annotation may be anything, and need not be hashable.
    if origin is list and len(arguments) == 1 and isinstance(arguments[0], type) and arguments[0] in _SCALARS:
        return _SCALARS[arguments[0]], True
    if isinstance(annotation, type) and annotation in _SCALARS:
        return _SCALARS[annotation], False
    if origin is typing.Annotated:
        raise RouteError(f"{where}: a raw route applies nothing that Annotated adds; write the type alone")
    shown = annotation.__name__ if isinstance(annotation, type) and origin is None else repr(annotation)
    raise RouteError(f"{where}: {shown} is none of int, float, bool, str, a list of one, bytes, RawRequest or Upload")
