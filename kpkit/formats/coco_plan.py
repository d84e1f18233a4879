"""What is known of a COCO file before its rows are made a dataset: where they stand, and what each refers to.

The file is passed over twice, once for the places of its rows, once to decode and check every row as the ordinary
reader does; only ids and places are kept. Images and annotations may stand in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import ImageTable
from kpkit.core.report import Collector
from kpkit.core.skeleton import Skeleton
from kpkit.core.table import Column
from kpkit.errors import InputError
from kpkit.formats.base import ReadOptions
from kpkit.formats.coco_checks import check_references, first_of_each_id, look_outside, outside
from kpkit.formats.coco_columns import ColumnReader
from kpkit.formats.coco_images import read_images
from kpkit.formats.coco_parse import BOM, check_keys_once
from kpkit.formats.coco_read import Finder
from kpkit.formats.coco_skeleton import Categories, choose, read_categories
from kpkit.formats.coco_stream import SMALL, FileSequence, blocks_of, rows_of, top_of
from kpkit.formats.jsonfile import FileRows, ScatteredRows
from kpkit.formats.jsonrows import Index, RowSource, iterate
from kpkit.formats.jsonscan import scan
from kpkit.formats.native_join import concatenated

# Blocks of rows whose points are in memory while they are checked.
CHECKED_AT_ONCE = 4


@dataclass(frozen=True)
class Stamp:
    """What tells a file from another of its name."""

    size: int
    modified: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Of the file as it is now."""
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns)

    def check(self, path: Path) -> None:
        """Raise InputError where the file is another one by now."""
        if Stamp.of(path) != self:
            raise InputError(
                "the file changed while it was read",
                code="KP-INPUT-READ",
                place=str(path),
                help="wait until nobody writes it, and run again",
            )


@dataclass(frozen=True)
class Places:
    """Where rows stand in the file: starts, ends  [n]  int64  bytes."""

    starts: Index
    ends: Index

    def rows(self, path: Path, index: Index | slice) -> ScatteredRows:
        """Some of them as rows."""
        return ScatteredRows(path, self.starts[index], self.ends[index])


@dataclass(frozen=True)
class Plan:
    """A file that was looked through; n persons, m images, all that the ordinary reader would keep.

    images                 the image table        ids, image_index  [n]  of each person, and its row in `images`
    person_rows, image_rows  all rows of the file, also those that are left out
    kept, image_row_of     [n], [m]  int64  raw row of each person and image
    """

    path: Path
    stamp: Stamp
    top: bytes
    categories: Categories
    skeleton: Skeleton
    images: ImageTable
    ids: Column
    image_index: Index
    person_rows: FileRows
    image_rows: FileRows
    kept: Index
    image_row_of: Index

    @property
    def persons(self) -> Places:
        """Where the persons stand."""
        return Places(self.person_rows.starts[self.kept], self.person_rows.ends[self.kept])

    @property
    def image_places(self) -> Places:
        """Where the images stand."""
        return Places(self.image_rows.starts[self.image_row_of], self.image_rows.ends[self.image_row_of])

    def source(self) -> RowSource:
        """The raw rows, by which places can be named; nothing can be spliced back from them."""
        return RowSource(
            top=self.top,
            variant="ground truth",
            rows=self.person_rows,
            image_rows=self.image_rows,
            row_of=self.kept,
            image_row_of=self.image_row_of,
            columns={},
            image_columns={},
            image_of=np.zeros(0, np.int64),
            skeleton=self.skeleton,
        )


def plan(path: Path, options: ReadOptions, collector: Collector) -> Plan:
    """Look through a ground truth; everything the ordinary reader notices is noticed.

    Raises what the ordinary reader raises.
    """
    stamp = Stamp.of(path)
    found = scan(path, ("images", "annotations"))
    top = found.top.removeprefix(BOM)
    fields = top_of(top, path)
    image_rows, rows = (rows_of(found, path, key, fields) for key in ("images", "annotations"))
    raw = bytes(fields["categories"]) if "categories" in fields else None
    categories = read_categories(raw, str(path), collector)
    images = read_images(FileSequence(image_rows, path, "images"), path, collector)
    check_keys_once(top, path)
    skeleton = choose(categories.skeleton, options.skeleton, len(rows), str(path), collector)
    looked = _Look(path, rows, images.table, categories, skeleton, collector)
    return Plan(
        path=path,
        stamp=stamp,
        top=top,
        categories=categories,
        skeleton=skeleton,
        images=images.table,
        ids=looked.ids,
        image_index=looked.image_index,
        person_rows=rows,
        image_rows=image_rows,
        kept=looked.kept,
        image_row_of=images.row_of,
    )


class _Look:
    """All annotation rows looked through once, in their order.

    kept  [n]  int64  raw rows that are persons      image_index  [n]  int64  their images      ids  [n]
    """

    def __init__(
        self,
        path: Path,
        rows: FileRows,
        images: ImageTable,
        categories: Categories,
        skeleton: Skeleton,
        collector: Collector,
    ) -> None:
        self._path, self._images, self._skeleton = path, images, skeleton
        self._finder = Finder(images.id)
        self._columns: dict[str, list[Column]] = {"id": [], "image_id": [], "category_id": []}
        self._index: list[Index] = []
        self._outside: list[NDArray[np.int32]] = []
        whole = self._reader(collector, 0)
        blocks = blocks_of(rows, path)
        while some := list(islice(blocks, CHECKED_AT_ONCE)):
            self._add(some, whole)
            # Or they would be there until the next ones are.
            some.clear()
        columns = {name: concatenated([*found, _NONE]) for name, found in self._columns.items()}
        index = np.concatenate([*self._index, _NONE])
        keep = check_references(index, columns, categories.ids, images, whole)
        keep &= first_of_each_id(columns["id"], lambda: rows, whole)
        self.kept = np.flatnonzero(keep)
        self.image_index, self.ids = index[self.kept], columns["id"][self.kept]
        self._say_outside(rows, collector)

    def _reader(self, collector: Collector, base: int) -> ColumnReader:
        return ColumnReader(
            self._path, self._skeleton.keypoints, results=False, collector=collector, capacity=0, base=base
        )

    def _add(self, blocks: list[list[bytes]], whole: ColumnReader) -> None:
        """Decode and check a few blocks; of the points only the number of those outside their image is kept."""
        reader = self._reader(whole.collector, whole.n)
        for block in blocks:
            reader.add(block)
        columns = reader.finish()
        index = self._finder.find(columns["image_id"])
        for name, found in self._columns.items():
            found.append(columns[name])
        self._index.append(index)
        self._outside.append(outside(columns["xy"], index, self._images).sum(axis=1, dtype=np.int32))
        whole.unreadable |= {whole.n + row for row in reader.unreadable}
        whole.n += reader.n

    def _say_outside(self, rows: FileRows, collector: Collector) -> None:
        """Report joints outside their image: counted already, and the first few rows read again for their places."""
        counts = np.concatenate([*self._outside, np.zeros(0, np.int32)])[self.kept]
        said = Collector("collect", places_kept=collector.places_kept)
        named = np.flatnonzero(counts)[: collector.places_kept]
        for at in range(0, len(named), SMALL):
            some = named[at : at + SMALL]
            reader = self._reader(Collector("collect"), 0)
            reader.add(list(iterate(rows, self.kept[some])))
            reader.collector = said
            look_outside(reader.finish()["xy"], self.kept[some], self.image_index[some], self._images, reader)
        for issue in said.issues:
            collector.issue(issue.code, issue.message, count=int(counts.sum()), places=issue.places)


_NONE = np.zeros(0, np.int64)
