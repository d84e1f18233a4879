"""A writer of MATLAB 5 files: nested values packed to bytes, the same bytes for the same values.

Numbers are of class double and, as MATLAB itself does, stored in the smallest integer type that holds them. The header
carries no date. The layout is described in `mat5`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from kpkit.errors import UsageError
from kpkit.formats.mat5 import CELL, CHAR, COMPRESSED, HEADER, LARGEST, MATRIX, STRUCT

DOUBLE = 6
_UTF8 = 16
_LEVEL = 4  # of deflate: 6 takes twice the time for files 3 % smaller
_TEXT = b"MATLAB 5.0 MAT-file, written by kpkit"
_COMPACT = (
    (2, "B", 0, 255),
    (3, "h", -(1 << 15), (1 << 15) - 1),
    (4, "H", 0, (1 << 16) - 1),
    (5, "i", -(1 << 31), (1 << 31) - 1),
)
_NO_NAME = struct.pack("<II", 1, 0)


@lru_cache(maxsize=1 << 16)
def number(value: float) -> bytes:
    """One number."""
    return numbers((value,))


def numbers(values: Sequence[float], *, column: bool = False) -> bytes:
    """A row (or column) of numbers; 0 x 0 where there are none."""
    length = len(values)
    if not length:
        return EMPTY
    code, letter = 9, "d"
    if all(float(value).is_integer() for value in values):
        low, high = min(values), max(values)
        code, letter = next(((c, k) for c, k, first, last in _COMPACT if first <= low and high <= last), (9, "d"))
    items = values if letter == "d" else [int(value) for value in values]
    content = _element(code, struct.pack(f"<{length}{letter}", *items))
    return _matrix(DOUBLE, (length, 1) if column else (1, length), content)


def text(value: str) -> bytes:
    """A row of characters."""
    return _matrix(CHAR, (min(len(value), 1), len(value)), _element(_UTF8, value.encode()))


def cell(values: Sequence[bytes], *, column: bool = False) -> bytes:
    """A cell array of packed values."""
    return _matrix(CELL, (len(values), 1) if column else (min(len(values), 1), len(values)), b"".join(values))


def structs(names: Sequence[str], rows: Sequence[Sequence[bytes]], *, column: bool = False) -> bytes:
    """A struct array: for each struct the packed values of its fields, in the order of `names`."""
    shape = (len(rows), 1) if column else (1, len(rows))
    values = [value for row in rows for value in row]
    return _matrix(STRUCT, shape, _fields(tuple(names)) + b"".join(values))


@lru_cache(maxsize=1024)
def _fields(names: tuple[str, ...]) -> bytes:
    # 31 characters are what MATLAB allows; the width counts the closing zero.
    width = max(8, *(len(name.encode()) + 1 for name in names))
    block = b"".join(name.encode().ljust(width, b"\0") for name in names)
    return struct.pack("<HHi", 5, 4, width) + _element(1, block)


def save(path: Path, name: str, variable: bytes) -> None:
    """Write a file with one variable, a packed value, compressed.

    Raises UsageError where the variable is larger than the format allows.
    """
    # The packed value has no name yet: it stands between the dimensions and the content.
    head, content = variable[8:40], variable[48:]
    body = head + _element(1, name.encode("ascii")) + content
    if len(body) + 8 > LARGEST:
        raise UsageError(
            "too many labels for one MATLAB 5 file",
            code="KP-MAT-SIZE",
            expected="less than 2 GiB uncompressed",
            got=f"{len(body) / (1 << 30):.1f} GiB",
            help="write json: end the output's name in .json",
        )
    packed = zlib.compressobj(_LEVEL)
    pieces = [packed.compress(struct.pack("<II", MATRIX, len(body))), packed.compress(body), packed.flush()]
    size = sum(len(piece) for piece in pieces)
    header = _TEXT.ljust(116) + bytes(8) + b"\x00\x01IM"
    with path.open("wb") as stream:
        stream.write(header[:HEADER] + struct.pack("<II", COMPRESSED, size))
        stream.writelines(pieces)


def _element(code: int, data: bytes) -> bytes:
    if 0 < len(data) <= 4:
        return struct.pack("<HH", code, len(data)) + data.ljust(4, b"\0")
    return struct.pack("<II", code, len(data)) + data + bytes(-len(data) % 8)


def _matrix(kind: int, shape: tuple[int, int], content: bytes) -> bytes:
    head = struct.pack("<IIIIIIiiII", MATRIX, 40 + len(content), 6, 8, kind, 0, 5, 8, *shape)
    return head + _NO_NAME + content


EMPTY = _matrix(DOUBLE, (0, 0), _element(9, b""))
