"""Forms with files, as a compiled route hands them to FastAPI's extraction.

Owns: `UploadFile`s of what was read natively, and closing them.
Does not own: reading (`turboapi_rs._core`), which forms are read natively (there: those of which no file goes to disk).
Rule: a file is as Starlette's parser makes it: spooled, at its first byte, its size known.
Source: `starlette.formparsers.MultiPartParser`.
"""

from __future__ import annotations

from tempfile import SpooledTemporaryFile
from typing import Any

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartParser

from turboapi_rs.plans.responses import Final
from turboapi_rs.plans.resume import Resumed

_File = tuple[str, list[tuple[bytes, bytes]], bytes]


def form_data(parts: list[tuple[str, str | _File]]) -> FormData:
    """Make Starlette's form of names and values, of which files are `(filename, fields, content)`."""
    return FormData([(name, value if isinstance(value, str) else _upload(*value)) for name, value in parts])


def _upload(filename: str, fields: list[tuple[bytes, bytes]], content: bytes) -> UploadFile:
    # What was read whole stays in memory, whatever an application has set: its bytes are read without a thread.
    most = MultiPartParser.spool_max_size
    spooled: Any = SpooledTemporaryFile(max_size=most and max(most, len(content)))  # noqa: SIM115, closed with the form
    spooled.write(content)
    spooled.seek(0)
    return UploadFile(spooled, size=len(content), filename=filename, headers=Headers(raw=fields))


def leave(form: FormData, final: Final) -> None:
    """Close the files of a form, at once or when what is left of an answer is sent."""
    if isinstance(final, Resumed):
        final.form = form
        return
    for _, value in form.multi_items():
        if isinstance(value, UploadFile):
            value.file.close()
