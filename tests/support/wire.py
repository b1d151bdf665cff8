"""A small HTTP/1.1 client over a plain socket, for tests that must choose and see the exact bytes.

Owns: sending bytes as given, reading one answer at a time, undoing its framing.
Does not own: correctness of what is sent (tests send broken requests on purpose), redirects, cookies, TLS.
Rule: an answer that ends early is returned as torn, never as whole and never as an exception.
Spec: RFC 9112 sections 4 to 7.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field
from types import TracebackType

READ_CHUNK_BYTES = 64 * 1024


class NoAnswer(ConnectionError):
    """The peer closed the connection before the first byte of an answer."""


@dataclass(frozen=True)
class Answer:
    """One response, as it came."""

    status: int
    reason: str
    version: str
    headers: tuple[tuple[str, str], ...]
    """Names in lower case, values as latin-1 text, in the order sent."""
    body: bytes
    framing: str
    """How the body's end was told: `none`, `length`, `chunked` or `close`."""
    is_torn: bool = False
    """The connection ended before the framing said that the body did."""
    interim: tuple[int, ...] = ()
    """Statuses of the 1xx answers that came first."""

    def header(self, name: str) -> str | None:
        """The first value of header `name`, or None."""
        return next((value for key, value in self.headers if key == name), None)

    def all_headers(self, name: str) -> list[str]:
        """Every value of header `name`."""
        return [value for key, value in self.headers if key == name]


@dataclass
class Connection:
    """One TCP connection to a server."""

    address: tuple[str, int]
    timeout: float = 10.0
    """Seconds that any single read or write may take."""
    receive_buffer_bytes: int | None = None
    """`SO_RCVBUF` of the socket; small values make a slow reader."""
    _socket: socket.socket = field(init=False)
    _unread: bytearray = field(init=False, default_factory=bytearray)

    def __post_init__(self) -> None:
        self._socket = socket.socket()
        if self.receive_buffer_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer_bytes)
        self._socket.settimeout(self.timeout)
        self._socket.connect(self.address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @property
    def local_address(self) -> tuple[str, int]:
        """Our end of the connection."""
        return self._socket.getsockname()[:2]

    def close(self) -> None:
        """Closes both directions."""
        self._socket.close()

    def reset(self) -> None:
        """Closes with a RST, as a crashed client does."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self._socket.close()

    def end_sending(self) -> None:
        """Closes our direction only."""
        self._socket.shutdown(socket.SHUT_WR)

    def send(self, data: bytes) -> None:
        """Sends all of `data`."""
        self._socket.sendall(data)

    def send_some(self, data: bytes) -> int:
        """Sends what the kernel takes within the timeout; 0 when it takes nothing."""
        try:
            return self._socket.send(data)
        except TimeoutError:
            return 0

    def set_timeout(self, seconds: float) -> None:
        """Changes the limit on each read and write."""
        self._socket.settimeout(seconds)

    def exchange(self, request: bytes, method: str = "GET") -> Answer:
        """Sends `request` and reads the answer to it."""
        self.send(request)
        return self.read_answer(method)

    def read_answer(self, method: str = "GET") -> Answer:
        """Reads one answer; `method` is the request's, since HEAD changes where the answer ends.

        Raises:
            NoAnswer: the peer closed before sending anything.
            TimeoutError: the peer went quiet.
        """
        interim: list[int] = []
        while True:
            version, status, reason, headers = self._read_head()
            if not 100 <= status < 200 or status == 101:
                break
            interim.append(status)
        body, framing, is_torn = self._read_body(method, status, headers)
        return Answer(status, reason, version, headers, body, framing, is_torn, tuple(interim))

    def read_some(self) -> bytes:
        """The next bytes from the peer, unparsed; empty at the end of the stream."""
        if self._unread:
            taken = bytes(self._unread)
            self._unread.clear()
            return taken
        return self._receive()

    def read_to_end(self) -> bytes:
        """All bytes until the peer closes."""
        pieces = []
        while piece := self.read_some():
            pieces.append(piece)
        return b"".join(pieces)

    def is_closed_by_peer(self, within: float = 5.0) -> bool:
        """True when the peer closes within `within` seconds, without sending more."""
        self._socket.settimeout(within)
        try:
            return self.read_some() == b""
        except TimeoutError:
            return False
        finally:
            self._socket.settimeout(self.timeout)

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(READ_CHUNK_BYTES)
        except ConnectionError:
            return b""

    def _fill(self) -> bool:
        piece = self._receive()
        self._unread += piece
        return bool(piece)

    def _take(self, count: int) -> bytes:
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        return taken

    def _read_head(self) -> tuple[str, int, str, tuple[tuple[str, str], ...]]:
        while (end := self._unread.find(b"\r\n\r\n")) < 0:
            if not self._fill():
                if self._unread:
                    raise NoAnswer(f"the head of the answer is cut: {bytes(self._unread)!r}")
                raise NoAnswer("closed without an answer")
        lines = self._take(end + 4)[:-4].decode("latin-1").split("\r\n")
        version, _, rest = lines[0].partition(" ")
        status, _, reason = rest.partition(" ")
        pairs = (line.partition(":") for line in lines[1:])
        headers = tuple((name.lower(), value.strip(" \t")) for name, _, value in pairs)
        return version, int(status), reason, headers

    def _read_body(self, method: str, status: int, headers: tuple[tuple[str, str], ...]) -> tuple[bytes, str, bool]:
        named = dict(headers)
        if method == "HEAD" or status in (101, 204, 304) or (method == "CONNECT" and status < 300):
            return b"", "none", False
        if "chunked" in named.get("transfer-encoding", "").lower():
            return self._read_chunks()
        if "content-length" in named:
            return self._read_length(int(named["content-length"]))
        while self._fill():
            pass
        return self._take(len(self._unread)), "close", False

    def _read_length(self, length: int) -> tuple[bytes, str, bool]:
        while len(self._unread) < length:
            if not self._fill():
                return self._take(length), "length", True
        return self._take(length), "length", False

    def _read_line(self) -> bytes | None:
        while (end := self._unread.find(b"\r\n")) < 0:
            if not self._fill():
                return None
        return self._take(end + 2)[:-2]

    def _read_chunks(self) -> tuple[bytes, str, bool]:
        body = bytearray()
        while True:
            line = self._read_line()
            if line is None:
                return bytes(body), "chunked", True
            size = int(line.split(b";")[0], 16)
            if size == 0:
                while trailer := self._read_line():
                    assert trailer
                return bytes(body), "chunked", trailer is None
            piece, _, is_torn = self._read_length(size + 2)
            body += piece[:size]
            if is_torn:
                return bytes(body), "chunked", True


def request_bytes(
    method: str,
    target: str,
    *,
    headers: tuple[tuple[str, str], ...] = (),
    body: bytes | None = None,
    host: str = "testserver",
    version: str = "HTTP/1.1",
) -> bytes:
    """One request as bytes, with `Host` and `Content-Length` added unless `headers` has them.

    Example:
        >>> request_bytes("GET", "/a")
        b'GET /a HTTP/1.1\\r\\nhost: testserver\\r\\n\\r\\n'
    """
    given = {name.lower() for name, _ in headers}
    lines = [f"{method} {target} {version}"]
    if "host" not in given:
        lines.append(f"host: {host}")
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None and not given & {"content-length", "transfer-encoding"}:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def closing(request: bytes) -> bytes:
    """`request`, after whose answer the connection is to be closed."""
    head, end, body = request.partition(b"\r\n\r\n")
    return head + b"\r\nConnection: close" + end + body


def answers_to(port: int, data: bytes) -> bytes:
    """All that comes back to `data`, to the end of the connection, without the time of the date."""
    with Connection(("127.0.0.1", port)) as connection:
        connection.send(data)
        return re.sub(rb"date: [^\r]*", b"date:", connection.read_to_end())


def chunked(*pieces: bytes) -> bytes:
    """`pieces` as a chunked body, final chunk included."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n\r\n"
