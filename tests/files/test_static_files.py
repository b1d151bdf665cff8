"""`Server.static_files`: files of a folder, natively: ranges, conditions, codings, links, and no way out."""

from __future__ import annotations

import email
import os
import socket

import pytest
from turboapi_rs import Server

from tests.support.wire import request_bytes

CONTENT = b"".join(i.to_bytes(4, "big") for i in range(50_000))


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "public"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_bytes(CONTENT)
    (folder / "empty.css").touch()
    (folder / "sub" / "index.html").write_bytes(b"<p>index</p>")
    (folder / "app.js").write_bytes(b"plain" * 100)
    (folder / "app.js.gz").write_bytes(b"gz")
    (folder / "app.js.br").write_bytes(b"br")
    (folder / ".hidden").write_bytes(b"hidden")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    return folder


@pytest.fixture
def ask(live, connect, folder):
    """Serve the folder; gives a function that asks for a target."""
    options = {"prefix": "/static"}

    def start(**settings):
        server = Server()
        server.static_files(**{"directory": folder, **options, **settings})
        connection = connect(live(server))

        def get(target, *fields, method="GET"):
            return connection.exchange(request_bytes(method, target, headers=fields), method)

        return get

    return start


def test_file_is_sent_with_type_length_and_validators(ask):
    get = ask(max_age=60, headers={"x-a": "b"})
    for _ in range(2):
        answer = get("/static/a.txt")
        assert (answer.status, answer.body) == (200, CONTENT)
        assert answer.header("content-type") == "text/plain; charset=utf-8"
        assert answer.header("content-length") == str(len(CONTENT))
        assert answer.header("cache-control") == "max-age=60"
        assert answer.header("x-a") == "b"
        assert answer.header("accept-ranges") == "bytes"
        assert answer.header("etag")
        assert answer.header("last-modified").endswith(" GMT")


def test_empty_file_and_head(ask):
    get = ask()
    assert (get("/static/empty.css").status, get("/static/empty.css").body) == (200, b"")
    answer = get("/static/a.txt", method="HEAD")
    assert (answer.header("content-length"), answer.body) == (str(len(CONTENT)), b"")
    assert get("/static/a.txt").body == CONTENT


def test_other_methods_are_405(ask):
    answer = ask()("/static/a.txt", method="POST")
    assert (answer.status, answer.header("allow")) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=5-", slice(5, None)),
        ("bytes=-5", slice(-5, None)),
        ("bytes=199990-999999", slice(199990, None)),
        ("bytes=0-1,2-3", slice(0, 4)),
    ],
)
def test_one_range_is_a_206(ask, field, expected):
    answer = ask()("/static/a.txt", ("range", field))
    first, last, _ = expected.indices(len(CONTENT))
    assert (answer.status, answer.body) == (206, CONTENT[expected])
    assert answer.header("content-range") == f"bytes {first}-{last - 1}/{len(CONTENT)}"


def test_several_ranges_are_parts(ask):
    get = ask()
    answer = get("/static/a.txt", ("range", "bytes=0-9,1000-1099,-3"))
    assert answer.status == 206
    head = f"content-type: {answer.header('content-type')}\r\n\r\n".encode()
    message = email.message_from_bytes(head + answer.body)
    parts = [(part["content-range"], part.get_payload(decode=True)) for part in message.get_payload()]
    total = len(CONTENT)
    assert parts == [
        (f"bytes 0-9/{total}", CONTENT[:10]),
        (f"bytes 1000-1099/{total}", CONTENT[1000:1100]),
        (f"bytes {total - 3}-{total - 1}/{total}", CONTENT[-3:]),
    ]
    assert get("/static/a.txt").body == CONTENT


def test_range_outside_is_a_416_and_a_malformed_one_is_ignored(ask):
    get = ask()
    answer = get("/static/a.txt", ("range", f"bytes={len(CONTENT)}-"))
    assert (answer.status, answer.header("content-range"), answer.body) == (416, f"bytes */{len(CONTENT)}", b"")
    assert get("/static/empty.css", ("range", "bytes=0-")).status == 416
    assert get("/static/a.txt", ("range", "bytes=b-a")).status == 200


def test_conditions_are_answered(ask):
    get = ask()
    first = get("/static/a.txt")
    etag, modified = first.header("etag"), first.header("last-modified")
    for field in (("if-none-match", etag), ("if-none-match", f'"x", W/{etag}'), ("if-modified-since", modified)):
        answer = get("/static/a.txt", field)
        assert (answer.status, answer.body, answer.header("etag")) == (304, b"", etag)
    assert get("/static/a.txt", ("if-match", '"x"')).status == 412
    assert get("/static/a.txt", ("range", "bytes=0-1"), ("if-range", etag)).status == 206
    assert get("/static/a.txt", ("range", "bytes=0-1"), ("if-range", '"x"')).status == 200
    assert get("/static/a.txt", ("range", "bytes=0-1"), ("if-range", modified)).status == 206


def test_changed_file_has_another_tag(ask, folder):
    get = ask()
    etag = get("/static/a.txt").header("etag")
    (folder / "new").write_bytes(b"new")
    os.rename(folder / "new", folder / "a.txt")
    answer = get("/static/a.txt", ("if-none-match", etag))
    assert (answer.status, answer.body) == (200, b"new")


@pytest.mark.parametrize(
    ("accept", "coding", "body"),
    [
        (None, None, b"plain" * 100),
        ("gzip", "gzip", b"gz"),
        ("gzip, deflate, br", "br", b"br"),
        ("gzip;q=1, br;q=0.1", "gzip", b"gz"),
        ("br;q=0, zstd", None, b"plain" * 100),
    ],
)
def test_file_beside_is_sent_where_it_is_taken(ask, accept, coding, body):
    answer = ask()("/static/app.js", *([("accept-encoding", accept)] if accept else []))
    assert (answer.header("content-encoding"), answer.body) == (coding, body)
    assert answer.header("content-type") == "text/javascript; charset=utf-8"
    assert answer.header("vary") == "accept-encoding"


def test_files_beside_may_be_left_alone(ask):
    answer = ask(precompressed=False)("/static/app.js", ("accept-encoding", "gzip"))
    assert (answer.header("content-encoding"), answer.header("vary")) == (None, None)


@pytest.mark.parametrize(
    "target",
    [
        "/static/../secret.txt",
        "/static/%2e%2e/secret.txt",
        "/static/..%2fsecret.txt",
        "/static/sub/../../secret.txt",
        "/static//etc/passwd",
        "/static/%2fetc/passwd",
        "/static/a.txt%00.html",
        "/static/a.txt/x",
        "/static/.hidden",
        "/static/sub",
        "/static/sub/",
        "/static/",
        "/static/none",
        "/static/link-out",
        "/static/link-abs",
        "/static/out/secret.txt",
        "/static/pipe",
        "/static/socket",
        "/static/" + "x" * 300,
    ],
)
def test_nothing_else_is_served(ask, folder, target):
    (folder / "link-out").symlink_to("../secret.txt")
    (folder / "link-abs").symlink_to(folder.parent / "secret.txt")
    (folder / "out").symlink_to("..")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as other:
        before = os.getcwd()
        os.chdir(folder)
        try:
            other.bind("socket")
        finally:
            os.chdir(before)
        answer = ask()(target)
    assert answer.status == 404
    assert b"secret" not in answer.body


@pytest.mark.parametrize(
    ("symlinks", "inside", "outside"), [("inside", 200, 404), ("never", 404, 404), ("anywhere", 200, 200)]
)
def test_links_are_followed_as_told(ask, folder, symlinks, inside, outside):
    (folder / "inside").symlink_to("sub/index.html")
    (folder / "outside").symlink_to("../secret.txt")
    get = ask(symlinks=symlinks)
    assert (get("/static/inside").status, get("/static/outside").status) == (inside, outside)


def test_hidden_files_are_served_when_told(ask):
    assert ask(hidden=True)("/static/.hidden").body == b"hidden"


def test_index_answers_for_a_folder(ask):
    get = ask(index="index.html")
    assert get("/static/sub/").body == b"<p>index</p>"
    answer = get("/static/sub?a=b")
    assert (answer.status, answer.header("location")) == (307, "/static/sub/?a=b")
    assert get("/static/").status == 404


def test_root_prefix_serves_what_no_earlier_route_takes(live, connect, folder):
    server = Server()
    server.get("/api")(lambda: {"a": 1})
    server.static_files("/", folder, index="index.html")
    connection = connect(live(server))
    assert connection.exchange(request_bytes("GET", "/api")).body == b'{"a":1}'
    assert connection.exchange(request_bytes("GET", "/a.txt")).body == CONTENT
    assert connection.exchange(request_bytes("GET", "//sub")).status == 404


def test_unreadable_file_is_a_403(ask, folder):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (folder / "a.txt").chmod(0)
    assert ask()("/static/a.txt").status == 403


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"prefix": "static"}, ValueError),
        ({"prefix": "/{a}"}, ValueError),
        ({"directory": "/nonexistent"}, FileNotFoundError),
        ({"directory": __file__}, NotADirectoryError),
        ({"index": "a/b"}, ValueError),
        ({"index": ".."}, ValueError),
        ({"symlinks": "some"}, ValueError),
        ({"max_age": -1}, ValueError),
    ],
)
def test_wrong_settings_are_refused_when_declared(folder, settings, error):
    with pytest.raises(error):
        Server().static_files(**{"prefix": "/static", "directory": folder, **settings})


def test_header_that_may_not_be_sent_is_refused_at_the_start(folder):
    server = Server()
    server.static_files("/static", folder, headers={"a b": "c"})
    with pytest.raises(ValueError, match="header"):
        server.start(port=0)


def test_pipelined_requests_are_answered_in_order(live, connect, folder):
    server = Server()
    server.static_files("/static", folder)
    connection = connect(live(server))
    names = ["a.txt", "app.js", "none", "empty.css", "a.txt"]
    connection.send(b"".join(request_bytes("GET", f"/static/{name}") for name in names))
    answers = [connection.read_answer() for _ in names]
    assert [answer.status for answer in answers] == [200, 200, 404, 200, 200]
    assert answers[0].body == answers[4].body == CONTENT


def test_descriptors_are_given_back(ask):
    get = ask()
    get("/static/a.txt")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        get("/static/a.txt", ("range", "bytes=0-0,500-600"))
        get("/static/none")
    assert len(os.listdir("/proc/self/fd")) <= before + 2
