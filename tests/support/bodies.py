"""Request bodies as bytes: JSON, urlencoded forms and multipart, always the same bytes for the same input."""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.parse import urlencode

BOUNDARY = "parity-boundary-7f3a"


class Upload(NamedTuple):
    """One file of a multipart form."""

    filename: str
    content: bytes
    content_type: str | None = "text/plain"


def json_body(value: Any) -> bytes:
    """`value` as compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def form_body(fields: list[tuple[str, str]]) -> bytes:
    """`fields` as `application/x-www-form-urlencoded`."""
    return urlencode(fields).encode()


def multipart_body(fields: list[tuple[str, str | Upload]], boundary: str = BOUNDARY) -> bytes:
    """`fields` as `multipart/form-data`, in order."""
    parts = []
    for name, value in fields:
        disposition = f'form-data; name="{name}"'
        extra, content = "", value
        if isinstance(value, Upload):
            disposition += f'; filename="{value.filename}"'
            extra = f"content-type: {value.content_type}\r\n" if value.content_type else ""
            content = value.content
        data = content.encode() if isinstance(content, str) else content
        parts.append(f"--{boundary}\r\ncontent-disposition: {disposition}\r\n{extra}\r\n".encode() + data + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode()
