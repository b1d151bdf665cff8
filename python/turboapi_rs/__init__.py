"""turboapi_rs: a free-threaded-Python-first web server, with a FastAPI-compatible framework on top.

Owns: the names that users import. Does not own: FastAPI's, Starlette's and Pydantic's names, which are passed on as
they are. Rule: a name is imported when it is first asked for, so that `Server` alone does not import FastAPI.
Threads: any; one at a time imports, since modules of FastAPI that import each other fail when threads begin with
different ones.

Example:
    >>> import turboapi_rs
    >>> server = turboapi_rs.Server()
    >>> @server.get("/")
    ... def hello():
    ...     return {"message": "Hello World"}
"""

from __future__ import annotations

import importlib
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import *  # noqa: F403

    from turboapi_rs._core import ConfigError, FormError, StartupError, Upload
    from turboapi_rs._core import Request as RawRequest
    from turboapi_rs.app import TurboAPI
    from turboapi_rs.config import ServerConfig
    from turboapi_rs.server import RouteError, Server, blocking, direct, serve

__version__ = "0.1.0"

#: Our own names: name → (module, attribute).
_OWN = {
    "ConfigError": ("turboapi_rs._core", "ConfigError"),
    "RawRequest": ("turboapi_rs._core", "Request"),
    "RouteError": ("turboapi_rs.server", "RouteError"),
    "Server": ("turboapi_rs.server", "Server"),
    "ServerConfig": ("turboapi_rs.config", "ServerConfig"),
    "StartupError": ("turboapi_rs._core", "StartupError"),
    "TurboAPI": ("turboapi_rs.app", "TurboAPI"),
    "FormError": ("turboapi_rs._core", "FormError"),
    "Upload": ("turboapi_rs._core", "Upload"),
    "blocking": ("turboapi_rs.server", "blocking"),
    "direct": ("turboapi_rs.server", "direct"),
    "serve": ("turboapi_rs.server", "serve"),
}

#: Names of others, passed on: module → names.
_PASSED_ON = {
    "fastapi": (
        "APIRouter BackgroundTasks Body Cookie Depends File FastAPI Form Header HTTPException Path Query Request "
        "Response Security UploadFile WebSocket WebSocketDisconnect WebSocketException status"
    ).split(),
    "fastapi.exceptions": ["RequestValidationError", "ResponseValidationError"],
    "fastapi.encoders": ["jsonable_encoder"],
    "fastapi.responses": (
        "FileResponse HTMLResponse JSONResponse PlainTextResponse RedirectResponse StreamingResponse"
    ).split(),
    "fastapi.staticfiles": ["StaticFiles"],
    "fastapi.templating": ["Jinja2Templates"],
    "fastapi.testclient": ["TestClient"],
    "fastapi.middleware.cors": ["CORSMiddleware"],
    "fastapi.middleware.gzip": ["GZipMiddleware"],
    "fastapi.middleware.trustedhost": ["TrustedHostMiddleware"],
    "fastapi.middleware.httpsredirect": ["HTTPSRedirectMiddleware"],
    "fastapi.security": (
        "APIKeyCookie APIKeyHeader APIKeyQuery HTTPAuthorizationCredentials HTTPBasic HTTPBasicCredentials HTTPBearer "
        "HTTPDigest OAuth2 OAuth2AuthorizationCodeBearer OAuth2PasswordBearer OAuth2PasswordRequestForm "
        "OAuth2PasswordRequestFormStrict OpenIdConnect SecurityScopes"
    ).split(),
    "starlette.background": ["BackgroundTask"],
    "starlette.middleware": ["Middleware"],
    "pydantic": (
        "AfterValidator BaseModel BeforeValidator ConfigDict EmailStr Field HttpUrl Json RootModel TypeAdapter "
        "ValidationError computed_field conint constr field_serializer field_validator model_serializer "
        "model_validator"
    ).split(),
}

_WHERE = dict(_OWN)
_WHERE.update({name: (module, name) for module, names in _PASSED_ON.items() for name in names})

__all__ = [*sorted(_WHERE), "__version__"]

_importing = threading.RLock()


def __getattr__(name: str) -> Any:
    try:
        module, attribute = _WHERE[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    with _importing:
        value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
