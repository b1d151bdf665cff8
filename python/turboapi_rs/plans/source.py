"""The text of one route's function while it is written.

Owns: its names and what they stand for, its native arguments, the lines that come before the user's code, the making of
the function from its text.
Does not own: which lines there are (`arguments`, `builder`).
Rule: a value gets into the text by its name alone; of the application's own, only names of parameters and of fields are
written as text.
"""

from __future__ import annotations

import copy
import itertools
import sys
from contextlib import AsyncExitStack
from contextvars import copy_context
from types import SimpleNamespace
from typing import Any

from fastapi.background import BackgroundTasks
from fastapi.dependencies.utils import _solve_generator, request_body_to_args, request_params_to_args
from fastapi.exceptions import FastAPIError
from pydantic_core import PydanticUndefined, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request, cookie_parser

from turboapi_rs._core import drive, jsonable_bytes
from turboapi_rs.plans import unwind
from turboapi_rs.plans.params import Native
from turboapi_rs.plans.plan import deliver
from turboapi_rs.plans.responses import new_response
from turboapi_rs.plans.resume import Resumed, prepare
from turboapi_rs.plans.routes import NotCompiled, Place


def indented(lines: list[str]) -> list[str]:
    """The lines, one block deeper."""
    return ["    " + line for line in lines]


class Source:
    """The function of one route, line by line.

    Attributes:
        names: what the function's global names stand for.
        natives: its native arguments, and their names.
        binding: the lines before the first call of the user's code.
        steps: the lines of the dependencies.
        shared: names of values that are made once, by what they are.
        is_task: it is a coroutine function.
    """

    def __init__(self, place: Place, route: Any) -> None:
        self.place, self.route = place, route
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
        self.shared: dict[str, str] = {}
        self.is_task = False

    def _define(self, lines: list[str]) -> tuple[Any, str]:
        arguments = list(self.natives.values())
        head = "def run("
        if self.is_task:
            head, arguments = "async def run(", ["scope", "receive", "send", "reply", *arguments]
        text = [f"{head}{', '.join(arguments)}):", *indented([*self.binding, *lines])]
        source = "\n".join(text) + "\n"
        where = f"<plan of {self.route.path}>"
        exec(compile(source, where, "exec"), self.names)
        return self.names["run"], source

    def _fallback(self) -> str:
        if self.is_task:
            root = self._name(self.place.root, "root")
            return f"return None if reply.refuse() else await {root}(scope, receive, send)"
        return "return FALLBACK"

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
