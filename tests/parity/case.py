"""Cases as data: what is sent to which app, and how to write that down in one line.

Owns: the shape of a case, constructors for the usual requests.
Does not own: sending (`referee`), judging (`compare`).
Rule: a case is immutable and always the same bytes, so that both servers are asked the same question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..support.bodies import BOUNDARY, Upload, form_body, json_body, multipart_body
from ..support.wire import chunked, request_bytes

Headers = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Sent:
    """One request of a case."""

    method: str
    target: str
    data: bytes
    """The whole request, as it goes to the socket."""
    is_fresh: bool = False
    """It goes on a connection of its own, since the server may cut the one before (uvicorn does when a background task
    fails) at a moment of its choice."""


@dataclass(frozen=True)
class Case:
    """One or more requests to one app, answered alike by both servers."""

    name: str
    requests: tuple[Sent, ...]
    app: str = ""
    """Module under `tests.parity.apps`, and its attribute: `query_params` or `cors:strict`."""
    page: str = ""
    """The page of FastAPI's documentation that the case is about."""
    random_hex: bool = False
    """The answer holds a random token (a multipart boundary): runs of hexadecimal digits are compared by length."""

    @property
    def id(self) -> str:
        """A name that is unique among all cases."""
        return f"{self.app}: {self.name}"


def sent(
    method: str, target: str, *, headers: Headers = (), body: bytes | None = None, version: str = "HTTP/1.1"
) -> Sent:
    """One request of a flow."""
    pairs = tuple(headers.items() if isinstance(headers, Mapping) else headers)
    return Sent(method, target, request_bytes(method, target, headers=pairs, body=body, version=version))


def sent_json(
    method: str, target: str, value: Any, *, headers: Mapping[str, str] | None = None, raw: bytes | None = None
) -> Sent:
    """One request with a JSON body; `raw` replaces the encoding of `value`."""
    body = json_body(value) if raw is None else raw
    return sent(method, target, headers={"content-type": "application/json", **(headers or {})}, body=body)


def sent_form(
    method: str, target: str, fields: list[tuple[str, str]], *, headers: Mapping[str, str] | None = None
) -> Sent:
    """One request with an urlencoded form."""
    given = {"content-type": "application/x-www-form-urlencoded", **(headers or {})}
    return sent(method, target, headers=given, body=form_body(fields))


def sent_multipart(method: str, target: str, fields: list[tuple[str, str | Upload]]) -> Sent:
    """One request with a multipart form."""
    given = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    return sent(method, target, headers=given, body=multipart_body(fields))


def fresh(request: Sent) -> Sent:
    """`request`, on a connection of its own."""
    return replace(request, is_fresh=True)


def flow(name: str, *requests: Sent, random_hex: bool = False) -> Case:
    """Several requests, in order, on one connection while it lasts."""
    return Case(name, requests, random_hex=random_hex)


def get(name: str, target: str, *, headers: Headers = (), random_hex: bool = False) -> Case:
    """A GET."""
    return flow(name, sent("GET", target, headers=headers), random_hex=random_hex)


def request(name: str, method: str, target: str, *, headers: Headers = (), body: bytes | None = None) -> Case:
    """Any request with any body."""
    return flow(name, sent(method, target, headers=headers, body=body))


def post_json(
    name: str,
    target: str,
    value: Any = None,
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    raw: bytes | None = None,
) -> Case:
    """A request with a JSON body."""
    return flow(name, sent_json(method, target, value, headers=headers, raw=raw))


def post_form(name: str, target: str, fields: list[tuple[str, str]], *, method: str = "POST") -> Case:
    """A request with an urlencoded form."""
    return flow(name, sent_form(method, target, fields))


def post_multipart(name: str, target: str, fields: list[tuple[str, str | Upload]], *, method: str = "POST") -> Case:
    """A request with a multipart form."""
    return flow(name, sent_multipart(method, target, fields))


def post_chunked(name: str, target: str, *pieces: bytes, content_type: str = "application/json") -> Case:
    """A POST whose body comes in chunks."""
    headers = {"content-type": content_type, "transfer-encoding": "chunked"}
    return flow(name, sent("POST", target, headers=headers, body=chunked(*pieces)))


def raw(name: str, method: str, target: str, data: bytes) -> Case:
    """Exactly `data`; `method` and `target` say how to read and report it."""
    return Case(name, (Sent(method, target, data),))


def page(title: str, app: str, *cases: Case) -> tuple[Case, ...]:
    """Gives `cases` their page and app."""
    return tuple(replace(case, page=title, app=case.app or app) for case in cases)
