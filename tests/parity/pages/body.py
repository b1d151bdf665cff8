"""Request Body; and every way in which a JSON body can be wrong."""

from ..case import flow, get, page, post_chunked, post_json, raw, request, sent, sent_json

GOOD = {"name": "Foo", "price": 50.5}
GOOD_BYTES = b'{"name":"Foo","price":50.5}'


def nested(depth: int) -> bytes:
    """Objects inside objects, `depth` of them."""
    return b'{"children":[' * depth + b"]}" * depth


def typed(name, content_type, body=GOOD_BYTES):
    """A POST of a good body under a given content type."""
    return request(name, "POST", "/items/", headers={"content-type": content_type}, body=body)


GOOD_BODIES = (
    post_json("required fields alone", "/items/", GOOD),
    post_json("all fields", "/items/", {**GOOD, "description": "The Foo", "tax": 3.2}),
    post_json("an unknown field is ignored", "/items/", {**GOOD, "other": 1}),
    post_json("an explicit null", "/items/", {**GOOD, "tax": None}),
    post_json("with path and query", "/items/7?q=x", GOOD, method="PUT"),
    post_json("returned through a response model", "/echo", GOOD),
    post_json("text for a float is converted", "/items/", {"name": "Foo", "price": "50.5"}),
    post_json("an int for a float", "/items/", {"name": "Foo", "price": 3}),
    post_json("true for a float", "/items/", {"name": "Foo", "price": True}),
    post_json("an int for text is refused", "/items/", {"name": 3, "price": 3}),
    post_json("names in any script", "/echo", {"name": "Приве́т 👋 \u0000 \ud7ff", "price": 1}),
    post_json("escapes are undone", "/echo", raw=rb'{"name":"\u00e9\ud83d\ude00\n\t\"\\\/","price":1e2}'),
    post_json("a body split in chunks", "/items/", GOOD),
    post_chunked("a chunked body", "/items/", GOOD_BYTES[:5], GOOD_BYTES[5:6], GOOD_BYTES[6:]),
    post_json("whitespace around the value", "/items/", raw=b" \r\n\t" + GOOD_BYTES + b"\n\n "),
    post_json("a UTF-8 byte order mark", "/items/", raw=b"\xef\xbb\xbf" + GOOD_BYTES),
    post_json("UTF-16 is read as JSON allows", "/items/", raw=GOOD_BYTES.decode().encode("utf-16")),
    post_json("UTF-32 is read as JSON allows", "/items/", raw=GOOD_BYTES.decode().encode("utf-32-le")),
    post_json("a repeated key: the last one counts", "/items/", raw=b'{"name":"a","name":"b","price":1,"price":2}'),
    post_json("floats in many forms", "/list", raw=b"[1, 1.0, -0, 1e2, -0.0]"),
    post_json("a float that is no whole number is no int", "/list", raw=b"[1.5]"),
    post_json(
        "ints at the edge of 64 bits", "/list", raw=b"[9223372036854775807,-9223372036854775808,9223372036854775808]"
    ),
    post_json("an int of 100 digits", "/list", raw=b"[" + b"7" * 100 + b"]"),
    post_json("an int of 5000 digits", "/list", raw=b"[" + b"7" * 5000 + b"]"),
    post_json("a float beyond the range is infinite", "/items/", raw=b'{"name":"a","price":1e999}'),
    post_json("a float with many digits", "/echo", raw=b'{"name":"a","price":0.1000000000000000055511151231257827}'),
    post_json("NaN in the body", "/items/", raw=b'{"name":"a","price":NaN}'),
    post_json("Infinity in the body", "/echo", raw=b'{"name":"a","price":Infinity}'),
    post_json("an optional body given", "/optional", GOOD),
    request("an optional body absent", "POST", "/optional"),
    post_json("an optional body of null", "/optional", raw=b"null"),
    post_json("any dict", "/dict", {"a": 1, "b": [1, {"c": None}]}),
    post_json("an empty dict", "/dict", {}),
    post_json("keys are converted", "/weights", {"1": 1.5, "2": 2}),
    post_json("keys that do not convert", "/weights", {"x": 1.5, "2": "y"}),
    post_json("a list", "/list", [1, 2, 3]),
    post_json("anything: a text", "/any", "text"),
    post_json("anything: a float", "/any", 1.25),
    post_json("anything: false", "/any", False),
    post_json("anything: null", "/any", raw=b"null"),
    post_json("a bare int", "/int", 5),
    post_json("a bare int as text", "/int", "5"),
    post_json("a tree", "/tree", {"value": 1, "children": [{"value": 2, "children": [{}]}]}),
    post_json("a tree 20 deep", "/tree", raw=nested(20)),
    request("bytes without a type", "POST", "/bytes", body=b"\x00\xff raw"),
    request(
        "bytes of any type", "POST", "/bytes", headers={"content-type": "application/octet-stream"}, body=b"abc\xe9"
    ),
    post_json("bytes sent as JSON text", "/bytes", "abc"),
    request("the request reads its own body", "POST", "/request", headers={"content-type": "x/y"}, body=b"z" * 100_000),
    post_json("a bounded list", "/bounded", [0, 1]),
    post_json("a GET with a body", "/items/", GOOD, method="GET"),
    post_json("a DELETE with a body", "/items/", GOOD, method="DELETE"),
    flow(
        "two bodies on one connection",
        sent_json("POST", "/items/", GOOD),
        sent_json("POST", "/items/", {"name": 1}),
        sent_json("POST", "/echo", GOOD),
    ),
    raw(
        "a body behind Expect: 100-continue",
        "POST",
        "/items/",
        b"POST /items/ HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n"
        b"content-length: %d\r\n\r\n%s" % (len(GOOD_BYTES), GOOD_BYTES),
    ),
)

BAD_BODIES = (
    request("no body", "POST", "/items/"),
    post_json("an empty body", "/items/", raw=b""),
    post_json("a body of spaces", "/items/", raw=b"  "),
    post_json("an empty object misses all", "/items/", {}),
    post_json("one field missing", "/items/", {"name": "Foo"}),
    post_json("one field of a wrong type", "/items/", {"name": "Foo", "price": "cheap"}),
    post_json("every field wrong", "/items/", {"name": 1, "description": 2, "price": [], "tax": {}}),
    post_json("null where none is allowed", "/items/", {"name": None, "price": None}),
    post_json("a list where an object goes", "/items/", [1, 2]),
    post_json("a text where an object goes", "/items/", "Foo"),
    post_json("a number where an object goes", "/items/", 5),
    post_json("true where an object goes", "/items/", True),
    post_json("null where an object goes", "/items/", raw=b"null"),
    post_json("path, query and body all wrong", "/items/x", {"name": 1}, method="PUT"),
    post_json("a wrong path with a broken body", "/items/x", method="PUT", raw=b"{"),
    post_json("extra forbidden", "/exact", {"number": 1, "other": 2}),
    post_json("strict refuses text for an int", "/exact", {"number": "1"}),
    post_json("strict refuses a whole float for an int", "/exact", {"number": 1.0}),
    post_json("strict refuses 1 for true", "/exact", {"number": 1, "flag": 1}),
    post_json("strict errors and an extra, in order", "/exact", {"other": 1, "text": 5, "number": "x", "flag": "y"}),
    post_json("items of a list wrong, each reported", "/list", [1, "x", 3, None, {}]),
    post_json("an object where a list goes", "/list", {"0": 1}),
    post_json("a bounded list too short", "/bounded", []),
    post_json("a bounded list too long with a wrong item", "/bounded", [1, 2, 3, -4]),
    post_json("a bare int is required", "/int", raw=b"null"),
    post_json("a tree wrong in its depth", "/tree", {"children": [{"children": [{"value": "x"}]}]}),
    post_json("a depth bomb of lists", "/any", raw=b"[" * 50_000),
    post_json("a closed depth bomb of lists", "/any", raw=b"[" * 3_000 + b"]" * 3_000),
    post_json("a depth bomb of objects", "/dict", raw=b'{"a":' * 50_000),
    post_json("a tree 300 deep", "/tree", raw=nested(300)),
)

BROKEN_JSON = tuple(
    post_json(f"broken JSON: {name}", "/items/", raw=data)
    for name, data in (
        ("an open brace", b"{"),
        ("an escape at the end", b'{"name":"\\u0041'),
        ("a missing value", b'{"name":}'),
        ("a missing colon", b'{"name" "Foo"}'),
        ("a missing comma", b'{"name":"Foo" "price":1}'),
        ("a trailing comma", b'{"name":"Foo","price":1,}'),
        ("a trailing comma in a list", b"[1,2,]"),
        ("single quotes", b"{'name':'Foo'}"),
        ("a bare word", b"name"),
        ("an unquoted key", b"{name:1}"),
        ("text after the value", GOOD_BYTES + b"x"),
        ("a second value", GOOD_BYTES + b" {}"),
        ("an open string", b'{"name":"Foo'),
        ("a newline in a string", b'{"name":"a\nb","price":1}'),
        ("a control character in a string", b'{"name":"a\x01b","price":1}'),
        ("a wrong escape", rb'{"name":"\x","price":1}'),
        ("a cut unicode escape", rb'{"name":"\u12","price":1}'),
        ("a lone surrogate", rb'{"name":"\ud800","price":1}'),
        ("two lone surrogates in the wrong order", rb'{"name":"\ude00\ud83d","price":1}'),
        ("a leading zero", b'{"name":"a","price":01}'),
        ("a bare dot", b'{"name":"a","price":.5}'),
        ("a dot without digits", b'{"name":"a","price":1.}'),
        ("a plus sign", b'{"name":"a","price":+1}'),
        ("an exponent without digits", b'{"name":"a","price":1e}'),
        ("a lone minus", b'{"name":"a","price":-}'),
        ("a cut literal", b'{"name":"a","price":tru}'),
        ("a comment", b'{"name":"a",/**/"price":1}'),
        ("a position after newlines", b'{\n  "name": "a",\n  "price": ?\n}'),
        ("a position after wide characters", '{"name":"é😀","price":?}'.encode()),
        ("bytes that are not UTF-8", b'{"name":"\xff\xfe","price":1}'),
        ("a cut UTF-8 sequence", b'{"name":"\xe2\x82","price":1}'),
        ("an overlong UTF-8 sequence", b'{"name":"\xc0\xaf","price":1}'),
        ("a NUL byte", b"\x00"),
    )
)

CONTENT_TYPES = (
    typed("a charset parameter", "application/json; charset=utf-8"),
    typed("a charset that is ignored", "application/json; charset=latin-1", '{"name":"é","price":1}'.encode()),
    typed("a suffix of +json", "application/vnd.api+json"),
    typed("a type in capitals", "Application/JSON"),
    typed("geo+json", "application/geo+json"),
    typed("not JSON although it ends so", "application/not-really-json"),
    typed("text/plain is not parsed", "text/plain"),
    typed("text/json is not parsed", "text/json"),
    typed("a form type is not parsed", "application/x-www-form-urlencoded"),
    typed("a multipart type is not parsed", "multipart/form-data; boundary=x"),
    typed("a type that is none", "nonsense"),
    typed("an empty type", ""),
    typed("a wrong type with a broken body", "text/plain", b"{"),
    typed("a wrong type with bytes that are not UTF-8", "text/plain", b"\xff\xfe"),
    request("no type at all", "POST", "/items/", body=GOOD_BYTES),
    flow(
        "two content types",
        sent(
            "POST",
            "/items/",
            headers=[("content-type", "text/plain"), ("content-type", "application/json")],
            body=GOOD_BYTES,
        ),
    ),
)

CASES = (
    *page("Request Body", "body", *GOOD_BODIES),
    *page("Request Body: bad input", "body", *BAD_BODIES, *BROKEN_JSON, *CONTENT_TYPES),
    *page("Request Body", "body", get("a GET without its body", "/items/")),
)
