"""What is wrong with a request, as its plan's native side is told how to find it.

Owns: which parameters are judged natively, and the functions that ask FastAPI's own extraction about the others.
Does not own: the verdicts (`validate`), when an answer may be given without FastAPI (`dispatch/refusal`).
Rule: FastAPI's own handler answers a `RequestValidationError`, or there is no referee.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

from fastapi._compat import field_annotation_is_sequence
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import (
    _get_param_aliases,
    _get_param_model,
    _is_json_field,
    request_body_to_args,
    request_params_to_args,
)
from fastapi.encoders import jsonable_encoder
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic_core import PydanticUndefined
from starlette.datastructures import Headers, QueryParams
from starlette.requests import cookie_parser

from turboapi_rs._core import _Validator, drive


def answers_plainly(app: Any) -> bool:
    """FastAPI's own handler answers what is wrong with a request."""
    handlers = app.exception_handlers
    return handlers.get(RequestValidationError) is request_validation_exception_handler and 422 not in handlers


def referee_of(app: Any, route: Any, dependant: Dependant, *, has_form: bool) -> tuple[Any, ...] | None:
    """The referee of a route, as `dispatch/refusal` reads it; None where FastAPI is to answer what is wrong.

    Args:
        app: the application.
        route: the effective route.
        dependant: the tree of its endpoint.
        has_form: the body is one, which FastAPI reads before all else.
    """
    if has_form or not answers_plainly(app) or any(_reads_body(sub) for sub in dependant.dependencies):
        return None
    ask_body = _ask_body(route, dependant) if dependant.body_params else None
    return (_stage(dependant, route.param_convertors), ask_body, _nothing)


async def _nothing() -> None:
    """Follows an answer that was given already."""


def _reads_body(dependant: Dependant) -> bool:
    return bool(dependant.body_params) or any(_reads_body(sub) for sub in dependant.dependencies)


def _stage(dependant: Dependant, convertors: dict[str, Any]) -> tuple[Any, ...]:
    fields = [
        _field(field, source, convertors)
        for found, source in (
            (dependant.path_params, "path"),
            (dependant.query_params, "query"),
            (dependant.header_params, "header"),
            (dependant.cookie_params, "cookie"),
        )
        for field in found
    ]
    return ([_stage(sub, convertors) for sub in dependant.dependencies], fields)


def _field(field: Any, source: str, convertors: dict[str, Any]) -> tuple[Any, ...]:
    info, (wire, *others) = field.field_info, [wire for _, wire in _get_param_aliases(field)]
    is_list = field_annotation_is_sequence(info.annotation)
    if info.is_required():
        if_absent = "report"
    elif info.validate_default or info.default_factory is not None:
        if_absent = "ask"
    else:
        if_absent = "accept"
    validator = None
    if not others and _is_plain(field, source, is_list, convertors.get(wire)):
        adapter = field._type_adapter
        with contextlib.suppress(NotImplementedError):
            validator = _Validator.at(adapter.core_schema, [source, wire], adapter.validator)
    return (source, wire, is_list, if_absent, validator, _ask(field, source, convertors))


def _is_plain(field: Any, source: str, is_list: bool, convertor: Any) -> bool:
    """What is judged is the text as it was sent, or a list of such texts."""
    if field.config or _get_param_model(field) is not None or _is_json_field(field):
        return False
    if source == "path":
        return not is_list and type(convertor).__name__ in ("StringConvertor", "PathConvertor")
    return source != "cookie" or not is_list


def _ask(field: Any, source: str, convertors: dict[str, Any]) -> Callable[..., bytes | None]:
    """FastAPI's own word on one parameter."""

    def ask(path: dict[str, str], query: bytes, headers: list[tuple[bytes, bytes]]) -> bytes | None:
        received: Any
        if source == "path":
            received = {name: convertors[name].convert(value) for name, value in path.items()}
        elif source == "query":
            received = QueryParams(query)
        elif source == "header":
            received = Headers(raw=headers)
        else:
            received = {}
            for header in Headers(raw=headers).getlist("cookie"):
                received.update(cookie_parser(header))
        _, errors = request_params_to_args([field], received)
        return _answer(errors) if errors else None

    return ask


def _ask_body(route: Any, dependant: Dependant) -> Callable[[bytes | None], Any]:
    """FastAPI's own word on a body."""
    fields, embeds = dependant.body_params, route._embed_body_fields

    def ask(raw: bytes | None) -> Any:
        body: Any = PydanticUndefined
        if raw is not None:
            try:
                body = json.loads(raw)
            except json.JSONDecodeError as fault:
                place = {
                    "loc": ("body", fault.pos),
                    "msg": "JSON decode error",
                    "input": {},
                    "ctx": {"error": fault.msg},
                }
                return (_answer([{"type": "json_invalid", **place}]),)
        _, errors = drive(request_body_to_args(fields, body, embeds))
        return _answer(errors) if errors else None

    return ask


def _answer(errors: list[Any]) -> bytes:
    return bytes(JSONResponse({"detail": jsonable_encoder(errors)}).body)
