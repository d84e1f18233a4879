"""The persons that become samples, of labels that are read part by part.

Memory holds of each person its id, its image and whether it is used, and the table of images; joints and boxes are in a
file (see heatmaps_columns). Who stands in a picture, in which order, is worked out when its shard is made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.boxes import with_boxes
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.partition import Part
from kpkit.core.report import Collector, Loss
from kpkit.formats.base import Format
from kpkit.formats.native_join import IMAGE_TABLE, concatenated
from kpkit.pipelines.augment_blocks import BOX_PADDING
from kpkit.pipelines.augment_images import image_key, rank
from kpkit.pipelines.augment_stems import distinct
from kpkit.pipelines.bulk import uncollected
from kpkit.pipelines.heatmaps_columns import PersonColumns, Rows
from kpkit.pipelines.heatmaps_masks import Fields, mask_fields
from kpkit.pipelines.parts import LabelParts

OCCLUDED_BY = "augment.occluded_by"
# What a sample is made from; `given_box` (as annotated) tells persons apart who have the same id.
COLUMNS = ("xy", "visibility", "truncated", "bbox_xywh", "head_box", "score")
CONTENT = ("xy", "visibility", "given_box", "head_box")
WHY = (
    "crowds have no joints of one person",
    "persons without a labelled joint have no target",
    "persons without a box have no crop",
)


@dataclass(frozen=True)
class Pictured:
    """One picture, and who is a sample in it.

    key   its normalised relative path     rows   rows of the image table that name it
    persons  [p] int64 rows of its persons, in order    names  of them, unique in the picture
    """

    key: str
    rows: list[int]
    persons: Rows
    names: list[str]


@dataclass(frozen=True)
class People:
    """Everybody, with the pictures ordered by their paths.

    dataset  skeleton and images; no persons      columns  theirs: COLUMNS, `given_box` and `occluded`
    ids, usable, index  [N]  id, whether it becomes a sample, row of the image
    keys     paths of all pictures     used  [M] int64  numbers of those with samples     counts  [M] of samples there
    image_masks, person_masks  row of the image, of the person -> mask field; empty where the labels name none
    has_ids  the format gives persons ids; else they are told apart by their labels
    covered  an earlier augmentation covered a joint of somebody
    """

    dataset: Dataset
    columns: PersonColumns
    ids: NDArray[Any]
    usable: NDArray[np.bool_]
    index: Rows
    keys: list[str]
    used: Rows
    counts: Rows
    image_masks: Fields
    person_masks: Fields
    losses: list[Loss]
    has_ids: bool
    covered: bool
    _images: tuple[Rows, Rows]
    _persons: tuple[Rows, Rows]

    def __len__(self) -> int:
        return int(self.counts.sum())

    def first_rows(self) -> Rows:
        """[M] int64: of each picture with samples, the row of the image table that names it first."""
        order, begins = self._images
        return order[begins[self.used]]

    def picture(self, number: int) -> Pictured:
        """The picture with the `number`-th samples."""
        key = int(self.used[number])
        order, begins = self._images
        rows = order[begins[key] : begins[key + 1]].tolist()
        persons, starts = self._persons
        mine = np.concatenate([persons[starts[row] : starts[row + 1]] for row in rows])
        ordered, names = self._ordered(mine)
        kept = self.usable[ordered]
        return Pictured(self.keys[key], rows, ordered[kept], [name for name, k in zip(names, kept, strict=True) if k])

    def _ordered(self, persons: Rows) -> tuple[Rows, list[str]]:
        """Persons by id, then by content; and their names: ids, or numbers where there are none."""
        ids = self.ids[persons].tolist()
        if self.has_ids and len(set(ids)) == len(ids):
            order = sorted(range(len(ids)), key=lambda i: rank(ids[i]))
        else:
            said = self.columns.take(persons)
            content = [tuple(said[name][i].tobytes() for name in CONTENT) for i in range(len(ids))]
            order = sorted(range(len(ids)), key=lambda i: (rank(ids[i]) if self.has_ids else (), content[i]))
        if not self.has_ids:
            return persons[order], [str(number) for number in range(1, len(ids) + 1)]
        return persons[order], distinct([re.sub(r"[^A-Za-z0-9.-]+", "-", str(ids[i])) for i in order])


@uncollected()
def read_people(labels: LabelParts, collector: Collector, has_ids: bool) -> People:
    """Read all parts, one at a time.

    Raises InputError for a part that cannot be read, RecordError for an image without a file name, or one that leads
    outside the dataset; OutputError where there is no room for temporary files.
    """
    gathered: _Gathered | None = None
    for part in labels.parts(collector):
        gathered = gathered or _Gathered(part.dataset, labels.source.n)
        gathered.add(part, labels.format)
        del part
    assert gathered is not None
    images = gathered.images()
    keys, order = _by_key(images)
    begins = np.flatnonzero([True, *(keys[i] != keys[i - 1] for i in range(1, len(keys))), True][: len(keys) + 1])
    _rank_rows(order, begins, images)
    per_row = np.bincount(gathered.index[gathered.usable], minlength=len(images))
    counts = np.add.reduceat(per_row[order], begins[:-1]) if len(keys) else np.zeros(0, np.int64)
    used = np.flatnonzero(counts)
    starts = np.concatenate([[0], np.cumsum(np.bincount(gathered.index, minlength=len(images)))]).astype(np.int64)
    return People(
        dataset=gathered.first.replace(images=images),
        columns=gathered.columns,
        ids=concatenated(gathered.ids) if gathered.in_order else _placed(gathered),
        usable=gathered.usable,
        index=gathered.index,
        keys=[keys[i] for i in begins[:-1].tolist()],
        used=used,
        counts=counts[used],
        image_masks=gathered.image_masks,
        person_masks=gathered.person_masks,
        losses=[Loss("instances", count, why) for count, why in zip(gathered.lost, WHY, strict=True) if count],
        has_ids=has_ids,
        covered=gathered.covered,
        _images=(order, begins),
        _persons=(np.argsort(gathered.index, kind="stable"), starts),
    )


class _Gathered:
    """What is kept of the parts that went by."""

    def __init__(self, first: Dataset, n: int) -> None:
        self.first = first.replace(source=None, extras={}).take(np.zeros(0, np.int64))
        k = len(first.skeleton)
        kinds: dict[str, tuple[Any, tuple[int, ...]]] = {
            name: (getattr(first, name).dtype, getattr(first, name).shape[1:]) for name in COLUMNS
        }
        self.columns = PersonColumns({**kinds, "given_box": (np.float64, (4,)), "occluded": (np.bool_, (k,))})
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
        self.columns.put(
            rows,
            {name: getattr(boxed, name) for name in COLUMNS} | {"given_box": dataset.bbox_xywh, "occluded": covered},
        )
        self.covered |= bool(covered.any())
        self.index[rows] = dataset.image_index + part.first_image
        self.usable[rows] = self._usable(boxed)
        self.ids.append(dataset.instance_id)
        self.rows.append(rows)
        self.in_order &= not len(rows) or (int(rows[0]), int(rows[-1])) == (self._seen, self._seen + len(rows) - 1)
        self._seen += len(rows)

    def _usable(self, boxed: Dataset) -> NDArray[np.bool_]:
        """[n] bool: who becomes a sample; the others are counted."""
        labelled = (boxed.visibility > 0).any(axis=1)
        box, crowd = boxed.bbox_xywh, boxed.is_crowd
        has_box = np.isfinite(box).all(axis=1) & (box[:, 2] > 0) & (box[:, 3] > 0)
        lost = (crowd, ~crowd & ~labelled, ~crowd & labelled & ~has_box)
        self.lost = [count + int(np.count_nonzero(one)) for count, one in zip(self.lost, lost, strict=True)]
        usable: NDArray[np.bool_] = labelled & has_box & ~crowd
        return usable

    def images(self) -> ImageTable:
        """The images of all parts."""
        columns: dict[str, Any] = {name: concatenated(self._images.pop(name)) for name in IMAGE_TABLE}
        return ImageTable(**columns)


def _placed(gathered: _Gathered) -> NDArray[Any]:
    """The ids in the order of the whole dataset."""
    ids = concatenated(gathered.ids)
    placed = np.empty_like(ids)
    placed[np.concatenate(gathered.rows)] = ids
    return placed


def _by_key(images: ImageTable) -> tuple[list[str], Rows]:
    """The paths of all rows in order, and the rows in that order."""
    keys = [image_key(path, images, row) for row, path in enumerate(images.path.tolist())]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return [keys[row] for row in order], np.array(order, np.int64)


def _rank_rows(order: Rows, begins: Rows, images: ImageTable) -> None:
    """Rows that name one file, by their ids."""
    for number in np.flatnonzero(np.diff(begins) > 1).tolist():
        low, high = begins[number], begins[number + 1]
        order[low:high] = sorted(order[low:high].tolist(), key=lambda row: rank(images.id[row]))


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


__all__ = ["COLUMNS", "People", "Pictured", "read_people"]
