"""Security: OAuth2 with scopes, basic, bearer, digest, API keys, OpenID Connect."""

import base64

from ..apps.security import signed
from ..case import flow, get, page, post_form, post_json, request, sent_form


def auth(name, target, value, header="authorization"):
    """A GET with credentials."""
    return get(name, target, headers={header: value})


def bearer(name, target, user="johndoe", scopes=("me",)):
    """A GET with a token of `user`."""
    return auth(name, target, "Bearer " + signed({"sub": user, "scopes": list(scopes)}))


def basic(user, password):
    """The value of a Basic Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


LOGIN = [("grant_type", "password"), ("username", "johndoe"), ("password", "secret")]

CASES = (
    *page(
        "Security - First Steps",
        "security",
        get("no token", "/token-only"),
        auth("a token", "/token-only", "Bearer testtoken"),
        auth("a scheme in lower case", "/token-only", "bearer testtoken"),
        auth("another scheme", "/token-only", "Basic testtoken"),
        auth("a token with spaces", "/token-only", "Bearer  a b "),
        auth("a scheme alone", "/token-only", "Bearer"),
        auth("an empty header", "/token-only", ""),
        get("two headers", "/token-only", headers=[("authorization", "Bearer a"), ("authorization", "Bearer b")]),
    ),
    *page(
        "OAuth2 with Password and Bearer",
        "security",
        post_form("login", "/token", [*LOGIN, ("scope", "me items")]),
        post_form("login of a wrong password", "/token", [*LOGIN[:2], ("password", "x")]),
        post_form("login without a grant type", "/token", LOGIN[1:]),
        post_form("login of another grant type", "/token", [("grant_type", "code"), *LOGIN[1:]]),
        post_form("login with a client", "/token", [*LOGIN, ("client_id", "c"), ("client_secret", "s")]),
        post_form("login of nothing", "/token", []),
        post_json("login as JSON", "/token", dict(LOGIN)),
        post_form("a strict login", "/token-strict", [*LOGIN, ("scope", "a  b")]),
        post_form("a strict login without a grant type", "/token-strict", LOGIN[1:]),
        bearer("the user", "/users/me"),
        bearer("a disabled user", "/users/me", "alice"),
        bearer("an unknown user", "/users/me", "bob"),
        auth("a token of another's making", "/users/me", "Bearer abc.def"),
        get("no user", "/users/me"),
        flow("login twice on one connection", sent_form("POST", "/token", LOGIN), sent_form("POST", "/token", LOGIN)),
    ),
    *page(
        "OAuth2 scopes",
        "security",
        bearer("all scopes", "/users/me/items", scopes=("me", "items")),
        bearer("one scope short", "/users/me/items"),
        bearer("all scopes short", "/users/me/items", scopes=()),
        bearer("no scope needed", "/status", scopes=()),
        auth("no scope needed, no valid token", "/status", "Bearer x.y"),
        get("scopes reach the dependency", "/scopes"),
    ),
    *page(
        "HTTP Basic Auth",
        "security",
        auth("right", "/basic", basic("stanleyjobson", "swordfish")),
        auth("wrong", "/basic", basic("stanleyjobson", "x")),
        get("none", "/basic"),
        auth("not base64", "/basic", "Basic notabase64token"),
        auth("base64 without a colon", "/basic", "Basic " + base64.b64encode(b"johnsecret").decode()),
        auth("base64 of bytes that are not ASCII", "/basic", basic("jöhn", "swordfish")),
        auth("basic of another scheme", "/basic", "Bearer x"),
        auth("a password with colons", "/basic-realm", basic("a", "b:c:d")),
        get("a realm in the challenge", "/basic-realm"),
        get("optional, none", "/basic-optional"),
        auth("optional, given", "/basic-optional", basic("a", "b")),
        auth("optional, of another scheme", "/basic-optional", "Bearer x"),
    ),
    *page(
        "Security: bearer, digest, keys, OpenID",
        "security",
        auth("bearer", "/bearer", "Bearer foobar"),
        get("bearer, none", "/bearer"),
        auth("bearer, another scheme", "/bearer", "Basic foobar"),
        get("bearer optional, none", "/bearer-optional"),
        auth("bearer optional", "/bearer-optional", "Bearer x"),
        get("bearer with 403", "/bearer-403"),
        auth("digest", "/digest", 'Digest username="a", realm="b"'),
        auth("digest, another scheme", "/digest", "Basic x"),
        get("digest, none", "/digest"),
        get("key in the query", "/key-query?key=secret"),
        get("key in the query, none", "/key-query"),
        get("key in the query, empty", "/key-query?key="),
        auth("key in a header", "/key-header", "secret", "x-key"),
        get("key in a header, none", "/key-header"),
        auth("key in a cookie", "/key-cookie", "key=secret", "cookie"),
        get("key in a cookie, none", "/key-cookie"),
        get("keys optional, none", "/key-optional"),
        get("keys optional, all", "/key-optional?key=q", headers={"x-key": "h", "cookie": "key=c"}),
        auth("OAuth2 as it is", "/oauth2", "Any thing"),
        get("OAuth2 as it is, none", "/oauth2"),
        auth("authorization code", "/code", "Bearer x"),
        get("authorization code, none", "/code"),
        auth("OpenID Connect", "/openid", "Bearer x"),
        get("OpenID Connect, none", "/openid"),
        request("a guarded form, no key, wrong form", "POST", "/guarded-form", body=b""),
    ),
)
