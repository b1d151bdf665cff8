"""Response models whose JSON can be written without Pydantic's serializer.

Owns: reading of a core schema what a writer (`turboapi_rs._core._Writer`) is to expect. Does not own: writing.
Rule: a writer's bytes are `SchemaSerializer.to_json`'s. It writes values of exactly the types that the schema names,
and gives up on any other; a schema with a serializer of its own, or of a type that is not known here, has no writer.
Spec: `pydantic_core.core_schema`; the serializers of pydantic-core.
"""

from __future__ import annotations

from typing import Any

from turboapi_rs._core import _Writer

_SCALARS = {"str": "str", "int": "int", "float": "float", "bool": "bool", "none": "none"}

_PASSED_THROUGH = {"default", "function-before", "function-after"}
"""Schemas that are written as the one inside."""


class _Unknown(Exception):
    """The schema has no writer."""


def writer_of(schema: Any, *, by_alias: bool) -> tuple[_Writer | None, bool]:
    """Make the writer of a response field.

    Args:
        schema: the core schema of its type adapter.
        by_alias: keys are serialization aliases.

    Returns:
        the writer, or None; and whether what it writes needs no validation before: an instance of a model passes the
        validator of its model as it is.

    Threads: call on one thread, at start.
    """
    reader = _Reader(by_alias)
    try:
        spec = reader.node(schema)
    except _Unknown:
        return None, False
    return _Writer(spec), _is_settled(schema, reader.definitions)


class _Reader:
    def __init__(self, by_alias: bool) -> None:
        self.by_alias = by_alias
        self.definitions: dict[str, Any] = {}
        #: References being read: one inside itself is a schema without end.
        self.open: set[str] = set()

    def node(self, schema: Any) -> tuple[Any, ...]:
        kind = schema["type"]
        if "serialization" in schema:
            raise _Unknown
        if kind in _SCALARS:
            return (_SCALARS[kind],)
        if kind in _PASSED_THROUGH:
            return self.node(schema["schema"])
        if kind == "nullable":
            return ("nullable", self.node(schema["schema"]))
        if kind == "list":
            if "items_schema" not in schema:
                raise _Unknown
            return ("list", self.node(schema["items_schema"]))
        if kind == "dict":
            if schema.get("keys_schema", {}).get("type") != "str" or "values_schema" not in schema:
                raise _Unknown
            self.node(schema["keys_schema"])
            return ("dict", self.node(schema["values_schema"]))
        if kind == "literal":
            # A word beyond those is warned of.
            if not all(type(word) is str for word in schema["expected"]):
                raise _Unknown
            return ("words", list(schema["expected"]))
        if kind == "definitions":
            self.definitions |= {inner["ref"]: inner for inner in schema["definitions"]}
            return self.node(schema["schema"])
        if kind == "definition-ref":
            ref = schema["schema_ref"]
            if ref in self.open or ref not in self.definitions:
                raise _Unknown
            self.open.add(ref)
            try:
                return self.node(self.definitions[ref])
            finally:
                self.open.discard(ref)
        if kind == "model":
            return self.model(schema)
        raise _Unknown

    def model(self, schema: Any) -> tuple[Any, ...]:
        inner = schema["schema"]
        config = schema.get("config", {})
        if schema.get("root_model") or inner["type"] != "model-fields" or "serialization" in inner:
            raise _Unknown
        if inner.get("computed_fields") or "extras_schema" in inner:
            raise _Unknown
        if "allow" in (inner.get("extra_behavior"), config.get("extra_fields_behavior")):
            raise _Unknown
        fields = []
        for name, field in inner["fields"].items():
            if field.get("serialization_exclude") or "serialization_exclude_if" in field:
                raise _Unknown
            key = field.get("serialization_alias", name) if self.by_alias else name
            fields.append((name, key, self.node(field["schema"])))
        return ("model", schema["cls"], fields)


def _is_settled(schema: Any, definitions: dict[str, Any]) -> bool:
    """A value of exactly these types passes validation as it is."""
    kind = schema["type"]
    if kind in ("nullable", "definitions"):
        return _is_settled(schema["schema"], definitions)
    if kind == "definition-ref":
        return _is_settled(definitions[schema["schema_ref"]], definitions)
    if kind == "list":
        is_free = not {"min_length", "max_length", "strict", "fail_fast"} & set(schema)
        return is_free and _is_settled(schema["items_schema"], definitions)
    if kind != "model":
        return False
    config = schema.get("config", {})
    return schema.get("revalidate_instances", config.get("revalidate_instances", "never")) == "never"
