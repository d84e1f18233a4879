"""Several COCO files as one dataset in parts: what `merge` makes of them, in memory that holds one part.

Each file is looked through by itself, files in parallel; then it is known which image and person is which row of the
merged dataset, and under which id. A part is neighbouring rows of the merged images with all their persons, read from
the files they stand in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset
from kpkit.core.partition import Part, cut, rows_by_range
from kpkit.core.report import Collector, Issue
from kpkit.core.skeleton import Skeleton
from kpkit.core.table import Column
from kpkit.errors import KpkitError
from kpkit.execute import Failure, LocalPool, run_tasks
from kpkit.formats.base import ReadOptions
from kpkit.formats.coco_parts import FilePiece
from kpkit.formats.coco_plan import Plan, plan
from kpkit.formats.coco_read import read_meta
from kpkit.formats.coco_skeleton import NO_JOINTS
from kpkit.formats.jsonmerge import merge_sources
from kpkit.formats.jsonrows import RowSource
from kpkit.formats.native_join import concatenated
from kpkit.pipelines.bulk import uncollected
from kpkit.pipelines.merge import check_skeletons, merge, merge_images, merge_meta, unique_ids

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Common:
    """What all parts of a merged dataset have: joints, top level and fields of the whole, and the number of files."""

    skeleton: Skeleton
    top: bytes
    meta: dict[str, Any]
    files: int


@dataclass(frozen=True)
class MergedPart:
    """One part of a merged dataset.

    pieces     what of each file belongs to it      rows  [n]  int64  persons in the whole dataset
    ids, image_ids  of its persons and images       first_image  row of its first image in the whole dataset
    """

    pieces: tuple[FilePiece, ...]
    rows: Index
    ids: Column
    image_ids: Column
    first_image: int
    common: Common

    def load(self, collector: Collector) -> Part:
        """See PartRef."""
        datasets = [piece.load(collector) for piece in self.pieces]
        common = self.common
        dataset = merge(datasets, [str(piece.path) for piece in self.pieces], Collector())
        source = dataset.source
        if isinstance(source, RowSource):
            source = replace(source, top=common.top, skeleton=common.skeleton)
        merged = dataset.replace(
            skeleton=common.skeleton,
            instance_id=self.ids,
            images=replace(dataset.images, id=self.image_ids),
            meta=common.meta,
            source=source,
            provenance=({"step": "merge", "inputs": common.files},),
        )
        return Part(merged, self.rows, self.first_image)


@dataclass(frozen=True)
class Looked:
    """A file that was looked through, and what was noticed."""

    plan: Plan
    issues: list[Issue]


def look_through(task: tuple[Path, ReadOptions]) -> Looked | KpkitError | OSError:
    """In a worker; errors are handed back whole."""
    collector = Collector()
    try:
        with uncollected():
            return Looked(plan(*task, collector), collector.issues)
    except (KpkitError, OSError) as error:
        return error


class MergedParts:
    """The parts of several COCO files that are merged; see PartSource.

    Raises what reading and merging the files raises, for the first of them that is wrong.
    """

    def __init__(
        self, paths: Sequence[Path], options: ReadOptions, collector: Collector, size: int, workers: int
    ) -> None:
        names = [str(path) for path in paths]
        self._plans = plans = _look(paths, options, collector, workers)
        check_skeletons([one.skeleton for one in plans], names)
        images, self._row_of, self._first_images = merge_images([one.images for one in plans], names, collector)
        indexes = [self._row_of[at + one.image_index] for at, one in zip(self._first_images, plans, strict=True)]
        self._image_index = np.concatenate(indexes)
        self._ids = unique_ids(concatenated([one.ids for one in plans]), "persons", "KP-MERGE-PERSON-ID", collector)
        self._image_ids = images.id
        meta = merge_meta([read_meta(one.top) for one in plans], collector)
        shells = [_shell(one) for one in plans]
        source = merge_sources(shells, names, self._row_of, len(images), collector)
        top = b"" if source is None else source.top
        self._common = Common(plans[0].skeleton, top, meta, len(paths))
        self._first_rows = np.cumsum([0, *[len(one.kept) for one in plans]])
        self.n, self.m, self.size = len(self._ids), len(images), size
        self._ranges = cut(np.bincount(self._image_index, minlength=self.m), size)

    def __len__(self) -> int:
        return len(self._ranges)

    def refs(self) -> Iterator[MergedPart]:
        """See PartSource."""
        image_rows = rows_by_range(self._row_of, self._ranges)
        person_rows = rows_by_range(self._image_index, self._ranges)
        for (first, end), images, rows in zip(self._ranges, image_rows, person_rows, strict=True):
            yield MergedPart(
                pieces=tuple(self._pieces(images, rows)),
                rows=rows,
                ids=self._ids[rows],
                image_ids=self._image_ids[first:end],
                first_image=first,
                common=self._common,
            )

    def _pieces(self, images: Index, rows: Index) -> Iterator[FilePiece]:
        """What of each file belongs to a part.

        images, rows  images and persons, numbered through all files, rising
        """
        starts = np.array(self._first_images)
        files = np.unique(np.searchsorted(starts, images, side="right") - 1).tolist() or [0]
        for file in files:
            one = self._plans[file]
            first, first_row = self._first_images[file], int(self._first_rows[file])
            mine = _within(images, first, first + len(one.images))
            persons = _within(rows, first_row, first_row + len(one.kept))
            yield FilePiece.of(one, one.image_places.rows(one.path, mine), one.persons.rows(one.path, persons))


def _within(numbers: Index, first: int, end: int) -> Index:
    """Those from `first` to before `end`, counted from `first`."""
    a, b = np.searchsorted(numbers, (first, end))
    return numbers[a:b] - first


def _look(paths: Sequence[Path], options: ReadOptions, collector: Collector, workers: int) -> list[Plan]:
    """Look through all files; what is noticed is told in the order of the files."""
    found: dict[int, Any] = {}
    tasks = ((str(number), (path, options)) for number, path in enumerate(paths))
    with LocalPool(min(workers, len(paths))) as pool:
        for key, result in run_tasks(look_through, tasks, pool):
            found[int(key)] = result
    for number in range(len(paths)):
        result = found[number]
        if isinstance(result, Failure):
            raise KpkitError(result.message, code=result.code, place=str(paths[number]))
        if not isinstance(result, Looked):
            raise result
        collector.take(result.issues)
    return [found[number].plan for number in range(len(paths))]


def _shell(one: Plan) -> Dataset:
    """A file as a dataset without joints: what the merging of raw rows looks at."""
    n = len(one.kept)
    return Dataset.build(
        skeleton=NO_JOINTS,
        images=one.images,
        image_index=one.image_index,
        xy=np.zeros((n, 0, 2)),
        visibility=np.zeros((n, 0), np.uint8),
        bbox_xywh=np.broadcast_to(np.nan, (n, 4)),
        instance_id=one.ids,
        source=one.source(),
    )


__all__ = ["MergedPart", "MergedParts", "look_through"]
