"""FastAPI's security schemes and the short ways through them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.security import (
    APIKeyHeader,
    APIKeyQuery,
    HTTPAuthorizationCredentials,
    HTTPBasic,
    HTTPBearer,
    OAuth2,
    OAuth2AuthorizationCodeBearer,
    OAuth2PasswordBearer,
)
from fastapi.security import http as http_schemes
from turboapi_rs.plans import schemes

VALUES = [
    None, "", " ", "Bearer", "Bearer ", "Bearer  ", "Bearer token", "bearer token", "BEARER token", "bEaReR\ttoken",
    "Bearer token ", "Bearer  token", "Bearer a b", "Bearer \xa0", "Bearer\xa0token", "Bearer t\xe9", "Basic dTpw",
    " Bearer token", "Bearertoken", "Bearer \x85token\x85", "token",
]  # fmt: skip

BEARERS: list[Any] = [
    HTTPBearer(),
    HTTPBearer(auto_error=False),
    OAuth2PasswordBearer("token"),
    OAuth2PasswordBearer("token", auto_error=False),
    OAuth2AuthorizationCodeBearer("authorize", "token", auto_error=False),
]


def asked(scheme: Any, view: Any) -> Any:
    """What the scheme itself gives, or the error that it raises."""
    try:
        return asyncio.run(scheme(view))
    except Exception as raised:
        return raised


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("scheme", BEARERS, ids=lambda scheme: f"{type(scheme).__name__}-{scheme.auto_error}")
def test_bearers_give_what_the_scheme_gives_or_ask_it(scheme: Any, value: str | None) -> None:
    short = schemes.quick(scheme)
    assert short is not None
    whole = asked(scheme, SimpleNamespace(headers={} if value is None else {"Authorization": value}))
    found = short(value)
    if found is not None:
        assert found == whole
        assert type(found) is type(whole)
    elif not isinstance(whole, Exception):
        assert not whole, "good credentials take the short way"


@pytest.mark.parametrize("value", [None, "", "key", " "])
def test_keys_give_what_the_scheme_gives_or_ask_it(value: str | None) -> None:
    given = {} if value is None else {"x": value}
    for scheme, view in (
        (APIKeyHeader(name="x", auto_error=False), SimpleNamespace(headers=given)),
        (APIKeyQuery(name="x", auto_error=False), SimpleNamespace(query_params=given)),
    ):
        short = schemes.quick(scheme)
        assert short is not None
        assert short(value) == asked(scheme, view)


def test_credentials_are_whole_models() -> None:
    short = schemes.quick(HTTPBearer())
    assert short is not None
    made, real = short("Bearer token"), HTTPAuthorizationCredentials(scheme="Bearer", credentials="token")
    assert made == real
    assert made.model_dump() == real.model_dump()
    assert made.model_fields_set == real.model_fields_set
    assert made.model_copy(update={"credentials": "x"}).credentials == "x"
    assert repr(made) == repr(real)
    assert made.__pydantic_extra__ is None
    assert made.__pydantic_private__ is None


def test_a_subclass_or_another_scheme_is_asked_itself() -> None:
    class Own(HTTPBearer):
        async def __call__(self, request: Any) -> Any:
            return "own"

    class Plain(OAuth2PasswordBearer):
        pass

    class Key(APIKeyHeader):
        def check_api_key(self, api_key: str | None) -> str | None:
            return "own"

    for scheme in (Own(), Plain("token"), Key(name="x"), HTTPBasic(), OAuth2(), lambda request: None):
        assert schemes.quick(scheme) is None


def test_what_was_replaced_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    async def replaced(self: Any, request: Any) -> str:
        return "replaced"

    with monkeypatch.context() as patch:
        patch.setattr(HTTPBearer, "__call__", replaced)
        assert schemes.quick(HTTPBearer()) is None
    with monkeypatch.context() as patch:
        patch.setattr(http_schemes, "get_authorization_scheme_param", lambda value: ("Bearer", "replaced"))
        assert schemes.quick(HTTPBearer()) is None
    with monkeypatch.context() as patch:
        patch.setattr(http_schemes, "HTTPAuthorizationCredentials", type("Own", (HTTPAuthorizationCredentials,), {}))
        assert schemes.quick(HTTPBearer()) is None
    key = APIKeyHeader(name="x")
    monkeypatch.setattr(key, "check_api_key", lambda api_key: "replaced")
    assert schemes.quick(key) is None
