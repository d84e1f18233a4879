"""Changes between two datasets: what kinds there are, and all of them as columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset
from kpkit.qa.match import Matched

JOINT_KINDS = ("moved", "flag", "truncated", "added", "gone")
PERSON_KINDS = (
    *("person added", "person gone", "image", "bbox", "area", "head box", "category", "crowd", "score", "track", "id"),
)
IMAGE_KINDS = ("image added", "image gone", "size", "split", "image id")
SKELETON_KINDS = ("joint added", "joint gone", "order", "flip pairs", "edges", "sigmas")
KINDS = (*SKELETON_KINDS, *IMAGE_KINDS, *PERSON_KINDS, *JOINT_KINDS)


@dataclass(frozen=True)
class Change:
    """One change.

    kind      one of KINDS
    image     path of the image, or its id where it has no path; "" for a change of the skeleton
    person    the person's id in the first dataset (in the second where it was added); None for images and skeletons
    joint     name; "" for a whole person, image or skeleton
    before, after   the value in either dataset, None where there is none
    distance  pixels that a joint moved, or the largest change of a box's four numbers; None for other kinds
    """

    kind: str
    image: str = ""
    person: int | str | None = None
    joint: str = ""
    before: Any = None
    after: Any = None
    distance: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; fields that say nothing are left out."""
        return {name: value for name, value in vars(self).items() if value is not None and value != ""}


@dataclass(frozen=True)
class Difference:
    """All changes from `a` to `b`, as columns; `changes()` gives them one by one.

    kind      [C]  int64    index into KINDS; in the order of KINDS, then of rows
    row_a     [C]  int64    row in `a` (of images for kinds of images, else of persons), -1 where there is none
    row_b     [C]  int64    row in `b`, likewise
    joint     [C]  int64    joint in the skeleton of `a`, -1 for others
    distance  [C]  float64  pixels, NaN for kinds without
    skeleton  changes of the skeleton, which have no rows
    """

    a: Dataset
    b: Dataset
    matched: Matched
    tolerance: float
    kind: NDArray[np.int64]
    row_a: NDArray[np.int64]
    row_b: NDArray[np.int64]
    joint: NDArray[np.int64]
    distance: NDArray[np.float64]
    skeleton: tuple[Change, ...] = ()

    def __len__(self) -> int:
        return len(self.kind) + len(self.skeleton)

    @property
    def equal(self) -> bool:
        """Nothing changed beyond the tolerance."""
        return len(self) == 0

    def counts(self) -> dict[str, int]:
        """How many changes of each kind there are; kinds without are left out."""
        numbers = np.bincount(self.kind, minlength=len(KINDS))
        for change in self.skeleton:
            numbers[KINDS.index(change.kind)] += 1
        return {name: int(count) for name, count in zip(KINDS, numbers, strict=True) if count}

    def by_joint(self) -> dict[str, dict[str, int]]:
        """Changes of joints by name and kind; joints without are left out."""
        k = len(self.a.skeleton)
        of_joint = self.joint >= 0
        place = self.joint[of_joint] * len(KINDS) + self.kind[of_joint]
        table = np.bincount(place, minlength=k * len(KINDS)).reshape(k, len(KINDS))
        return {
            name: {kind: int(table[row, KINDS.index(kind)]) for kind in JOINT_KINDS}
            for row, name in enumerate(self.a.skeleton.keypoints)
            if table[row].any()
        }

    def farthest(self) -> dict[str, float]:
        """The largest distance in pixels that each joint moved; joints that did not move are left out."""
        moved = self.kind == KINDS.index("moved")
        largest = np.zeros(len(self.a.skeleton))
        np.maximum.at(largest, self.joint[moved], self.distance[moved])
        return {name: float(far) for name, far in zip(self.a.skeleton.keypoints, largest, strict=True) if far}

    def changes(self, of_each: int | None = None) -> Iterator[Change]:
        """The changes one by one, at most `of_each` of a kind."""
        yield from self.skeleton
        chosen = np.arange(len(self.kind))
        if of_each is not None:
            # Rows are sorted by kind: the place within a kind is the distance from where it begins.
            begins = np.searchsorted(self.kind, self.kind)
            chosen = chosen[chosen - begins < of_each]
        columns = (self.kind, self.row_a, self.row_b, self.joint, self.distance)
        for kind, one, other, joint, distance in zip(*(column[chosen].tolist() for column in columns), strict=True):
            yield self._change(KINDS[kind], one, other, joint, distance)

    def _change(self, kind: str, one: int, other: int, joint: int, distance: float) -> Change:
        data, row = (self.a, one) if one >= 0 else (self.b, other)
        is_image = kind in IMAGE_KINDS
        return Change(
            kind=kind,
            image=_image_name(data, row if is_image else int(data.image_index[row])),
            person=None if is_image else data.instance_id[row : row + 1].tolist()[0],
            joint=self.a.skeleton.keypoints[joint] if joint >= 0 else "",
            before=self._value(kind, self.a, one, joint),
            after=self._value(kind, self.b, other, joint),
            distance=distance if distance == distance else None,
        )

    def _value(self, kind: str, data: Dataset, row: int, joint: int) -> Any:
        if joint >= 0:
            return _of_joint(kind, data, row, data.skeleton.index(self.a.skeleton.keypoints[joint]))
        return _VALUES[kind](data, row) if kind in _VALUES else None


def _image_name(data: Dataset, row: int) -> str:
    return str(data.images.path[row]) or str(data.images.id[row])


def _of_joint(kind: str, data: Dataset, row: int, joint: int) -> Any:
    if kind == "truncated":
        return bool(data.truncated[row, joint])
    flag = int(data.visibility[row, joint])
    if kind == "flag":
        return flag
    if flag == 0:
        return None
    xy: list[float] = data.xy[row, joint].tolist()
    return xy if kind == "moved" else [*xy, flag]


def _numbers(values: NDArray[np.float64]) -> Any:
    return values.tolist() if np.isfinite(values).all() else None


_VALUES: dict[str, Callable[[Dataset, int], Any]] = {
    "size": lambda data, row: [int(data.images.width[row]), int(data.images.height[row])],
    "split": lambda data, row: data.images.split[row],
    "image id": lambda data, row: data.images.id[row : row + 1].tolist()[0],
    "image": lambda data, row: _image_name(data, int(data.image_index[row])),
    "bbox": lambda data, row: _numbers(data.bbox_xywh[row]),
    "head box": lambda data, row: _numbers(data.head_box[row]),
    "area": lambda data, row: _numbers(data.area[row]),
    "score": lambda data, row: _numbers(data.score[row]),
    "category": lambda data, row: data.category_id[row : row + 1].tolist()[0],
    "crowd": lambda data, row: bool(data.is_crowd[row]),
    "track": lambda data, row: data.track_id[row],
    "id": lambda data, row: data.instance_id[row : row + 1].tolist()[0],
}
