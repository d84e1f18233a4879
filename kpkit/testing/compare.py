"""Two datasets compared column by column, with a list of differences a person can read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset
from kpkit.formats.base import Keeps
from kpkit.testing.restrict import EVERYTHING

SHOWN = 12
_PLAIN = ("instance_id", "category_id", "track_id", "score", "is_crowd")


@dataclass(frozen=True)
class _Side:
    """One dataset in the order of comparison: `images` and `persons` are its rows in that order."""

    data: Dataset
    images: NDArray[np.int64]
    persons: NDArray[np.int64]


def assert_equal(expected: Dataset, got: Dataset, keeps: Keeps = EVERYTHING, *, ordered: bool = True) -> None:
    """Raise AssertionError, with the first differences, unless both say the same in all columns that `keeps` names.

    keeps    columns that are kept are compared; coordinates within half of the last declared decimal
    ordered  images and persons stand in the same order; without, images are matched by path, and the persons of one
             image stand in the same order
    """
    found = differences(expected, got, keeps, ordered=ordered)
    if found:
        more = f"\n  ... and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise AssertionError(f"{len(found)} differences:\n  " + "\n  ".join(found[:SHOWN]) + more)


def differences(expected: Dataset, got: Dataset, keeps: Keeps = EVERYTHING, *, ordered: bool = True) -> list[str]:
    """One line a difference: place, expected and got; see `assert_equal`."""
    if expected.skeleton != got.skeleton:
        return [f"skeleton: expected {_joints(expected)}, got {_joints(got)}"]
    one, other = _side(expected, ordered), _side(got, ordered)
    for what, a, b in (("images", one.images, other.images), ("instances", one.persons, other.persons)):
        if len(a) != len(b):
            return [f"{what}: expected {len(a)}, got {len(b)}"]
    found = [*_images(one, other, keeps), *_meta(expected, got, keeps)]
    # Persons of different images cannot be told apart in words before the images agree.
    return found or list(_persons(one, other, keeps))


def _joints(dataset: Dataset) -> str:
    skeleton = dataset.skeleton
    parts = f"pairs {list(skeleton.flip_pairs)}, edges {list(skeleton.edges)}, sigmas {skeleton.sigmas}"
    return f"'{skeleton.name}' {list(skeleton.keypoints)} with {parts}"


def _side(dataset: Dataset, ordered: bool) -> _Side:
    paths = dataset.images.path.tolist()
    images = list(range(len(paths))) if ordered else sorted(range(len(paths)), key=paths.__getitem__)
    rank = np.empty(len(images), np.int64)
    rank[images] = np.arange(len(images))
    persons = np.arange(len(dataset)) if ordered else np.argsort(rank[dataset.image_index], kind="stable")
    return _Side(dataset, np.array(images, np.int64), persons)


def _images(one: _Side, other: _Side, keeps: Keeps) -> Iterator[str]:
    columns = ["path"]
    columns += [name for name, kept in (("id", keeps.image_id), ("split", keeps.split)) if kept]
    columns += ["width", "height"] if keeps.image_size else []
    for name in columns:
        a, b = getattr(one.data.images, name)[one.images], getattr(other.data.images, name)[other.images]
        yield from _column(f"images[{{}}].{name}", a, b)
    yield from _extras("images[{}]", one.data.images.extras, other.data.images.extras, one.images, other.images, keeps)


def _persons(one: _Side, other: _Side, keeps: Keeps) -> Iterator[str]:
    a, b = one.data, other.data
    rows = one.persons, other.persons
    place = "instances[{}]"
    yield from _column(f"{place}.image", a.images.path[a.image_index[rows[0]]], b.images.path[b.image_index[rows[1]]])
    joints = a.skeleton.keypoints
    yield from _joint_columns(a, b, rows, joints, keeps)
    for name in _PLAIN:
        if getattr(keeps, name):
            yield from _column(f"{place}.{name}", getattr(a, name)[rows[0]], getattr(b, name)[rows[1]])
    for name, kept in (("bbox_xywh", keeps.bbox), ("head_box", keeps.head_box)):
        if kept:
            # A relative box is stored by its centre, so that its corner gathers the rounding of two numbers.
            slack = np.tile(_slack(a, keeps)[rows[0]], 2) * (2 if keeps.relative else 1)
            yield from _numbers(f"{place}.{name}", getattr(a, name)[rows[0]], getattr(b, name)[rows[1]], slack)
    if keeps.area:
        yield from _column(f"{place}.area", a.area[rows[0]], b.area[rows[1]])
    for name, kept in (("bbox_source", keeps.bbox), ("area_source", keeps.area)):
        if kept and keeps.bbox_source:
            yield from _column(f"{place}.{name}", getattr(a, name)[rows[0]], getattr(b, name)[rows[1]])
    yield from _extras(place, a.extras, b.extras, *rows, keeps)


def _joint_columns(
    a: Dataset, b: Dataset, rows: tuple[Any, Any], joints: tuple[str, ...], keeps: Keeps
) -> Iterator[str]:
    slack = _slack(a, keeps)[rows[0]]
    for k, joint in enumerate(joints):
        where = f"instances[{{}}].{{}}[{joint}]"
        for name in ("visibility", "truncated") if keeps.truncated else ("visibility",):
            yield from _column(where.format("{}", name), getattr(a, name)[rows[0], k], getattr(b, name)[rows[1], k])
        yield from _numbers(where.format("{}", "xy"), a.xy[rows[0], k], b.xy[rows[1], k], slack)


def _slack(dataset: Dataset, keeps: Keeps) -> NDArray[np.float64]:
    """[N,2] float64: by how many pixels x and y may differ, half of the last decimal that survives."""
    if keeps.decimals is None:
        return np.zeros((len(dataset), 2))
    half = np.full((len(dataset), 2), 0.5 * 10.0**-keeps.decimals)
    if keeps.relative:
        images = dataset.images
        half *= np.stack([images.width, images.height], axis=1)[dataset.image_index]
    return half


def _numbers(where: str, a: NDArray[np.float64], b: NDArray[np.float64], slack: NDArray[np.float64]) -> Iterator[str]:
    """Rows whose numbers differ by more than `slack`, and by more than its own rounding error."""
    with np.errstate(invalid="ignore"):
        far = np.abs(a - b) > np.where(slack > 0, slack * (1 + 1e-6) + 1e-12 * np.abs(a), 0.0)
    far |= np.isnan(a) != np.isnan(b)
    for row in np.flatnonzero(far.any(axis=1)).tolist():
        yield f"{where.format(row)}: expected {a[row].tolist()}, got {b[row].tolist()}"


def _column(where: str, a: NDArray[Any], b: NDArray[Any]) -> Iterator[str]:
    for row, (x, y) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        if not _same(x, y):
            yield f"{where.format(row)}: expected {x!r}, got {y!r}"


def _extras(
    where: str, a: Mapping[str, Any], b: Mapping[str, Any], rows_a: Any, rows_b: Any, keeps: Keeps
) -> Iterator[str]:
    for name in _fields(a, b, keeps):
        missing = np.full(len(rows_a), None, object)
        yield from _column(
            f"{where}.extras['{name}']",
            a[name][rows_a] if name in a else missing,
            b[name][rows_b] if name in b else missing,
        )


def _fields(a: Mapping[str, Any], b: Mapping[str, Any], keeps: Keeps) -> list[str]:
    """Fields to compare. A format may note things of its own on reading; one that keeps any field may not."""
    if "*" in keeps.extras:
        return sorted(a.keys() | b.keys())
    return sorted(name for name in a if name.split(".")[0] in keeps.extras)


def _meta(a: Dataset, b: Dataset, keeps: Keeps) -> Iterator[str]:
    for name in _fields(a.meta, b.meta, keeps):
        if not _same(a.meta.get(name), b.meta.get(name)):
            yield f"meta['{name}']: expected {a.meta.get(name)!r}, got {b.meta.get(name)!r}"


def _same(x: Any, y: Any) -> bool:
    """Equal in value and type, all the way down; NaN equals NaN."""
    if type(x) is not type(y):
        return False
    if isinstance(x, dict):
        return x.keys() == y.keys() and all(_same(x[key], y[key]) for key in x)
    if isinstance(x, list):
        return len(x) == len(y) and all(map(_same, x, y))
    return bool(x == y or (x != x and y != y))
