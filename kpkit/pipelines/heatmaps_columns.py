"""Labels of all persons in a file without a name, so that a plan holds none of them in memory.

Samples are ordered by the paths of their pictures, and parts of a dataset are not: a shard may need persons of any
part. Each person is one record of fixed size, found by its row. A run that is killed leaves nothing behind.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from kpkit.guard import output_error

# What a small dataset takes stays in memory, and no file is made.
HELD = 32 << 20
# Persons that are put together for one write.
AT_ONCE = 8192
# Rows between two wanted ones that are read, too, where that saves a read.
GAP = 16

Rows = NDArray[np.int64]


class PersonColumns:
    """Records of `kinds`, name -> (dtype, shape of one); written in any order, read by their rows."""

    def __init__(self, kinds: Mapping[str, tuple[Any, tuple[int, ...]]]) -> None:
        self.record = np.dtype([(name, dtype, shape) for name, (dtype, shape) in kinds.items()])
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(HELD, prefix="kpkit-")  # noqa: SIM115
        # It lives as long as these columns do.
        weakref.finalize(self, self._file.close)

    def put(self, rows: Rows, columns: Mapping[str, NDArray[Any]]) -> None:
        """Write persons.

        rows     [n]  int64  rising
        columns  name -> [n, ...]

        Raises OutputError where the folder of temporary files is full.
        """
        try:
            for first in range(0, len(rows), AT_ONCE):
                mine = rows[first : first + AT_ONCE]
                records = np.empty(len(mine), self.record)
                for name in self.record.names or ():
                    records[name] = columns[name][first : first + AT_ONCE]
                for low, high in _runs(mine, 1):
                    self._file.seek(int(mine[low]) * self.record.itemsize)
                    self._file.write(records[low:high].tobytes())
        except OSError as error:
            folder = Path(tempfile.gettempdir())
            raise output_error(error, folder, None).at(str(folder)) from error

    def take(self, rows: Rows) -> dict[str, NDArray[Any]]:
        """name -> [n, ...] of the persons of these rows, in their order.

        rows  [n]  int64
        """
        order = np.argsort(rows, kind="stable")
        wanted = rows[order]
        records = np.empty(len(rows), self.record)
        for low, high in _runs(wanted, GAP):
            first, last = int(wanted[low]), int(wanted[high - 1])
            self._file.seek(first * self.record.itemsize)
            piece = np.frombuffer(self._file.read((last - first + 1) * self.record.itemsize), self.record)
            records[order[low:high]] = piece[wanted[low:high] - first]
        return {name: np.ascontiguousarray(records[name]) for name in self.record.names or ()}


def _runs(rows: Rows, gap: int) -> list[tuple[int, int]]:
    """Ranges (low, high) of sorted rows that follow each other by at most `gap`."""
    if not len(rows):
        return []
    ends = np.concatenate([np.flatnonzero(np.diff(rows) > gap) + 1, [len(rows)]]).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))


__all__ = ["PersonColumns"]
