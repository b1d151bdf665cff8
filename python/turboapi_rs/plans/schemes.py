"""FastAPI's security schemes, for the requests that they let through.

Owns: what a scheme reads of a request, what it gives for good credentials.
Does not own: any other request, which goes to the scheme itself.
Rule: only for FastAPI's own classes, none of their methods overridden; the value is the one that the scheme would give.
Spec: RFC 9110 section 11.6.2; `fastapi.security`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from fastapi import security as fastapi_security
from fastapi.dependencies.models import Dependant, _is_security_scheme
from fastapi.security import (
    APIKeyHeader,
    APIKeyQuery,
    HTTPAuthorizationCredentials,
    HTTPBearer,
    OAuth2AuthorizationCodeBearer,
    OAuth2PasswordBearer,
)
from fastapi.security import api_key as _api_key
from fastapi.security import http as _http
from fastapi.security import oauth2 as _oauth2
from fastapi.security.utils import get_authorization_scheme_param
from pydantic import BaseModel

Quick = Callable[[str | None], Any]
"""The field a scheme reads, as text or None, to the scheme's value; None where the scheme itself is to be asked."""

_OWN = {
    (HTTPBearer, HTTPBearer.__call__),
    (OAuth2PasswordBearer, OAuth2PasswordBearer.__call__),
    (OAuth2AuthorizationCodeBearer, OAuth2AuthorizationCodeBearer.__call__),
    (APIKeyHeader, APIKeyHeader.__call__),
    (APIKeyQuery, APIKeyQuery.__call__),
}
"""Classes with their method as it was when this module was imported."""


def quick(scheme: Any) -> Quick | None:
    """The short way of a scheme, or None if it has none.

    >>> quick(OAuth2PasswordBearer("token"))("Bearer abc")
    'abc'
    >>> quick(OAuth2PasswordBearer("token"))("Basic abc") is None
    True
    """
    kind = type(scheme)
    if (kind, kind.__call__) not in _OWN or "__call__" in vars(scheme):
        return None
    if kind in (APIKeyHeader, APIKeyQuery):
        is_own = kind.check_api_key is _api_key.APIKeyBase.check_api_key and "check_api_key" not in vars(scheme)
        return _api_key_of if is_own else None
    module: Any = _http if kind is HTTPBearer else _oauth2
    if module.get_authorization_scheme_param is not get_authorization_scheme_param:
        return None
    if kind is not HTTPBearer:
        return _token_of
    return _credentials_of if _is_plain_model(module.HTTPAuthorizationCredentials) else None


def _api_key_of(value: str | None) -> str | None:
    return value or None


def _token_of(value: str | None) -> str | None:
    if not value:
        return None
    scheme, _, token = value.partition(" ")
    # An empty token is the scheme's to judge.
    return token.strip() or None if scheme == "Bearer" or scheme.lower() == "bearer" else None


_new, _put = object.__new__, object.__setattr__


def _credentials_of(value: str | None) -> HTTPAuthorizationCredentials | None:
    if not value:
        return None
    scheme, _, token = value.partition(" ")
    token = token.strip()
    if not token or (scheme != "Bearer" and scheme.lower() != "bearer"):
        return None
    # Two strings are what the model asks for: nothing is left to validate.
    made = _new(HTTPAuthorizationCredentials)
    _put(made, "__dict__", {"scheme": scheme, "credentials": token})
    _put(made, "__pydantic_fields_set__", {"scheme", "credentials"})
    _put(made, "__pydantic_extra__", None)
    _put(made, "__pydantic_private__", None)
    return made


def _is_plain_model(model: Any) -> bool:
    """The model is the one known here: two plain strings, nothing that runs when one is made."""
    fields = {"scheme", "credentials"}
    decorators = model.__pydantic_decorators__
    return (
        model is HTTPAuthorizationCredentials
        and not model.model_config
        and model.__init__ is BaseModel.__init__
        and model.model_post_init is BaseModel.model_post_init
        and set(model.model_fields) == fields
        and all(model.model_fields[name].annotation is str for name in fields)
        and not any(getattr(decorators, kind.name) for kind in dataclasses.fields(decorators))
    )


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


def view_of(dependant: Dependant) -> tuple[str, str] | None:
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
