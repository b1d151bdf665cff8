"""Requests and their answers as a text that people read: recorded once, compared with ever after.

Owns: the form of a golden file, comparing with it, writing it anew. Does not own: asking (the tests).
Rule: texts are the same only when the bytes are.

A line that begins with `>` is one of the request, `<` one of the answer, escaped as in Python; `\\{y*100000}` is that byte
so many times.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "golden"

IS_REWRITTEN = os.environ.get("TURBOAPI_TEST_REWRITE") == "1"
"""What is found is what is to be found from now on; read the difference before it is committed."""

_RUN = re.compile(rb"(.)\1{63,}", re.DOTALL)


def assert_agrees(name: str, exchanges: Iterable[tuple[bytes, bytes]], whose: str) -> None:
    """Holds requests and answers against the golden file `name`.

    Args:
        whose: who gave the answers, for the failure.

    Raises:
        AssertionError: with the lines that differ.
    """
    path = FOLDER / name
    found = shown(exchanges)
    if IS_REWRITTEN:
        path.write_text(found)
    golden = path.read_text()
    if found != golden:
        lines = difflib.unified_diff(golden.splitlines(), found.splitlines(), str(path), whose, n=8, lineterm="")
        raise AssertionError("\n".join(lines))


def shown(exchanges: Iterable[tuple[bytes, bytes]]) -> str:
    """The text of a golden file.

    Example:
        >>> print(shown([(b"GET / HTTP/1.1\\r\\n\\r\\n", b"HTTP/1.1 200 OK\\r\\n\\r\\n" + b"y" * 70)]))
        > GET / HTTP/1.1\\r\\n
        > \\r\\n
        < HTTP/1.1 200 OK\\r\\n
        < \\r\\n
        < \\{y*70}
        <BLANKLINE>
    """
    return "\n".join(_marked(">", request) + _marked("<", answer) for request, answer in exchanges)


def _marked(mark: str, data: bytes) -> str:
    return "".join(f"{mark} {_escaped(line)}\n" for line in re.findall(rb"[^\n]*\n|[^\n]+", data))


def _escaped(line: bytes) -> str:
    pieces, end = [], 0
    for run in _RUN.finditer(line):
        pieces += [_plain(line[end : run.start()]), f"\\{{{_plain(run[1])}*{len(run[0])}}}"]
        end = run.end()
    return "".join(pieces) + _plain(line[end:])


def _plain(data: bytes) -> str:
    # No escape of Python begins with `\{`.
    return data.decode("latin-1").encode("unicode_escape").decode("ascii")
