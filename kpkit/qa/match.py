"""Which image and which person of one dataset is which of another."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset, ImageTable, known_rows
from kpkit.core.oks import oks
from kpkit.core.skeleton import Skeleton

By = Literal["auto", "id", "position"]

# For joints without published sigmas: about the mean of COCO's.
USUAL_SIGMA = 0.08
# The share of its box that a person fills, as the field takes it where there is no segmentation.
AREA_OF_BOX = 0.53
# Persons less alike than this are two persons: one gone, one added.
LEAST_ALIKE = 0.1

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Matched:
    """Rows that belong together; a row is in one pair at most.

    images   [P,2]  int64  rows of the image tables
    persons  [Q,2]  int64  rows of the datasets, ordered by the first
    by_id    persons were matched by their ids (those that both have)
    renamed  images that were matched by file name or id although their paths differ
    """

    images: Rows
    persons: Rows
    by_id: bool
    renamed: int


def match(a: Dataset, b: Dataset, *, by: By = "auto") -> Matched:
    """Match images by path, file name or id; persons by id where both have them, the rest by place in their image.

    by  "id" and "position" say how persons are matched; "auto" trusts ids where at least half of the persons that share
        an id stand in the same image
    """
    images, renamed = match_images(a.images, b.images)
    image_of_b = np.full(len(b.images), -1, np.int64)
    image_of_b[images[:, 1]] = images[:, 0]
    # One number an image in both datasets; -1 for images that only `b` has.
    image_a, image_b = a.image_index, image_of_b[b.image_index] if len(b) else b.image_index
    pairs = _by_id(a, b) if by != "position" else np.empty((0, 2), np.int64)
    if by == "auto" and len(pairs):
        same = np.count_nonzero(image_a[pairs[:, 0]] == image_b[pairs[:, 1]])
        if 2 * same < len(pairs):
            pairs = pairs[:0]
    by_id = by == "id" or len(pairs) > 0
    pairs = np.concatenate([pairs, _by_place(a, b, image_a, image_b, pairs)])
    return Matched(images, pairs[np.argsort(pairs[:, 0], kind="stable")], by_id, renamed)


def match_images(a: ImageTable, b: ImageTable) -> tuple[Rows, int]:
    """Pairs of rows, ordered by the first, and how many of them have other paths.

    Tried in turn on the rows still alone: path and id; path; file name, where no two images share it; id, where a table
    has no paths (COCO result lists).
    """
    paths_a, paths_b = a.path.tolist(), b.path.tolist()
    ids_a, ids_b = a.id.tolist(), b.id.tolist()
    pairs: list[tuple[int, int]] = []
    left = list(range(len(a))), list(range(len(b)))

    def join(keys_a: Sequence[Hashable], keys_b: Sequence[Hashable], *, once: bool) -> int:
        found = _pairs(keys_a, keys_b, left[0], left[1], once=once)
        pairs.extend(found)
        taken_a, taken_b = {one for one, _ in found}, {other for _, other in found}
        left[0][:] = [row for row in left[0] if row not in taken_a]
        left[1][:] = [row for row in left[1] if row not in taken_b]
        return len(found)

    join(_both(paths_a, ids_a), _both(paths_b, ids_b), once=False)
    join(paths_a, paths_b, once=False)
    renamed = join([_name(path) for path in paths_a], [_name(path) for path in paths_b], once=True)
    if not all(paths_a) or not all(paths_b):
        join(ids_a, ids_b, once=True)
    return np.array(sorted(pairs), np.int64).reshape(-1, 2), renamed


def _both(paths: list[str], ids: list[Hashable]) -> list[Hashable]:
    return [(path, one) if path else "" for path, one in zip(paths, ids, strict=True)]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _pairs(
    keys_a: Sequence[Hashable], keys_b: Sequence[Hashable], rows_a: list[int], rows_b: list[int], *, once: bool
) -> list[tuple[int, int]]:
    """Rows with equal keys; the n-th of one side with the n-th of the other, or (`once`) only keys that occur once.

    An empty key is none.
    """
    if once:
        count_a, count_b = Counter(keys_a[row] for row in rows_a), Counter(keys_b[row] for row in rows_b)
        rows_a = [row for row in rows_a if count_a[keys_a[row]] == 1]
        rows_b = [row for row in rows_b if count_b[keys_b[row]] == 1]
    waiting: dict[Hashable, list[int]] = defaultdict(list)
    for row in reversed(rows_b):
        waiting[keys_b[row]].append(row)
    found = []
    for row in rows_a:
        key = keys_a[row]
        others = waiting.get(key) if key != "" else None
        if others:
            found.append((row, others.pop()))
    return found


def _by_id(a: Dataset, b: Dataset) -> Rows:
    """Pairs of persons whose id occurs once on either side."""
    rows_a, rows_b = list(range(len(a))), list(range(len(b)))
    found = _pairs(a.instance_id.tolist(), b.instance_id.tolist(), rows_a, rows_b, once=True)
    return np.array(found, np.int64).reshape(-1, 2)


def _by_place(a: Dataset, b: Dataset, image_a: Rows, image_b: Rows, taken: Rows) -> Rows:
    """Pairs of the persons not `taken`: equal ones first, then the most alike of each image."""
    joints = shared_joints(a.skeleton, b.skeleton)
    rows_a = np.setdiff1d(np.arange(len(a)), taken[:, 0])
    rows_b = np.setdiff1d(np.flatnonzero(image_b >= 0), taken[:, 1])
    keys_a, keys_b = _contents(a, image_a, joints[:, 0], rows_a), _contents(b, image_b, joints[:, 1], rows_b)
    equal = np.array(_pairs(keys_a, keys_b, [*range(len(rows_a))], [*range(len(rows_b))], once=False), np.int64)
    equal = equal.reshape(-1, 2)
    found = [*zip(rows_a[equal[:, 0]].tolist(), rows_b[equal[:, 1]].tolist(), strict=True)]
    groups: dict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for side, rows, image in (
        (0, np.delete(rows_a, equal[:, 0]), image_a),
        (1, np.delete(rows_b, equal[:, 1]), image_b),
    ):
        for row in rows.tolist():
            groups[int(image[row])][side].append(row)
    for ours, theirs in groups.values():
        if ours and theirs:
            found += pair_best(likeness(a, b, np.array(ours), np.array(theirs), joints), ours, theirs, LEAST_ALIKE)
    return np.array(found, np.int64).reshape(-1, 2)


def _contents(data: Dataset, image: Rows, joints: Rows, rows: Rows) -> list[Hashable]:
    """What makes a person, as bytes: image, joints, flags, box and whether it is a crowd."""
    # Adding 0.0 makes one zero of two.
    xy, flags, boxes = data.xy[rows][:, joints] + 0.0, data.visibility[rows][:, joints], data.bbox_xywh[rows] + 0.0
    parts = zip(image[rows].tolist(), xy, flags, boxes, data.is_crowd[rows].tolist(), strict=True)
    return [(one, x.tobytes(), v.tobytes(), box.tobytes(), crowd) for one, x, v, box, crowd in parts]


def shared_joints(a: Skeleton, b: Skeleton) -> Rows:
    """[J,2] int64: where the joints stand that both skeletons have by name."""
    places = {name: place for place, name in enumerate(b.keypoints)}
    shared = [(place, places[name]) for place, name in enumerate(a.keypoints) if name in places]
    return np.array(shared, np.int64).reshape(-1, 2)


def likeness(a: Dataset, b: Dataset, rows_a: Rows, rows_b: Rows, joints: Rows) -> NDArray[np.float64]:
    """How alike persons are: the mean of OKS over joints that both have and the overlap of boxes, as far as known.

    rows_a  [P]    int64  rows of `a`      rows_b  [Q]  int64  rows of `b`
    joints  [J,2]  int64  see shared_joints

    returns  [P,Q]  float64  0 to 1; two persons of which nothing is known are 1 alike, for nothing tells them apart
    """
    xy_a, xy_b = a.xy[rows_a][:, joints[:, 0]], b.xy[rows_b][:, joints[:, 1]]
    sigmas = (
        np.full(len(joints), USUAL_SIGMA) if a.skeleton.sigmas is None else np.array(a.skeleton.sigmas)[joints[:, 0]]
    )
    both = np.isfinite(xy_a[:, None, :, 0]) & np.isfinite(xy_b[None, :, :, 0])
    area = np.broadcast_to(_areas(a, rows_a)[:, None], both.shape[:2])
    boxes_a, boxes_b = a.bbox_xywh[rows_a], b.bbox_xywh[rows_b]
    with np.errstate(over="ignore", invalid="ignore"):
        near = oks(xy_a[:, None], both, area, xy_b[None], sigmas)
        near = np.stack([near, overlap(boxes_a, boxes_b)])
    known = np.isfinite(near)
    mean: NDArray[np.float64] = np.where(known, near, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    nothing_a = ~known_rows(boxes_a) & ~np.isfinite(xy_a[..., 0]).any(axis=1)
    nothing_b = ~known_rows(boxes_b) & ~np.isfinite(xy_b[..., 0]).any(axis=1)
    return np.where(nothing_a[:, None] & nothing_b[None], 1.0, mean)


def _areas(data: Dataset, rows: Rows) -> NDArray[np.float64]:
    """[P] float64 pixels^2: the box's share that a person fills, else that of the joints' hull; at least one pixel."""
    sides = data.bbox_xywh[rows][:, 2:]
    xy = data.xy[rows]
    labelled = np.isfinite(xy)
    hull = np.where(labelled, xy, -np.inf).max(axis=1, initial=-np.inf) - np.where(labelled, xy, np.inf).min(
        axis=1, initial=np.inf
    )
    sides = np.where(np.isfinite(sides).all(axis=1, keepdims=True), sides, hull)
    area: NDArray[np.float64] = AREA_OF_BOX * np.maximum(sides, 1.0).prod(axis=1)
    return area


def overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of boxes.

    a  [P,4]  float64  pixels, x y w h; NaN unknown      b  [Q,4]  float64  likewise

    returns  [P,Q]  float64  0 to 1; NaN where a box is unknown, 1 for two equal boxes without extent
    """
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum((a[:, :2] + a[:, 2:])[:, None], (b[:, :2] + b[:, 2:])[None])
    common = np.maximum(high - low, 0.0).prod(axis=-1)
    union = a[:, None, 2:].prod(axis=-1) + b[None, :, 2:].prod(axis=-1) - common
    equal = (a[:, None] == b[None]).all(axis=-1)
    return np.where(
        equal,
        1.0,
        np.where(union > 0, common / np.where(union > 0, union, 1.0), np.where(np.isnan(union), np.nan, 0.0)),
    )


def pair_best(
    alike: NDArray[np.float64], ours: Sequence[int], theirs: Sequence[int], least: float
) -> list[tuple[int, int]]:
    """Pairs taken from the most alike downwards; of equally alike ones the first rows first.

    alike  [P,Q]  float64  rows `ours` by rows `theirs`      least  what a pair needs
    """
    order = np.argsort(-alike, axis=None, kind="stable")
    free_a, free_b = np.ones(len(ours), bool), np.ones(len(theirs), bool)
    found = []
    for place in order.tolist():
        one, other = divmod(place, len(theirs))
        if not alike[one, other] >= least:
            break
        if free_a[one] and free_b[other]:
            free_a[one] = free_b[other] = False
            found.append((ours[one], theirs[other]))
    return found
