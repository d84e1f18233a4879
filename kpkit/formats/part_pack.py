"""What a writer knows of a part it has written, as bytes: a long run puts it down, and a later one takes it up.

JSON in the form of Python, which keeps numbers of any length, NaN and texts that are not Unicode; what is already bytes
stands beside it.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def packed(document: Any, raw: bytes | None) -> bytes:
    """A document that JSON can hold, and bytes; TypeError for what is no plain data."""
    return msgspec.msgpack.encode((json.dumps(document, default=_plain).encode("ascii"), raw))


def unpacked(data: bytes, kind: type[T]) -> tuple[T, bytes | None]:
    """Both again, the document checked against the types of `kind`. Raises ValueError for what is something else."""
    text, raw = msgspec.msgpack.decode(data, type=tuple[bytes, bytes | None])
    return msgspec.convert(json.loads(text), kind), raw


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy as lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no plain data")
