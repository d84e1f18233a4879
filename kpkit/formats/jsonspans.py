"""Rows of a JSON text by their places, decoded many at a time.

Where rows begin and end may be a guess (see coco_cut). Decoding finds out: a piece that begins where a row begins and
holds exactly as many rows as it should is cut rightly, at its end and in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

# Rows decoded in one go: few enough for their text to stay in the processor's cache.
TOGETHER = 256


class GuessError(Exception):
    """The rows are not where they were thought to be, or one is not what it should be."""


@dataclass(frozen=True)
class Spans(Sequence[Any]):
    """Rows as parts of one buffer, in their order.

    starts, ends  [n]  int64  bytes; between two rows there is a comma, and no more than whitespace besides
    """

    buffer: bytes
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: Any) -> Any:
        """A view of one row, or some of the rows."""
        if isinstance(index, slice):
            return Spans(self.buffer, self.starts[index], self.ends[index])
        return memoryview(self.buffer)[self.starts[index] : self.ends[index]]

    def joined(self) -> bytes | memoryview:
        """The rows with commas between them; a view of the buffer where they stand there like that."""
        if not len(self):
            return b""
        first, last = int(self.starts[0]), int(self.ends[-1])
        if int((self.ends - self.starts).sum()) + len(self) - 1 == last - first:
            return memoryview(self.buffer)[first:last]
        view = memoryview(self.buffer)
        places = zip(self.starts.tolist(), self.ends.tolist(), strict=True)
        return b",".join([view[start:end] for start, end in places])

    def decoded(self, decode: Callable[[bytes], list[Any]]) -> list[Any]:
        """All rows, by a decoder of lists. Raises GuessError."""
        rows: list[Any] = []
        view = memoryview(self.buffer)
        for at in range(0, len(self), TOGETHER):
            end = min(at + TOGETHER, len(self))
            try:
                rows += decode(b"".join((b"[", view[int(self.starts[at]) : int(self.ends[end - 1])], b"]")))
            except (msgspec.MsgspecError, RecursionError) as error:
                raise GuessError from error
            if len(rows) != end:
                raise GuessError
        return rows
