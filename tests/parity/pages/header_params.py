"""Header Parameters, and Header Parameter Models."""

from ..case import get, page, raw

CASES = (
    *page(
        "Header Parameters",
        "header_params",
        get("a header absent", "/agent"),
        get("a header present", "/agent", headers={"user-agent": "testclient"}),
        get("a header in capitals", "/agent", headers={"USER-AGENT": "testclient"}),
        get("a header with latin-1 bytes", "/agent", headers={"user-agent": "caf\xe9 \xff"}),
        get("an empty header", "/agent", headers={"user-agent": ""}),
        get("spaces around a value are dropped, inside kept", "/agent", headers={"user-agent": "  a  b\t"}),
        get("a long header", "/agent", headers={"user-agent": "a" * 8000}),
        get("underscores kept", "/underscored", headers={"strange_header": "x"}),
        get("underscores kept do not match dashes", "/underscored", headers={"strange-header": "x"}),
        get("a repeated header", "/tokens", headers=[("x-token", "foo"), ("x-token", "bar")]),
        get("a list in one header is one value", "/tokens", headers={"x-token": "foo, bar"}),
        get("a repeated header where one is wanted", "/agent", headers=[("user-agent", "a"), ("user-agent", "b")]),
        get("typed headers", "/typed", headers={"x-count": "7", "x-api-key": "abc"}),
        get("typed headers wrong", "/typed", headers={"x-count": "11", "x-api-key": "a"}),
        get("typed headers missing", "/typed"),
        get("all headers in order", "/all", headers=[("b", "1"), ("A", "2"), ("b", "3"), ("x-y_z", "é")]),
        raw(
            "no space after the colon", "GET", "/all", b"GET /all HTTP/1.1\r\nhost:testserver\r\na:1\r\nb:\t2 \r\n\r\n"
        ),
    ),
    *page(
        "Header Parameter Models",
        "header_params",
        get(
            "a model",
            "/model",
            headers=[("save-data", "true"), ("x-tag", "one"), ("x-tag", "two"), ("if-modified-since", "now")],
        ),
        get("a model misses a field", "/model"),
        get("a model with a wrong field", "/model", headers={"save-data": "perhaps"}),
        get("a strict model", "/strict", headers={"save-data": "yes"}),
        get("a strict model with an extra", "/strict", headers={"save-data": "yes", "tool": "plumbus"}),
        get("a strict model with everything wrong", "/strict", headers={"tool": "plumbus"}),
        get("a model with underscores kept", "/unconverted", headers={"save_data": "yes"}),
        get("a model with underscores kept, sent with dashes", "/unconverted", headers={"save-data": "yes"}),
    ),
)
