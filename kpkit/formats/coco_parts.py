"""A COCO file part by part: neighbouring images with all their persons, in memory that holds one part.

The file is passed over twice before the first part: once for the places of its rows, once to decode and check every row
as the ordinary reader does, keeping only ids. Then each part's rows are read and decoded again, by whoever works on it.
Images and annotations may stand in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import ImageTable
from kpkit.core.partition import Part, cut, rows_by_range
from kpkit.core.report import Collector
from kpkit.core.skeleton import Skeleton
from kpkit.core.table import Column
from kpkit.errors import InputError
from kpkit.formats.base import ReadOptions
from kpkit.formats.coco_checks import check_references, first_of_each_id, look_outside, outside
from kpkit.formats.coco_columns import ColumnReader
from kpkit.formats.coco_images import read_images
from kpkit.formats.coco_parse import BOM, check_keys_once
from kpkit.formats.coco_read import Finder, assemble
from kpkit.formats.coco_skeleton import Categories, choose, read_categories
from kpkit.formats.coco_stream import SMALL, FileSequence, blocks_of, rows_of, top_of
from kpkit.formats.jsonfile import FileRows, ScatteredRows
from kpkit.formats.jsonrows import Index, RowSource, iterate
from kpkit.formats.jsonscan import scan
from kpkit.formats.native_join import concatenated
from kpkit.guard import input_error

# Rows whose points are in memory while they are checked.
CHECKED_AT_ONCE = 16
DEFAULT_SIZE = 16_384


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
class CocoPart:
    """One part of a COCO file, by the places of its rows.

    rows  [n]  int64  persons in the whole dataset      first_image  its first image there
    """

    path: Path
    stamp: Stamp
    top: bytes
    categories: Categories
    options: ReadOptions
    images: ScatteredRows
    persons: ScatteredRows
    rows: Index
    first_image: int

    def load(self, collector: Collector) -> Part:
        """See PartRef. What is wrong or suspicious was said when the file was looked through."""
        try:
            self.stamp.check(self.path)
            part = self._load(Collector(collector.mode))
            self.stamp.check(self.path)
        except OSError as error:
            raise input_error(error, self.path) from error
        return part

    def _load(self, said: Collector) -> Part:
        dataset = assemble(
            path=self.path,
            top=self.top,
            categories=self.categories,
            images=read_images(FileSequence(self.images, self.path, "images"), self.path, said),
            blocks=blocks_of(self.persons, self.path),
            persons=len(self.persons),
            rows=lambda: self.persons,
            image_rows=self.images,
            options=self.options,
            collector=said,
        )
        return Part(dataset, self.rows, self.first_image)


class CocoParts:
    """The parts of a COCO ground truth; everything the ordinary reader notices is noticed when this is made.

    n, m  persons and images      size  the most of either in a part

    Raises what the ordinary reader raises.
    """

    def __init__(self, path: Path, options: ReadOptions, collector: Collector, size: int) -> None:
        self.path, self.size = path, size
        self._stamp = Stamp.of(path)
        found = scan(path, ("images", "annotations"))
        self.top = found.top.removeprefix(BOM)
        fields = top_of(self.top, path)
        image_rows, rows = (rows_of(found, path, key, fields) for key in ("images", "annotations"))
        raw = bytes(fields["categories"]) if "categories" in fields else None
        self._categories = read_categories(raw, str(path), collector)
        images = read_images(FileSequence(image_rows, path, "images"), path, collector)
        check_keys_once(self.top, path)
        self.skeleton = choose(self._categories.skeleton, options.skeleton, len(rows), str(path), collector)
        self._options = ReadOptions(skeleton=self.skeleton)
        looked = _Look(path, rows, images.table, self._categories, self.skeleton, collector)
        self._image_index, kept = looked.image_index, looked.kept
        self._source = RowSource(
            top=self.top,
            variant="ground truth",
            rows=rows,
            image_rows=image_rows,
            row_of=kept,
            image_row_of=images.row_of,
            columns={},
            image_columns={},
            image_of=np.zeros(0, np.int64),
            skeleton=self.skeleton,
        )
        self._images = Places(image_rows.starts[images.row_of], image_rows.ends[images.row_of])
        self._persons = Places(rows.starts[kept], rows.ends[kept])
        self.n, self.m = len(kept), len(images.table)
        self._ranges = cut(np.bincount(self._image_index, minlength=self.m), size)

    def __len__(self) -> int:
        return len(self._ranges)

    def source_rows(self) -> RowSource:
        """The raw rows of all persons and images, to name places in the file."""
        return self._source

    def refs(self) -> Iterator[CocoPart]:
        """See PartSource."""
        for (first, end), rows in zip(self._ranges, rows_by_range(self._image_index, self._ranges), strict=True):
            yield CocoPart(
                path=self.path,
                stamp=self._stamp,
                top=self.top,
                categories=self._categories,
                options=self._options,
                images=self._images.rows(self.path, slice(first, end)),
                persons=self._persons.rows(self.path, rows),
                rows=rows,
                first_image=first,
            )


class _Look:
    """All annotation rows looked through once, in their order.

    kept  [n]  int64  raw rows that are persons      image_index  [n]  int64  their images
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
        columns = {name: concatenated([*found, _NONE]) for name, found in self._columns.items()}
        index = np.concatenate([*self._index, _NONE])
        keep = check_references(index, columns, categories.ids, images, whole)
        keep &= first_of_each_id(columns["id"], lambda: rows, whole)
        self.kept = np.flatnonzero(keep)
        self.image_index = index[self.kept]
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


__all__ = ["CocoParts"]
