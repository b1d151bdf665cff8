"""Native CORS, GZip, TrustedHost and HTTPSRedirect give what Starlette's classes give, field by field and in order."""

import os
import re

import pytest
import starlette
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from turboapi_rs import _core
from turboapi_rs.plans import middleware
from turboapi_rs.plans.byte_pattern import translated

from .starlettes import Exchange, ours, reference

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(
        not all(map(middleware.is_as_known, middleware.KNOWN)),
        reason=f"the middleware of Starlette {starlette.__version__} is not known: it runs as ASGI",
    ),
]
EXAMPLES = int(os.environ.get("TURBOAPI_MIDDLEWARE_EXAMPLES", "600"))

ORIGINS = [
    "https://a.example",
    "https://b.example",
    "http://a.example",
    "https://x.a.example",
    "null",
    "",
    "*",
    "https://ä.example",
]
NAMES = ["x-a", "X-B", "Accept", "content-type", "authorization", "x-\xc0", "*"]
METHODS = ["GET", "POST", "PUT", "get", "QUERY", "BREW", "*"]
PATTERNS = [
    r"https://.*\.example",
    r"https?://[a-c](\.\w+)+",
    r"(?i)HTTPS://A\.EXAMPLE",
    "null|",
    r"^https://\S+$",
    r"[^h].*",
]
HOSTS = [
    "a.example",
    "A.Example:8000",
    "www.a.example",
    "x.b.example",
    "b.example",
    "c.example:443",
    "[::1]",
    "[::1]:80",
]
HOSTS += [
    "a.example:80",
    "a.example:0080",
    "[1::2.3.4.5]:8000",
    "a.example.",
    "%41.example",
    "a_b.example",
    "A%C3B.example:80",
]
ALLOWED = [
    "a.example",
    "www.a.example",
    "*.b.example",
    "B.example",
    "*",
    "www.c.example",
    "[::1]",
    "*.é.example",
    "www.[::1]",
]


def some(values, *, most=4):
    return st.lists(st.sampled_from(values), max_size=most)


CORS = st.builds(
    lambda **options: Middleware(CORSMiddleware, **options),
    allow_origins=st.one_of(some(ORIGINS), st.just(["*"]), st.just(())),
    allow_methods=st.one_of(some(METHODS), st.just(["*"])),
    allow_headers=st.one_of(some(NAMES), st.just(["*"])),
    allow_credentials=st.booleans(),
    allow_origin_regex=st.one_of(st.none(), st.sampled_from(PATTERNS)),
    allow_private_network=st.booleans(),
    expose_headers=some(["x-a", "X-B"]),
    max_age=st.sampled_from([600, 0, 86400]),
)
GZIP = st.builds(
    lambda **options: Middleware(GZipMiddleware, **options),
    minimum_size=st.sampled_from([0, 1, 20, 500]),
    compresslevel=st.sampled_from([9, 1, 0, -1]),
    exclude_content_types=st.sampled_from(
        [("text/event-stream", "audio/*"), (), ("Application/GRPC; x",), ("",), ("text/*", "json")]
    ),
)
TRUSTED = st.builds(
    lambda **options: Middleware(TrustedHostMiddleware, **options),
    allowed_hosts=st.one_of(st.none(), some(ALLOWED)),
    www_redirect=st.booleans(),
)
STACKS = st.lists(st.one_of(CORS, GZIP, TRUSTED, st.just(Middleware(HTTPSRedirectMiddleware))), max_size=4)

FIELDS = st.one_of(
    st.tuples(st.just("origin"), st.sampled_from(ORIGINS)),
    st.tuples(st.just("Access-Control-Request-Method"), st.sampled_from(METHODS)),
    st.tuples(
        st.just("access-control-request-headers"),
        st.one_of(
            st.sampled_from(["", "x-a", "x-a,,accept", "X-A ,\xa0Accept\x85, x-\xc0"]), some(NAMES).map(", ".join)
        ),
    ),
    st.tuples(st.just("access-control-request-private-network"), st.sampled_from(["true", ""])),
    st.tuples(st.just("accept-encoding"), st.sampled_from(["gzip", "br, gzip;q=0", "GZIP", "identity", "", "x-gzip"])),
)
HEADERS = st.lists(
    st.sampled_from(
        [
            (b"vary", b"Cookie"),
            (b"vary", b"accept"),
            (b"vary", b"Origin"),
            (b"content-type", b"application/json"),
            (b"content-type", b"Text/Event-Stream ; charset=utf-8"),
            (b"content-type", b"audio/ogg"),
            (b"content-type", b"application/grpc+proto"),
            (b"content-type", b"json"),
            (b"content-encoding", b"br"),
            (b"access-control-allow-origin", b"https://own.example"),
            (b"access-control-allow-credentials", b"maybe"),
            (b"x-other", b"1"),
        ]
    ),
    max_size=4,
)


@st.composite
def exchanges(draw):
    host = draw(st.one_of(st.none(), st.sampled_from(HOSTS)))
    fields = [] if host is None else [("Host", host.encode())]
    fields += [(name, value.encode("latin-1")) for name, value in draw(st.lists(FIELDS, max_size=4))]
    return Exchange(
        method=draw(st.sampled_from(["GET", "OPTIONS", "POST", "HEAD"])),
        target=draw(
            st.sampled_from(
                ["/", "/a%20b?x=y", '/%2F%3f%23%5c%0a%C3%A4%ff?q=%zz?&a="', "//x/..", "/?", "/a;b=@!$'()*,[]|`{}^"]
            )
        ),
        fields=fields,
        status=draw(st.sampled_from([200, 201, 206, 404, 500])),
        headers=draw(HEADERS),
        pieces=draw(
            st.lists(st.sampled_from([b"", b"x", b"some text, " * 60, bytes(range(256)) * 300]), min_size=1, max_size=4)
        ),
        is_stream=draw(st.booleans()),
        scheme=draw(st.sampled_from(["http", "http", "https", "ws", "wss"])),
        server=draw(
            st.sampled_from([("127.0.0.1", 8000), ("::1", 80), ("10.0.0.1", 443), ("/run/app.sock", None), None])
        ),
        root_path=draw(st.sampled_from(["", "", "/root"])),
    )


def stack_of(entries):
    """The native layers of an application with that middleware, all of it known."""
    app = FastAPI(middleware=entries)
    native, unknown = middleware.read(app)
    assert unknown is None
    assert len(native) == len(entries)
    return _core.MiddlewareStack(native)


@settings(max_examples=EXAMPLES, deadline=None)
@given(entries=STACKS, exchange=exchanges())
def test_native_layers_give_what_starlettes_give(entries, exchange):
    assert ours(stack_of(entries), exchange) == reference(entries, exchange)


SUBJECTS = [
    *ORIGINS,
    "https://q.a.example.",
    "https://b.c\xb2.\xe9",
    "HTTPS://A.example",
    "x",
    "htt",
    "a\xa0b",
    "\xdf\xff",
]


@pytest.mark.filterwarnings("ignore:Possible")
@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [*"abh:/.*?+|()[]^$\\", r"\.", r"\w", r"\D", r"\s", "https", "[a-c]", "[^x]", "{2,3}", "é", "(?:", "(?i)"]
        ),
        max_size=9,
    )
)
def test_pattern_means_the_same_in_both_dialects(parts):
    try:
        pattern = re.compile("".join(parts))
    except (re.error, OverflowError):
        return
    if translated(pattern) is None:
        return
    stack = stack_of([Middleware(CORSMiddleware, allow_origin_regex=pattern.pattern)])
    for subject in SUBJECTS:
        exchange = Exchange(fields=[("origin", subject.encode("latin-1"))])
        sent = subject.encode("latin-1").strip(b" \t").decode("latin-1")
        allowed = dict(ours(stack, exchange).fields).get(b"access-control-allow-origin") is not None
        assert allowed == bool(pattern.fullmatch(sent)), (pattern, subject)


@pytest.mark.parametrize(
    "pattern", [r"(a)\1", "a(?=b)", "(?<!a)b", r"\bx", "a++", "(?>a)b", "(?i:a)b", "a{2000}", "(a)?(?(1)b|c)", "Ā"]
)
def test_pattern_of_python_alone_stays_with_python(pattern):
    app = FastAPI(middleware=[Middleware(GZipMiddleware), Middleware(CORSMiddleware, allow_origin_regex=pattern)])
    native, unknown = middleware.read(app)
    assert [name for name, _ in native] == ["gzip"]
    assert unknown == "CORSMiddleware: allow_origin_regex uses what Python's patterns alone have"


class Derived(GZipMiddleware):
    """What a user may have changed."""


def own(app, **options):
    return app


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (Middleware(Derived), "Derived: middleware that is not known here"),
        (Middleware(own), "own: middleware that is not known here"),
        (Middleware(CORSMiddleware, allow_origins="https://a.example"), "allow_origins is no list of strings"),
        (Middleware(CORSMiddleware, allow_methods=["GET", "P\nT"]), "the value holds a control character"),
        (Middleware(CORSMiddleware, expose_headers=["Ā"]), "a header cannot be sent"),
        (Middleware(CORSMiddleware, expose_headers=["a "]), "a header has spaces at an end"),
        (Middleware(CORSMiddleware, unheard_of=1), "cannot be made"),
        (Middleware(GZipMiddleware, minimum_size=1.5), "minimum_size is 1.5"),
        (Middleware(GZipMiddleware, compresslevel=10), "compresslevel is 10"),
        (Middleware(TrustedHostMiddleware, allowed_hosts=["a*"]), "cannot be made"),
    ],
)
def test_reading_stops_at_the_first_that_is_unknown(entry, reason):
    app = FastAPI(middleware=[Middleware(HTTPSRedirectMiddleware), entry, Middleware(GZipMiddleware)])
    native, unknown = middleware.read(app)
    assert native == [("https_redirect", {})]
    assert reason in unknown


def test_patched_class_is_unknown(monkeypatch):
    app = FastAPI(middleware=[Middleware(GZipMiddleware)])
    assert middleware.read(app).unknown is None
    with monkeypatch.context() as patch:
        patch.setattr(GZipMiddleware, "__call__", lambda *_: None)
        assert "its code is not the one that is known" in middleware.read(app).unknown
    app.build_middleware_stack = lambda: None
    assert middleware.read(app) == ([], "build_middleware_stack is not FastAPI's own")


def test_middleware_of_a_decorator_is_unknown():
    app = FastAPI()

    @app.middleware("http")
    async def stamp(request, call_next):
        return await call_next(request)

    app.add_middleware(GZipMiddleware)
    native, unknown = middleware.read(app)
    assert [name for name, _ in native] == ["gzip"]
    assert unknown.startswith("BaseHTTPMiddleware: ")
