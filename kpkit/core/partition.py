"""Cuts a dataset into parts: neighbouring images with all their persons, so that no image stands in two parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import INSTANCE_COLUMNS, Dataset
from kpkit.core.report import Collector

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """One part of a dataset.

    dataset      its images, and the persons in them, in the order of the whole dataset
    rows         [N]  int64  row of each person in the whole dataset, rising
    first_image  row of its first image in the whole dataset; the others follow
    """

    dataset: Dataset
    rows: Index
    first_image: int


class PartRef(Protocol):
    """Where one part is: small, picklable, and loaded in whichever process works on it."""

    def load(self, collector: Collector) -> Part:
        """Read the part; what is noticed goes to the collector."""
        ...


class PartWriter(Protocol):
    """Writes a dataset part by part; small and picklable, so that parts are written in whichever process has them.

    The files of a part may be moved before the end, into the folders of the writer whose `finish` is called: what
    `write` returns names none of them by a whole path, and no two parts have a file of the same name. A writer that is
    a `Packer`, too, lets a run that was ended go on with the parts it has.
    """

    def write(self, part: Part, number: int) -> Any:
        """Write one part; returns what `finish` must know of it, small and picklable."""
        ...

    def finish(self, written: Sequence[Any]) -> None:
        """Make the output of all parts, whose results are given in order."""
        ...


@runtime_checkable
class Packer(Protocol):
    """A writer whose parts outlive the run: what it knows of one can be put down as bytes."""

    def pack(self, written: Any) -> bytes:
        """What `write` returned as bytes, plain data that nothing is executed from; TypeError where it is not that."""
        ...

    def unpack(self, data: bytes) -> Any:
        """The same again, for `finish`. Raises ValueError for bytes of something else."""
        ...


class PartSource(Protocol):
    """A dataset that is read part by part; all parts together are what reading it whole gives."""

    @property
    def n(self) -> int:
        """Persons in all."""
        ...

    @property
    def m(self) -> int:
        """Images in all."""
        ...

    @property
    def size(self) -> int:
        """The most persons, and the most images, a part was to have."""
        ...

    def __len__(self) -> int: ...

    def refs(self) -> Iterator[PartRef]:
        """The parts, in order."""
        ...


@dataclass(frozen=True)
class MemoryPart:
    """A part of a dataset that is in memory anyway."""

    part: Part

    def load(self, collector: Collector) -> Part:
        """See PartRef."""
        return self.part


class MemoryParts:
    """A dataset in memory, cut into parts of `size`."""

    def __init__(self, dataset: Dataset, size: int) -> None:
        self._dataset, self.size = dataset, size
        self.n, self.m = len(dataset), len(dataset.images)
        self._count = len(cut(np.bincount(dataset.image_index, minlength=self.m), size))

    def __len__(self) -> int:
        return self._count

    def refs(self) -> Iterator[PartRef]:
        """See PartSource."""
        return map(MemoryPart, split(self._dataset, self.size))


def cut(persons: Index, size: int) -> list[tuple[int, int]]:
    """Ranges (first, end) of images with at most `size` images and `size` persons each; at least one range.

    persons  [M]  int64  persons in each image

    An image with more persons than `size` is a range of its own. Each range is as long as it can be.
    """
    before = np.concatenate(([0], np.cumsum(persons, dtype=np.int64)))
    ranges = []
    first, m = 0, len(persons)
    while first < m:
        most = int(np.searchsorted(before, before[first] + size, side="right")) - 1
        end = min(max(most, first + 1), first + size, m)
        ranges.append((first, end))
        first = end
    return ranges or [(0, 0)]


def rows_by_range(image_index: Index, ranges: list[tuple[int, int]]) -> Iterator[Index]:
    """The rows of the persons of each range of images, rising.

    image_index  [N]  int64  -1: in no range
    """
    order = np.argsort(image_index, kind="stable")
    grouped = image_index[order]
    for first, end in ranges:
        at, to = np.searchsorted(grouped, (first, end))
        yield np.sort(order[at:to])


def split(dataset: Dataset, size: int) -> Iterator[Part]:
    """The parts of a dataset, in order; one without images is one part.

    size  the most persons, and the most images, of a part (see `cut`)
    """
    ranges = cut(np.bincount(dataset.image_index, minlength=len(dataset.images)), size)
    if len(ranges) == 1:
        yield Part(dataset, np.arange(len(dataset)), 0)
        return
    for (first, end), rows in zip(ranges, rows_by_range(dataset.image_index, ranges), strict=True):
        yield Part(pick(dataset, rows, np.arange(first, end)), rows, first)


def pick(dataset: Dataset, rows: Index, images: Index) -> Dataset:
    """Some images, and the persons in them.

    rows, images  int64  both in the order they get
    """
    place = np.zeros(len(dataset.images), np.int64)
    place[images] = np.arange(len(images))
    columns = {name: getattr(dataset, name)[rows] for name in INSTANCE_COLUMNS}
    return dataset.replace(
        **columns | {"image_index": place[columns["image_index"]]},
        images=dataset.images.take(images),
        extras={name: column[rows] for name, column in dataset.extras.items()},
        source=dataset.source.take(rows, images) if dataset.source is not None else None,
    )
