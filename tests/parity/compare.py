"""What makes two answers the same.

Owns: the comparison, the list of headers that are left out with a reason each, the known differences.
Does not own: getting the answers (`referee`).
Rule: what is not listed here counts. A difference is a bug of ours, or a row in `KNOWN_DIFFERENCES` with its reason.
"""

from __future__ import annotations

import gzip
import re
import zlib
from email.utils import parsedate_to_datetime

from ..support.wire import Answer
from .case import Case

IGNORED_HEADERS = {
    "date": "the moment of the answer",
    "server": "names the server",
    "connection": "hop by hop (RFC 9110 7.6.1): when to close is the server's own policy; tests/wire judges it",
    "keep-alive": "hop by hop: see connection",
    "transfer-encoding": "hop by hop: the body is compared after its framing is undone",
}
"""Headers that are not compared, and why."""

LENGTH_RULE = (
    "content-length: compared whenever both send it; one side may send the same body chunked or until close instead "
    "(RFC 9112 6.3), except in an answer to HEAD, where the header is all there is"
)
"""How the one header that is half framing, half content is compared."""

GZIP_RULE = (
    "Bodies that both sides send with `content-encoding: gzip` are compared decompressed, and their content-length is not: "
    "the compressor of ours is not zlib (RFC 1952 fixes what bytes mean, not which are chosen)"
)
"""How compressed bodies are compared."""

EXPIRES_RULE = (
    "`expires` of a cookie is a moment counted from that of its answer: compared as its distance from the answer's `date`, "
    "to within two seconds"
)
"""How the moments in cookies are compared."""

KNOWN_DIFFERENCES: dict[str, str] = {
    "streams: an error in the middle": "FastAPI hands events from task to task; an exception cancels them all, and "
    "what was yielded just before it is lost. Ours sends it, then closes without the final chunk",
    "streams: a wrong item": "FastAPI hands events from task to task; an exception cancels them all, and "
    "what was yielded just before it is lost. Ours sends it, then closes without the final chunk",
    "misc: an absolute target": "RFC 9112 section 3.2.2 asks a server to take the absolute form. uvicorn takes the whole "
    "URI for the path, and answers 404",
    "status_codes: 205 has no body": "FastAPI sends 205 with content-length: 4 and no body, which uvicorn tears. RFC 9110 "
    "section 15.3.6 allows no content: ours sends content-length: 0",
}
"""Case id → why its answers differ and may."""

_EXPIRES = re.compile(r"\bexpires=([A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT)")
_HEX_RUN = re.compile(rb"[0-9a-f]{16,}")


def difference(case: Case, index: int, reference: Answer, ours: Answer) -> str | None:
    """The first thing in which `ours` is not as `reference`, in words; None when they are the same."""
    if reference.status != ours.status:
        return f"status {ours.status}, not {reference.status} (body {ours.body[:120]!r})"
    if reference.is_torn != ours.is_torn:
        return f"body {_ended(ours)}, not {_ended(reference)}"
    is_zipped = "gzip" == reference.header("content-encoding") == ours.header("content-encoding")
    reason = None if is_zipped else _length_difference(case.requests[index].method, reference, ours)
    if reason is not None:
        return reason
    theirs, mine = _counted_headers(case, reference), _counted_headers(case, ours)
    if theirs != mine:
        missing = [pair for pair in theirs if pair not in mine]
        extra = [pair for pair in mine if pair not in theirs]
        return f"headers: missing {missing}, extra {extra}"
    for those, these in zip(_lives(reference), _lives(ours), strict=True):
        if abs(those - these) > 2:
            return f"a cookie expires {these} s after its answer, not {those} s"
    expected, found = (_unzipped(reference.body), _unzipped(ours.body)) if is_zipped else (reference.body, ours.body)
    if _masked(case, expected) != _masked(case, found):
        return f"body: {_first_divergence(expected, found)}"
    return None


def _unzipped(body: bytes) -> bytes:
    try:
        return gzip.decompress(body)
    except (EOFError, OSError, zlib.error):
        # Torn, or only called so.
        return body


def _ended(answer: Answer) -> str:
    return "torn" if answer.is_torn else "whole"


def _length_difference(method: str, reference: Answer, ours: Answer) -> str | None:
    theirs, mine = reference.header("content-length"), ours.header("content-length")
    if theirs == mine or (method != "HEAD" and None in (theirs, mine)):
        return None
    return f"content-length {mine}, not {theirs}"


def _counted_headers(case: Case, answer: Answer) -> list[tuple[str, bytes]]:
    skipped = IGNORED_HEADERS.keys() | {"content-length"}
    counted = [
        (name, _masked(case, (_EXPIRES.sub("expires=#", value) if name == "set-cookie" else value).encode("latin-1")))
        for name, value in answer.headers
        if name not in skipped
    ]
    # Order matters only among headers of one name (RFC 9110 5.3); sort() keeps that order.
    return sorted(counted, key=lambda pair: pair[0])


def _lives(answer: Answer) -> list[float]:
    """Seconds from the answer to the end of each cookie that has one."""
    date = answer.header("date")
    ends = [end for cookie in answer.all_headers("set-cookie") for end in _EXPIRES.findall(cookie)]
    if date is None or not ends:
        return []
    return [(parsedate_to_datetime(end) - parsedate_to_datetime(date)).total_seconds() for end in ends]


def _masked(case: Case, data: bytes) -> bytes:
    return _HEX_RUN.sub(lambda run: b"#" * len(run[0]), data) if case.random_hex else data


def _first_divergence(reference: bytes, ours: bytes) -> str:
    at = next(
        (i for i, (a, b) in enumerate(zip(reference, ours, strict=False)) if a != b), min(len(reference), len(ours))
    )
    start = max(0, at - 40)
    return f"at byte {at}: {ours[start : at + 80]!r}, not {reference[start : at + 80]!r}"
