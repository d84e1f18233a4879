"""A COCO file part by part: neighbouring images with all their persons, in memory that holds one part.

The file is looked through first (see coco_plan); then each part's rows are read and decoded again, by whoever works on
it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kpkit.core.dataset import Dataset
from kpkit.core.partition import Part, cut, rows_by_range
from kpkit.core.report import Collector
from kpkit.core.skeleton import Skeleton
from kpkit.formats.base import ReadOptions
from kpkit.formats.coco_images import read_images
from kpkit.formats.coco_plan import Plan, Stamp, plan
from kpkit.formats.coco_read import assemble
from kpkit.formats.coco_skeleton import Categories
from kpkit.formats.coco_stream import FileSequence, blocks_of
from kpkit.formats.jsonfile import ScatteredRows
from kpkit.formats.jsonrows import Index, RowSource
from kpkit.guard import input_error

DEFAULT_SIZE = 16_384


@dataclass(frozen=True)
class FilePiece:
    """Some images of a COCO file and the persons in them, by the places of their rows."""

    path: Path
    stamp: Stamp
    top: bytes
    categories: Categories
    skeleton: Skeleton
    images: ScatteredRows
    persons: ScatteredRows

    @classmethod
    def of(cls, plan: Plan, images: ScatteredRows, persons: ScatteredRows) -> FilePiece:
        """A piece of a file that was looked through."""
        return cls(plan.path, plan.stamp, plan.top, plan.categories, plan.skeleton, images, persons)

    def load(self, collector: Collector) -> Dataset:
        """Read it. What is wrong or suspicious was said when the file was looked through."""
        try:
            self.stamp.check(self.path)
            dataset = self._load(Collector(collector.mode))
            self.stamp.check(self.path)
        except OSError as error:
            raise input_error(error, self.path) from error
        return dataset

    def _load(self, said: Collector) -> Dataset:
        return assemble(
            path=self.path,
            top=self.top,
            categories=self.categories,
            images=read_images(FileSequence(self.images, self.path, "images"), self.path, said),
            blocks=blocks_of(self.persons, self.path),
            persons=len(self.persons),
            rows=lambda: self.persons,
            image_rows=self.images,
            options=ReadOptions(skeleton=self.skeleton),
            collector=said,
        )


@dataclass(frozen=True)
class CocoPart:
    """One part of a COCO file.

    rows  [n]  int64  persons in the whole dataset      first_image  its first image there
    """

    piece: FilePiece
    rows: Index
    first_image: int

    def load(self, collector: Collector) -> Part:
        """See PartRef."""
        return Part(self.piece.load(collector), self.rows, self.first_image)


class CocoParts:
    """The parts of a COCO ground truth; everything the ordinary reader notices is noticed when this is made.

    n, m  persons and images      size  the most of either in a part

    Raises what the ordinary reader raises.
    """

    def __init__(self, path: Path, options: ReadOptions, collector: Collector, size: int) -> None:
        found = plan(path, options, collector)
        self.size = size
        self.n, self.m = len(found.kept), len(found.images)
        # Each part reads its own images.
        self._plan = replace(found, images=found.images.take(np.zeros(0, np.int64)))
        del found
        self._ranges = cut(np.bincount(self._plan.image_index, minlength=self.m), size)

    def __len__(self) -> int:
        return len(self._ranges)

    def source_rows(self) -> RowSource:
        """The raw rows of all persons and images, to name places in the file."""
        return self._plan.source()

    def refs(self) -> Iterator[CocoPart]:
        """See PartSource."""
        path, persons, images = self._plan.path, self._plan.persons, self._plan.image_places
        by_range = rows_by_range(self._plan.image_index, self._ranges)
        for (first, end), rows in zip(self._ranges, by_range, strict=True):
            places = images.rows(path, slice(first, end)), persons.rows(path, rows)
            yield CocoPart(FilePiece.of(self._plan, *places), rows, first)


__all__ = ["CocoPart", "CocoParts", "FilePiece"]
