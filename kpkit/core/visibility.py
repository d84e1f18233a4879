"""The one place that changes visibility.

visibility  uint8   0 unlabelled, 1 labelled and occluded, 2 labelled and visible (COCO's meaning)
truncated   bool    the joint lies outside the frame; implies visibility 0 or 1
xy          float64 pixels; NaN exactly where visibility is 0

Every function returns new arrays and leaves its arguments alone. Flags only ever go down, 2 -> 1 -> 0, save where an
annotator says otherwise (`annotated`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

UNLABELLED = 0
OCCLUDED = 1
VISIBLE = 2

Xy = NDArray[np.float64]
Flags = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def occlude(visibility: Flags, covered: Mask) -> Flags:
    """Mark covered joints as occluded: 2 becomes 1, 1 and 0 stay.

    visibility  [...]  uint8
    covered     [...]  bool  joint is hidden by something
    """
    return np.where(covered & (visibility == VISIBLE), OCCLUDED, visibility).astype(np.uint8)


def leave_frame(xy: Xy, visibility: Flags, truncated: Mask, outside: Mask) -> tuple[Xy, Flags, Mask]:
    """Take joints out of the frame: unlabelled, NaN, truncated. Joints that were unlabelled before stay as they are.

    xy          [..., 2]  float64  pixels
    visibility  [...]     uint8
    truncated   [...]     bool
    outside     [...]     bool     joint lies outside the frame
    """
    gone = outside & (visibility > UNLABELLED)
    return (
        np.where(gone[..., None], np.nan, xy),
        np.where(gone, UNLABELLED, visibility).astype(np.uint8),
        truncated | gone,
    )


def merge(visibility: Flags, axis: int = -1) -> Flags:
    """Visibility of a point derived from several: the least visible of them.

    visibility  [..., S, ...]  uint8  one flag a source along `axis`
    """
    lowest: Flags = visibility.min(axis=axis)
    return lowest


def unlabel(xy: Xy, visibility: Flags) -> Xy:
    """Coordinates with NaN wherever the flag says unlabelled.

    xy          [..., 2]  float64  pixels, any value where unlabelled
    visibility  [...]     uint8
    """
    return np.where((visibility == UNLABELLED)[..., None], np.nan, xy)


def annotated(xy: Xy, visibility: Flags, truncated: Mask) -> tuple[Xy, Flags, Mask]:
    """What an annotator set, made consistent: no flag without coordinates, and none but "occluded" outside the frame.

    xy          [..., 2]  float64  pixels, NaN where there is no joint
    visibility  [...]     uint8    as set; 0 where a joint was placed and nothing said is taken for visible
    truncated   [...]     bool
    """
    placed = np.isfinite(xy).all(axis=-1)
    said = np.where(truncated, OCCLUDED, np.where(visibility == UNLABELLED, VISIBLE, visibility))
    flags = np.where(placed, said, UNLABELLED).astype(np.uint8)
    return unlabel(xy, flags), flags, truncated.copy()


def counts(visibility: Flags, truncated: Mask) -> dict[str, int]:
    """How many joints carry each flag, over all persons and joints."""
    return {
        "visible": int(np.count_nonzero(visibility == VISIBLE)),
        "occluded": int(np.count_nonzero(visibility == OCCLUDED)),
        "unlabelled": int(np.count_nonzero(visibility == UNLABELLED)),
        "truncated": int(np.count_nonzero(truncated)),
    }
