"""A route's `Dependant` tree to one Python function with every decision already taken.

Owns: the order of steps, dependencies, which of the two forms the function takes.
Does not own: its arguments (`arguments`), its text (`source`), the response step (`responses`).
Rule: steps run in the order in which FastAPI's `solve_dependencies` runs them; whatever may fail before the first call
of the user's code comes first, and sends the whole request to FastAPI.

Two forms. A *direct* function is plain: it is called on a worker's thread and never suspends. A *task* function is a
coroutine function, run on the application's event loop: for code that awaits, or that is given the request.
"""

from __future__ import annotations

import inspect
from typing import Any

from fastapi.dependencies.models import (
    Dependant,
    _get_cache_key,
    _is_async_gen_callable,
    _is_coroutine_callable,
    _is_gen_callable,
)

from turboapi_rs.plans import schemes
from turboapi_rs.plans.arguments import Arguments
from turboapi_rs.plans.forms import leave
from turboapi_rs.plans.params import Native
from turboapi_rs.plans.plan import Plan, tail_of
from turboapi_rs.plans.refusal import answers_plainly, referee_of
from turboapi_rs.plans.responses import Finish, fault_of
from turboapi_rs.plans.routes import Place
from turboapi_rs.plans.source import indented
from turboapi_rs.plans.suspends import may_suspend


class Builder(Arguments):
    """The plan of one route."""

    def __init__(self, place: Place, route: Any, dependant: Dependant) -> None:
        super().__init__(place, route, dependant)
        self.tail = tail_of(place)
        self.finish = Finish(route, self.tail)
        self.cache: dict[Any, str] = {}
        self.has_generators = self.has_function_generators = self.is_blocking = False
        self.is_task = self._must_be_task(dependant)

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
        finishes_natively = not (
            self.is_task or self.has_generators or self.takes_files or self.background or self.injected
        )
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
                    fault=fault_of(self.tail, self.route), reads_body=self.reads_body,
                    takes_files=self.takes_files, source=source, pin=pin,
                    judge=self.judge, answers_invalid=self._answers_invalid(),
                    overrides=self.route.dependency_overrides_provider,
                    referee=referee_of(self.place.app, self.route, self.dependant,
                                       has_form=self.reads_form))  # fmt: skip

    def _answers_invalid(self) -> bool:
        """Nothing of the user's runs before an invalid body is found, and FastAPI's own handler answers it."""
        # A parameter that Python validates might be wrong too, and would come first.
        return answers_plainly(self.place.app) and not self.dependant.dependencies and not self.validates_here

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
        if self.has_generators:
            body = [
                "opened = []",
                "try:",
                *indented(body),
                *(["    close_function_scope(opened)"] if self.has_function_generators else []),
                "except BaseException as raised:",
                "    unwind(opened, raised)",
                # What still has to be sent is sent first.
                "if type(final) is Resumed: final.opened = opened",
                "else: close(opened)",
            ]
        if self.takes_files:
            # Whoever answers an exception finds the files open.
            self.names["leave"] = leave
            body = [
                "try:",
                *indented(body),
                "except Exception as raised:",
                f"    final = {self._fault()}(raised)",
                f"leave({self._form_data()}, final)",
            ]
        return [*body, "return final"]

    def _task(self, endpoint: str, arguments: str, is_async: bool, finished: str) -> list[str]:
        if is_async:
            call = f"await {endpoint}({arguments})"
        else:
            call = f"await run_in_threadpool({endpoint}{', ' if arguments else ''}{arguments})"
        body = [*self.steps, f"result = {call}", f"final = {finished}"]
        if self.wants_request:
            raw = self._native(Native("path_params"))
            place, route = self._name(self.place, "place"), self._name(self.route, "route")
            self.binding += [f"prepare(scope, {place}, {route}, {raw})", "request = Request(scope, receive, send)"]
        if self.has_generators:
            body = [
                "done = False",
                "async with AsyncExitStack() as request_stack:",
                '    scope["fastapi_inner_astack"] = request_stack',
                '    scope["fastapi_middleware_astack"] = request_stack',
                "    async with AsyncExitStack() as function_stack:",
                '        scope["fastapi_function_astack"] = function_stack',
                *indented(indented(body)),
                "    await deliver(final, scope, receive, send, reply)",
                "    done = True",
                "if not done:",
                "    raise FastAPIError('an exception was swallowed by a dependency with yield')",
            ]
        else:
            body = [*body, "await deliver(final, scope, receive, send, reply)"]
        answered = [
            "try:",
            *indented(body),
            "except Exception as raised:",
            "    if reply.is_begun():",
            "        raise",
            f"    await deliver({self._fault()}(raised), scope, receive, send, reply)",
        ]
        if self.takes_files:
            return ["try:", *indented(answered), "finally:", f"    await {self._form_data()}.close()"]
        return answered

    def _fault(self) -> str:
        return self._name(fault_of(self.tail, self.route), "fault")

    # ---- One dependant, in FastAPI's order. ----

    def _solve(self, dependant: Dependant) -> dict[str, str]:
        values: dict[str, str] = {}
        for sub in dependant.dependencies:
            solved = self._dependency(sub)
            if sub.name is not None:
                values[sub.name] = solved
        values.update(self._own_values(dependant))
        return values

    # ---- One dependency. ----

    def _dependency(self, sub: Dependant) -> str:
        call: Any = sub.call
        view = schemes.view_of(sub)
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
            whole = [f"{result} = {self._name(quick, 'quick')}({value})", f"if {result} is None:", *indented(whole)]
        self.steps += whole
        self.cache.setdefault(key, result)
        return result

    # ---- Which form. ----

    def _must_be_task(self, dependant: Dependant) -> bool:
        """True when something may suspend, or wants the request or the loop."""
        if schemes.view_of(dependant) is not None:
            return False
        if dependant.request_param_name or dependant.http_connection_param_name:
            return True
        call = dependant.call
        if (_is_coroutine_callable(call) or _is_async_gen_callable(call)) and may_suspend(call):
            return True
        return any(self._must_be_task(sub) for sub in dependant.dependencies)
