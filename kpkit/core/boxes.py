"""Person boxes and areas where the annotator gave none; every one says which rule made it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import (
    AREA_BBOX,
    AREA_SEGMENTATION,
    AREA_UNKNOWN,
    BBOX_ANNOTATED,
    BBOX_KEYPOINTS,
    BBOX_SCALE,
    BBOX_UNKNOWN,
    Dataset,
)
from kpkit.errors import UsageError, did_you_mean

RULES = ("auto", "annotated", "keypoints", "none")

# The field's practice for persons without a segmentation (AI Challenger's and CrowdPose's evaluations).
AREA_SHARE = 0.53

Boxes = NDArray[np.float64]


def hull(xy: NDArray[np.float64], pad: float, width: NDArray[np.int32], height: NDArray[np.int32]) -> Boxes:
    """The box around the labelled joints, grown and clipped to the frame where its size is known.

    xy             [N,K,2]  float64  pixels, NaN where unlabelled
    pad            share of its size by which the box grows in all, half on each side (0.25: a quarter larger)
    width, height  [N]      int32    pixels, -1 unknown

    returns        [N,4]    float64  x, y, w, h; NaN where no joint is labelled; at least one pixel a side
    """
    low = np.fmin.reduce(xy, axis=1, initial=np.inf)
    high = np.fmax.reduce(xy, axis=1, initial=-np.inf)
    empty = ~np.isfinite(low).all(axis=-1)
    low[empty], high[empty] = np.nan, np.nan
    margin = np.maximum((high - low) * pad, np.maximum(0.0, 1.0 - (high - low))) / 2
    grown_low, grown_high = low - margin, high + margin
    frame = np.stack([width, height], axis=-1).astype(np.float64)
    known = frame > 0
    # A hull that leaves the frame altogether (labels outside the image) stays as it is.
    inside = known & (grown_high > 0) & (grown_low < frame)
    grown_low = np.where(inside, np.maximum(grown_low, 0.0), grown_low)
    grown_high = np.where(inside, np.minimum(grown_high, frame), grown_high)
    return np.concatenate([grown_low, grown_high - grown_low], axis=-1)


def with_boxes(dataset: Dataset, rule: str, pad: float, scale_box: Boxes | None = None) -> Dataset:
    """The dataset with boxes by one of RULES.

    rule       auto: annotated, else the joints' hull, else `scale_box`; annotated: only those; keypoints: always the
               hull; none: no boxes
    scale_box  [N,4]  float64  boxes that the source's person scale gives, NaN unknown

    Raises UsageError for an unknown rule.
    """
    if rule not in RULES:
        raise UsageError(f"there is no box rule '{rule}'", code="KP-BBOX-RULE", help=did_you_mean(rule, RULES))
    box, source = dataset.bbox_xywh.copy(), dataset.bbox_source.copy()
    if rule == "none":
        return dataset.replace(bbox_xywh=np.full_like(box, np.nan), bbox_source=np.zeros_like(source))
    if rule == "annotated":
        made = source != BBOX_ANNOTATED
        box[made], source[made] = np.nan, BBOX_UNKNOWN
        return dataset.replace(bbox_xywh=box, bbox_source=source)
    missing = ~np.isfinite(box).all(axis=1) if rule == "auto" else np.ones(len(dataset), bool)
    images, rows = dataset.images, dataset.image_index
    if missing.any() and len(dataset.skeleton):
        made_box = hull(dataset.xy[missing], pad, images.width[rows][missing], images.height[rows][missing])
        _fill(box, source, np.flatnonzero(missing), made_box, BBOX_KEYPOINTS)
    if scale_box is not None:
        missing = ~np.isfinite(box).all(axis=1)
        _fill(box, source, np.flatnonzero(missing), scale_box[missing], BBOX_SCALE)
    return dataset.replace(bbox_xywh=box, bbox_source=source)


def with_areas(dataset: Dataset, segmentation_area: NDArray[np.float64] | None = None) -> Dataset:
    """The dataset with an area a person: annotated, else the segmentation's, else 0.53 * w * h of the box.

    segmentation_area  [N]  float64  pixels^2, NaN where there is none
    """
    area, source = dataset.area.copy(), dataset.area_source.copy()
    if segmentation_area is not None:
        rows = np.flatnonzero(~np.isfinite(area) & np.isfinite(segmentation_area))
        area[rows], source[rows] = segmentation_area[rows], AREA_SEGMENTATION
    rows = np.flatnonzero(~np.isfinite(area))
    from_box = AREA_SHARE * dataset.bbox_xywh[rows, 2] * dataset.bbox_xywh[rows, 3]
    area[rows] = from_box
    source[rows] = np.where(np.isfinite(from_box), AREA_BBOX, AREA_UNKNOWN)
    return dataset.replace(area=area, area_source=source)


def _fill(box: Boxes, source: NDArray[np.uint8], rows: NDArray[np.int64], made: Boxes, kind: int) -> None:
    good = np.isfinite(made).all(axis=1)
    box[rows[good]] = made[good]
    source[rows[good]] = kind
    source[rows[~good]] = BBOX_UNKNOWN
    box[rows[~good]] = np.nan
