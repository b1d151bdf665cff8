"""What a compiled route is, and what its parts share.

Owns: `Plan`, how it is given to the native server, the outer layers of an application (one `Tail` each), the sending of
a final answer from a task.
Does not own: making plans (`compile`, `builder`).
Rule: a plan is not changed after it was made.
"""

from __future__ import annotations

from typing import Any

from turboapi_rs.plans.params import Native
from turboapi_rs.plans.responses import Finish
from turboapi_rs.plans.resume import Resumed, Tail
from turboapi_rs.plans.routes import Place


class Plan:
    """A compiled route.

    Attributes:
        run: the function; see the module's text for its forms.
        natives: its arguments, in order, all made natively.
        is_task: it is a coroutine function called with `(scope, receive, send, reply, *natives)`.
        is_blocking: it calls a `def` function of the user's, which may block.
        takes_files: its body is a form that may have files; a large one goes to FastAPI.
        overrides: what holds the `dependency_overrides` that it asks for each request; None when there are none.
        note: what of the route FastAPI's own handler does; empty when all of it is compiled.
        finish: the response step, when `run` returns the endpoint's bare result; None when it returns a final answer.
    """

    def __init__(self, *, run: Any, natives: list[Native], is_task: bool, is_blocking: bool, status: int,
                 finish: Finish | None, fault: Any, reads_body: bool, source: str, pin: str, judge: Any = None,
                 answers_invalid: bool = False, note: str = "", referee: Any = None,
                 takes_files: bool = False, overrides: Any = None) -> None:  # fmt: skip
        self.run, self.natives, self.is_task, self.is_blocking = run, natives, is_task, is_blocking
        self.status, self.finish, self.fault, self.reads_body, self.source = status, finish, fault, reads_body, source
        self.pin, self.judge, self.answers_invalid, self.note = pin, judge, answers_invalid, note
        self.referee, self.takes_files, self.overrides = referee, takes_files, overrides

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
            takes_files=self.takes_files,
            pin=self.pin,
            judge=self.judge,
            answers_invalid=self.answers_invalid,
            answers_unreadable=self.referee is not None,
            referee=self.referee,
            overrides=self.overrides,
        )


_tails: dict[tuple[int, str], Tail] = {}


def tail_of(place: Place) -> Tail:
    """The outer layers of an application, made once for each place where it stands."""
    key = (id(place.app), place.prefix)
    tail = _tails.get(key)
    if tail is None or tail.place.app is not place.app or tail.place.root is not place.root:
        tail = _tails[key] = Tail(place)
    return tail


async def deliver(final: Any, scope: Any, receive: Any, send: Any, reply: Any) -> None:
    """Send a final answer."""
    if isinstance(final, Resumed):
        await final.here(scope, receive, send, reply)
    else:
        reply(final)
