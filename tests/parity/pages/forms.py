"""Form Data, and Form Models."""

from ..case import get, page, post_chunked, post_form, post_json, post_multipart, request

LOGIN = [("username", "rick"), ("password", "morty")]
FORM = "application/x-www-form-urlencoded"


def typed_form(name, target, body, content_type=FORM):
    """A POST of exactly these bytes."""
    return request(name, "POST", target, headers={"content-type": content_type}, body=body)


#: Bodies at the edges of the syntax.
EDGES = [
    ("a semicolon", b"a=1;b=2&c=3"),
    ("keys without values and values without keys", b"a&b=&=c&&d=1"),
    ("percents that escape nothing", b"a=%&b=%z&c=%4&%u0041=%25%32%35&d=%00"),
    ("pluses and escaped separators", b"a+b=+&c%26d=%3D&e=%2b++&f=a=b=c"),
    ("separators alone", b"&&;&=&"),
    ("a separator behind the last field", b"a=1&b=2&"),
    ("line feeds", b"a=1\r\nb=2\n&c=3\r\n"),
    ("escapes that are not UTF-8", b"a=%ff&b=%c3%28&c=%e2%82&d=%f0%9f%98&%ed%a0%80=x"),
    ("raw bytes", b"a=\xff&b=\xc3\xa9&\xe9=1"),
    ("a field of a megabyte", b"a=" + b"x" * (1024 * 1024 - 1)),
    ("a field of more than a megabyte", b"a=" + b"x" * (1024 * 1024)),
    ("1000 fields", b"&".join([b"a=1"] * 1000)),
    ("1001 fields", b"&".join([b"a=1"] * 1001)),
]

CASES = (
    *page(
        "Form Data",
        "forms",
        post_form("two fields", "/login", LOGIN),
        post_form("one missing", "/login", LOGIN[:1]),
        post_form("none", "/login", []),
        post_form("one empty counts as missing", "/login", [("username", ""), ("password", "x")]),
        post_form("an extra field", "/login", [*LOGIN, ("more", "x")]),
        post_form("a field twice", "/login", [*LOGIN, ("username", "second")]),
        post_multipart("the same as multipart", "/login", LOGIN),
        post_json("JSON where a form goes", "/login", dict(LOGIN)),
        request("no type", "POST", "/login", body=b"username=a&password=b"),
        typed_form("a charset parameter", "/login", b"username=a&password=b", FORM + "; charset=utf-8"),
        typed_form("plus, escapes and UTF-8", "/login", b"username=a+b%2B%C3%A9&password=%F0%9F%98%80"),
        typed_form("raw UTF-8", "/login", "username=é&password=ü".encode()),
        typed_form("bytes that are not UTF-8", "/login", b"username=%ff&password=b"),
        typed_form("a semicolon", "/request", b"a=1;b=2&c=3"),
        typed_form("keys without values and values without keys", "/request", b"a&b=&=c&&d=1"),
        typed_form("an empty body", "/request", b""),
        typed_form("percents that escape nothing", "/request", b"a=%&b=%z&c=%4&%u0041=%25%32%35&d=%00"),
        typed_form("pluses and escaped separators", "/request", b"a+b=+&c%26d=%3D&e=%2b++&f=a=b=c"),
        typed_form("separators alone", "/request", b"&&;&=&"),
        typed_form("a separator behind the last field", "/request", b"a=1&b=2&"),
        typed_form("line feeds", "/request", b"a=1\r\nb=2\n&c=3\r\n"),
        typed_form("the type in capitals", "/login", b"username=a&password=b", FORM.upper()),
        typed_form("the type with spaces", "/login", b"username=a&password=b", FORM + " ; x=y"),
        typed_form("a charset of Latin-1", "/login", b"username=%E9&password=\xe9", FORM + "; charset=latin-1"),
        typed_form("a type that is nearly a form's", "/login", b"username=a&password=b", FORM + "d"),
        typed_form("a multipart type without a boundary", "/login", b"username=a&password=b", "multipart/form-data"),
        typed_form("1000 fields are not too many", "/request", b"&".join([b"a=1"] * 1000)),
        typed_form("a field of a megabyte", "/request", b"a=" + b"x" * (1024 * 1024 - 1)),
        typed_form("a field of more than a megabyte", "/request", b"a=" + b"x" * (1024 * 1024)),
        post_chunked("a chunked form", "/login", b"username=ri", b"ck&pass", b"word=m", content_type=FORM),
        post_form("typed fields", "/typed", [("n", "3"), ("b", "on"), ("names", "a"), ("names", "b")]),
        post_form("typed fields wrong", "/typed", [("n", "-3"), ("b", "x"), ("text", "abcd")]),
        post_form("typed fields: an empty one takes its default", "/typed", [("n", "3"), ("text", "")]),
        post_form("a list of one", "/typed", [("n", "3"), ("names", "a")]),
        post_form("an optional field absent", "/optional", []),
        post_form("an optional field empty", "/optional", [("q", "")]),
        post_form("an optional field given", "/optional", [("q", "x")]),
        get("a GET of a form route", "/login"),
        post_form("1001 fields are too many", "/request", [("a", str(i)) for i in range(1001)]),
        post_multipart("1001 parts are too many", "/request", [("a", str(i)) for i in range(1001)]),
        post_form("over the route's own limit of fields", "/limited", [("a", "1")] * 4),
        post_multipart("over the route's own limit of part size", "/limited", [("a", "x" * 101)]),
        post_multipart("a part of more than a megabyte", "/request", [("a", "x" * (1024 * 1024 + 1))]),
    ),
    *page(
        "Form Models",
        "forms",
        post_form("a model", "/model", [*LOGIN, ("tags", "a"), ("tags", "b"), ("with-alias", "4")]),
        post_form("a model wrong", "/model", [("password", "x"), ("with-alias", "y")]),
        post_form("a model with an extra", "/model", [*LOGIN, ("extra", "x")]),
        post_form("a strict model", "/strict", LOGIN),
        post_form("a strict model with an extra", "/strict", [*LOGIN, ("extra", "x")]),
        post_form("a strict model with a repeated extra", "/strict", [*LOGIN, ("extra", "x"), ("extra", "y")]),
        post_form("a strict model with nothing", "/strict", []),
        *(typed_form(f"a loose model: {name}", "/loose", body) for name, body in EDGES),
        post_form("a loose model with nothing", "/loose", []),
        request("a loose model without a body", "POST", "/loose"),
        post_multipart("a loose model as multipart", "/loose", [("a", "1"), ("a", "2"), ("c", "")]),
    ),
    *page(
        "Dependencies",
        "forms",
        post_form("a form in a dependency", "/depends", [("name", "a"), ("age", "7"), ("note", "n")]),
        post_form("a form in a dependency, one field wrong", "/depends", [("name", "a"), ("age", "x")]),
        post_form("a form in a dependency, both parts wrong", "/depends", [("age", "x"), ("note", "")]),
        post_form("a form in a dependency and a model", "/depends-model", [("name", "a"), ("b", "x"), ("c", "y")]),
        post_form("a form in a dependency and a model, wrong", "/depends-model", [("b", "x")]),
        post_form(
            "a query and a form", "/mixed?q=3", [("full-name", "a b"), ("ids", "3"), ("ids", "3"), ("ratio", "2")]
        ),
        post_form("a query and a form, all wrong", "/mixed?q=x", [("ids", "x"), ("ratio", "-1"), ("limits", "y")]),
        post_form("a query and a form, defaults", "/mixed?q=3", [("full-name", "a"), ("ratio", "")]),
    ),
)
