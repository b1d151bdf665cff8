"""The arguments of a route's functions: parameters, body, injected objects.

Owns: which argument is bound natively, which Pydantic validates in the function, which FastAPI's own extraction reads.
Does not own: binding itself (`dispatch/bind`, natively), what a simple parameter is (`params`).
Rule: an argument that is wrong sends the whole request to FastAPI, before anything of the user's has run.
"""

from __future__ import annotations

import json
from typing import Any

from fastapi import params as fastapi_params
from fastapi.dependencies.models import Dependant, _get_oauth_scopes
from fastapi.dependencies.utils import _get_param_aliases, _should_embed_body_fields
from fastapi.security import SecurityScopes
from pydantic_core import PydanticUndefined
from starlette.datastructures import FormData

from turboapi_rs._core import _Validator
from turboapi_rs.plans.forms import form_data
from turboapi_rs.plans.params import Native, simple
from turboapi_rs.plans.routes import Place
from turboapi_rs.plans.source import Source, indented


class Arguments(Source):
    """A route's function with its arguments.

    Attributes:
        reads_body: the request's body is needed.
        reads_form: it is a form.
        takes_files: with files, which are closed after the answer.
        judge: the native validator of the body, where there is one.
        validates_here: a parameter is validated by the function itself.
        wants_request: a `Request` is given to something.
        background: the name of the injected `BackgroundTasks`, or empty.
        injected: the name of the injected `Response`, or empty.
    """

    def __init__(self, place: Place, route: Any, dependant: Dependant) -> None:
        super().__init__(place, route)
        self.dependant = dependant
        self.reads_body = self.validates_here = self.wants_request = False
        self.reads_form = has_form(route)
        self.takes_files = self.reads_form and takes_files(dependant)
        self.judge: Any = None
        self.background = self.injected = ""

    def _own_values(self, dependant: Dependant) -> dict[str, str]:
        """Everything that a dependant is given but its dependencies."""
        values: dict[str, str] = {}
        convertors = self.route.param_convertors
        for fields, source in (
            (dependant.path_params, "path"),
            (dependant.query_params, "query"),
            (dependant.header_params, "header"),
            (dependant.cookie_params, "cookie"),
        ):
            for field in fields:
                values[field.name] = self._param(field, source, convertors)
        if dependant.body_params:
            values.update(self._body(dependant))
        for name in (dependant.http_connection_param_name, dependant.request_param_name):
            if name:
                values[name], self.wants_request = "request", True
        if dependant.background_tasks_param_name:
            values[dependant.background_tasks_param_name] = self._background()
        if dependant.response_param_name:
            values[dependant.response_param_name] = self._injected()
        if dependant.security_scopes_param_name:
            scopes = self._name(_get_oauth_scopes(dependant=dependant), "scopes")
            security = self._name(SecurityScopes, "SecurityScopes")
            values[dependant.security_scopes_param_name] = f"{security}(scopes={scopes})"
        return values

    def _param(self, field: Any, source: str, convertors: dict[str, Any]) -> str:
        found = simple(field, source, convertors)
        if found is None:
            self.validates_here = True
            return self._extracted(field, source, convertors)
        self.validates_here |= found.validate is not None
        value = self._native(found.native)
        if found.validate is None and not found.has_late_default:
            return value
        result = self._new("v")
        lines = []
        if found.validate is not None:
            validate = self._name(found.validate, "validate")
            lines = [
                "try:",
                f"    {result} = {validate}({value}, from_attributes=True)",
                f"except ValidationError: {self._fallback()}",
            ]
        else:
            lines = [f"{result} = {value}"]
        if not found.native.required:
            # Absent: the default, unvalidated, as FastAPI has it.
            if found.has_late_default:
                default = self._name(field, "field")
                absent = [f"{result} = deepcopy({default}.default)"]
                test = f"if {value} is UNDEFINED:"
            else:
                # The native default arrives as the value: it must not pass the validator.
                marked = Native(found.native.source, found.native.wire, "str", found.native.is_list, False,
                                PydanticUndefined)  # fmt: skip
                del self.natives[found.native]
                self.natives[marked] = value
                test = f"if {value} is UNDEFINED:"
                absent = [f"{result} = {self._name(found.native.default, 'default')}"]
            lines = [test, *indented(absent), "else:", *indented(lines)]
        self.binding.extend(lines)
        return result

    def _extracted(self, field: Any, source: str, convertors: dict[str, Any]) -> str:
        """A field that FastAPI's own extraction reads: a model of parameters, several aliases, a cookie."""
        if source == "path":
            raw = self._native(Native("path_params"))
            made = self._name(convertors, "convertors")
            received = self._once(
                "path", "path", f"{{name: {made}[name].convert(value) for name, value in {raw}.items()}}"
            )
        elif source == "query":
            received = self._once("query", "query", f"QueryParams({self._native(Native('query_string'))})")
        elif source == "header":
            received = self._once("headers", "headers", f"Headers(raw={self._native(Native('headers'))})")
        else:
            received = self._cookies()
        values, errors, fields = self._new("values"), self._new("errors"), self._name([field], "fields")
        self.binding.append(f"{values}, {errors} = request_params_to_args({fields}, {received})")
        self.binding.append(f"if {errors}: {self._fallback()}")
        return f"{values}[{field.name!r}]"

    def _cookies(self) -> str:
        if "cookies" not in self.shared:
            headers = self._native(Native("header", "cookie", "str", True, False, ()))
            name = self._once("cookies", "cookies", "{}")
            self.binding.append(f"for header in {headers}: {name}.update(cookie_parser(header))")
        return self.shared["cookies"]

    def _body(self, dependant: Dependant) -> dict[str, str]:
        self.reads_body = True
        fields = dependant.body_params
        if self.reads_form:
            return self._form(fields)
        judged = self._judged_body(dependant)
        if judged is not None:
            return judged
        raw = self._native(Native("json_body"))
        embeds = self.route._embed_body_fields
        if "body" not in self.shared:
            body = self.shared["body"] = self._new("body")
            self.names["loads"] = json.loads
            self.binding += [
                f"if {raw} is None: {body} = UNDEFINED",
                "else:",
                f"    try: {body} = loads({raw})",
                f"    except (ValueError, RecursionError): {self._fallback()}",
            ]
        body = self.shared["body"]
        field = fields[0]
        if len(fields) == 1 and not embeds and not _should_embed_body_fields(fields) and field.field_info.is_required():
            result = self._new("v")
            validate = self._name(field._type_adapter.validator.validate_python, "validate")
            self.binding += [
                f"if {body} is UNDEFINED: {self._fallback()}",
                "try:",
                f"    {result} = {validate}({body}, from_attributes=True)",
                f"except ValidationError: {self._fallback()}",
            ]
            return {field.name: result}
        values, errors, names = self._new("values"), self._new("errors"), self._name(fields, "fields")
        self.binding += [
            f"{values}, {errors} = drive(request_body_to_args({names}, {body}, {embeds!r}))",
            f"if {errors}: {self._fallback()}",
        ]
        return {field.name: f"{values}[{field.name!r}]" for field in fields}

    def _form(self, fields: list[Any]) -> dict[str, str]:
        """The fields of a form, of which all but models are bound as a query's."""
        bound = {field.name: self._param(field, "form", {}) for field in fields if simple(field, "form", {})}
        others = [field for field in fields if field.name not in bound]
        if others:
            self.validates_here = True
            form = self._form_data()
            # A field alone is taken for the whole body, unless it is told that it is not.
            embeds = self.route._embed_body_fields or len(fields) > 1
            values, errors, names = self._new("values"), self._new("errors"), self._name(others, "fields")
            self.binding += [
                f"{values}, {errors} = drive(request_body_to_args({names}, {form}, {embeds!r}))",
                f"if {errors}: {self._fallback()}",
            ]
            bound |= {field.name: f"{values}[{field.name!r}]" for field in others}
        return bound

    def _form_data(self) -> str:
        """The whole form, as FastAPI's own extraction reads it."""
        if self.takes_files:
            self.names["form_data"] = form_data
            return self._once("form", "form", f"form_data({self._native(Native('form_parts'))})")
        self.names["FormData"] = FormData
        return self._once("form", "form", f"FormData({self._native(Native('form_pairs'))})")

    def _judged_body(self, dependant: Dependant) -> dict[str, str] | None:
        """A body that is judged and built natively; None where FastAPI's own extraction is to read it."""
        # Read natively once, for one of its readers: with several, each takes its part of what one parse gives.
        is_alone = dependant is self.dependant or _readers(self.dependant) == 1
        if not is_alone or self.judge is not None or "body" in self.shared:
            return None
        fields = dependant.body_params
        if any(len(_get_param_aliases(field)) != 1 or field.config for field in fields):
            return None
        first = fields[0]
        adapters = [field._type_adapter for field in fields]
        try:
            if len(fields) == 1 and not self.route._embed_body_fields and not _should_embed_body_fields(fields):
                if not first.field_info.is_required():
                    return None
                self.judge = _Validator(adapters[0].core_schema, adapters[0].validator)
                return {first.name: self._native(Native("model"))}
            judge = _Validator.members(
                [
                    (_get_param_aliases(field)[0][0], adapter.core_schema, field.field_info.is_required(),
                     bool(field.field_info.validate_default))
                    for field, adapter in zip(fields, adapters, strict=True)
                ]
            )  # fmt: skip
        except NotImplementedError:
            return None
        if judge.left_to_pydantic() or any(field.field_info.validate_default for field in fields):
            return None
        self.judge = judge
        values = {}
        for index, field in enumerate(fields):
            value = self._native(Native("member", str(index), "str", False, False, PydanticUndefined))
            if not field.field_info.is_required():
                name = self._name(field, "field")
                self.binding.append(f"if {value} is UNDEFINED: {value} = deepcopy({name}.default)")
            values[field.name] = value
        return values

    def _background(self) -> str:
        if not self.background:
            self.background = self._new("background")
            self.binding.append(f"{self.background} = BackgroundTasks()")
        return self.background

    def _injected(self) -> str:
        if not self.injected:
            self.injected = self._new("injected")
            self.binding.append(f"{self.injected} = new_response()")
        return self.injected


def has_form(route: Any) -> bool:
    """The body of the route is a form, with files or without."""
    return route.body_field is not None and isinstance(route.body_field.field_info, fastapi_params.Form)


def takes_files(dependant: Dependant) -> bool:
    """A field of the form is a file, of the route itself or of a dependency."""
    return any(isinstance(field.field_info, fastapi_params.File) for field in dependant.body_params) or any(
        takes_files(sub) for sub in dependant.dependencies
    )


def _readers(dependant: Dependant) -> int:
    """How many of a tree's dependants have parameters in the body."""
    return bool(dependant.body_params) + sum(_readers(sub) for sub in dependant.dependencies)
