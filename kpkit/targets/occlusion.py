"""Targets of what an occluder covers: taken away before they are drawn, and blanked where the occluder lies.

Only covering by augmentation, or by a mask that came with the dataset, does this. A joint that the annotator marked as
occluded keeps its target.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kpkit.errors import UsageError, did_you_mean
from kpkit.targets.base import Arrays, Codec, Points, StoredType

OccludedTarget = Literal["ignore", "absent", "keep"]
MODES = ("ignore", "absent", "keep")

# Cells of which at least this much (covered share x 255) is covered are blanked.
BLANKED_FROM = 128


def cover_joints(points: Points, covered: NDArray[np.bool_], mode: OccludedTarget) -> Points:
    """Points whose covered joints contribute nothing.

    covered  [n,K]  bool
    mode     "ignore": nothing drawn, weight 0; "absent": nothing drawn, the weight stays ("not there" is taught);
             "keep": as if nothing covered them

    Raises UsageError for another mode.
    """
    _check_mode(mode)
    if mode == "keep" or not covered.any():
        return points
    weights = np.where(covered, np.float32(0.0), points.weights) if mode == "ignore" else points.weights
    return replace(points, mu=np.where(covered[..., None], np.float32(np.nan), points.mu), weights=weights)


def blank(
    codec: Codec, arrays: Arrays, region: NDArray[np.uint8], mode: OccludedTarget, dtype: StoredType = "float32"
) -> Arrays:
    """Every map set to 0, in place, where the region is at least 128; nothing under "keep". Returns the arrays.

    arrays  [n, *shape] in `dtype`, as `codec.render` gives them
    region  [n,H,W]  uint8  covered share of each cell x 255

    Raises UsageError for another mode.
    """
    _check_mode(mode)
    hidden = region >= BLANKED_FROM
    if mode == "keep" or not hidden.any():
        return arrays
    for name, spec in codec.spec().items():
        if name not in arrays or not spec.is_map:
            continue
        scale, offset = spec.scale_offset(dtype)
        for values, cells in zip(arrays[name], hidden, strict=True):
            if cells.any():
                values[..., cells] = round(-offset / scale)
    return arrays


def cell_shares(mask: NDArray[np.uint8], heatmap_size: tuple[int, int]) -> NDArray[np.uint8]:
    """The covered share of each cell x 255, rounded: cell i of H holds the rows from i * h / H to (i + 1) * h / H.

    mask          [..., h, w]  uint8  0 or 255, at the input's resolution
    heatmap_size  (height, width)

    returns       [..., H, W]  uint8
    """
    (h, w), (rows_of, columns_of) = mask.shape[-2:], heatmap_size
    if h % rows_of == 0 and w % columns_of == 0:
        return _counted(mask, h // rows_of, w // columns_of)
    rows, columns = (_overlap(size, cells) for size, cells in zip(mask.shape[-2:], heatmap_size, strict=True))
    share = rows @ (mask > 0).astype(np.float64) @ columns.T
    # Shares of whole cells are sums of parts that float64 does not hold to the last bit.
    return np.floor(share * 255.0 + 0.5 + 1e-9).astype(np.uint8)


def _counted(mask: NDArray[np.uint8], tall: int, wide: int) -> NDArray[np.uint8]:
    """`cell_shares` of cells of whole pixels: by counting, some hundred times faster than by matrices."""
    *stack, h, w = mask.shape
    down = np.add.reduce((mask > 0).reshape(*stack, h // tall, tall, w), axis=-2, dtype=np.int64)
    counts = np.add.reduce(down.reshape(*stack, h // tall, w // wide, wide), axis=-1)
    # Half is rounded up: a cell that is covered to one half is blanked.
    shares: NDArray[np.uint8] = ((counts * 510 + tall * wide) // (2 * tall * wide)).astype(np.uint8)
    return shares


@cache
def _overlap(size: int, cells: int) -> NDArray[np.float64]:
    """Which part of each cell lies on each pixel of one axis; rows add up to 1.  [cells,size] float64"""
    edges = np.arange(cells + 1) * (size / cells)
    pixels = np.arange(size)
    low, high = np.maximum(edges[:-1, None], pixels), np.minimum(edges[1:, None], pixels + 1.0)
    parts: NDArray[np.float64] = np.maximum(high - low, 0.0) * (cells / size)
    return parts


def _check_mode(mode: str) -> None:
    if mode not in MODES:
        raise UsageError(
            f"an occluded target cannot be '{mode}'", code="KP-OCCLUDED-TARGET", help=did_you_mean(mode, MODES)
        )
