"""Mirrors samples that were read: labels by arithmetic, targets likewise where that is exact, else rendered anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kpkit.targets.base import Codec, StoredType
from kpkit.targets.flip import flip_arrays
from kpkit.targets.occlusion import OccludedTarget
from kpkit.targets.shard_layout import COUNT, FIRST, IMAGE, MASKED, MISS, OF_PERSONS, POINTS, REGION, Array
from kpkit.targets.shard_targets import dense_of, labels_of, points_of

BY_JOINT = ("visibility", "truncated", "occluded")
# What a mirror is computed from, whatever was asked for; and what of it not all shards have.
NEEDS = ("keypoints", *BY_JOINT, "weights", "affine", "bbox", "flipped")
ALSO = (REGION, COUNT, FIRST, MASKED)


def mirror_samples(
    arrays: dict[str, Array], flips: NDArray[np.bool_], codec: Codec, rule: OccludedTarget, dtype: StoredType
) -> None:
    """Mirror some of n samples in place.

    arrays  name -> [n, ...] as stored, those of NEEDS among them    flips  [n] bool: which    dtype  of the targets
    """
    width, order = codec.input_size[1], codec.skeleton.flip_index
    persons = np.repeat(flips, arrays[COUNT]) if COUNT in arrays else flips
    points = arrays["keypoints"][persons][:, order].astype(np.float64)
    points[..., 0] = width - 1 - points[..., 0]
    arrays["keypoints"][persons] = points
    for name in BY_JOINT:
        arrays[name][persons] = arrays[name][persons][:, order]
    affine = arrays["affine"][flips]
    affine[:, 0] *= -1.0
    affine[:, 0, 2] += width - 1
    arrays["affine"][flips] = affine
    arrays["flipped"][flips] ^= True
    for name in (REGION, IMAGE, MISS):
        if name in arrays:
            arrays[name][flips] = arrays[name][flips][:, :, ::-1]
    _targets(arrays, flips, persons, codec, rule, dtype)


def _targets(
    arrays: dict[str, Array],
    flips: NDArray[np.bool_],
    persons: NDArray[np.bool_],
    codec: Codec,
    rule: OccludedTarget,
    dtype: StoredType,
) -> None:
    names = [name for name in codec.spec() if name in arrays]
    used = [name for name in (*NEEDS, *ALSO) if name in arrays]
    labels = labels_of({name: arrays[name][persons if name in OF_PERSONS else flips] for name in used})
    made = points_of(codec, labels, rule)
    arrays["weights"][persons] = made.weights
    for name, values in zip(POINTS, (made.mu, made.sigma), strict=True):
        if name in arrays:
            arrays[name][persons] = values
    if names:
        if codec.flips_channels:
            dense = flip_arrays(codec, {name: arrays[name][flips] for name in names})
        else:
            dense = dense_of(codec, made, labels.regions, rule, dtype)
        for name in names:
            arrays[name][flips] = dense[name]
