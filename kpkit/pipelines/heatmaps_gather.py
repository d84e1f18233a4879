"""What is kept of labels that go by part by part: who becomes a sample, and where the rest of what they say is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.boxes import with_boxes
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.partition import Part
from kpkit.core.report import Loss
from kpkit.formats.base import Format
from kpkit.formats.native_join import IMAGE_TABLE, concatenated
from kpkit.pipelines.augment_blocks import BOX_PADDING
from kpkit.pipelines.heatmaps_columns import PersonColumns, Rows
from kpkit.pipelines.heatmaps_masks import Fields, mask_fields
from kpkit.pipelines.heatmaps_shapes import Shapes, regions_of, shapes_of

OCCLUDED_BY = "augment.occluded_by"
# What a sample is made from; `given_box` (as annotated) tells persons apart who have the same id.
COLUMNS = ("xy", "visibility", "truncated", "bbox_xywh", "head_box", "score")
CONTENT = ("xy", "visibility", "given_box", "head_box")
WHY = (
    "crowds have no joints of one person",
    "persons without a labelled joint have no target",
    "persons without a box have no crop",
)
WHY_WHOLE = "persons and crowds on pictures where nobody has a labelled joint have no sample"
WHY_PICTURES = "pictures where nobody has a labelled joint have no targets"


class Gathered:
    """What is kept of the parts that went by."""

    def __init__(self, first: Dataset, n: int, whole: bool) -> None:
        self.first = first.replace(source=None, extras={}).take(np.zeros(0, np.int64))
        k = len(first.skeleton)
        kinds: dict[str, tuple[Any, tuple[int, ...]]] = {
            name: (getattr(first, name).dtype, getattr(first, name).shape[1:]) for name in COLUMNS
        }
        if whole:
            kinds["masked"] = (np.bool_, ())
        self.columns = PersonColumns({**kinds, "given_box": (np.float64, (4,)), "occluded": (np.bool_, (k,))})
        self.shapes = Shapes(n) if whole else None
        self.regions, self.bad_regions = Shapes(), 0
        self.masked, self.bare = np.zeros(n if whole else 0, bool), np.zeros(n if whole else 0, bool)
        self.index = np.zeros(n, np.int64)
        self.usable = np.zeros(n, bool)
        self.ids: list[NDArray[Any]] = []
        self.rows: list[Rows] = []
        self.in_order, self.covered = True, False
        self.lost = [0, 0, 0]
        self.image_masks: Fields = {}
        self.person_masks: Fields = {}
        self._images: dict[str, list[NDArray[Any]]] = {name: [] for name in IMAGE_TABLE}
        self._seen = 0

    def add(self, part: Part, source: Format) -> None:
        """Keep a part."""
        dataset, rows = part.dataset, part.rows
        for name in IMAGE_TABLE:
            self._images[name].append(getattr(dataset.images, name))
        of_images, of_persons = mask_fields(dataset)
        self.image_masks |= {row + part.first_image: field for row, field in of_images.items()}
        self.person_masks |= {int(rows[row]): field for row, field in of_persons.items()}
        boxed = with_boxes(dataset, "auto", BOX_PADDING, source.scale_boxes(dataset))
        covered = _covered_before(dataset)
        self.usable[rows] = self._usable(boxed)
        columns = {name: getattr(boxed, name) for name in COLUMNS}
        if self.shapes is not None:
            columns["masked"] = self._mask(boxed, rows, self.shapes)
            images, regions, bad = regions_of(dataset)
            self.regions.put(images + part.first_image, regions)
            self.bad_regions += bad
        self.columns.put(rows, columns | {"given_box": dataset.bbox_xywh, "occluded": covered})
        self.covered |= bool(covered.any())
        self.index[rows] = dataset.image_index + part.first_image
        self.ids.append(dataset.instance_id)
        self.rows.append(rows)
        self.in_order &= not len(rows) or (int(rows[0]), int(rows[-1])) == (self._seen, self._seen + len(rows) - 1)
        self._seen += len(rows)

    def _usable(self, boxed: Dataset) -> NDArray[np.bool_]:
        """[n] bool: who becomes a sample; the others are counted."""
        labelled = (boxed.visibility > 0).any(axis=1)
        crowd, has_box = boxed.is_crowd, _has_box(boxed)
        if self.shapes is not None:
            drawn: NDArray[np.bool_] = labelled & ~crowd
            return drawn
        lost = (crowd, ~crowd & ~labelled, ~crowd & labelled & ~has_box)
        self.lost = [count + int(np.count_nonzero(one)) for count, one in zip(self.lost, lost, strict=True)]
        usable: NDArray[np.bool_] = labelled & has_box & ~crowd
        return usable

    def _mask(self, boxed: Dataset, rows: Rows, shapes: Shapes) -> NDArray[np.bool_]:
        """[n] bool: who has no targets on a picture, but covers it; their outlines are kept."""
        masked: NDArray[np.bool_] = ~self.usable[rows]
        hidden = np.flatnonzero(masked)
        outlines = shapes_of(boxed, hidden)
        shapes.put(rows[hidden], outlines)
        self.masked[rows] = masked
        self.bare[rows[hidden]] = np.array([one is None for one in outlines], bool) & ~_has_box(boxed)[hidden]
        return masked

    def take_pictures(self, order: Rows, begins: Rows, used: Rows) -> tuple[Rows, list[Loss]]:
        """Everybody on a picture with targets stands in its sample: how many there are, and what is left out.

        order, begins  rows of the image table by their picture    used  pictures with targets

        returns        persons of each picture, of all pictures
        """
        picture = np.empty(len(order), np.int64)
        picture[order] = np.repeat(np.arange(len(begins) - 1), np.diff(begins))
        pictured = np.zeros(len(begins) - 1, bool)
        pictured[used] = True
        self.usable = pictured[picture[self.index]] if len(self.index) else self.usable
        counts = np.bincount(picture[self.index[self.usable]], minlength=len(pictured)).astype(np.int64)
        persons, pictures = len(self.usable) - int(counts.sum()), int((~pictured).sum())
        lost = [Loss("instances", persons, WHY_WHOLE), Loss("images", pictures, WHY_PICTURES)]
        return counts, [loss for loss in lost if loss.count]

    def images(self) -> ImageTable:
        """The images of all parts."""
        columns: dict[str, Any] = {name: concatenated(self._images.pop(name)) for name in IMAGE_TABLE}
        return ImageTable(**columns)


def _has_box(dataset: Dataset) -> NDArray[np.bool_]:
    box = dataset.bbox_xywh
    found: NDArray[np.bool_] = np.isfinite(box).all(axis=1) & (box[:, 2] > 0) & (box[:, 3] > 0)
    return found


def _covered_before(dataset: Dataset) -> NDArray[np.bool_]:
    """[n,K] bool: joints that an earlier `kpkit augment` covered."""
    found = np.zeros((len(dataset), len(dataset.skeleton)), bool)
    column = dataset.extras.get(OCCLUDED_BY)
    if column is None:
        return found
    place = {name: k for k, name in enumerate(dataset.skeleton.keypoints)}
    for i, value in enumerate(column):
        if isinstance(value, dict):
            found[i, [place[name] for name in value if name in place]] = True
    return found


__all__ = ["COLUMNS", "CONTENT", "WHY", "Gathered"]
