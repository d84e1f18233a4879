"""From the canonical columns back to MPII's 1-based numbers: joints, head rectangle, scale and position.

Labels from MPII bring `scale` (height / 200 pixels) and `objpos`, a point near the body's centre. For others they are
made of the person's box: its centre, and its height over 200. Where there is no box, the hull of the labelled joints
takes its place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector

JOINTS = 16
REFERENCE_HEIGHT = 200.0


def positions(
    dataset: Dataset, rows: NDArray[np.int64], collector: Collector
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale [n] and centre [n,2] (1-based pixels) of the persons at `rows`; NaN where nothing is known of one."""
    scale = _stored(dataset, "mpii.scale", rows, 1)[:, 0]
    centre = _stored(dataset, "mpii.objpos", rows, 2)
    box = _boxes(dataset, rows)
    made = (np.isnan(scale) | np.isnan(centre[:, 0])) & np.isfinite(box[:, 0])
    # A test image may have a position without a scale; only whole ones are completed.
    made &= np.isnan(scale) & np.isnan(centre[:, 0])
    scale[made] = np.maximum(box[made, 3], 1.0) / REFERENCE_HEIGHT
    centre[made] = box[made, :2] + box[made, 2:] / 2 + 1
    collector.note(
        "KP-MPII-POSITION",
        "scale and centre made of the person's box (height / 200)",
        count=int(np.count_nonzero(made)),
    )
    return scale, centre


def _stored(dataset: Dataset, name: str, rows: NDArray[np.int64], width: int) -> NDArray[np.float64]:
    found = np.full((len(rows), width), np.nan)
    for index, value in _given(dataset, name, rows):
        found[index] = value
    return found


def _boxes(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Boxes [n,4]; the hull of the labelled joints where there is none; NaN where there is neither."""
    box = dataset.bbox_xywh[rows].copy()
    xy = dataset.xy[rows]
    bare = ~np.isfinite(box).all(axis=1) & (dataset.visibility[rows] > 0).any(axis=1)
    box[~bare & ~np.isfinite(box).all(axis=1)] = np.nan
    if bare.any():
        low, high = np.nanmin(xy[bare], axis=1), np.nanmax(xy[bare], axis=1)
        box[bare] = np.concatenate([low, high - low], axis=1)
    return box


def one_based(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Joints [n,16,2] of the persons at `rows`, pixels counted from 1; unchanged ones are to the bit what was read."""
    xy = dataset.xy[rows]
    found = xy + 1
    for index, stored in _given(dataset, "mpii.raw_xy", rows):
        for joint, point in stored.items():
            raw = np.array(point, np.float64)
            if np.array_equal(raw - 1, xy[index, int(joint)]):
                found[index, int(joint)] = raw
    return found


def inexact(dataset: Dataset, decimals: int, *, rounded: bool) -> int:
    """How many coordinates of more than `decimals` decimals are not certain to come back as they are.

    Written they are counted from 1, and `rounded` to these decimals or not. Persons that a .mat file brought are looked
    at one by one: most of their numbers were stored that way, and come back to the bit.
    """
    if dataset.skeleton.size != JOINTS:
        return 0
    stored = one_based(dataset, np.arange(len(dataset), dtype=np.int64))
    index = dataset.extras.get("mpii.annolist_index")
    own = np.array([index is not None and index[row] is not None for row in range(len(dataset))], bool)
    with np.errstate(over="ignore"):  # what overflows in rounding differs, which is all that is asked
        changed = np.round(stored, decimals) != stored if rounded else stored - 1 != dataset.xy
        finer = (np.round(dataset.xy, decimals) != dataset.xy) & np.isfinite(dataset.xy)
    return int(np.count_nonzero(finer & (changed | ~own[:, None, None])))


def head_corners(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Head rectangles x1 y1 x2 y2 [n,4] of the persons at `rows`, as `one_based`; NaN where there is none."""
    box = dataset.head_box[rows]
    found = corners_of(box)
    for index, stored in _given(dataset, "mpii.raw_head_box", rows):
        raw = np.array(stored, np.float64)
        if np.array_equal(box_of(raw[None])[0], box[index]):
            found[index] = raw
    return found


def box_of(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 0-based box x y w h of 1-based corners x1 y1 x2 y2, both [n,4] float64 pixels."""
    return np.concatenate([corners[:, :2] - 1, corners[:, 2:] - corners[:, :2]], axis=1)


def corners_of(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 1-based corners x1 y1 x2 y2 of a 0-based box x y w h, both [n,4] float64 pixels."""
    start = box[:, :2] + 1
    return np.concatenate([start, start + box[:, 2:]], axis=1)


def _given(dataset: Dataset, name: str, rows: NDArray[np.int64]) -> list[tuple[int, Any]]:
    """Position in `rows` and value of the persons that have this field of the extras."""
    column = dataset.extras.get(name)
    return [] if column is None else [(at, value) for at, value in enumerate(column[rows]) if value is not None]
