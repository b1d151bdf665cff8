"""Which of an application's middleware runs natively.

Owns: `user_middleware` read into descriptions for `_core.MiddlewareStack`, and the reason why reading stopped.
Does not own: what the layers do (`src/middleware`), the routes inside.
Rule: from the outside in, up to the first that is not exactly Starlette's own class with arguments that mean the same
here; its constructor makes the values that are fixed at start, so that they are Starlette's own. What was changed is
unknown: a subclass, a patched method, a version whose source is another one. Read once, at start: a list of origins
that the application changes later is not seen.
Spec: `starlette.middleware.{cors,gzip,trustedhost,httpsredirect}`, by the digests in `KNOWN`.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import fastapi
from starlette import _utils, datastructures, responses
from starlette.middleware import cors, gzip, httpsredirect, trustedhost

from turboapi_rs import _core
from turboapi_rs.plans.byte_pattern import translated

Description = tuple[str, dict[str, object]]
"""A layer: its name, and its values with texts in Latin-1."""


class Read(NamedTuple):
    """What of an application's middleware runs natively."""

    native: list[Description]
    """The outermost layers, outermost first: for `_core.MiddlewareStack`."""
    unknown: str | None
    """Why the next one inwards does not, in words for the user. None: there is no other."""


def read(app: fastapi.FastAPI) -> Read:
    """Describe the middleware that `app` was given, up to the first that is unknown.

    Example:
        >>> from fastapi.middleware.gzip import GZipMiddleware
        >>> app = fastapi.FastAPI()
        >>> app.add_middleware(GZipMiddleware, minimum_size=1000)
        >>> native, unknown = read(app)
        >>> [name for name, values in native], unknown
        (['gzip'], None)
    """
    build = app.build_middleware_stack
    if not _is_unchanged(getattr(build, "__func__", build), fastapi.applications):
        return Read([], "build_middleware_stack is not FastAPI's own")
    native: list[Description] = []
    for entry in app.user_middleware:
        try:
            native.append(_described(entry))
        except _Unknown as unknown:
            return Read(native, f"{_name(entry.cls)}: {unknown}")
    return Read(native, None)


class _Unknown(Exception):
    """Why a middleware is not run natively."""


def _described(entry: Any) -> Description:
    known = next((known for known in KNOWN if known.cls is entry.cls), None)
    if known is None:
        raise _Unknown("middleware that is not known here runs as ASGI, and with it what lies inside of it")
    if not is_as_known(known):
        raise _Unknown("its code is not the one that is known here (another version of Starlette, or changed)")
    try:
        made = entry.cls(_nothing, *entry.args, **entry.kwargs)
    except Exception as error:  # Starlette will say so itself, when it makes its own.
        raise _Unknown(f"cannot be made: {error}") from None
    description = (known.name, known.values(made))
    try:
        _core.MiddlewareStack([description])
    except ValueError as error:
        raise _Unknown(str(error)) from None
    return description


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """Stands in for the application while Starlette's constructors run."""


def _cors(made: cors.CORSMiddleware) -> dict[str, object]:
    pattern = None
    if made.allow_origin_regex is not None:
        pattern = translated(made.allow_origin_regex)
        if pattern is None:
            raise _Unknown("allow_origin_regex uses what Python's patterns alone have")
    return {
        "simple_headers": _fields(made.simple_headers),
        "preflight_headers": _fields(made.preflight_headers),
        "allow_origins": _texts(made.allow_origins, "allow_origins"),
        "allow_origin_regex": pattern,
        "allow_methods": _texts(made.allow_methods, "allow_methods"),
        "allow_headers": _texts(made.allow_headers, "allow_headers"),
        "allow_all_origins": made.allow_all_origins,
        "allow_all_headers": made.allow_all_headers,
        "allow_credentials": bool(made.allow_credentials),
        "preflight_explicit_allow_origin": bool(made.preflight_explicit_allow_origin),
        "allow_private_network": bool(made.allow_private_network),
    }


def _gzip(made: gzip.GZipMiddleware) -> dict[str, object]:
    level = _number(made.compresslevel, "compresslevel", -1, 9)
    return {
        "minimum_size": _number(made.minimum_size, "minimum_size"),
        # What zlib takes -1 for.
        "level": 6 if level == -1 else level,
        "thread_minimum_size": _number(made.thread_minimum_size, "thread_minimum_size"),
        "exclude_content_types": _texts(made.exclude_content_types, "exclude_content_types"),
    }


def _trusted_host(made: trustedhost.TrustedHostMiddleware) -> dict[str, object]:
    hosts = _texts(made.allowed_hosts, "allowed_hosts")
    return {
        # A host that is let through the parser is ASCII.
        "allowed_hosts": [host.decode() for host in hosts if host.isascii()],
        "allow_any": made.allow_any,
        "www_redirect": bool(made.www_redirect),
    }


def _https_redirect(made: httpsredirect.HTTPSRedirectMiddleware) -> dict[str, object]:
    return {}


def _number(value: object, name: str, least: int = -(2**62), most: int = 2**62) -> int:
    if type(value) is not int or not least <= value <= most:
        raise _Unknown(f"{name} is {value!r}")
    return value


def _texts(values: object, name: str) -> list[bytes]:
    """Texts to compare with; those that no header can hold are left out."""
    if not isinstance(values, list | tuple | set | frozenset) or not all(type(value) is str for value in values):
        raise _Unknown(f"{name} is no list of strings")
    encoded = []
    for value in values:
        try:
            encoded.append(value.encode("latin-1"))
        except UnicodeEncodeError:
            continue
    return encoded


def _fields(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    try:
        fields = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    except UnicodeEncodeError as error:
        raise _Unknown(f"a header cannot be sent: {error}") from None
    if any(value != value.strip(b" \t") for _, value in fields):
        raise _Unknown("a header has spaces at an end")
    return fields


class Known(NamedTuple):
    """A class that is known here."""

    name: str
    cls: type
    values: Callable[[Any], dict[str, object]]
    code: tuple[Any, ...]
    """The classes and functions that make its answers."""
    digests: frozenset[str]
    """Of the source of all `code`, in versions that were compared line by line."""


_REDIRECTS = (datastructures.URL, responses.RedirectResponse, _utils.parse_host_header)

KNOWN = (
    Known(
        "cors",
        cors.CORSMiddleware,
        _cors,
        (cors.CORSMiddleware, datastructures.MutableHeaders, responses.PlainTextResponse),
        frozenset({"c65dda64b8baec35"}),
    ),
    Known(
        "gzip",
        gzip.GZipMiddleware,
        _gzip,
        (gzip.GZipMiddleware, gzip.IdentityResponder, gzip.GZipResponder, datastructures.MutableHeaders),
        frozenset({"19a6f276ae2d2cba"}),
    ),
    Known(
        "trusted_host",
        trustedhost.TrustedHostMiddleware,
        _trusted_host,
        (trustedhost.TrustedHostMiddleware, responses.PlainTextResponse, *_REDIRECTS),
        frozenset({"2d694cbb135012e0"}),
    ),
    Known(
        "https_redirect",
        httpsredirect.HTTPSRedirectMiddleware,
        _https_redirect,
        (httpsredirect.HTTPSRedirectMiddleware, responses.PlainTextResponse, *_REDIRECTS),
        frozenset({"d771c5604b927cd9"}),
    ),
)


def is_as_known(known: Known) -> bool:
    """True if the code that is installed is the one that was compared."""
    return _digest(known.code) in known.digests and all(
        _is_unchanged(function, sys.modules[thing.__module__]) for thing in known.code for function in _functions(thing)
    )


def _digest(code: Iterable[Any]) -> str:
    """Of the source as it lies in the files; "" where there is none to read."""
    try:
        return hashlib.sha256("".join(inspect.getsource(thing) for thing in code).encode()).hexdigest()[:16]
    except (OSError, TypeError):
        return ""


def _functions(thing: Any) -> list[Any]:
    if not isinstance(thing, type):
        return [thing]
    members = [getattr(member, "__func__", getattr(member, "fget", member)) for member in vars(thing).values()]
    return [member for member in members if callable(member) and not isinstance(member, type)]


def _is_unchanged(function: Any, module: types.ModuleType) -> bool:
    """True for a function that was compiled from the file of `module`, and not wrapped."""
    if not isinstance(function, types.FunctionType):
        return False
    return function.__code__.co_filename == module.__file__ and function.__module__ == module.__name__


def _name(cls: Any) -> str:
    return getattr(cls, "__qualname__", None) or repr(cls)
