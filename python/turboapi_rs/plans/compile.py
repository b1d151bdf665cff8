"""A route's `Dependant` tree to one Python function with every decision already taken.

Owns: the order of steps, the source text of the function, which of the two forms it takes.
Does not own: binding arguments (`dispatch/bind`, natively), the response step (`responses`).
Rule: steps run in the order in which FastAPI's `solve_dependencies` runs them; whatever may fail before the first call
of the user's code comes first, and sends the whole request to FastAPI.

Two forms. A *direct* function is plain: it is called on a worker's thread and never suspends. A *task* function is a
coroutine function, run on the application's event loop: for code that awaits, or that is given the request.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from contextvars import copy_context
from types import SimpleNamespace
from typing import Any

from fastapi import params as fastapi_params
from fastapi import security as fastapi_security
from fastapi.background import BackgroundTasks
from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.models import (
    Dependant,
    _get_cache_key,
    _get_oauth_scopes,
    _is_async_gen_callable,
    _is_coroutine_callable,
    _is_gen_callable,
    _is_security_scheme,
)
from fastapi.dependencies.utils import (
    _get_param_aliases,
    _solve_generator,
    request_body_to_args,
    request_params_to_args,
)
from fastapi.exceptions import FastAPIError
from fastapi.routing import APIRoute, _effective_route_context_var, _IncludedRouter
from fastapi.security import SecurityScopes
from pydantic_core import PydanticUndefined, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, QueryParams
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request, cookie_parser
from starlette.routing import Route

from turboapi_rs._core import _Validator, drive, jsonable_bytes
from turboapi_rs.plans import schemes, unwind
from turboapi_rs.plans.params import Native, simple
from turboapi_rs.plans.refusal import answers_plainly, referee_of
from turboapi_rs.plans.responses import Finish, fault_of, new_response, of_response
from turboapi_rs.plans.resume import Resumed, Tail, prepare
from turboapi_rs.plans.routes import NotCompiled
from turboapi_rs.plans.streams import compile_stream
from turboapi_rs.plans.suspends import may_suspend

STREAM = "a stream of items"
"""The note of a route with `yield`."""


class Plan:
    """A compiled route.

    Attributes:
        run: the function; see the module's text for its forms.
        natives: its arguments, in order, all made natively.
        is_task: it is a coroutine function called with `(scope, receive, send, reply, *natives)`.
        is_blocking: it calls a `def` function of the user's, which may block.
        note: what of the route FastAPI's own handler does; empty when all of it is compiled.
        finish: the response step, when `run` returns the endpoint's bare result; None when it returns a final answer.
    """

    def __init__(self, *, run: Any, natives: list[Native], is_task: bool, is_blocking: bool, status: int,
                 finish: Finish | None, fault: Any, reads_body: bool, source: str, pin: str, judge: Any = None,
                 answers_invalid: bool = False, note: str = "", referee: Any = None) -> None:  # fmt: skip
        self.run, self.natives, self.is_task, self.is_blocking = run, natives, is_task, is_blocking
        self.status, self.finish, self.fault, self.reads_body, self.source = status, finish, fault, reads_body, source
        self.pin, self.judge, self.answers_invalid, self.note = pin, judge, answers_invalid, note
        self.referee = referee

    def install(self, core: Any, methods: list[str], path: str, name: str) -> None:
        """Give the plan to a native server, for each of its methods."""
        core.plan_route(
            methods,
            path,
            self.run,
            name=name,
            params=[native.spec() for native in self.natives],
            is_task=self.is_task,
            is_blocking=self.is_blocking,
            status=self.status,
            finish=self.finish,
            encodes_plain=self.finish is not None and self.finish.encodes_plain,
            writer=self.finish.settled_writer if self.finish is not None else None,
            fault=self.fault,
            reads_body=self.reads_body,
            pin=self.pin,
            judge=self.judge,
            answers_invalid=self.answers_invalid,
            answers_unreadable=self.referee is not None,
            referee=self.referee,
        )


_tails: dict[int, Tail] = {}


def tail_of(app: Any) -> Tail:
    """The outer layers of an application, made once."""
    tail = _tails.get(id(app))
    if tail is None or tail.app is not app:
        tail = _tails[id(app)] = Tail(app)
    return tail


def compile_starlette_route(app: Any, context: Any) -> Plan:
    """Compile a Starlette route whose endpoint is a function of the request, as of FastAPI's own `/docs`.

    Raises:
        NotCompiled: the endpoint is an ASGI application or a class.
    """
    route: Route = context._effective_route
    endpoint = route.endpoint
    if type(route) is not Route or not (inspect.isfunction(endpoint) or inspect.ismethod(endpoint)):
        raise NotCompiled(f"the endpoint is a {type(endpoint).__name__}, not a function")
    if getattr(route, "middleware", None):
        raise NotCompiled("the route has middleware of its own")
    tail = tail_of(app)
    is_async = inspect.iscoroutinefunction(endpoint)

    async def run(scope: Any, receive: Any, send: Any, reply: Any, path_params: dict[str, str]) -> None:
        prepare(scope, app, context, path_params)
        request = Request(scope, receive, send)
        try:
            response = await endpoint(request) if is_async else await run_in_threadpool(endpoint, request)
            final = of_response(response, tail, context)
        except Exception as raised:
            final = Resumed(tail, context, raised=raised)
        await deliver(final, scope, receive, send, reply)

    return Plan(run=run, natives=[Native("path_params")], is_task=True, is_blocking=not is_async, status=200,
                finish=None, fault=fault_of(tail, context), reads_body=False, source="", pin="")  # fmt: skip


async def deliver(final: Any, scope: Any, receive: Any, send: Any, reply: Any) -> None:
    """Send a final answer."""
    if isinstance(final, Resumed):
        await final.here(scope, receive, send)
    else:
        reply(final)


_LEAVES_PIECES = (CORSMiddleware, HTTPSRedirectMiddleware, TrustedHostMiddleware)
"""Middleware that changes a response's head alone."""


class _Stack(AsyncExitStack):
    """An exit stack that costs little while it is empty: an empty deque is 700 bytes, and a stream holds three."""

    def __init__(self) -> None:
        self._exit_callbacks = []  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return bool(self._exit_callbacks)


def compile_handler(app: Any, route: Any, original: APIRoute, note: str) -> Plan:
    """Compile a FastAPI route whose body, result or class only FastAPI's own handler knows: forms, streams of items.

    Routing, middleware and the outer layers are not gone through; the handler is the one that FastAPI made.

    Raises:
        NotCompiled: with the reason.
    """
    if getattr(original, "form_limits", None) or _limits_forms(app.router):
        raise NotCompiled("form limits are set")
    context = route._route_context
    token = _effective_route_context_var.set(context)
    try:
        # Pieces of what is pulled natively do not pass through middleware, its head does: with any layer that changes
        # pieces, FastAPI streams it, within the tail.
        is_pulled = note == STREAM and all(entry.cls in _LEAVES_PIECES for entry in app.user_middleware)
        streaming = compile_stream(context or route, original) if is_pulled else None
        handler = streaming or original.get_route_handler()
    finally:
        _effective_route_context_var.reset(token)
    tail = tail_of(app)
    fault = fault_of(tail, route)

    async def run(scope: Any, receive: Any, send: Any, reply: Any, path_params: dict[str, str]) -> None:
        prepare(scope, app, route, path_params)
        request = Request(scope, receive, send)
        outlet = None
        try:
            async with _Stack() as files:
                scope["fastapi_middleware_astack"] = files
                done = False
                async with _Stack() as request_stack:
                    scope["fastapi_inner_astack"] = request_stack
                    async with _Stack() as function_stack:
                        scope["fastapi_function_astack"] = function_stack
                        response = await handler(request)
                    if streaming is None:
                        await deliver(of_response(response, tail, route), scope, receive, send, reply)
                    else:
                        outlet = response.begin(reply)
                        if files or request_stack:
                            await response.send(outlet)
                            outlet = None
                    done = True
                if not done:
                    raise FastAPIError("an exception was swallowed by a dependency with yield")
            if outlet is not None:
                # Nothing is left to be closed after the last item: a stream that waits long need not hold it all.
                scope = receive = send = request = files = request_stack = function_stack = None
                await response.send(outlet)
        except Exception as raised:
            if reply.is_begun():
                raise
            await deliver(fault(raised), scope, receive, send, reply)

    return Plan(run=run, natives=[Native("path_params")], is_task=True, is_blocking=False, status=200, finish=None,
                fault=fault, reads_body=False, source="", pin="", note=note)  # fmt: skip


def compile_api_route(app: Any, route: Any, original: APIRoute) -> Plan:
    """Compile a FastAPI route.

    Args:
        app: the application.
        route: the effective route: FastAPI's `RouteContext`, prefix and router dependencies applied.
        original: the `APIRoute` as declared.

    Raises:
        NotCompiled: with the reason.
    """
    cls = type(original)
    for name in ("handle", "matches"):
        if getattr(cls, name) is not getattr(APIRoute, name):
            raise NotCompiled(f"the route class {cls.__name__} overrides {name}")
    dependant: Dependant = route.dependant
    if getattr(route, "max_body_size", None) is not None:
        raise NotCompiled("max_body_size is set on the route")
    note = ""
    if cls.get_route_handler is not APIRoute.get_route_handler:
        note = f"the route class {cls.__name__} makes its own handler"
    elif _is_gen_callable(dependant.call) or _is_async_gen_callable(dependant.call):
        note = STREAM
    elif route.body_field is not None and isinstance(route.body_field.field_info, fastapi_params.Form):
        note = "a form"
    elif _limits_concurrency(dependant):
        note = "a dependency limits its concurrency"
    elif route.body_field is not None and not _plain(route.strict_content_type):
        note = "strict_content_type is off"
    if note:
        return compile_handler(app, route, original, note)
    overrides = route.dependency_overrides_provider
    return _Builder(app, route, original, dependant, overrides).build()


def _limits_forms(router: Any) -> bool:
    """A router sets limits for the forms below it, which its own dispatch puts into the scope."""
    return bool(getattr(router, "form_limits", None)) or any(
        bool(getattr(route.include_context, "form_limits", None)) or _limits_forms(route.original_router)
        for route in router.routes
        if isinstance(route, _IncludedRouter)
    )


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, DefaultPlaceholder) else value


def _limits_concurrency(dependant: Dependant) -> bool:
    return any(
        getattr(sub, "concurrency", None) is not None or _limits_concurrency(sub) for sub in dependant.dependencies
    )


class _Builder:
    """The function of one route, line by line."""

    def __init__(self, app: Any, route: Any, original: APIRoute, dependant: Dependant, overrides: Any) -> None:
        self.app, self.route, self.original, self.dependant, self.overrides = app, route, original, dependant, overrides
        self.tail = tail_of(app)
        self.finish = Finish(route, self.tail)
        self.names: dict[str, Any] = {
            "UNDEFINED": PydanticUndefined, "FALLBACK": NotImplemented, "ValidationError": ValidationError,
            "drive": drive, "copy_context": copy_context, "deepcopy": copy.deepcopy, "unwind": unwind.unwind,
            "enter": unwind.enter, "enter_async": unwind.enter_async, "close": unwind.close,
            "close_function_scope": unwind.close_function_scope, "jsonable_bytes": jsonable_bytes,
            "run_in_threadpool": run_in_threadpool, "AsyncExitStack": AsyncExitStack, "deliver": deliver,
            "FastAPIError": FastAPIError, "Resumed": Resumed, "Request": Request, "solve_generator": _solve_generator,
            "request_params_to_args": request_params_to_args, "request_body_to_args": request_body_to_args,
            "QueryParams": QueryParams, "Headers": Headers, "cookie_parser": cookie_parser, "prepare": prepare,
            "BackgroundTasks": BackgroundTasks, "new_response": new_response, "SimpleNamespace": SimpleNamespace,
        }  # fmt: skip
        self.natives: dict[Native, str] = {}
        self.numbers = itertools.count()
        self.binding: list[str] = []
        self.steps: list[str] = []
        self.cache: dict[Any, str] = {}
        self.shared: dict[str, str] = {}
        self.has_generators = False
        self.has_function_generators = False
        self.is_blocking = False
        self.wants_request = False
        self.is_task = self._must_be_task(dependant)
        self.reads_body = False
        self.judge: Any = None
        self.validates_here = False
        self.background = self.injected = ""

    def build(self) -> Plan:
        values = self._solve(self.dependant)
        call, is_async = self.dependant.call, _is_coroutine_callable(self.dependant.call)
        endpoint = self._name(call, "endpoint")
        arguments = ", ".join(f"{name}={value}" for name, value in values.items())
        pin = getattr(inspect.unwrap(call), "__turboapi_pin__", "") if call is not None else ""
        self.is_blocking |= not is_async
        finish = self._name(self.finish, "finish")
        if self.background or self.injected:
            background, injected = self.background or "None", self.injected or "None"
            finished = f"{finish}.with_injected(result, {background}, {injected})"
        else:
            finished = f"{finish}(result)"
        finishes_natively = not (self.is_task or self.has_generators or self.background or self.injected)
        if self.is_task:
            lines = self._task(endpoint, arguments, is_async, finished)
        elif finishes_natively:
            # A coroutine is driven natively.
            lines = [*self.steps, f"return {endpoint}({arguments})"]
        else:
            lines = self._direct(endpoint, arguments, is_async, finished)
        run, source = self._define(lines)
        return Plan(run=run, natives=list(self.natives), is_task=self.is_task, is_blocking=self.is_blocking,
                    status=self.finish.status, finish=self.finish if finishes_natively else None,
                    fault=fault_of(self.tail, self.route), reads_body=self.reads_body, source=source, pin=pin,
                    judge=self.judge, answers_invalid=self._answers_invalid(),
                    referee=referee_of(self.app, self.route, self.dependant, self.overrides))  # fmt: skip

    def _answers_invalid(self) -> bool:
        """Nothing of the user's runs before an invalid body is found, and FastAPI's own handler answers it."""
        # A parameter that Python validates might be wrong too, and would come first.
        return answers_plainly(self.app) and not self.dependant.dependencies and not self.validates_here

    # ---- The two forms. ----

    def _direct(self, endpoint: str, arguments: str, is_async: bool, finished: str) -> list[str]:
        call = f"drive({endpoint}({arguments}))" if is_async else f"{endpoint}({arguments})"
        if not is_async and self.has_generators:
            call = f"copy_context().run(lambda: {call})"
        last = [f"final = {finished}"]
        if self.finish.encodes_plain and not (self.background or self.injected):
            # None: not plain.
            last = ["final = jsonable_bytes(result)", f"if final is None: final = {finished}"]
        body = [*self.steps, f"result = {call}", *last]
        if not self.has_generators:
            return [*body, "return final"]
        return [
            "opened = []",
            "try:",
            *_indented(body),
            *(["    close_function_scope(opened)"] if self.has_function_generators else []),
            "except BaseException as raised:",
            "    unwind(opened, raised)",
            # What still has to be sent is sent first.
            "if type(final) is Resumed: final.opened = opened",
            "else: close(opened)",
            "return final",
        ]

    def _task(self, endpoint: str, arguments: str, is_async: bool, finished: str) -> list[str]:
        if is_async:
            call = f"await {endpoint}({arguments})"
        else:
            call = f"await run_in_threadpool({endpoint}{', ' if arguments else ''}{arguments})"
        body = [*self.steps, f"result = {call}", f"final = {finished}"]
        if self.wants_request:
            raw = self._native(Native("path_params"))
            app, route = self._name(self.app, "app"), self._name(self.route, "route")
            self.binding += [f"prepare(scope, {app}, {route}, {raw})", "request = Request(scope, receive, send)"]
        fault = self._name(fault_of(self.tail, self.route), "fault")
        if self.has_generators:
            body = [
                "done = False",
                "async with AsyncExitStack() as request_stack:",
                '    scope["fastapi_inner_astack"] = request_stack',
                '    scope["fastapi_middleware_astack"] = request_stack',
                "    async with AsyncExitStack() as function_stack:",
                '        scope["fastapi_function_astack"] = function_stack',
                *_indented(_indented(body)),
                "    await deliver(final, scope, receive, send, reply)",
                "    done = True",
                "if not done:",
                "    raise FastAPIError('an exception was swallowed by a dependency with yield')",
            ]
        else:
            body = [*body, "await deliver(final, scope, receive, send, reply)"]
        return [
            "try:",
            *_indented(body),
            "except Exception as raised:",
            "    if reply.is_begun():",
            "        raise",
            f"    await deliver({fault}(raised), scope, receive, send, reply)",
        ]

    def _define(self, lines: list[str]) -> tuple[Any, str]:
        arguments = list(self.natives.values())
        head = "def run("
        if self.is_task:
            head, arguments = "async def run(", ["scope", "receive", "send", "reply", *arguments]
        if self.overrides is not None:
            # Overridden dependencies, as tests use them: FastAPI resolves them anew for each request.
            provider = self._name(self.overrides, "provider")
            self.binding.insert(0, f"if {provider}.dependency_overrides: {self._fallback()}")
        text = [f"{head}{', '.join(arguments)}):", *_indented([*self.binding, *lines])]
        source = "\n".join(text) + "\n"
        where = f"<plan of {self.route.path}>"
        exec(compile(source, where, "exec"), self.names)
        return self.names["run"], source

    def _fallback(self) -> str:
        if self.is_task:
            return f"return None if reply.refuse() else await {self._name(self.app, 'app')}(scope, receive, send)"
        return "return FALLBACK"

    # ---- Names and arguments. ----

    def _name(self, value: Any, hint: str) -> str:
        # Interned, as in the code that looks it up: a key that is another object is counted at each look, and where the
        # GIL is off the workers that do not own it take the lock of the globals for that.
        name = sys.intern(f"{hint}_{next(self.numbers)}")
        self.names[name] = value
        return name

    def _new(self, hint: str) -> str:
        return f"{hint}_{next(self.numbers)}"

    def _native(self, native: Native) -> str:
        try:
            known = self.natives.get(native)
        except TypeError as unhashable:
            raise NotCompiled(f"the default of {native.wire!r} cannot be kept") from unhashable
        if known is None:
            known = self.natives[native] = f"a_{next(self.numbers)}"
        return known

    def _once(self, key: str, hint: str, source: str) -> str:
        """A value made once, before anything of the user's runs."""
        if key not in self.shared:
            name = self.shared[key] = self._new(hint)
            self.binding.append(f"{name} = {source}")
        return self.shared[key]

    # ---- One dependant, in FastAPI's order. ----

    def _solve(self, dependant: Dependant) -> dict[str, str]:
        values: dict[str, str] = {}
        for sub in dependant.dependencies:
            solved = self._dependency(sub)
            if sub.name is not None:
                values[sub.name] = solved
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
            lines = [test, *_indented(absent), "else:", *_indented(lines)]
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
        judged = self._judged_body(dependant)
        if judged is not None:
            return judged
        raw = self._native(Native("json_body"))
        embeds = self.route._embed_body_fields
        if "body" not in self.shared:
            body = self.shared["body"] = self._new("body")
            self.names["loads"] = __import__("json").loads
            self.binding += [
                f"if {raw} is None: {body} = UNDEFINED",
                "else:",
                f"    try: {body} = loads({raw})",
                f"    except (ValueError, RecursionError): {self._fallback()}",
            ]
        body = self.shared["body"]
        field = fields[0]
        from fastapi.dependencies.utils import _should_embed_body_fields

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

    def _judged_body(self, dependant: Dependant) -> dict[str, str] | None:
        """A body that is judged and built natively; None where FastAPI's own extraction is to read it."""
        from fastapi.dependencies.utils import _should_embed_body_fields

        if dependant is not self.dependant or self.judge is not None or "body" in self.shared:
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

    # ---- One dependency. ----

    def _dependency(self, sub: Dependant) -> str:
        call: Any = sub.call
        view = _security_view(sub)
        if view is not None:
            return self._security(sub, view)
        values = self._solve(sub)
        key = _get_cache_key(dependant=sub)
        if sub.use_cache and key in self.cache:
            return self.cache[key]
        arguments = ", ".join(f"{name}={value}" for name, value in values.items())
        name, result = self._name(call, "dependency"), self._new("d")
        if _is_gen_callable(call) or _is_async_gen_callable(call):
            self._generator(sub, name, arguments, values, result)
        elif _is_coroutine_callable(call):
            made = f"{name}({arguments})"
            self.steps.append(f"{result} = await {made}" if self.is_task else f"{result} = drive({made})")
        else:
            self.is_blocking = True
            if self.is_task:
                self.steps.append(f"{result} = await run_in_threadpool({name}{', ' if arguments else ''}{arguments})")
            else:
                # As in a thread pool, what it sets in its context is its own.
                self.steps.append(f"{result} = copy_context().run({name}{', ' if arguments else ''}{arguments})")
        self.cache.setdefault(key, result)
        return result

    def _generator(self, sub: Dependant, name: str, arguments: str, values: dict[str, str], result: str) -> None:
        self.has_generators = True
        is_function_scoped = sub.scope == "function"
        self.has_function_generators |= is_function_scoped
        if self.is_task:
            self.wants_request = True
            stack = "function_stack" if is_function_scoped else "request_stack"
            dependant = self._name(sub, "dependant")
            given = "{" + ", ".join(f"{key!r}: {value}" for key, value in values.items()) + "}"
            self.steps.append(
                f"{result} = await solve_generator(request=request, dependant={dependant}, stack={stack}, "
                f"sub_values={given})"
            )
            return
        is_async = _is_async_gen_callable(sub.call)
        self.is_blocking |= not is_async
        enter = "enter_async" if is_async else "enter"
        self.steps.append(f"{result} = {enter}(opened, {name}({arguments}), {is_function_scoped!r})")

    def _security(self, sub: Dependant, view: tuple[str, str]) -> str:
        """A security scheme of FastAPI's: called with just what it reads of the request."""
        key = _get_cache_key(dependant=sub)
        if sub.use_cache and key in self.cache:
            return self.cache[key]
        where, wire = view
        if where == "cookies":
            made = self._cookies()
        else:
            source = "header" if where == "headers" else "query"
            value = self._native(
                Native(source, wire.lower() if source == "header" else wire, "str", False, False, None)
            )
            made = f"{{}} if {value} is None else {{{wire!r}: {value}}}"
        name, result, seen = self._name(sub.call, "scheme"), self._new("d"), self._new("view")
        called = f"{name}({seen})"
        whole = [f"{seen} = SimpleNamespace({where}={made})",
                 f"{result} = await {called}" if self.is_task else f"{result} = drive({called})"]  # fmt: skip
        quick = schemes.quick(sub.call)
        if quick is not None and where != "cookies":
            whole = [f"{result} = {self._name(quick, 'quick')}({value})", f"if {result} is None:", *_indented(whole)]
        self.steps += whole
        self.cache.setdefault(key, result)
        return result

    # ---- Which form. ----

    def _must_be_task(self, dependant: Dependant) -> bool:
        """True when something may suspend, or wants the request or the loop."""
        if _security_view(dependant) is not None:
            return False
        if dependant.request_param_name or dependant.http_connection_param_name:
            return True
        call = dependant.call
        if (_is_coroutine_callable(call) or _is_async_gen_callable(call)) and may_suspend(call):
            return True
        return any(self._must_be_task(sub) for sub in dependant.dependencies)


def _indented(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]


_AUTHORIZATION = ("headers", "Authorization")
_SCHEMES: dict[Callable[..., Any], str] = {
    fastapi_security.OAuth2.__call__: "headers",
    fastapi_security.OAuth2PasswordBearer.__call__: "headers",
    fastapi_security.OAuth2AuthorizationCodeBearer.__call__: "headers",
    fastapi_security.OpenIdConnect.__call__: "headers",
    fastapi_security.HTTPBasic.__call__: "headers",
    fastapi_security.HTTPBearer.__call__: "headers",
    fastapi_security.HTTPDigest.__call__: "headers",
    fastapi_security.APIKeyHeader.__call__: "headers",
    fastapi_security.APIKeyQuery.__call__: "query_params",
    fastapi_security.APIKeyCookie.__call__: "cookies",
}


def _security_view(dependant: Dependant) -> tuple[str, str] | None:
    """What a security scheme reads of a request: attribute and name. None when it is none, or not FastAPI's own."""
    call = dependant.call
    if call is None or not _is_security_scheme(dependant=dependant):
        return None
    where = _SCHEMES.get(getattr(type(call), "__call__", None))  # type: ignore[arg-type]  # noqa: B004
    if where is None or dependant.dependencies:
        return None
    if isinstance(call, (fastapi_security.APIKeyHeader, fastapi_security.APIKeyQuery, fastapi_security.APIKeyCookie)):
        return where, call.model.name
    return _AUTHORIZATION
