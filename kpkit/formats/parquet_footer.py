"""What a Parquet file's footer claims about its columns, read without the library that reads the columns.

pyarrow reports broken footers while it reads columns. Asked about a single column it ends the whole process where size
statistics contradict the schema (26.0, `RowGroupMetaData.column`), so it is not asked. The encoding is Thrift's compact
protocol; field numbers are those of apache/parquet-format, src/main/thrift/parquet.thrift (FileMetaData, RowGroup,
ColumnChunk, ColumnMetaData).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAGIC = b"PAR1"
LARGEST = 64 << 20
DEEPEST = 24

ENCODINGS = ("PLAIN", "GROUP_VAR_INT", "PLAIN_DICTIONARY", "RLE", "BIT_PACKED", "DELTA_BINARY_PACKED",
             "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY", "RLE_DICTIONARY", "BYTE_STREAM_SPLIT")  # fmt: skip

_ROW_GROUPS, _COLUMNS = 4, 1
_FILE_PATH, _META_DATA = 1, 3
_ENCODINGS, _PATH, _UNPACKED = 2, 3, 6

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)


@dataclass(frozen=True)
class Chunk:
    """One column of one row group: its path, how it is encoded, and to how many bytes it unpacks."""

    path: str
    encodings: tuple[str, ...]
    unpacked: int


def chunks(path: Path) -> list[Chunk]:
    """All column chunks of a file.

    Raises ValueError for a footer that is no footer, or that points to other files.
    """
    document = _Compact(_footer(path)).struct(0)
    groups = _expect(document.get(_ROW_GROUPS, []), list)
    found: list[Chunk] = []
    for group in groups:
        for column in _expect(_expect(group, dict).get(_COLUMNS, []), list):
            found.append(_chunk(_expect(column, dict)))
    return found


def _chunk(column: dict[int, Any]) -> Chunk:
    meta = _expect(column.get(_META_DATA), dict)
    if _FILE_PATH in column:
        raise ValueError("a column stands in another file")
    encodings = [_expect(one, int) for one in _expect(meta.get(_ENCODINGS), list)]
    return Chunk(
        path=".".join(_expect(one, bytes).decode() for one in _expect(meta.get(_PATH), list)),
        encodings=tuple(ENCODINGS[one] if 0 <= one < len(ENCODINGS) else str(one) for one in encodings),
        unpacked=_expect(meta.get(_UNPACKED), int),
    )


def _expect(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise ValueError(f"the footer has {type(value).__name__} where {kind.__name__} belongs")
    return value


def _footer(path: Path) -> bytes:
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        if size < 12:
            raise ValueError("the file is too short for Parquet")
        stream.seek(size - 8)
        end = stream.read(8)
        length = int.from_bytes(end[:4], "little")
        if end[4:] != MAGIC:
            raise ValueError("the file does not end as Parquet does")
        if length > min(LARGEST, size - 12):
            raise ValueError("the footer is larger than the file")
        stream.seek(size - 8 - length)
        return stream.read(length)


class _Compact:
    """Values of Thrift's compact protocol: structs as dicts by field number, lists, ints, bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def struct(self, depth: int) -> dict[int, Any]:
        """Fields up to the stop byte."""
        if depth > DEEPEST:
            raise ValueError("the footer is nested too deeply")
        found: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            kind, step = head & 15, head >> 4
            number = number + step if step else self._signed()
            found[number] = self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        if kind == _BYTE:
            return self._byte()
        if kind in (_I16, _I32, _I64):
            return self._signed()
        if kind == _DOUBLE:
            return self._take(8)
        if kind == _BINARY:
            return self._take(self._unsigned())
        if kind in (_LIST, _SET):
            return self._list(depth)
        if kind == _STRUCT:
            return self.struct(depth + 1)
        # Maps do not occur in a footer.
        raise ValueError(f"the footer has a value of unknown kind {kind}")

    def _list(self, depth: int) -> list[Any]:
        if depth > DEEPEST:
            raise ValueError("the footer is nested too deeply")
        head = self._byte()
        kind, count = head & 15, head >> 4
        if count == 15:
            count = self._unsigned()
        # Every element takes a byte at least.
        if count > len(self.data) - self.at:
            raise ValueError("the footer ends too early")
        if kind in (_TRUE, _FALSE):
            return [self._byte() == _TRUE for _ in range(count)]
        return [self._value(kind, depth + 1) for _ in range(count)]

    def _byte(self) -> int:
        if self.at >= len(self.data):
            raise ValueError("the footer ends too early")
        self.at += 1
        return self.data[self.at - 1]

    def _take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise ValueError("the footer ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a number of the footer is too long")

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
