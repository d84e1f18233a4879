"""Which rows of a column are no longer what they were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def differs(now: NDArray[Any], before: NDArray[Any]) -> NDArray[np.bool_]:
    """[n] bool: rows that differ, bit for bit (NaN equals NaN)."""
    if not len(now) or _same_memory(now, before):
        return np.zeros(len(now), bool)
    if now.dtype == object or before.dtype == object:
        # As lists, so that an integer is a Python one on either side.
        pairs = zip(now.tolist(), before.tolist(), strict=True)
        return np.fromiter((a != b or type(a) is not type(b) for a, b in pairs), bool, len(now))
    if now.dtype.kind != before.dtype.kind:
        return np.ones(len(now), bool)
    if now.dtype == np.float64:
        now, before = np.ascontiguousarray(now).view(np.int64), np.ascontiguousarray(before).view(np.int64)
    unequal: NDArray[np.bool_] = np.not_equal(now, before).reshape(len(now), -1).any(axis=1)
    return unequal


def extras_differ(
    now: Mapping[str, NDArray[Any]], before: Mapping[str, NDArray[Any]], row_of: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """[n] bool: rows of which one of the extras is no longer what was read.

    now  by row    before  by raw row    row_of  [n]  int64  raw row of each row, -1 none
    """
    different = np.zeros(len(row_of), bool)
    nothing = np.full(len(row_of), None, object)
    for name in now.keys() | before.keys():
        old = nothing
        if name in before:
            old = before[name][row_of]
            old[row_of < 0] = None
        different |= differs(now.get(name, nothing), old)
    return different


def _same_memory(now: NDArray[Any], before: NDArray[Any]) -> bool:
    """Whether both are views of the same values. Columns of a dataset are read-only, so then nothing has changed."""
    if now.shape != before.shape or now.strides != before.strides or now.dtype != before.dtype:
        return False
    return bool(now.__array_interface__["data"] == before.__array_interface__["data"])
