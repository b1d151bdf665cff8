"""CORS (Cross-Origin Resource Sharing)."""

from ..case import Case, get, page, request

GOOD, BAD = "https://localhost.example", "https://evil.example"


def preflight(name, origin, method, headers=None, target="/", extra=None) -> Case:
    """An OPTIONS that asks leave."""
    given = {"origin": origin, "access-control-request-method": method, **(extra or {})}
    if headers is not None:
        given["access-control-request-headers"] = headers
    return request(name, "OPTIONS", target, headers=given)


CASES = (
    *page(
        "CORS",
        "cors",
        get("no origin", "/"),
        get("an allowed origin", "/", headers={"origin": GOOD}),
        get("an origin not allowed", "/", headers={"origin": BAD}),
        get("an allowed origin with a cookie", "/", headers={"origin": GOOD, "cookie": "a=1"}),
        request("a POST from an allowed origin", "POST", "/items?n=1", headers={"origin": GOOD}),
        request("a wrong POST from an allowed origin", "POST", "/items?n=x", headers={"origin": GOOD}),
        get("an HTTPException from an allowed origin", "/refused", headers={"origin": GOOD}),
        get("a crash from an allowed origin", "/crash", headers={"origin": GOOD}),
        get("an unknown path from an allowed origin", "/nowhere", headers={"origin": GOOD}),
        preflight("preflight, allowed", GOOD, "GET", "x-example"),
        preflight("preflight, origin not allowed", BAD, "GET"),
        preflight("preflight, a method nobody has", GOOD, "BREW"),
        preflight("preflight for an unknown path", GOOD, "GET", target="/nowhere"),
        request("OPTIONS with an origin but no asked method", "OPTIONS", "/own", headers={"origin": GOOD}),
        preflight("preflight before a route of its own", GOOD, "GET", target="/own"),
    ),
    *page(
        "CORS",
        "cors:anyone",
        get("anyone", "/", headers={"origin": BAD}),
        get("anyone, with a cookie", "/", headers={"origin": BAD, "cookie": "a=1"}),
        preflight("anyone, preflight of a named header", BAD, "GET", "X-Example, Accept"),
        preflight("anyone, preflight of another header", BAD, "GET", "x-other"),
        preflight("anyone, preflight of another method", BAD, "DELETE"),
        preflight("anyone, everything refused at once", BAD, "DELETE", "x-other, x-more"),
        preflight(
            "anyone, a private network not allowed",
            BAD,
            "GET",
            extra={"access-control-request-private-network": "true"},
        ),
    ),
    *page(
        "CORS",
        "cors:anyone_credentials",
        get("anyone with credentials", "/", headers={"origin": BAD}),
        get("anyone with credentials and a cookie", "/", headers={"origin": BAD, "cookie": "a=1"}),
        preflight("anyone with credentials, preflight", BAD, "GET"),
    ),
    *page(
        "CORS",
        "cors:pattern",
        get("a pattern matches", "/", headers={"origin": "https://a.example.org"}),
        get("a pattern must match all", "/", headers={"origin": "https://a.example.org.evil"}),
        get("a varying answer keeps its own vary", "/refused", headers={"origin": "https://a.example.org"}),
        preflight(
            "a pattern, private network",
            "https://a.example.org",
            "POST",
            extra={"access-control-request-private-network": "true"},
        ),
        preflight("a pattern, wrong method", "https://a.example.org", "GET"),
    ),
)
