"""What changed between two datasets: images, persons and joints, each change once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset
from kpkit.core.skeleton import Skeleton
from kpkit.qa.changes import KINDS, Change, Difference
from kpkit.qa.match import By, Matched, match, shared_joints

# What a distance is called that float64 cannot hold: JSON has no infinity.
LARGEST = np.finfo(np.float64).max

Part = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def difference(a: Dataset, b: Dataset, *, tolerance: float = 0.0, by: By = "auto") -> Difference:
    """Every change from `a` to `b`.

    tolerance  pixels: joints, boxes and the sides of areas that differ by at most this are equal
    by         how persons are matched, see kpkit.qa.match.match

    Joints are compared by name. Not compared: the order of rows, what made a box, fields that only one format has.
    """
    matched = match(a, b, by=by)
    parts = [*_images(a, b, matched), *_persons(a, b, matched, tolerance), *_joints(a, b, matched.persons, tolerance)]
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    kind, row_a, row_b, joint, distance = columns
    first = np.where(row_a >= 0, row_a, row_b)
    order = np.lexsort((joint, first, kind))
    return Difference(
        a=a,
        b=b,
        matched=matched,
        tolerance=tolerance,
        kind=kind[order],
        row_a=row_a[order],
        row_b=row_b[order],
        joint=joint[order],
        distance=distance[order],
        skeleton=tuple(_skeleton(a.skeleton, b.skeleton)),
    )


def _part(kind: str, row_a: Any, row_b: Any, joint: int = -1, distance: Any = np.nan) -> Part:
    """Columns of Difference for one kind; single values stand for all its rows."""
    n = len(row_b) if isinstance(row_a, int) else len(row_a)
    code, one, other, of = (
        np.broadcast_to(np.asarray(x, np.int64), n) for x in (KINDS.index(kind), row_a, row_b, joint)
    )
    return code, one, other, of, np.broadcast_to(np.asarray(distance, np.float64), n)


def _images(a: Dataset, b: Dataset, matched: Matched) -> Iterator[Part]:
    one, other = matched.images.T
    yield _part("image gone", np.setdiff1d(np.arange(len(a.images)), one), -1)
    yield _part("image added", -1, np.setdiff1d(np.arange(len(b.images)), other))
    x, y = a.images, b.images
    size = (x.width[one] != y.width[other]) | (x.height[one] != y.height[other])
    yield _part("size", one[size], other[size])
    split = _unequal(x.split[one], y.split[other])
    yield _part("split", one[split], other[split])
    if matched.by_id:
        number = _unequal(x.id[one], y.id[other])
        yield _part("image id", one[number], other[number])


def _persons(a: Dataset, b: Dataset, matched: Matched, tolerance: float) -> Iterator[Part]:
    one, other = matched.persons.T
    yield _part("person gone", np.setdiff1d(np.arange(len(a)), one), -1)
    yield _part("person added", -1, np.setdiff1d(np.arange(len(b)), other))
    image_of = np.full(len(b.images), -1, np.int64)
    image_of[matched.images[:, 1]] = matched.images[:, 0]
    moved = a.image_index[one] != image_of[b.image_index[other]] if len(one) else np.zeros(0, bool)
    yield _part("image", one[moved], other[moved])
    for kind, x, y in (("bbox", a.bbox_xywh, b.bbox_xywh), ("head box", a.head_box, b.head_box)):
        far = _far(x[one], y[other]).max(axis=1, initial=0.0)
        beyond = far > tolerance
        yield _part(kind, one[beyond], other[beyond], distance=np.where(np.isinf(far), np.nan, far)[beyond])
    with np.errstate(invalid="ignore"):
        # The square root may make one number of two; without a tolerance nothing may.
        sides = np.sqrt(a.area[one]), np.sqrt(b.area[other])
    far = _far(*sides) if tolerance else _far(a.area[one], b.area[other])
    yield _part("area", one[far > tolerance], other[far > tolerance])
    far = _far(a.score[one], b.score[other])
    yield _part("score", one[far > 0], other[far > 0])
    for kind, x, y in (
        ("category", a.category_id, b.category_id),
        ("crowd", a.is_crowd, b.is_crowd),
        ("track", a.track_id, b.track_id),
        *((("id", a.instance_id, b.instance_id),) if matched.by_id else ()),
    ):
        unequal = _unequal(x[one], y[other])
        yield _part(kind, one[unequal], other[unequal])


def _joints(a: Dataset, b: Dataset, pairs: NDArray[np.int64], tolerance: float) -> Iterator[Part]:
    joints = shared_joints(a.skeleton, b.skeleton)
    one, other = pairs.T
    # Joint by joint: the temporaries stay small beside the columns.
    for x, y in joints.tolist():
        before, after = a.visibility[one, x], b.visibility[other, y]
        with np.errstate(over="ignore"):
            far = np.hypot(*(a.xy[one, x] - b.xy[other, y]).T)
        for kind, where in (
            ("moved", (before > 0) & (after > 0) & (far > tolerance)),
            ("flag", (before > 0) & (after > 0) & (before != after)),
            ("added", (before == 0) & (after > 0)),
            ("gone", (before > 0) & (after == 0)),
            ("truncated", a.truncated[one, x] != b.truncated[other, y]),
        ):
            yield _part(
                kind, one[where], other[where], x, np.minimum(far[where], LARGEST) if kind == "moved" else np.nan
            )


def _skeleton(a: Skeleton, b: Skeleton) -> Iterator[Change]:
    if a == b:
        return
    for kind, names, others in (("joint gone", a.keypoints, b.keypoints), ("joint added", b.keypoints, a.keypoints)):
        for name in names:
            if name not in others:
                yield Change(kind, joint=name)
    if set(a.keypoints) != set(b.keypoints):
        return
    if a.keypoints != b.keypoints:
        yield Change("order", before=list(a.keypoints), after=list(b.keypoints))
    for kind, pairs, other_pairs in (("flip pairs", a.flip_pairs, b.flip_pairs), ("edges", a.edges, b.edges)):
        before, after = _named(a, pairs), _named(b, other_pairs)
        if before != after:
            yield Change(kind, before=before, after=after)
    sigmas = [None if one.sigmas is None else dict(zip(one.keypoints, one.sigmas, strict=True)) for one in (a, b)]
    if sigmas[0] != sigmas[1]:
        yield Change("sigmas", before=sigmas[0], after=sigmas[1])


def _named(skeleton: Skeleton, pairs: tuple[tuple[int, int], ...]) -> list[list[str]]:
    ends = {tuple(sorted(skeleton.keypoints[end] for end in pair)) for pair in pairs}
    return [list(pair) for pair in sorted(ends)]


def _far(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Absolute differences; 0 where neither is known, infinite where one is."""
    with np.errstate(over="ignore", invalid="ignore"):
        far = np.abs(x - y)
    known = np.isfinite(x), np.isfinite(y)
    return np.where(known[0] & known[1], far, np.where(known[0] == known[1], 0.0, np.inf))


def _unequal(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.bool_]:
    if x.dtype != object and y.dtype != object:
        return np.asarray(x != y, bool)
    return np.array([one != other for one, other in zip(x.tolist(), y.tolist(), strict=True)], bool)
