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

from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.report import Collector, Loss
from kpkit.formats.native_join import concatenated
from kpkit.pipelines.augment_images import image_key, rank
from kpkit.pipelines.augment_stems import distinct
from kpkit.pipelines.bulk import uncollected
from kpkit.pipelines.heatmaps_columns import PersonColumns, Rows
from kpkit.pipelines.heatmaps_gather import COLUMNS, CONTENT, WHY, Gathered
from kpkit.pipelines.heatmaps_masks import Fields
from kpkit.pipelines.heatmaps_shapes import Shape, Shapes
from kpkit.pipelines.parts import LabelParts


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
    """Everybody, with the pictures ordered by their paths. A sample is a person, or a picture with all of them.

    dataset  skeleton and images; no persons      columns  theirs: COLUMNS, `given_box` and `occluded`
    ids, usable, index  [N]  id, whether it stands in a sample, row of the image
    keys     paths of all pictures     used  [M] int64  numbers of those with samples     counts  [M] of persons there
    image_masks, person_masks  row of the image, of the person -> mask field; empty where the labels name none
    has_ids  the format gives persons ids; else they are told apart by their labels
    covered  an earlier augmentation covered a joint of somebody
    shapes   of whole pictures: outlines of those who have no targets; columns have `masked` then
    regions  of whole pictures: outlines, by the image's row, of where nobody is labelled
    masked, bare, bad_regions   how many of them there are, how many have neither outline nor box; regions that are none
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
    shapes: Shapes | None = None
    masked: int = 0
    bare: int = 0
    regions: Shapes | None = None
    bad_regions: int = 0

    def __len__(self) -> int:
        return int(self.counts.sum())

    @property
    def whole(self) -> bool:
        """Whether a sample is a picture with all its persons."""
        return self.shapes is not None

    def regions_in(self, picture: Pictured) -> list[Shape]:
        """Outlines of where nobody is labelled."""
        found = [] if self.regions is None else self.regions.take(np.array(picture.rows, np.int64))
        return [shape for shape in found if shape is not None]

    def unsized(self) -> list[str]:
        """Pictures with samples whose size the labels do not state."""
        order, begins = self._images
        known = ((self.dataset.images.width > 0) & (self.dataset.images.height > 0))[order]
        sized = np.logical_or.reduceat(known, begins[:-1]) if len(order) else known
        return [self.keys[key] for key in self.used[~sized[self.used]].tolist()]

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
def read_people(labels: LabelParts, collector: Collector, has_ids: bool, *, whole: bool = False) -> People:
    """Read all parts, one at a time.

    whole  samples are whole pictures: those with somebody who has targets

    Raises InputError for a part that cannot be read, RecordError for an image without a file name, or one that leads
    outside the dataset; OutputError where there is no room for temporary files.
    """
    gathered: Gathered | None = None
    for part in labels.parts(collector):
        gathered = gathered or Gathered(part.dataset, labels.source.n, whole)
        gathered.add(part, labels.format)
        del part
    assert gathered is not None
    return _people(gathered, has_ids, whole)


def _people(gathered: Gathered, has_ids: bool, whole: bool) -> People:
    images = gathered.images()
    keys, order = _by_key(images)
    begins = np.flatnonzero([True, *(keys[i] != keys[i - 1] for i in range(1, len(keys))), True][: len(keys) + 1])
    _rank_rows(order, begins, images)
    per_row = np.bincount(gathered.index[gathered.usable], minlength=len(images))
    counts = np.add.reduceat(per_row[order], begins[:-1]) if len(keys) else np.zeros(0, np.int64)
    used = np.flatnonzero(counts)
    losses = [Loss("instances", count, why) for count, why in zip(gathered.lost, WHY, strict=True) if count]
    if whole:
        counts, losses = gathered.take_pictures(order, begins, used)
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
        losses=losses,
        has_ids=has_ids,
        covered=gathered.covered,
        _images=(order, begins),
        _persons=(np.argsort(gathered.index, kind="stable"), starts),
        shapes=gathered.shapes,
        regions=gathered.regions if whole else None,
        bad_regions=gathered.bad_regions,
        masked=int(gathered.masked[gathered.usable].sum()) if whole else 0,
        bare=int(gathered.bare[gathered.usable].sum()) if whole else 0,
    )


def _placed(gathered: Gathered) -> NDArray[Any]:
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


__all__ = ["COLUMNS", "People", "Pictured", "read_people"]
