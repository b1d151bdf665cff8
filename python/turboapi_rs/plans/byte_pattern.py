"""Patterns of Python's `re` as patterns of Rust's `regex`, over the bytes of Latin-1 text.

Owns: the translation. Does not own: matching (`src/middleware/cors.rs`).
Rule: only what means the same in both, with Python's own parser as the witness; anything else is None. Each element
that takes one character becomes the set of bytes that Python itself says it takes, flags and all.
Spec: `re.fullmatch`, for text without line breaks, as header values are.
"""

from __future__ import annotations

import re
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]
from typing import Any

MAX_REPEATS = 1000
"""Repeats that are unrolled when a pattern is compiled; above it a pattern stays Python's."""


def translated(pattern: re.Pattern[str]) -> str | None:
    r"""`pattern` for a full match of bytes, or None.

    Example:
        >>> print(translated(re.compile(r"s?:[a-c.]+")))
        (?:[\x73]){0,1}[\x3a](?:[\x2e\x61-\x63]){1,}
        >>> print(translated(re.compile(r"(a)\1")))
        None
    """
    if not isinstance(pattern.pattern, str) or pattern.flags & (re.LOCALE | re.DEBUG):
        return None
    try:
        tree = _parser.parse(pattern.pattern, pattern.flags)
        return _sequence(tree, tree.state)
    except (_Untranslatable, AttributeError, TypeError, ValueError, Warning):
        # The others: a Python whose parser is another one, or says more.
        return None


class _Untranslatable(Exception):
    """An element that Rust has not, or has with another meaning."""


def _sequence(items: Any, state: Any) -> str:
    return "".join(_element(operation, argument, state) for operation, argument in items)


def _element(operation: Any, argument: Any, state: Any) -> str:
    if operation in (_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN):
        return _byte_set(operation, argument, state)
    if operation is _constants.BRANCH:
        return "(?:" + "|".join(_sequence(branch, state) for branch in argument[1]) + ")"
    if operation is _constants.SUBPATTERN:
        _, added_flags, removed_flags, inner = argument
        if added_flags or removed_flags:
            raise _Untranslatable
        return f"(?:{_sequence(inner, state)})"
    if operation in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
        least, most, inner = argument
        is_open = most is _constants.MAXREPEAT
        if least > MAX_REPEATS or (not is_open and most > MAX_REPEATS):
            raise _Untranslatable
        return f"(?:{_sequence(inner, state)}){{{int(least)},{'' if is_open else int(most)}}}"
    if operation is _constants.AT:
        if argument in (_constants.AT_BEGINNING, _constants.AT_BEGINNING_STRING):
            return r"\A"
        if argument in (_constants.AT_END, _constants.AT_END_STRING):
            return r"\z"
    raise _Untranslatable


def _byte_set(operation: Any, argument: Any, state: Any) -> str:
    """The bytes whose characters Python matches with one element."""
    element = _compiler.compile(_parser.SubPattern(state, [(operation, argument)]), state.flags)
    taken = [byte for byte in range(256) if element.fullmatch(chr(byte))]
    if not taken:
        raise _Untranslatable
    ranges: list[list[int]] = []
    for byte in taken:
        if ranges and ranges[-1][1] == byte - 1:
            ranges[-1][1] = byte
        else:
            ranges.append([byte, byte])
    return "[" + "".join(f"\\x{a:02x}" if a == b else f"\\x{a:02x}-\\x{b:02x}" for a, b in ranges) + "]"
