"""Parameters of a route: from FastAPI's `ModelField`s to what the native binder is told.

Owns: which fields convert natively, what a missing one becomes. Does not own: the conversion (`dispatch/bind`), bodies.
Rule: a field converts natively only when its core schema is a bare scalar; any other is validated by its own
`TypeAdapter`, as FastAPI does. A value that does not fit is never an answer here: the request goes to FastAPI whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import params as fastapi_params
from fastapi._compat import ModelField, field_annotation_is_sequence
from fastapi.dependencies import utils
from fastapi.dependencies.utils import _get_param_aliases, _get_param_model, _is_json_field
from pydantic_core import PydanticUndefined

_SCALARS = frozenset({"int", "float", "bool", "str"})

#: What a form's field has for models; before FastAPI 0.161, only its own extraction reads forms.
_models_of_form: Any = getattr(utils, "_get_form_models", None)

#: Several files that are given as `bytes` are read one after the other; before, in tasks of their own.
reads_files_in_turn = _models_of_form is not None

#: Types of defaults that need no copy for each request.
_IMMUTABLE = (type(None), bool, int, float, str, bytes)


@dataclass(frozen=True)
class Native:
    """One positional argument that the native side makes.

    Attributes:
        source: `path query header form form_pairs form_parts json_body query_string headers path_params`…
        wire: the name on the wire; empty where there is none.
        kind: `int float bool str`.
        is_list: every occurrence, as a list.
        required: when absent, the request goes to FastAPI.
        default: what an absent one becomes, when it is not required.
    """

    source: str
    wire: str = ""
    kind: str = "str"
    is_list: bool = False
    required: bool = True
    default: Any = None

    def spec(self) -> tuple[str, str, str, bool, Any, bool]:
        """As `CoreServer.route` wants it."""
        return (self.source, self.wire, self.kind, self.required, self.default, self.is_list)


@dataclass(frozen=True)
class Simple:
    """A field of one wire name, found alone.

    `missing` is what its default is: `None` (the native default stands), or a factory to call for each request.
    `validate` is the `TypeAdapter`'s own validator, or None where the native value is final.
    """

    native: Native
    validate: Any
    has_late_default: bool


def simple(field: ModelField, source: str, path_convertors: dict[str, Any]) -> Simple | None:
    """How one field binds on its own; None when only FastAPI's own extraction will do."""
    info = field.field_info
    if source == "cookie" or _is_of_model(field, source):
        return None
    aliases = _get_param_aliases(field)
    if len(aliases) != 1 or _is_json_field(field) or info.validate_default:
        return None
    _, wire = aliases[0]
    is_list = field_annotation_is_sequence(info.annotation)
    if source == "path":
        convertor = type(path_convertors.get(wire)).__name__
        if is_list or convertor not in ("StringConvertor", "PathConvertor"):
            return None
        required, default, late = True, None, False
    else:
        required = info.is_required()
        plain_default = info.default_factory is None and isinstance(info.default, _IMMUTABLE)
        late = not required and not plain_default
        default = None if required or late else info.default
    kind = None if field.config else _native_kind(field._type_adapter.core_schema, is_list)
    validate = None if kind else field._type_adapter.validator.validate_python
    native = Native(source, wire, kind or "str", is_list, required, PydanticUndefined if late else default)
    return Simple(native, validate, late)


def _is_of_model(field: ModelField, source: str) -> bool:
    """The field has more than one value on the wire, or none that is text."""
    info = field.field_info
    if source == "form":
        is_text = isinstance(info, fastapi_params.Form) and not isinstance(info, fastapi_params.File)
        return not is_text or _models_of_form is None or bool(_models_of_form(field))
    return not isinstance(info, fastapi_params.Param) or _get_param_model(field) is not None


def _native_kind(schema: dict[str, Any], is_list: bool) -> str | None:
    """The scalar that a core schema is, bare of any constraint."""
    if schema["type"] == "default":
        schema = schema["schema"]
    if schema["type"] == "nullable" and set(schema) <= {"type", "schema", "metadata"}:
        schema = schema["schema"]
    if is_list:
        if schema["type"] != "list" or not set(schema) <= {"type", "items_schema", "metadata"}:
            return None
        schema = schema.get("items_schema", {"type": "any"})
    if schema["type"] in _SCALARS and set(schema) <= {"type", "metadata"}:
        return schema["type"]
    return None
