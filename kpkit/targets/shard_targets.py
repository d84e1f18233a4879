"""From the labels of samples, as a shard stores them, to its targets: one rule for writer, reader and `verify`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpkit.targets.base import Arrays, Codec, Points, StoredType
from kpkit.targets.occlusion import OccludedTarget, blank, cover_joints


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
    return cover_joints(points, labels.occluded, rule)


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
    return arrays if regions is None else blank(codec, arrays, regions, rule, dtype)
