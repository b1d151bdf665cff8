"""Cookie Parameters, and Cookie Parameter Models."""

from ..case import get, page


def cookies(name, target, value):
    """A GET with one Cookie header."""
    return get(name, target, headers={"cookie": value})


CASES = (
    *page(
        "Cookie Parameters",
        "cookie_params",
        get("a cookie absent", "/one"),
        cookies("a cookie present", "/one", "ads_id=foobar"),
        cookies("the right one of three", "/one", "a=1; ads_id=foobar; b=2"),
        cookies("a repeated cookie", "/one", "ads_id=first; ads_id=second"),
        cookies("a quoted cookie", "/one", 'ads_id="a b\\073 c"'),
        cookies("an empty cookie", "/one", "ads_id="),
        cookies("a cookie with equals signs", "/one", "ads_id=a=b=c"),
        cookies("no spaces between", "/one", "a=1;ads_id=foobar"),
        cookies("typed cookies", "/typed", "n=5; is-new=yes"),
        cookies("typed cookies wrong", "/typed", "n=-1; is-new=perhaps"),
        get("typed cookies missing", "/typed"),
        cookies("all cookies as the request sees them", "/all", "a=1; b; =c; d=%20; e=é; a=2"),
        get("two Cookie headers", "/all", headers=[("cookie", "a=1"), ("cookie", "b=2")]),
    ),
    *page(
        "Cookie Parameter Models",
        "cookie_params",
        cookies("a model", "/model", "session_id=s; fatebook_tracker=t; count=3"),
        cookies("a model with an extra", "/model", "session_id=s; other=1"),
        cookies("a model wrong", "/model", "count=x"),
        cookies("a strict model", "/strict", "session_id=s"),
        cookies("a strict model with an extra", "/strict", "session_id=s; santa_tracker=good-list-please"),
        get("a strict model with nothing", "/strict"),
    ),
)
