"""What every reader of 6-2 labels and of a team's own files shares: the meaning of a flag, and the growing dataset.

A flag is one of four states. Together with "are there coordinates" it gives the canonical columns:

    state       with coordinates       without
    visible     2                      a bad record
    occluded    1                      0
    truncated   1, truncated           0, truncated
    unlabelled  0 (coordinates go)     0

6-2 writes them as digits: 0 "not visible" is `occluded`, 1 is `visible`, 2 is `truncated`. COCO's 2 is *visible*.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core import catalog
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.core.skeleton import Skeleton
from kpkit.core.visibility import VISIBLE
from kpkit.errors import RecordError, UsageError
from kpkit.guard import contained

NAMES = ("six2_knee", "six2_ankle")
PREFIX = "six2."

DIGITS = ("occluded", "visible", "truncated")
STATES = (*DIGITS, "unlabelled")

Id = int | str
Joint = tuple[float, float, int, bool]  # x, y, visibility, truncated

UNLABELLED: Joint = (math.nan, math.nan, 0, False)

_EXACT_INTEGERS = 2.0**53
_MAX_SIZE = 2**31 - 1


def canonical_joint(state: str, x: float | None, y: float | None) -> Joint:
    """One joint in canonical terms; None is a coordinate that is not given.

    Raises RecordError with place "x", "y" or "v" where coordinates and flag contradict each other.
    """
    if x is None and y is None:
        if state == "visible":
            raise RecordError(
                "the joint is flagged visible and has no coordinates",
                code="KP-SIX2-VISIBLE",
                place="v",
                expected="x and y, or another flag",
                help="give the coordinates, or flag the joint 0 (not visible) or 2 (truncated)",
            )
        return (math.nan, math.nan, 0, state == "truncated")
    if x is None or y is None:
        missing, given = ("x", "y") if x is None else ("y", "x")
        raise RecordError(
            "one coordinate is given without the other",
            code="KP-SIX2-HALF",
            place=missing,
            expected=f"{missing}, as {given} is given",
            got="nothing",
            help="give both coordinates or none",
        )
    if state == "unlabelled":
        return UNLABELLED
    return (x, y, 2 if state == "visible" else 1, state == "truncated")


def flags_of(dataset: Dataset) -> NDArray[np.uint8]:
    """The 6-2 flag of every joint.

    returns  [N,K]  uint8  0 not visible, 1 visible, 2 truncated
    """
    hidden = np.where(dataset.truncated, 2, 0)
    return np.where(dataset.visibility == VISIBLE, 1, hidden).astype(np.uint8)


def written_skeleton(dataset: Dataset) -> Skeleton:
    """The one of 6-2's two skeletons that has the dataset's joints; UsageError where neither has."""
    for name in NAMES:
        if (known := catalog.skeleton(name)).same_joints(dataset.skeleton):
            return known
    raise UsageError(
        f"6-2 cannot hold the joints of '{dataset.skeleton.name}'",
        code="KP-SIX2-SKELETON",
        expected=" or ".join(NAMES),
        got=", ".join(dataset.skeleton.keypoints[:4]) + ", ...",
        help="map the labels first: --skeleton six2_knee",
    )


def plain(value: float) -> int | float:
    """A float as people write it: 367 for 367.0."""
    return int(value) if value.is_integer() and abs(value) < _EXACT_INTEGERS else value


def pixels(value: Any) -> int:
    """A width or height in pixels; None is unknown, -1. Raises RecordError for anything but a positive whole number."""
    if value is None:
        return -1
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value <= _MAX_SIZE or value != int(value):
        raise RecordError(
            "not a number of pixels",
            code="KP-SIX2-SIZE",
            expected="a whole number above 0, or nothing",
            got=repr(value)[:60],
        )
    return int(value)


@dataclass
class Person:
    """One person as read; what is left at its default is unknown. `joints` in the skeleton's order."""

    image: int
    id: Id
    joints: list[Joint]
    place: str = ""
    bbox: list[float] | None = None
    bbox_source: int = 1
    area: float | None = None
    area_source: int = 1
    head_box: list[float] | None = None
    track_id: Id | None = None
    score: float | None = None
    is_crowd: bool = False
    category_id: Id = 1
    extras: dict[str, Any] = field(default_factory=dict)


@dataclass
class Image:
    """One image as read; width and height -1 unknown, id None where the file gives none."""

    path: str
    width: int = -1
    height: int = -1
    id: Id | None = None
    split: str = ""
    extras: dict[str, Any] = field(default_factory=dict)


class Rows:
    """Images and persons in file order, turned into a Dataset at the end.

    skeleton  the joints        sizes  image path -> (width, height), for images whose file gives no size
    person_extras, image_extras  order of the extras' columns, where the file has one; others follow by name
    """

    def __init__(self, skeleton: Skeleton, sizes: Mapping[str, tuple[int, int]], collector: Collector) -> None:
        self.skeleton = skeleton
        self.collector = collector
        self.images: list[Image] = []
        self.persons: list[Person] = []
        self.person_extras: list[str] = []
        self.image_extras: list[str] = []
        self._sizes = sizes
        self._row_of: dict[str, int] = {}
        self._seen: dict[tuple[int, Id], str] = {}

    def add_image(self, image: Image) -> int:
        """Append an image; returns its row. A size that the file does not give is taken from `sizes`."""
        known = self._sizes.get(image.path)
        if known is not None and image.width < 0 and image.height < 0:
            image.width, image.height = known
        self.images.append(image)
        return len(self.images) - 1

    def image_named(self, path: str, size: Sequence[int], report: Callable[[RecordError, str], None]) -> int:
        """The row of the image of this path, appended where it is new. A size not known yet is filled in.

        size  width, height; -1 unknown        report  gets an error and "width" or "height" where sizes contradict
        """
        row = self._row_of.get(path)
        if row is None:
            row = self._row_of[path] = self.add_image(Image(path, size[0], size[1]))
        image = self.images[row]
        for name, value in zip(("width", "height"), size, strict=True):
            before = getattr(image, name)
            if before >= 0 and value >= 0 and before != value:
                error = RecordError(
                    "the image has another size than in an earlier record",
                    code="KP-SIX2-SIZE-CONFLICT",
                    expected=f"{name} {before}",
                    got=str(value),
                )
                report(error, name)
            elif before < 0:
                setattr(image, name, value)
        return row

    def add_person(self, person: Person) -> None:
        """Append a person; an id that the image has already is kept and noted."""
        key = (person.image, person.id)
        if key in self._seen:
            self.collector.issue(
                "KP-SIX2-PERSON-TWICE",
                "a person_id stands twice in one image",
                place=person.place,
                help="give each person of an image an id of its own",
            )
        self._seen[key] = person.place
        self.persons.append(person)

    def dataset(self, path: Path, meta: Mapping[str, Any] | None = None) -> Dataset:
        """The columns put together; `path` is the file that was read."""
        people = self.persons
        k = len(self.skeleton)
        joints = np.array([person.joints for person in people], np.float64).reshape(len(people), k, 4)
        return Dataset.build(
            skeleton=self.skeleton,
            images=self._image_table(),
            image_index=[person.image for person in people],
            xy=joints[..., :2],
            visibility=joints[..., 2].astype(np.uint8),
            truncated=joints[..., 3].astype(bool),
            instance_id=[person.id for person in people],
            category_id=[person.category_id for person in people],
            bbox_xywh=_boxes([person.bbox for person in people]),
            bbox_source=[person.bbox_source if person.bbox else 0 for person in people],
            area=_floats([person.area for person in people]),
            area_source=[person.area_source if person.area is not None else 0 for person in people],
            head_box=_boxes([person.head_box for person in people]),
            track_id=[person.track_id for person in people],
            score=_floats([person.score for person in people]),
            is_crowd=[person.is_crowd for person in people],
            extras=columns_of([person.extras for person in people], self.person_extras),
            image_root=_image_root(path, self.images[0].path) if self.images else None,
            meta=meta or {},
        )

    def _image_table(self) -> ImageTable:
        images = self.images
        ids = [image.id for image in images]
        return ImageTable.build(
            path=[image.path for image in images],
            id=None if all(one is None for one in ids) else ids,
            width=[image.width for image in images],
            height=[image.height for image in images],
            split=[image.split for image in images],
            extras=columns_of([image.extras for image in images], self.image_extras),
        )


def columns_of(rows: Sequence[Mapping[str, Any]], order: Sequence[str]) -> dict[str, list[Any]]:
    """Extras of single rows as columns, None where a row has no value; names not in `order` follow sorted."""
    found = {name for row in rows for name in row}
    names = [name for name in dict.fromkeys(order) if name in found]
    return {name: [row.get(name) for row in rows] for name in [*names, *sorted(found.difference(names))]}


def image_path(name: str, place: str) -> str:
    """The posix path of an image inside the dataset; RecordError where it is empty or leads outside."""
    if not name:
        raise RecordError(
            "the image has no name", code="KP-SIX2-IMAGE", place=place, expected="a relative path", got="''"
        )
    return contained(name, place=place)


def _image_root(labels: Path, image: str) -> str | None:
    """The folder beside or above the labels that has the first image, if there is one."""
    for folder in (labels.parent, labels.parent.parent):
        for root in (folder, folder / "images"):
            if os.path.isfile(root / image):
                return str(root)
    return None


def _boxes(boxes: list[list[float] | None]) -> NDArray[np.float64]:
    return np.array([box or [math.nan] * 4 for box in boxes], np.float64).reshape(len(boxes), 4)


def _floats(values: list[float | None]) -> NDArray[np.float64]:
    return np.array([math.nan if value is None else value for value in values], np.float64)
