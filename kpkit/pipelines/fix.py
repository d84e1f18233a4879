"""`validate --fix`: what is mechanical is mended, what was changed is listed, and nothing else moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kpkit.core.boxes import AREA_SHARE, hull
from kpkit.core.dataset import Dataset
from kpkit.errors import UsageError
from kpkit.formats.coco_encode import number
from kpkit.formats.coco_parse import BOM
from kpkit.formats.coco_patch import Patch, patched
from kpkit.formats.jsonrows import MemoryRows, RowSource
from kpkit.formats.segmentation import segmentation_areas
from kpkit.guard import publish, read_bytes
from kpkit.pipelines.findings import Finding
from kpkit.pipelines.validate import Validation

# The share by which a box made of joints is larger than their hull, as in `convert`.
PAD = 0.25


@dataclass(frozen=True)
class Change:
    """One thing that was mended: which rule asked for it, where, and what became what."""

    rule: str
    place: str
    what: str


@dataclass
class Fixes:
    """changes  what is mended        left  fixable findings that need a person, by rule        patch  how"""

    changes: list[Change] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)
    patch: Patch = field(default_factory=Patch)


def plan(found: Validation) -> Fixes:
    """What `--fix` would change.

    Raises UsageError where the labels are of a format that it does not edit.
    """
    source = found.loaded.dataset.source
    if not isinstance(source, RowSource) or source.variant == "results" or not isinstance(source.rows, MemoryRows):
        raise UsageError(
            "--fix edits COCO ground truth files only",
            code="KP-FIX-FORMAT",
            place=str(found.loaded.path),
            got=found.loaded.format.name,
            help=f"convert first: kpkit convert {found.loaded.format.name} coco {found.loaded.path}",
        )
    _refuse_unreadable(found)
    fixer = _Fixer(found, source)
    for one in found.findings():
        if one.rule in fixer.rules:
            fixer.mend(one)
    return fixer.fixes


def write(found: Validation, fixes: Fixes, output: Path, *, force: bool) -> None:
    """Write the mended file, whole or not at all. Raises OutputError where it exists and `force` is not given."""
    source = found.loaded.dataset.source
    assert isinstance(source, RowSource)
    marked = read_bytes(found.loaded.path, limit=len(BOM)) == BOM
    with publish(output, force=force) as temporary, temporary.open("wb", buffering=1 << 20) as stream:
        stream.write(BOM if marked else b"")
        for piece in patched(source, fixes.patch):
            stream.write(piece)


def _refuse_unreadable(found: Validation) -> None:
    for rule, issue in found.issues:
        if rule.id == "KP112":
            raise UsageError(
                "the file holds values that are no numbers; --fix cannot know what they were",
                code="KP-FIX-NAN",
                place=issue.places[0] if issue.places else str(found.loaded.path),
                help="mark those joints as not labelled (0, 0, 0) first",
            )


class _Fixer:
    """Mends findings one by one; later ones see what earlier ones did."""

    def __init__(self, found: Validation, source: RowSource) -> None:
        self.dataset: Dataset = found.loaded.dataset
        self.source = source
        self.fixes = Fixes()
        self.boxes: NDArray[np.float64] = self.dataset.bbox_xywh.copy()
        self.rules: dict[str, Callable[[Finding], str]] = {
            "KP101": self._count,
            "KP107": self._drop,
            "KP108": self._drop_image,
            "KP302": self._drop_twin,
            "KP204": self._box,
            "KP206": self._clip,
            "KP203": self._area,
        }

    def mend(self, one: Finding) -> None:
        """Mend one finding, or count it as left."""
        done = self.rules[one.rule](one) if one.raw_row >= 0 else ""
        if done:
            self.fixes.changes.append(Change(one.rule, one.place, done))
        else:
            self.fixes.left[one.rule] = self.fixes.left.get(one.rule, 0) + one.count

    def _set(self, one: Finding, name: str, value: Any) -> None:
        self.fixes.patch.fields.setdefault(one.raw_row, {})[name] = msgspec.json.encode(value)

    def _count(self, one: Finding) -> str:
        if one.instance_row < 0:
            return ""
        labelled = int(np.count_nonzero(self.dataset.visibility[one.instance_row]))
        self._set(one, "num_keypoints", labelled)
        return f"num_keypoints is {labelled}"

    def _drop(self, one: Finding) -> str:
        self.fixes.patch.drop.add(one.raw_row)
        return "removed: another record is the same"

    def _drop_image(self, one: Finding) -> str:
        self.fixes.patch.drop_images.add(one.raw_row)
        return "removed: another record is the same"

    def _drop_twin(self, one: Finding) -> str:
        """Only where all but the id is the same as in a record that stays; a person must decide the rest."""
        mine = self._without_id(one.raw_row)
        same_image = np.flatnonzero(self.dataset.image_index == one.image_row)
        for row in self.source.row_of[same_image].tolist():
            if row < one.raw_row and row not in self.fixes.patch.drop and self._without_id(row) == mine:
                return self._drop(one)
        return ""

    def _without_id(self, raw: int) -> dict[str, Any]:
        fields: dict[str, Any] = msgspec.json.decode(self.source.rows.get(raw))
        return {name: value for name, value in fields.items() if name != "id"}

    def _box(self, one: Finding) -> str:
        row, images = one.instance_row, self.dataset.images
        image = slice(one.image_row, one.image_row + 1)
        made = hull(self.dataset.xy[row : row + 1], PAD, images.width[image], images.height[image])[0]
        if not np.isfinite(made).all():
            return ""
        self.boxes[row] = np.round(made, 2)
        self._set(one, "bbox", [number(value) for value in self.boxes[row].tolist()])
        return f"bbox is the hull of the joints, {_sides(self.boxes[row])}"

    def _area(self, one: Finding) -> str:
        row = one.instance_row
        area = float(segmentation_areas(self.source, np.array([row]))[0])
        how = "of the segmentation"
        if not area > 0:
            area, how = AREA_SHARE * float(self.boxes[row, 2] * self.boxes[row, 3]), f"{AREA_SHARE} x the box"
        if not (np.isfinite(area) and area > 0):
            return ""
        area = round(area, 4)
        self._set(one, "area", number(area))
        return f"area is {area:g}, {how}"

    def _clip(self, one: Finding) -> str:
        images = self.dataset.images
        width, height = float(images.width[one.image_row]), float(images.height[one.image_row])
        if one.joint_index >= 0:
            x, y = self.dataset.xy[one.instance_row, one.joint_index].tolist()
            numbers = self.fixes.patch.numbers.setdefault(one.raw_row, {})
            for index, before, side in ((0, x, width), (1, y, height)):
                if not 0 <= before <= side:
                    clipped = number(min(max(before, 0.0), side))
                    numbers[3 * one.joint_index + index] = msgspec.json.encode(clipped)
            return f"{one.joint} is clipped to the border"
        x, y, w, h = self.boxes[one.instance_row].tolist()
        x, w = _clipped(x, w, width)
        y, h = _clipped(y, h, height)
        self.boxes[one.instance_row] = x, y, w, h
        self._set(one, "bbox", [number(value) for value in (x, y, w, h)])
        return f"bbox is clipped to the border, {_sides(self.boxes[one.instance_row])}"


def _clipped(start: float, length: float, side: float) -> tuple[float, float]:
    """A side of a box inside 0..side: its end, as floating point adds it up, is not beyond."""
    end = min(start + length, side)
    start = max(start, 0.0)
    length = end - start
    while start + length > side:
        length = float(np.nextafter(length, 0.0))
    return start, length


def _sides(box: NDArray[np.float64]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in box.tolist()) + "]"
