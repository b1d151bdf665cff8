"""Bodies as they arrive, in raw handlers: pieces, files, forms; 100-continue; nothing left behind."""

from __future__ import annotations

import hashlib
import os
import tempfile

import pytest
from turboapi_rs import FormError, RouteError, Server, Upload, direct

from tests.asgi.apps import Seen
from tests.support.wire import chunked, request_bytes

MIB = 1024 * 1024
DATA = bytes(range(256)) * (3 * MIB // 256)
KINDS = ["async", "sync"]


def post(data: bytes, *fields: tuple[str, str]) -> bytes:
    return request_bytes("POST", "/", headers=fields, body=data)


def handlers(kind, on_async, on_sync):
    server = Server()
    server.post("/")(on_async if kind == "async" else on_sync)
    return server


def pieces_server(kind, seen):
    async def on_async(upload: Upload):
        digest = hashlib.sha256()
        async for piece in upload:
            seen.put(len(piece))
            digest.update(piece)
        return digest.hexdigest()

    def on_sync(upload: Upload):
        digest = hashlib.sha256()
        for piece in upload:
            seen.put(len(piece))
            digest.update(piece)
        return digest.hexdigest()

    return handlers(kind, on_async, on_sync)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.mark.parametrize("data", [b"", b"short", DATA], ids=["empty", "short", "long"])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_body_comes_in_pieces(live, connect, kind, data, is_chunked):
    seen = Seen()
    connection = connect(live(pieces_server(kind, seen)))
    if is_chunked:
        body = chunked(*([data] if data else []))
        request = request_bytes("POST", "/", headers=(("transfer-encoding", "chunked"),), body=body)
    else:
        request = post(data)
    for _ in range(2):
        assert connection.exchange(request, "POST").body == hashlib.sha256(data).hexdigest().encode()


def test_piece_is_passed_on_before_the_body_is_whole(live, connect, kind):
    seen = Seen()
    connection = connect(live(pieces_server(kind, seen)))
    connection.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
    assert seen.next() == 3
    connection.send(b"2;a=b\r\ntw\r\n0\r\nx-trailer: 1\r\n\r\n")
    assert seen.next() == 2
    assert connection.read_answer("POST").body == hashlib.sha256(b"onetw").hexdigest().encode()


def test_continue_is_said_when_the_body_is_asked_for(live, connect, kind):
    async def on_async(upload: Upload):
        if upload.request.header("x-skip"):
            return 200, "text/plain", "skipped"
        return 200, "text/plain", await upload.read()

    def on_sync(upload: Upload):
        if upload.request.header("x-skip"):
            return 200, "text/plain", "skipped"
        return 200, "text/plain", upload.read()

    server = live(handlers(kind, on_async, on_sync))
    connection = connect(server)
    head = b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n"
    connection.send(head + b"\r\n")
    assert connection.read_some() == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.send(b"body")
    assert connection.read_answer("POST").body == b"body"
    refused = connect(server)
    refused.send(head + b"x-skip: 1\r\n\r\n")
    answer = refused.read_answer("POST")
    assert (answer.interim, answer.body) == ((), b"skipped")


def saving_server(kind, path, seen=None):
    async def on_async(upload: Upload):
        try:
            return await upload.save_to(path)
        except BaseException as error:
            if seen:
                seen.put(type(error))
            raise

    def on_sync(upload: Upload):
        try:
            return upload.save_to(path)
        except BaseException as error:
            if seen:
                seen.put(type(error))
            raise

    return handlers(kind, on_async, on_sync)


@pytest.mark.parametrize("data", [b"", b"short", DATA], ids=["empty", "short", "long"])
def test_body_is_saved_and_named_when_whole(live, connect, kind, tmp_path, data):
    path = tmp_path / "saved.bin"
    path.write_bytes(b"before")
    connection = connect(live(saving_server(kind, path)))
    assert connection.exchange(post(data), "POST").body == str(len(data)).encode()
    assert path.read_bytes() == data
    assert os.listdir(tmp_path) == ["saved.bin"]


@pytest.mark.parametrize("how", ["close", "reset"])
def test_nothing_is_left_of_a_body_that_did_not_become_whole(live, connect, kind, tmp_path, how):
    path, seen = tmp_path / "saved.bin", Seen()
    connection = connect(live(saving_server(kind, path, seen)))
    connection.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3000000\r\n\r\n" + DATA[: MIB // 2])
    getattr(connection, how)()
    assert seen.next() is ConnectionResetError
    assert os.listdir(tmp_path) == []


def test_disk_that_refuses_is_the_handlers_error(live, connect, kind, tmp_path):
    seen = Seen()
    connection = connect(live(saving_server(kind, tmp_path / "none" / "saved.bin", seen)))
    assert connection.exchange(post(b"abc"), "POST").status == 500
    assert seen.next() is FileNotFoundError


def test_body_is_taken_once(live, connect, kind):
    seen = Seen()

    async def on_async(upload: Upload):
        first = await upload.read()
        seen.put([piece async for piece in upload])
        with pytest.raises(RuntimeError):
            await upload.read()
        return 200, "text/plain", first

    def on_sync(upload: Upload):
        first = upload.read()
        seen.put(list(upload))
        with pytest.raises(RuntimeError):
            upload.read()
        return 200, "text/plain", first

    connection = connect(live(handlers(kind, on_async, on_sync)))
    assert connection.exchange(post(b"abc"), "POST").body == b"abc"
    assert seen.next() == []


@pytest.mark.parametrize("data", [b"", b"abc", DATA], ids=["empty", "short", "long"])
def test_what_is_left_of_a_body_is_the_same_however_it_came(live, connect, kind, data, tmp_path):
    """A body that came in one piece has nothing left after the first: that is no error, and the same as at its end."""

    async def on_async(upload: Upload):
        if upload.request.header("x-save"):
            taken = [piece async for piece in upload]
            return [sum(map(len, taken)), await upload.save_to(tmp_path / "rest")]
        first = [await anext(upload, b"")]
        first.append(await upload.read())
        with pytest.raises(RuntimeError, match="taken already"):
            await upload.read()
        assert [piece async for piece in upload] == []
        return 200, "text/plain", b"".join(first)

    def on_sync(upload: Upload):
        if upload.request.header("x-save"):
            taken = list(upload)
            return [sum(map(len, taken)), upload.save_to(tmp_path / "rest")]
        first = [next(upload, b"")]
        first.append(upload.read())
        with pytest.raises(RuntimeError, match="taken already"):
            upload.read()
        assert list(upload) == []
        return 200, "text/plain", b"".join(first)

    connection = connect(live(handlers(kind, on_async, on_sync)))
    assert connection.exchange(post(data), "POST").body == data
    assert connection.exchange(post(data, ("x-save", "1")), "POST").body == b"[%d,0]" % len(data)
    assert (tmp_path / "rest").read_bytes() == b""


def form_of(*parts: bytes) -> bytes:
    return b"".join(b"--b\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts) + b"--b--\r\n"


FORM = (("content-type", "multipart/form-data; boundary=b"),)


def form_server(kind, seen=None):
    def told(form):
        with form:
            found = {}
            for name, value in form:
                found[name] = value if isinstance(value, str) else [value.filename, value.content_type, value.size]
                if not isinstance(value, str):
                    found[name].append(hashlib.sha256(value.read()).hexdigest())
        return found

    async def on_async(upload: Upload):
        try:
            return told(await upload.form())
        except FormError as error:
            if seen:
                seen.put(error.args)
            raise

    def on_sync(upload: Upload):
        try:
            return told(upload.form())
        except FormError as error:
            if seen:
                seen.put(error.args)
            raise

    return handlers(kind, on_async, on_sync)


def nameless_files() -> int:
    """Files without a name that this process holds open in the folder of temporary files."""
    folder, count = tempfile.gettempdir(), 0
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
        count += target.startswith(folder) and target.endswith("(deleted)")
    return count


@pytest.mark.parametrize("size", [0, 1000, MIB, MIB + 1, 3 * MIB])
def test_form_is_read_and_large_files_lie_on_disk(live, connect, kind, size):
    before = nameless_files()
    content = DATA[:size]
    body = form_of(b"name=a\r\n\r\n1", b"name=f; filename=n.bin\r\nContent-Type: x/y\r\n\r\n" + content)
    connection = connect(live(form_server(kind)))
    for _ in range(2):
        answer = connection.exchange(post(body, *FORM), "POST")
        digest = hashlib.sha256(content).hexdigest()
        assert answer.body.decode() == f'{{"a":"1","f":["n.bin","x/y",{size},"{digest}"]}}'
    assert nameless_files() == before


@pytest.mark.parametrize(
    ("body", "fields", "status", "what"),
    [
        (b"broken", FORM, 400, b"does not begin with its boundary"),
        (form_of(b"name=a\r\n\r\n1")[:-5], FORM, 400, b"not whole"),
        (b"", FORM, 400, b"not whole"),
        (form_of(b"name=a\r\n\r\n1"), (("content-type", "multipart/form-data"),), 400, b"no boundary"),
        (form_of(*[b"name=a\r\n\r\n1"] * 10_000), FORM, 413, b"max_form_parts"),
        (form_of(b"name=a\r\nx: " + b"y" * MIB + b"\r\n\r\n1"), FORM, 413, b"max_form_head"),
        (form_of(b"name=a\r\n\r\n" + DATA), FORM, 413, b"max_form_field"),
        (form_of(b"name=f;filename=f\r\n\r\n" + DATA[: 2 * MIB], b"no name\r\n\r\n"), FORM, 400, b"no name"),
        (form_of(b"name=f;filename=f\r\n\r\n" + DATA), FORM, 413, b"max_form_file"),
    ],
    ids=["broken", "cut", "empty", "no boundary", "10,000 parts", "1 MiB head", "large field", "second part", "file"],
)
def test_bad_form_is_refused_and_leaves_nothing(live, connect, kind, body, fields, status, what):
    before, names = nameless_files(), set(os.listdir(tempfile.gettempdir()))
    seen = Seen()
    settings = {"max_form_file": 2 * MIB + 1} if what == b"max_form_file" else {}
    connection = connect(live(form_server(kind, seen), **settings))
    answer = connection.exchange(post(body, *fields), "POST")
    assert answer.status == status
    assert what in answer.body
    assert seen.next()[1] == status
    assert nameless_files() == before
    made = set(os.listdir(tempfile.gettempdir())) - names
    # The logs are other tests', of which some may run beside.
    left = {name for name in made if name.startswith("turboapi") and not name.endswith(".log")}
    assert not left


def test_endless_form_is_refused_while_it_comes(live, connect, kind):
    connection = connect(live(form_server(kind), max_body=0))
    connection.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\n")
    connection.send(b"transfer-encoding: chunked\r\n\r\n")
    piece = form_of(b"name=a\r\n\r\n1")[: -len(b"--b--\r\n")] * 100
    assert is_refused_while_sending(connection, chunked(piece)[:-5])


def is_refused_while_sending(connection, piece):
    """True when the peer closes before it was sent the piece very often."""
    try:
        for _ in range(20_000):
            connection.send(piece)
    except ConnectionError:
        return True
    return False


def test_slow_disk_or_handler_makes_the_peer_wait(live, connect):
    seen = Seen()

    def on_sync(upload: Upload):
        first = next(upload)
        seen.put(len(first))
        seen.go.wait(20)
        return len(first) + sum(map(len, upload))

    import threading

    seen.go = threading.Event()
    connection = connect(live(handlers("sync", None, on_sync), max_body=0))
    total = 64 * MIB
    connection.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % total)
    connection.set_timeout(1)
    sent = 0
    while sent < total and (count := connection.send_some(DATA[: min(len(DATA), total - sent)])):
        sent += count
    assert sent < 16 * MIB
    connection.set_timeout(20)
    seen.go.set()
    while sent < total:
        sent += connection.send_some(DATA[: min(len(DATA), total - sent)])
    assert connection.read_answer("POST").body == str(total).encode()


def test_plain_function_with_an_upload_is_not_direct():
    @direct
    def handler(upload: Upload):
        return None

    with pytest.raises(RouteError, match="direct"):
        Server().route("POST", "/", handler)


def test_other_parameters_go_with_an_upload(live, connect):
    server = Server()

    @server.post("/{name}")
    async def handler(name: str, upload: Upload, n: int = 1):
        return [name, n, len(await upload.read()), upload.request.path]

    answer = connect(live(server)).exchange(request_bytes("POST", "/x?n=2", body=b"abc"), "POST")
    assert answer.body == b'["x",2,3,"/x"]'
