"""How much the persons of an image get in each other's way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.qa.stats_tally import Bins, Spread

Array = NDArray[np.float64]
Index = NDArray[np.int64]

# Pairs grow with the square of the persons of an image; more than this is no picture of people.
MOST_PERSONS = 1000
PAIRS_AT_ONCE = 1 << 19
OVERLAP_EDGES = np.linspace(0, 1, 21)
# What the CrowdPose paper calls easy, medium and hard.
CROWD_EDGES = np.array([0.0, 0.1, 0.8, np.inf])
CROWD_NAMES = ("easy", "medium", "hard")


@dataclass(frozen=True)
class Crowding:
    """Overlap of persons.

    overlap      of each person with a box, the largest IoU with another person of the image
    overlap_bins the same in bins           overlapping  persons for whom it is at least 0.1, 0.3 and 0.5
    crowd_index  of each image with measured persons  classes  images by its level, as in CrowdPose
    unmeasured   images with more than MOST_PERSONS persons, left out here

    Source of the index: Li and others, CrowdPose: Efficient Crowded Scenes Pose Estimation and A New Benchmark, CVPR
    2019, section 3.1: the mean over an image's persons of (joints of others in the person's box) / (its own joints
    there).
    """

    overlap: Spread
    overlap_bins: Bins
    overlapping: dict[str, int]
    crowd_index: Spread
    classes: dict[str, int]
    unmeasured: int

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "overlap": vars(self.overlap),
            "overlap_histogram": self.overlap_bins.as_dict(),
            "overlapping": self.overlapping,
            "crowd_index": vars(self.crowd_index),
            "images_by_crowd_index": self.classes,
            "images_unmeasured": self.unmeasured,
        }


Joints = Callable[[Index], Array]


def measure_crowding(image: Index, joints: Joints, boxes: Array, at_once: int | None = None) -> Crowding:
    """Measure all images.

    image    [N]    int64    number of the image        joints  rows [n] -> joints [n,K,2], pixels, NaN unlabelled
    boxes    [N,4]  float64  pixels, x y w h; persons whose box is unknown or empty are left out
    at_once  persons whose joints are asked for together, or few more; None: all
    """
    usable = np.isfinite(boxes).all(axis=1) & (boxes[:, 2] > 0) & (boxes[:, 3] > 0)
    persons = np.bincount(image[usable]) if usable.any() else np.zeros(0, np.int64)
    crowded = np.flatnonzero(persons > MOST_PERSONS)
    rows = np.flatnonzero(usable & ~np.isin(image, crowded))
    rows = rows[np.argsort(image[rows], kind="stable")]
    image, boxes = image[rows], boxes[rows]
    overlap, share = np.zeros(len(rows)), np.full(len(rows), np.nan)
    for low, high in _batches(image, at_once or len(rows)):
        part = slice(low, high)
        overlap[part], share[part] = _measure(image[part], joints(rows[part]), boxes[part])
    index = _image_means(image, share)
    return Crowding(
        Spread.of(overlap),
        Bins.of(np.minimum(overlap, np.nextafter(1.0, 0.0)), OVERLAP_EDGES),
        {f"{least:g}": int(np.count_nonzero(overlap >= least)) for least in (0.1, 0.3, 0.5)},
        Spread.of(index),
        dict(zip(CROWD_NAMES, Bins.of(index, CROWD_EDGES).counts.tolist(), strict=True)),
        len(crowded),
    )


def _batches(image: Index, size: int) -> Iterator[tuple[int, int]]:
    """Ranges (low, high) of at least `size` rows, but the last, that cut no image.  image [n] int64 ascending"""
    low = 0
    while low < len(image):
        last = image[min(low + size, len(image)) - 1]
        high = int(np.searchsorted(image, last, side="right"))
        yield low, high
        low = high


def _measure(image: Index, xy: Array, boxes: Array) -> tuple[Array, Array]:
    """[n] float64 each, of whole images: the largest IoU, and joints of others by own ones in the box, NaN without."""
    overlap, others = np.zeros(len(image)), np.zeros(len(image))
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    own = _inside(xy, corners)
    for first, second, starts, of in _pairs(image):
        overlap[of] = np.maximum.reduceat(_iou(corners[first], corners[second]), starts)
        others[of] = np.add.reduceat(_inside(xy[second], corners[first]), starts)
    return overlap, np.divide(others, own, out=np.full(len(image), np.nan), where=own > 0)


def _inside(xy: Array, corners: Array) -> NDArray[np.int64]:
    """[n] int64: joints of each row within the row's box.  xy [n,K,2], corners [n,4] left top right bottom, pixels"""
    within = (xy[..., 0] >= corners[:, None, 0]) & (xy[..., 0] <= corners[:, None, 2])
    within &= (xy[..., 1] >= corners[:, None, 1]) & (xy[..., 1] <= corners[:, None, 3])
    inside: NDArray[np.int64] = np.count_nonzero(within, axis=1).astype(np.int64)
    return inside


def _iou(one: Array, other: Array) -> Array:
    """[n] float64: intersection over union of boxes row by row.  [n,4] left top right bottom, pixels"""
    low, high = np.maximum(one[:, :2], other[:, :2]), np.minimum(one[:, 2:], other[:, 2:])
    common = np.clip(high - low, 0, None).prod(axis=1)
    both = (one[:, 2:] - one[:, :2]).prod(axis=1) + (other[:, 2:] - other[:, :2]).prod(axis=1)
    iou: Array = common / (both - common)
    return iou


def _pairs(image: Index) -> Iterator[tuple[Index, Index, Index, Index]]:
    """Ordered pairs of different persons of one image, block by block: who, with whom, where each who begins, each who.

    image  [n]  int64  ascending
    """
    _, begin, number, size = np.unique(image, return_index=True, return_inverse=True, return_counts=True)
    several = np.flatnonzero(size[number] > 1)
    partners = size[number][several] - 1
    block = np.cumsum(partners) // PAIRS_AT_ONCE
    for part in np.split(np.arange(len(several)), np.flatnonzero(np.diff(block)) + 1):
        if not len(part):
            continue
        who, count = several[part], partners[part]
        starts = np.cumsum(count) - count
        first = np.repeat(who, count)
        place = np.arange(len(first)) - np.repeat(starts, count)
        second = np.repeat(begin[number[who]], count) + place
        second += second >= first
        yield first, second, starts, who


def _image_means(image: Index, share: Array) -> Array:
    """Mean of the finite shares of each image that has any.  image [n] int64 ascending, share [n] float64"""
    known = np.isfinite(share)
    if not known.any():
        return np.zeros(0)
    _, number, size = np.unique(image[known], return_inverse=True, return_counts=True)
    means: Array = np.bincount(number, share[known]) / size
    return means
