"""From the labels of samples, as a shard stores them, to its targets: one rule for writer, reader and `verify`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kpkit.targets.base import Arrays, Codec, Points, StoredType
from kpkit.targets.occlusion import OccludedTarget, blank, cover_joints
from kpkit.targets.shard_layout import COUNT, MASKED, REGION, Array


@dataclass(frozen=True)
class SampleLabels:
    """n samples, in the types of the shard; of whole pictures the persons of all of them stand one after the other.

    keypoints   [n,K,2]  float32  input pixels, NaN where unlabelled      visibility  [n,K]  uint8
    occluded    [n,K]    bool     covered                                 affine      [n,2,3]  float64
    bbox        [n,4]    float32  source pixels
    regions     [n,H,W]  uint8    covered share of each cell x 255, or None
    starts      [n+1]    int64    of whole pictures: sample j holds the persons starts[j] to starts[j+1]
    masked      [m]      bool     of the persons of whole pictures: has no targets
    """

    keypoints: NDArray[np.float32]
    visibility: NDArray[np.uint8]
    occluded: NDArray[np.bool_]
    affine: NDArray[np.float64]
    bbox: NDArray[np.float32]
    regions: NDArray[np.uint8] | None = None
    starts: NDArray[np.int64] | None = None
    masked: NDArray[np.bool_] | None = None


def labels_of(arrays: Mapping[str, Array]) -> SampleLabels:
    """The labels among the arrays of samples, as they are stored."""
    starts = starts_of(arrays[COUNT]) if COUNT in arrays else None
    return SampleLabels(
        keypoints=arrays["keypoints"],
        visibility=arrays["visibility"],
        occluded=arrays["occluded"],
        affine=arrays["affine"],
        bbox=arrays["bbox"],
        regions=arrays.get(REGION),
        starts=starts,
        masked=arrays.get(MASKED),
    )


def starts_of(count: Array) -> NDArray[np.int64]:
    """Where the persons of each sample begin, and how many there are.  [n+1] int64"""
    return np.concatenate([[0], np.cumsum(count, dtype=np.int64)]).astype(np.int64)


def points_of(codec: Codec, labels: SampleLabels, rule: OccludedTarget) -> Points:
    """Where the targets stand; a covered joint has none, except under "keep"."""
    visibility = labels.visibility
    if labels.masked is not None:
        visibility = np.where(labels.masked[:, None], np.uint8(0), visibility)
    points = codec.prepare(labels.keypoints.astype(np.float64), visibility, box_sizes(labels))
    points = cover_joints(points, labels.occluded, rule)
    return points if labels.starts is None else replace(points, starts=labels.starts)


def box_sizes(labels: SampleLabels) -> NDArray[np.float64]:
    """Width and height of the boxes in input pixels.  [n,2] float64 (of whole pictures [m,2])"""
    # What a damaged shard says may be beyond all numbers; `verify` tells.
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.hypot(labels.affine[:, 0, :2], labels.affine[:, 1, :2])
        if labels.starts is not None:
            lengths = np.repeat(lengths, np.diff(labels.starts), axis=0)
        sizes: NDArray[np.float64] = labels.bbox[:, 2:].astype(np.float64) * lengths
    return sizes


def dense_of(
    codec: Codec, points: Points, regions: NDArray[np.uint8] | None, rule: OccludedTarget, dtype: StoredType
) -> Arrays:
    """The arrays of the points, [n, *shape] in `dtype`, 0 inside covered regions except under "keep"."""
    arrays = codec.render(points, dtype)
    return arrays if regions is None else blank(codec, arrays, regions, rule, dtype)
