"""Raw rows that stay in a JSON file; only their places are in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from kpkit.errors import FormatError, InputError
from kpkit.formats.jsonrows import Index, runs

PIECE = 1 << 20
# Bytes between two rows that are rather read than skipped.
NEAR = 1 << 13
WHITESPACE = b" \t\r\n"


@dataclass(frozen=True)
class FileRows:
    """Rows that stay in their file; only their places are in memory.

    starts, ends  [n]  int64  bytes
    """

    path: Path
    starts: Index
    ends: Index

    def __len__(self) -> int:
        return len(self.starts)

    def get(self, index: int) -> bytes:
        """See Rows."""
        with self.path.open("rb") as stream:
            stream.seek(int(self.starts[index]))
            return stream.read(int(self.ends[index] - self.starts[index]))

    def chunks(self, index: Index) -> Iterator[bytes | memoryview]:
        """See Rows."""
        comma = b""
        with self.path.open("rb") as stream:
            for first, last in runs(index):
                at = first
                while at <= last:
                    end = int(np.searchsorted(self.starts, self.starts[at] + PIECE))
                    end = min(max(end, at + 1), last + 1)
                    yield comma + b",".join(self._read(stream, at, end))
                    comma = b","
                    at = end

    def _read(self, stream: BinaryIO, at: int, end: int) -> list[bytes]:
        """The rows from `at` to before `end`; between a row and the one before it there may be a comma and no more."""
        base = int(self.ends[at - 1] if at else self.starts[0])
        stream.seek(base)
        data = stream.read(int(self.ends[end - 1]) - base)
        starts, ends = (self.starts[at:end] - base).tolist(), (self.ends[at:end] - base).tolist()
        if len(data) < ends[-1]:
            raise InputError("the file became shorter while it was read", code="KP-INPUT-READ", place=str(self.path))
        for i, (before, start) in enumerate(zip([0, *ends], starts, strict=False), start=at):
            if i and data[before:start].strip(WHITESPACE) != b",":
                raise FormatError(
                    "something other than a comma stands between two rows",
                    code="KP-JSON-SYNTAX",
                    place=f"{self.path}: byte {base + before}",
                    expected="objects with commas between them",
                    got=data[before:start][:60].decode("utf-8", "replace"),
                )
        return [data[start:end] for start, end in zip(starts, ends, strict=True)]


@dataclass(frozen=True)
class ScatteredRows:
    """Some rows of a file, wherever they stand in it; what lies between them was looked at before.

    starts, ends  [n]  int64  bytes, rising
    """

    path: Path
    starts: Index
    ends: Index

    def __len__(self) -> int:
        return len(self.starts)

    def get(self, index: int) -> bytes:
        """See Rows."""
        return b"".join(map(bytes, self.chunks(np.array([index], np.int64))))

    def chunks(self, index: Index) -> Iterator[bytes | memoryview]:
        """See Rows."""
        comma = b""
        starts, ends = self.starts[index].tolist(), self.ends[index].tolist()
        with self.path.open("rb", buffering=0) as stream:
            at = 0
            while at < len(index):
                end = at + 1
                # What lies close together is read together.
                while end < len(index) and 0 <= starts[end] - ends[end - 1] < NEAR and ends[end] - starts[at] < PIECE:
                    end += 1
                data = self._read(stream, starts[at], ends[end - 1])
                rows = [
                    data[a - starts[at] : b - starts[at]] for a, b in zip(starts[at:end], ends[at:end], strict=True)
                ]
                yield comma + b",".join(rows)
                comma = b","
                at = end

    def _read(self, stream: BinaryIO, start: int, end: int) -> bytes:
        stream.seek(start)
        pieces: list[bytes] = []
        while start < end:
            data = stream.read(end - start)
            if not data:
                raise InputError(
                    "the file became shorter while it was read", code="KP-INPUT-READ", place=str(self.path)
                )
            pieces.append(data)
            start += len(data)
        return b"".join(pieces)
