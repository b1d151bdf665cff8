"""Runs cases against two servers and judges each.

Owns: the two children, sending a case's requests, the verdict.
Does not own: what is the same (`compare`), what is asked (`pages`).
Rule: both servers get the same requests in the same order, so that state kept by an app is the same state.
"""

from __future__ import annotations

import importlib
import pkgutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..support.children import Child, ChildFailed
from ..support.wire import Answer, Connection, NoAnswer
from . import pages
from .case import Case, Sent
from .compare import KNOWN_DIFFERENCES, difference

FILES_VARIABLE = "TURBOAPI_PARITY_FILES"
"""Names the folder of files that both servers serve: one folder, so that times and sizes agree."""

OURS = {"shared": "turboapi", "processes": "turboapi-processes"}
"""The server that is judged, in each isolation. FastAPI runs in no other: Pydantic's core refuses own interpreters."""

APP_BY_APP = {"turboapi-processes"}
"""Servers whose apps are there one at a time: cases are for them in the order of `app_by_app`."""


@dataclass(frozen=True)
class Verdict:
    """What came of one case."""

    case: Case
    statuses: tuple[int, ...]
    """The reference server's statuses, one a request."""
    fault: str | None
    """What differs, in words; None when nothing does."""
    served: str
    """`direct` when every request of the case ran natively on our server, `asgi` when any did not."""
    reason: str = ""
    """Why not `direct`."""

    @property
    def known(self) -> str | None:
        """Why this case may differ."""
        return KNOWN_DIFFERENCES.get(self.case.id)

    @property
    def is_red(self) -> bool:
        """A difference nobody accounted for, or an account of a difference that is gone."""
        return (self.fault is None) != (self.known is None)


def all_cases() -> list[Case]:
    """The cases of every page, in page order."""
    cases: list[Case] = []
    for module in sorted(pkgutil.iter_modules(pages.__path__), key=lambda m: m.name):
        cases += importlib.import_module(f"{pages.__name__}.{module.name}").CASES
    names = [case.id for case in cases]
    repeated = {name for name in names if names.count(name) > 1}
    assert not repeated, f"case names used twice: {sorted(repeated)}"
    return cases


def app_by_app(cases: Sequence[Case]) -> list[Case]:
    """The cases of one app after those of another, for a server whose apps are there one at a time; each app's in order."""
    return sorted(cases, key=lambda case: case.app)


class Side:
    """One server with all the apps."""

    def __init__(self, kind: str, child: Child) -> None:
        self.kind = kind
        self.about: dict[str, Any] = child.ready["about"]
        self._ports: dict[str, int] = child.ready["ports"]
        self._child = child

    def run(self, case: Case) -> list[Answer]:
        """The answers to every request of `case`, on one connection while the server keeps it."""
        answers: list[Answer] = []
        connection: Connection | None = None
        try:
            for request in case.requests:
                if connection is not None and request.is_fresh:
                    connection.close()
                    connection = None
                if connection is None:
                    connection = self._connect(case)
                try:
                    answer = connection.exchange(request.data, request.method)
                except (NoAnswer, BrokenPipeError, ConnectionResetError):
                    if not answers:
                        raise
                    # It was closed after the answer before; that is the server's right.
                    connection.close()
                    connection = self._connect(case)
                    answer = connection.exchange(request.data, request.method)
                answers.append(answer)
                if answer.framing == "close" or answer.is_torn or answer.header("connection") == "close":
                    connection.close()
                    connection = None
        finally:
            if connection is not None:
                connection.close()
        return answers

    def how_served(self, case: Case) -> tuple[str, str]:
        """`direct` or `asgi`, and why not `direct`."""
        for request in case.requests:
            how = self._child.ask(f"served {case.app} {request.method} {path_of(request)}")
            if how["kind"] != "direct":
                return "asgi", how["reason"]
        return "direct", ""

    def _connect(self, case: Case) -> Connection:
        port = self._ports.get(case.app) or self._child.ask(f"port {case.app}")
        return Connection(("127.0.0.1", port))


def path_of(request: Sent) -> str:
    """The path of a request target in any of its forms."""
    target = request.target.split("?", 1)[0]
    if "://" in target:
        target = "/" + target.split("://", 1)[1].partition("/")[2]
    return target


@contextmanager
def sides(cases: Sequence[Case], reference: str, ours: str) -> Iterator[tuple[Side, Side]]:
    """Starts both servers with the apps that `cases` need.

    Raises:
        ChildFailed: processes that `ours` started did not end well.
    """
    apps = sorted({case.app for case in cases})
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="parity-")))
        write_files(folder)
        env = {FILES_VARIABLE: str(folder)}
        children = [Child.python("-m", "tests.parity.host", kind, *apps, env=env) for kind in (reference, ours)]
        left, right = (stack.enter_context(child) for child in children)
        yield Side(reference, left), Side(ours, right)
        if ours in APP_BY_APP and (code := right.stop()) != 0:
            raise ChildFailed(f"{ours} ended with {code}:\n{right.log()[-4000:]}")


def write_files(folder: Path) -> None:
    """The files that apps serve, made once so that both servers see the same times and sizes."""
    site = folder / "site"
    (site / "sub").mkdir(parents=True)
    (site / "index.html").write_text("<!doctype html><title>home</title><p>home</p>\n")
    (site / "404.html").write_text("<!doctype html><title>lost</title><p>lost</p>\n")
    (site / "style.css").write_text("p { color: teal }\n")
    (site / "sub" / "index.html").write_text("<!doctype html><title>sub</title><p>sub</p>\n")
    (site / "numbers.bin").write_bytes(bytes(range(256)) * 4)
    (site / "naïve name.txt").write_text("a name outside ASCII\n")
    templates = folder / "templates"
    templates.mkdir()
    (templates / "item.html").write_text("<a href=\"{{ url_for('read_item', id=id) }}\">Item {{ id }}</a> {{ text }}\n")


def judge(case: Case, reference: Side, ours: Side) -> Verdict:
    """Sends `case` to both servers and compares."""
    expected = reference.run(case)
    served, reason = ours.how_served(case)
    fault = None
    try:
        got = ours.run(case)
    except (OSError, ValueError) as error:
        fault = f"no answer: {type(error).__name__}: {error}"
    else:
        for index, (theirs, mine) in enumerate(zip(expected, got, strict=True)):
            if (fault := difference(case, index, theirs, mine)) is not None:
                fault = f"request {index + 1}: {fault}" if len(expected) > 1 else fault
                break
    return Verdict(case, tuple(answer.status for answer in expected), fault, served, reason)
