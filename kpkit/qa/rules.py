"""What a rule about labels is: an entry of a table, and a function on columns that gives its findings as columns.

A rule sees a `View`: the dataset, its persons in an order that suits vectors, and what is known of the pictures. It
never loops over persons and never reads a file. Rules whose findings the reader of a file has made already name the
reader's codes and need no function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset
from kpkit.core.joint_names import normalise_joint_name
from kpkit.core.report import Severity

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Index = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Found:
    """Findings of one kind, as columns; n of them.

    message     with fields in braces, filled from `numbers`, `joint` and `other`: "{joint} is {px:.1f} px off"
    instance    [n]  int64    row of the dataset, or None
    image       [n]  int64    row of the image table; None: the image of the instance
    joint       [n]  int64    joint, or None                other  [n]  int64  a second joint, or None
    confidence  [n]  float64  0 to 1; None: certain
    numbers     name -> [n]   what the message is filled with
    field       where in the record: "bbox", "area", ...; "" for a joint's coordinates or the record itself
    places      [n]  places that are neither an image nor an instance, e.g. "categories[0].keypoints"
    """

    message: str
    instance: Index | None = None
    image: Index | None = None
    joint: Index | None = None
    other: Index | None = None
    confidence: Floats | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)
    field: str = ""
    places: Sequence[str] | None = None

    def __len__(self) -> int:
        columns = (self.instance, self.image, self.places)
        return next((len(column) for column in columns if column is not None), 0)


# What was found, or why the rule cannot tell.
Result = Sequence[Found] | str


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One line of the table of rules.

    id          "KP" and three digits; a plug-in's own letters in front    name  in words with dashes
    severity    note | warning | error       reason  one line: what is wrong
    explanation why it matters, how it is found, what to do about it
    help        one action                   fixable  `--fix` can mend it
    check       gives the findings, or a sentence that says why it cannot tell; None: the reader finds them
    codes       codes of readers that this rule stands for
    pictures    needs the pictures themselves
    scope       what must be seen at once: "persons" (the persons of an image; a large dataset is seen image by image),
                "tracks" (persons of all images that have a track), or "dataset" (skeleton, categories, images, which
                persons have a labelled joint, but no points)
    """

    id: str
    name: str
    severity: Severity
    reason: str
    explanation: str
    help: str = ""
    fixable: bool = False
    check: Callable[[View], Result] | None = None
    codes: tuple[str, ...] = ()
    pictures: bool = False
    scope: Literal["persons", "tracks", "dataset"] = "persons"

    def look(self, view: View) -> Result:
        """What `check` finds; nothing for a rule without one. Coordinates beyond all measure are no reason to warn."""
        if self.check is None:
            return []
        with np.errstate(all="ignore"):
            return self.check(view)


@dataclass(frozen=True)
class CategoryText:
    """A category as the file has it: place, name, and names of joints."""

    place: str
    name: str
    keypoints: tuple[str, ...]


@dataclass(frozen=True)
class PictureFacts:
    """What is known of the picture files, by row of the image table.

    there          [M]  bool    the file is there
    width, height  [M]  int32   of its header; -1 where it cannot be read
    problem        row -> why it cannot be read
    prints         [M,4] uint64 perceptual hash (256 bits); None where nobody asked
    flat           [M]  bool    too even to be told by its hash
    """

    there: Flags
    width: NDArray[np.int32]
    height: NDArray[np.int32]
    problem: Mapping[int, str]
    prints: NDArray[np.uint64] | None = None
    flat: Flags | None = None


class View:
    """A dataset as rules see it; m persons that have a labelled joint and are no crowd region.

    rows         [m]    int64    their rows in the dataset         image  [m]  int64  their image
    x, y         [K,m]  float64  pixels, NaN where unlabelled: joint by joint, so that a limb is two long rows
    labelled     [K,m]  bool
    width, height [m]   float64  of the image; infinite where unknown
    shared       what rules made of it for each other
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        format: str = "",
        categories: Sequence[CategoryText] = (),
        pictures: PictureFacts | None = None,
    ) -> None:
        self.dataset, self.format = dataset, format
        self.categories, self.pictures = categories, pictures
        self.skeleton = dataset.skeleton
        self.shared: dict[str, Any] = {}
        some = dataset.visibility.any(axis=1) & ~dataset.is_crowd
        self.rows: Index = np.flatnonzero(some)
        self.image: Index = dataset.image_index[self.rows]
        every = len(self.rows) == len(dataset)
        self.x: Floats = np.ascontiguousarray((dataset.xy if every else dataset.xy[self.rows])[..., 0].T)
        self.y: Floats = np.ascontiguousarray((dataset.xy if every else dataset.xy[self.rows])[..., 1].T)
        self.labelled: Flags = ~np.isnan(self.x)

    @cached_property
    def width(self) -> Floats:
        """[m] float64 width of each person's image."""
        return self._side(self.dataset.images.width)

    @cached_property
    def height(self) -> Floats:
        """[m] float64 height of each person's image."""
        return self._side(self.dataset.images.height)

    @cached_property
    def hull(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Left, top, right, bottom of each person's labelled joints, [m] float64 each."""
        if not len(self.x):
            nothing = np.zeros(len(self.rows))
            return nothing, nothing, nothing, nothing
        return (
            np.fmin.reduce(self.x, axis=0),
            np.fmin.reduce(self.y, axis=0),
            np.fmax.reduce(self.x, axis=0),
            np.fmax.reduce(self.y, axis=0),
        )

    @cached_property
    def area(self) -> Floats:
        """[m] float64 area of each person, of its box or its hull where there is none."""
        dataset, rows = self.dataset, self.rows
        area = dataset.area[rows]
        box = dataset.bbox_xywh[rows]
        area = np.where(area > 0, area, 0.53 * box[:, 2] * box[:, 3])
        left, top, right, bottom = self.hull
        return np.where(area > 0, area, np.maximum((right - left) * (bottom - top), 1.0))

    @cached_property
    def sizes_known(self) -> bool:
        """Whether any image's size is known."""
        return bool((self.dataset.images.width > 0).any())

    @cached_property
    def _names(self) -> dict[str, int]:
        return {normalise_joint_name(name): k for k, name in enumerate(self.skeleton.keypoints)}

    def joint(self, name: str) -> int | None:
        """The joint of that name, however the file spells it; None where there is none."""
        return self._names.get(name)

    def joints(self, *names: str) -> list[int] | None:
        """All these joints, or None where one is missing."""
        found = [self._names[name] for name in names if name in self._names]
        return found if len(found) == len(names) else None

    def _side(self, sides: NDArray[np.int32]) -> Floats:
        known = np.where(sides > 0, sides, np.inf).astype(np.float64)
        return known[self.image]
