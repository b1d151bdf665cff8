"""Fields and files of an uploaded form.

Owns: `Form`, `FormFile`, names and values as text. Does not own: parsing, limits, spooling (`turboapi_rs._core`).
Rule: a file of a form lies in memory or in a file without a name: closing it, or the end of the process, removes it.
"""

from __future__ import annotations

import codecs
import io
import os
import shutil
from collections.abc import Iterator
from typing import Any, BinaryIO

from turboapi_rs._core import FormError, Upload

__all__ = ["Form", "FormError", "FormFile", "Upload"]


class FormFile:
    """One file of a form.

    Threads: of the handler that got it; it is no safer than the file that it holds.
    """

    __slots__ = ("file", "filename", "headers", "size")

    def __init__(self, filename: str, headers: list[tuple[bytes, bytes]], file: BinaryIO, size: int) -> None:
        #: The name that the client gave it. Never a path to be trusted.
        self.filename = filename
        #: Fields of the part, names in lower case.
        self.headers = headers
        #: The content, from its first byte. In memory up to `form_spool` bytes, else on disk, without a name.
        self.file = file
        #: Bytes.
        self.size = size

    @property
    def content_type(self) -> str | None:
        """What the client says that it is."""
        return next((value.decode("latin-1") for name, value in self.headers if name == b"content-type"), None)

    def read(self, size: int = -1) -> bytes:
        """Read on from where the last read ended."""
        return self.file.read(size)

    def save_to(self, path: str | os.PathLike[str]) -> int:
        """Write the content to a file; gives its bytes. Blocks: in a coroutine, call it in a thread."""
        self.file.seek(0)
        with open(path, "wb") as target:
            shutil.copyfileobj(self.file, target, 1024 * 1024)
        return self.size

    def close(self) -> None:
        """Let the content go."""
        self.file.close()

    def __repr__(self) -> str:
        return f"<FormFile {self.filename!r}, {self.size} bytes>"


class Form:
    """Fields and files of a form, in order, repeats kept.

    Example:
        >>> form = Form([("a", "1"), ("a", "2")])
        >>> form["a"], form.get_all("a"), form.get("b")
        ('2', ['1', '2'], None)
    """

    __slots__ = ("items",)

    def __init__(self, items: list[tuple[str, str | FormFile]]) -> None:
        #: Names and values.
        self.items = items

    def get_all(self, name: str) -> list[str | FormFile]:
        """All values of a name."""
        return [value for known, value in self.items if known == name]

    def get(self, name: str, default: Any = None) -> Any:
        """The last value of a name, or `default`."""
        return next((value for known, value in reversed(self.items) if known == name), default)

    def __getitem__(self, name: str) -> str | FormFile:
        for known, value in reversed(self.items):
            if known == name:
                return value
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(known == name for known, _ in self.items)

    def __iter__(self) -> Iterator[tuple[str, str | FormFile]]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def close(self) -> None:
        """Let all files go. Of use in a `with` block; a form that nobody holds any more lets them go as well."""
        for _, value in self.items:
            if isinstance(value, FormFile):
                value.close()

    def __enter__(self) -> Form:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def make_form(parts: list[Any], content_type: bytes) -> Form:
    """Make a form of the parts that the native parser found. As Starlette decodes: UTF-8 unless told, else Latin-1."""
    charset = _charset_of(content_type)
    items: list[tuple[str, str | FormFile]] = []
    for name, filename, fields, content, size in parts:
        if filename is None:
            items.append((_text(name, charset), _text(content, charset)))
            continue
        file = io.BytesIO(content) if isinstance(content, bytes) else content
        items.append((_text(name, charset), FormFile(_text(filename, charset), fields, file, size)))
    return Form(items)


def _charset_of(content_type: bytes) -> str:
    from email.message import Message

    message = Message()
    message["content-type"] = content_type.decode("latin-1")
    charset = message.get_param("charset", "utf-8")
    try:
        return codecs.lookup(charset if isinstance(charset, str) else "utf-8").name
    except LookupError:
        return "latin-1"


def _text(data: bytes, charset: str) -> str:
    try:
        return data.decode(charset)
    except (UnicodeDecodeError, LookupError):
        return data.decode("latin-1")
