"""Checks and conversions shared by the tables of a dataset."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kpkit.errors import DefinitionError

if TYPE_CHECKING:
    from kpkit.core.dataset import Dataset

Column = NDArray[Any]

CHECKED_AT_ONCE = 8192


def as_column(values: Sequence[Any] | Column) -> Column:
    """A one-dimensional object array; nested lists stay one value each."""
    if isinstance(values, np.ndarray) and values.dtype == object and values.ndim == 1:
        return values
    column = np.empty(len(values), dtype=object)
    column[:] = values.tolist() if isinstance(values, np.ndarray) else list(values)
    return column


def as_ids(values: Sequence[Any] | Column) -> Column:
    """Ids as int64 where all are integers that fit, else as objects (int and str mixed, or beyond 64 bits)."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu" and values.dtype != np.uint64:
        return values.astype(np.int64, copy=False)
    items = values.tolist() if isinstance(values, np.ndarray) else list(values)
    if set(map(type, items)) <= {int}:
        with contextlib.suppress(OverflowError):
            return np.array(items, dtype=np.int64)
    column = np.empty(len(items), dtype=object)
    column[:] = items
    return column


def freeze(table: object, rows: int, columns: Sequence[str]) -> None:
    """Check that every column has `rows` rows and make the arrays read-only.

    Views are taken first, so that the caller's own arrays stay writeable.
    """
    extras = getattr(table, "extras")  # noqa: B009 - the tables share the attribute, not a base class
    for name in columns:
        values: Column = getattr(table, name)
        object.__setattr__(table, name, _read_only(values, rows, name))
    object.__setattr__(table, "extras", {name: _read_only(values, rows, name) for name, values in extras.items()})


def _read_only(values: Column, rows: int, name: str) -> Column:
    if len(values) != rows:
        raise DefinitionError(
            f"column '{name}' has the wrong length",
            code="KP-COLUMN-LENGTH",
            expected=f"{rows} rows",
            got=f"{len(values)} rows",
        )
    if not values.flags.writeable:
        return values
    view = values.view()
    view.flags.writeable = False
    return view


def check_instances(dataset: Dataset) -> None:
    """The invariants between columns; raises DefinitionError that names the first row that breaks one."""
    n, k = len(dataset), len(dataset.skeleton)
    _check_shape(dataset, "xy", (n, k, 2), np.float64)
    _check_shape(dataset, "visibility", (n, k), np.uint8)
    _check_shape(dataset, "truncated", (n, k), np.bool_)
    _check_shape(dataset, "bbox_xywh", (n, 4), np.float64)
    _check_shape(dataset, "head_box", (n, 4), np.float64)
    for name, kind in (("area", np.float64), ("score", np.float64), ("is_crowd", np.bool_), ("image_index", np.int64)):
        _check_shape(dataset, name, (n,), kind)
    index = dataset.image_index
    if n and (index.min() < 0 or index.max() >= len(dataset.images)):
        bad = int(np.flatnonzero((index < 0) | (index >= len(dataset.images)))[0])
        raise _broken("image_index points outside the image table", bad, f"0..{len(dataset.images) - 1}", index[bad])
    if n and k:
        _check_flags(dataset)


def _check_flags(dataset: Dataset) -> None:
    # Block by block: the temporaries stay in the processor's cache, and small beside the columns.
    for start in range(0, len(dataset), CHECKED_AT_ONCE):
        part = slice(start, start + CHECKED_AT_ONCE)
        flags, xy, truncated = dataset.visibility[part], dataset.xy[part], dataset.truncated[part]
        if flags.max() > 2:
            row = int(np.argwhere(flags > 2)[0, 0])
            raise _broken("visibility is not 0, 1 or 2", start + row, "0, 1 or 2", flags[row].max())
        labelled = flags > 0
        for axis in (0, 1):
            wrong = np.isfinite(xy[..., axis]) != labelled
            if wrong.any():
                row, joint = (int(i) for i in np.argwhere(wrong)[0])
                raise _broken(
                    f"'{dataset.skeleton.keypoints[joint]}' must have coordinates exactly where it is labelled",
                    start + row,
                    "NaN for visibility 0, a finite number otherwise",
                    f"visibility {flags[row, joint]}, xy {xy[row, joint].tolist()}",
                )
        wrong = truncated & (flags == 2)
        if wrong.any():
            row, joint = (int(i) for i in np.argwhere(wrong)[0])
            name = dataset.skeleton.keypoints[joint]
            raise _broken(f"'{name}' is truncated and visible", start + row, "visibility 0 or 1", "visibility 2")


def _check_shape(dataset: Dataset, name: str, shape: tuple[int, ...], dtype: Any) -> None:
    values: Column = getattr(dataset, name)
    if values.shape != shape or values.dtype != dtype:
        raise DefinitionError(
            f"column '{name}' has the wrong shape or dtype",
            code="KP-COLUMN-SHAPE",
            expected=f"{np.dtype(dtype)}{list(shape)}",
            got=f"{values.dtype}{list(values.shape)}",
        )


def _broken(message: str, row: int, expected: str, got: Any) -> DefinitionError:
    return DefinitionError(message, code="KP-INVARIANT", place=f"instance row {row}", expected=expected, got=str(got))
