"""Moves the labels of one image by one matrix: points, flags, boxes, polygons; left and right swap after a mirror.

Nothing is deleted. A joint that leaves the frame is unlabelled and truncated, and where it went is handed back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.augment import geometry as geo
from kpkit.augment.shapes import clip_polygon
from kpkit.core import visibility as vis
from kpkit.core.polygons import polygon_area
from kpkit.core.skeleton import Skeleton

Polygon = NDArray[np.float64]


@dataclass(frozen=True)
class Labels:
    """The persons of one image.

    xy          [P,K,2]  float64  pixels, NaN where unlabelled    visibility  [P,K] uint8    truncated [P,K] bool
    bbox_xywh   [P,4]    float64  pixels, NaN unknown             head_box    [P,4] float64
    area        [P]      float64  pixels^2, NaN unknown
    polygons    P lists of [n,2] float64 polygons; an empty list where a person has none
    lateral     name -> P values of "left", "right" or anything else: fields that name a side
    """

    xy: NDArray[np.float64]
    visibility: NDArray[np.uint8]
    truncated: NDArray[np.bool_]
    bbox_xywh: NDArray[np.float64]
    head_box: NDArray[np.float64]
    area: NDArray[np.float64]
    polygons: list[list[Polygon]] = field(default_factory=list)
    lateral: dict[str, list[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Moved:
    """labels  in the output frame    gone  [P,K,2] float64: where joints that left the frame went, NaN elsewhere"""

    labels: Labels
    gone: NDArray[np.float64]


def move(
    labels: Labels,
    matrix: NDArray[np.float64],
    out_wh: tuple[int, int],
    skeleton: Skeleton,
    *,
    mirrored: bool | None = None,
) -> Moved:
    """All labels through one matrix.

    matrix    [2,3]  float64  source -> output pixels      out_wh  (width, height) of the output
    mirrored  left and right swap; None: by the matrix
    """
    mirror = geo.is_mirror(matrix) if mirrored is None else mirrored
    xy = geo.apply_points(matrix, labels.xy)
    return _settle(xy, labels.visibility, labels.truncated, labels, matrix, out_wh, skeleton, mirror)


def settle(
    moved: Labels,
    before: Labels,
    matrix: NDArray[np.float64],
    out_wh: tuple[int, int],
    skeleton: Skeleton,
    mirrored: bool,
) -> Moved:
    """Swap sides, take joints out of the frame, and bring boxes and polygons after points that are moved already."""
    flags, truncated = moved.visibility, moved.truncated
    return _settle(moved.xy, flags, truncated, before, matrix, out_wh, skeleton, mirrored)


def _settle(
    xy: NDArray[np.float64],
    flags: NDArray[np.uint8],
    truncated: NDArray[np.bool_],
    before: Labels,
    matrix: NDArray[np.float64],
    out_wh: tuple[int, int],
    skeleton: Skeleton,
    mirrored: bool,
) -> Moved:
    if mirrored:
        order = skeleton.flip_index
        xy, flags, truncated = xy[:, order], flags[:, order], truncated[:, order]
    left = geo.outside(xy, *out_wh)
    gone: NDArray[np.float64] = np.where(left[..., None], xy, np.nan)
    if left.any():
        xy, flags, truncated = vis.leave_frame(xy, flags, truncated, left)
    polygons, clipped = _move_polygons(before.polygons, matrix, out_wh)
    boxes, areas = _boxes(before, polygons, clipped, matrix, out_wh)
    labels = Labels(
        xy=xy,
        visibility=flags,
        truncated=truncated,
        bbox_xywh=boxes,
        head_box=before.head_box if np.isnan(before.head_box).all() else geo.apply_boxes(matrix, before.head_box),
        area=areas,
        polygons=clipped,
        lateral={name: swap_sides(values) if mirrored else values for name, values in before.lateral.items()},
    )
    return Moved(labels, gone)


def _move_polygons(
    before: list[list[Polygon]], matrix: NDArray[np.float64], out_wh: tuple[int, int]
) -> tuple[list[list[Polygon]], list[list[Polygon]]]:
    """All polygons moved, in one product, and what of them is inside the frame; the moved ones where that is all."""
    flat = [one for person in before for one in person]
    if not flat:
        return before, before
    points = geo.apply_points(matrix, np.concatenate(flat))
    ends = np.cumsum([len(one) for one in flat]).tolist()
    parts = iter([points[end - len(one) : end] for one, end in zip(flat, ends, strict=True)])
    moved = [[next(parts) for _ in person] for person in before]
    if min(map(len, flat)) >= 3 and not geo.outside(points, *out_wh).any():
        return moved, moved
    return moved, [[clip_polygon(one, *out_wh) for one in person] for person in moved]


def _boxes(
    before: Labels,
    polygons: list[list[Polygon]],
    clipped: list[list[Polygon]],
    matrix: NDArray[np.float64],
    out_wh: tuple[int, int],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Boxes clipped to the frame; areas grown by the matrix, of which the share stays that is inside the frame.

    Turning makes the hull of a box's corners too large; where there is a polygon, its hull is taken then. The share is
    that of the polygon where there is one, else that of the box.
    """
    numbers, scale = matrix.tolist(), geo.scale_of(matrix)
    turned = any(polygons) and not _keeps_boxes_upright(matrix)
    boxes, areas = [], []
    for i, (box, area) in enumerate(zip(before.bbox_xywh.tolist(), before.area.tolist(), strict=True)):
        whole = geo.move_box(numbers, box)
        outline = polygons[i] if polygons else []
        if turned and any(map(len, outline)) and not math.isnan(whole[0]):
            whole = geo.hull(np.concatenate(outline)).tolist()
        kept = geo.clip_box(whole, *out_wh)
        lost = math.isnan(kept[0]) and not math.isnan(whole[0])
        boxes.append(kept)
        areas.append(math.nan if lost else area * scale * _share(whole, kept, outline, clipped[i] if outline else []))
    return np.array(boxes).reshape(-1, 4), np.array(areas)


def _share(whole: Sequence[float], kept: Sequence[float], outline: list[Polygon], clipped: list[Polygon]) -> float:
    """Of a person's area that is inside the frame: boxes before and after clipping, polygons before and after."""
    if all(one is part for one, part in zip(outline, clipped, strict=True)):
        if any(polygon_area(one) > 0 for one in outline):
            return 1.0
    elif (total := sum(map(polygon_area, outline))) > 0:
        return float(sum(map(polygon_area, clipped)) / total)
    size = whole[2] * whole[3]
    return kept[2] * kept[3] / size if size > 0 else 1.0


def _keeps_boxes_upright(matrix: NDArray[np.float64]) -> bool:
    """Nothing but stretching, shifting, mirroring and quarter turns, up to the rounding of a sine."""
    a, b, c, d = map(abs, matrix[:, :2].ravel().tolist())
    return max(b, c) < 1e-9 * max(a, d) or max(a, d) < 1e-9 * max(b, c)


def swap_sides(values: list[Any]) -> list[Any]:
    """Values of a lateral field after a mirror: "left" and "right" change places, anything else stays."""
    other = {"left": "right", "right": "left", "Left": "Right", "Right": "Left", "l": "r", "r": "l", "L": "R", "R": "L"}
    other |= {"LEFT": "RIGHT", "RIGHT": "LEFT"}
    return [other.get(value, value) if isinstance(value, str) else value for value in values]


def flip_channels(heatmaps: NDArray[Any], skeleton: Skeleton) -> NDArray[Any]:
    """Heatmaps of the mirrored image: columns reversed, channels of flip pairs exchanged.

    heatmaps  [..., K, h, w]  any dtype

    Source: HRNet lib/utils/transforms.py flip_back.
    """
    flipped: NDArray[Any] = heatmaps[..., ::-1][..., skeleton.flip_index, :, :]
    return flipped


def flip_limbs(skeleton: Skeleton) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How the limbs (edges) of a skeleton swap in a mirror.

    returns  order [L] int64: which limb takes whose place; a limb without a mirror image keeps its own
             sign  [L] int64: -1 where the partner runs the other way (its vector field changes sign), else 1
    """
    position = {edge: i for i, edge in enumerate(skeleton.edges)}
    order, sign = np.arange(len(skeleton.edges)), np.ones(len(skeleton.edges), np.int64)
    for i, (a, b) in enumerate(skeleton.edges):
        mirrored = (int(skeleton.flip_index[a]), int(skeleton.flip_index[b]))
        if mirrored in position:
            order[i] = position[mirrored]
        elif mirrored[::-1] in position:
            order[i], sign[i] = position[mirrored[::-1]], -1
    return order, sign
