"""From the labels of samples, as a shard stores them, to its targets: one rule for writer, reader and `verify`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kpkit.targets.base import Arrays, Codec, Points, StoredType

OccludedTarget = Literal["ignore", "absent", "keep"]
# A cell is blanked from this share of it on, x 255.
HALF = 128


@dataclass(frozen=True)
class SampleLabels:
    """n samples, in the types of the shard.

    keypoints   [n,K,2]  float32  input pixels, NaN where unlabelled      visibility  [n,K]  uint8
    occluded    [n,K]    bool     covered                                 affine      [n,2,3]  float64
    bbox        [n,4]    float32  source pixels
    regions     [n,H,W]  uint8    covered share of each cell x 255, or None
    """

    keypoints: NDArray[np.float32]
    visibility: NDArray[np.uint8]
    occluded: NDArray[np.bool_]
    affine: NDArray[np.float64]
    bbox: NDArray[np.float32]
    regions: NDArray[np.uint8] | None = None


def points_of(codec: Codec, labels: SampleLabels, rule: OccludedTarget) -> Points:
    """Where the targets stand; a covered joint has none, except under "keep"."""
    points = codec.prepare(labels.keypoints.astype(np.float64), labels.visibility, box_sizes(labels))
    if rule == "keep" or not labels.occluded.any():
        return points
    covered = labels.occluded & (labels.visibility > 0)
    weight = np.float32(0.0 if rule == "ignore" else 1.0)
    return Points(
        np.where(covered[..., None], np.float32(np.nan), points.mu),
        points.sigma,
        np.where(covered, weight, points.weights),
    )


def box_sizes(labels: SampleLabels) -> NDArray[np.float64]:
    """Width and height of the boxes in input pixels.  [n,2] float64"""
    lengths = np.hypot(labels.affine[:, 0, :2], labels.affine[:, 1, :2])
    sizes: NDArray[np.float64] = labels.bbox[:, 2:].astype(np.float64) * lengths
    return sizes


def dense_of(
    codec: Codec, points: Points, regions: NDArray[np.uint8] | None, rule: OccludedTarget, dtype: StoredType
) -> Arrays:
    """The arrays of the points, [n, *shape] in `dtype`, 0 inside covered regions except under "keep"."""
    arrays = codec.render(points, dtype)
    if regions is None or rule == "keep":
        return arrays
    hidden = regions >= HALF
    if hidden.any():
        for name, spec in codec.spec().items():
            if spec.is_map:
                scale, offset = spec.scale_offset(dtype)
                array = arrays[name]
                array[np.broadcast_to(hidden[:, None], array.shape)] = round(-offset / scale)
    return arrays
