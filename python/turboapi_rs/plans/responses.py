"""What an endpoint returned, to what goes on the wire.

Owns: the last step of a plan: `bytes` (JSON with the route's status), `(status, body, headers)`, or a `Resumed`.
Does not own: the JSON of plain dicts and lists (`json`, natively).
Rule: FastAPI's `serialize_response` and response classes do the work; only the calls around them are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi.datastructures import DefaultPlaceholder
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import ResponseValidationError
from fastapi.routing import EndpointContext, _extract_endpoint_context
from fastapi.utils import is_body_allowed_for_status_code
from pydantic import ValidationError
from starlette.background import BackgroundTasks
from starlette.responses import JSONResponse, Response

from turboapi_rs._core import _json_dumps, jsonable_bytes
from turboapi_rs.plans.resume import Resumed, Tail
from turboapi_rs.plans.writers import writer_of

Final = Any
"""`bytes`, `(status, body, raw_headers)` or a `Resumed`."""


def of_response(response: Response, tail: Tail, route: Any) -> Final:
    """Answer with a response object: at once when it is whole and its class sends it as Starlette does."""
    if response.background is None and type(response).__call__ is Response.__call__:
        body = response.body
        return (response.status_code, body if type(body) is bytes else bytes(body), response.raw_headers)
    return Resumed(tail, route, response=response)


class Finish:
    """The response step of one route.

    Called with the endpoint's result; `background` and `injected` (the `Response` that endpoint or dependencies were
    given) only by plans that have them.

    Threads: read-only after it was made; called on any thread.
    """

    __slots__ = ("_class", "_dump", "_dump_options", "_endpoint", "_field", "_is_plain", "_path", "_route", "_status",
                 "_tail", "_validate", "_writer", "settled_writer", "status")  # fmt: skip

    def __init__(self, route: Any, tail: Tail) -> None:
        placeholder = route.response_class
        is_default = isinstance(placeholder, DefaultPlaceholder)
        self._class = placeholder.value if is_default else placeholder
        self._route = route
        self._tail, self._endpoint, self._path = tail, route.dependant.call, route.dependant.path
        self._status = route.status_code
        self.status = route.status_code or 200
        self._field = route.response_field
        self._validate = self._dump = self._writer = None
        #: Writes a result of the response model's own type, which needs no validation.
        self.settled_writer: Any = None
        self._dump_options: dict[str, Any] = {
            "include": route.response_model_include,
            "exclude": route.response_model_exclude,
            "by_alias": route.response_model_by_alias,
            "exclude_unset": route.response_model_exclude_unset,
            "exclude_defaults": route.response_model_exclude_defaults,
            "exclude_none": route.response_model_exclude_none,
        }
        # Plain: a JSON body, the route's status, no further header.
        self._is_plain = is_default and self._class is JSONResponse and is_body_allowed_for_status_code(self.status)
        if self._field is not None:
            adapter = self._field._type_adapter
            self._validate = adapter.validator.validate_python
            if self._is_plain:
                usual = {"include": None, "exclude": None, "by_alias": True}
                options = {name: value for name, value in self._dump_options.items() if value != usual.get(name, False)}
                self._dump_options = {"by_alias": self._dump_options["by_alias"], **options}
                self._dump = adapter.serializer.to_json
                if not options:
                    by_alias = bool(self._dump_options["by_alias"])
                    self._writer, is_settled = writer_of(adapter.core_schema, by_alias=by_alias)
                    self.settled_writer = self._writer if is_settled else None
        elif self._is_plain and self._class.render is not JSONResponse.render:
            self._is_plain = False

    @property
    def encodes_plain(self) -> bool:
        """A dict or a list of plain values is this route's JSON body as it is: it may be encoded natively."""
        return self._is_plain and self._field is None

    def __call__(self, result: Any) -> Final:
        """Finish a result, where neither background tasks nor a response were injected."""
        if isinstance(result, Response):
            return of_response(result, self._tail, self._route)
        if self._is_plain:
            if self._field is None:
                body = jsonable_bytes(result)
                return _json_dumps(jsonable_encoder(result)) if body is None else body
            content = self._validated(result)
            body = None if self._writer is None else self._writer.dump(content)
            return self._dump(content, **self._dump_options) if body is None else body
        return self.with_injected(result, None, None)

    def with_injected(self, result: Any, background: BackgroundTasks | None, injected: Response | None) -> Final:
        """Finish a result, with what endpoint and dependencies put into the injected objects."""
        if isinstance(result, Response):
            if result.background is None:
                result.background = background
            return of_response(result, self._tail, self._route)
        arguments: dict[str, Any] = {"background": background}
        status = self._status if self._status else (injected.status_code if injected is not None else None)
        if status is not None:
            arguments["status_code"] = status
        if injected is not None and injected.status_code:
            arguments["status_code"] = injected.status_code
        if self._field is not None and self._dump is not None:
            content = self._dump(self._validated(result), **self._dump_options)
            response = Response(content=content, media_type="application/json", **arguments)
        else:
            if self._field is not None:
                content = self._field.serialize(self._validated(result), **self._dump_options)
            else:
                content = jsonable_encoder(result)
            response = self._class(content, **arguments)
        if not is_body_allowed_for_status_code(response.status_code):
            response.body = b""
        if injected is not None:
            response.headers.raw.extend(injected.headers.raw)
        return of_response(response, self._tail, self._route)

    def _validated(self, result: Any) -> Any:
        try:
            return self._validate(result, from_attributes=True)  # type: ignore[misc]
        except ValidationError:
            _, errors = self._field.validate(result, {}, loc=("response",))
            context = _extract_endpoint_context(self._endpoint) if self._endpoint else EndpointContext()
            raise ResponseValidationError(errors=errors, body=result, endpoint_ctx=context) from None


def new_response() -> Response:
    """The response that is injected: no length, no status yet."""
    response = Response()
    del response.headers["content-length"]
    response.status_code = None  # type: ignore[assignment]
    return response


def fault_of(tail: Tail, route: Any) -> Callable[[Exception], Final]:
    """Make the step that answers an exception of a route's code.

    An `HTTPException` whose handler is FastAPI's own is answered at once; any other goes through the application's own
    handlers, on the event loop.
    """
    from fastapi.exception_handlers import http_exception_handler
    from fastapi.exceptions import HTTPException
    from starlette.exceptions import HTTPException as StarletteHTTPException

    handlers = tail.app.exception_handlers

    def fault(raised: Exception) -> Final:
        if (
            type(raised) in (HTTPException, StarletteHTTPException)
            and handlers.get(StarletteHTTPException) is http_exception_handler
            and raised.status_code not in handlers
            and HTTPException not in handlers
        ):
            raised.__traceback__ = None
            headers = getattr(raised, "headers", None)
            if not is_body_allowed_for_status_code(raised.status_code):
                return of_response(Response(status_code=raised.status_code, headers=headers), tail, route)
            answer = JSONResponse({"detail": raised.detail}, status_code=raised.status_code, headers=headers)
            return of_response(answer, tail, route)
        return Resumed(tail, route, raised=raised)

    return fault
