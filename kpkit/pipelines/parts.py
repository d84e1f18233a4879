"""Labels part by part: how a command keeps its memory bounded, however many persons there are.

    found = open_labels(where, collector)              # as load_labels, but nothing is read yet
    for part in found.parts(collector):                # one part in memory at a time
        part.dataset, part.rows, part.first_image

Every image stands in one part with all its persons, so that what a command says about an image or a person needs no
other part. What needs all of them (ids that occur twice, distributions) is added up in small arrays: `part.rows` and
`part.first_image + part.dataset.image_index` are the rows in the whole dataset, the same however it is cut.

In other processes, with kpkit.execute:

    tasks = ((f"part {number}", ref) for number, ref in enumerate(found.refs()))
    for key, result in run_tasks(function, tasks, pool): ...    # function(ref) calls ref.load(Collector(...))

A partitioned native dataset and a large COCO file are read part by part; any other dataset is read whole and is one
part, or several where a size is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kpkit.core import catalog
from kpkit.core.partition import MemoryParts, Part, PartRef, PartSource
from kpkit.core.report import Collector
from kpkit.errors import KpkitError
from kpkit.formats.base import Format, ReadOptions
from kpkit.formats.jsonrows import RowSource
from kpkit.pipelines.bulk import uncollected
from kpkit.pipelines.find import find_input
from kpkit.pipelines.images import ImageSizes, sizes_of, with_sizes
from kpkit.pipelines.io import read_with
from kpkit.pipelines.load import LabelSource

# One part of so many persons is the whole dataset, as a rule.
WHOLE = 10**12


@dataclass(frozen=True)
class SizedRef:
    """A part whose images get their sizes from a folder or a table."""

    ref: PartRef
    images: Path | None
    table: Path | None

    def load(self, collector: Collector) -> Part:
        """See PartRef."""
        part = self.ref.load(collector)
        return replace(part, dataset=with_sizes(part.dataset, sizes_of(self.images, self.table), collector))


@dataclass(frozen=True)
class LabelParts:
    """Labels that were found, to be read part by part.

    path, format   what was found      source  its parts
    streamed       parts are read one at a time; else the whole dataset is in memory
    """

    path: Path
    format: Format
    source: PartSource
    streamed: bool
    where: LabelSource

    def __len__(self) -> int:
        return len(self.source)

    def refs(self) -> Iterator[PartRef]:
        """The parts in order; each can be sent to another process and loaded there."""
        for ref in self.source.refs():
            if self.where.images is not None or self.where.image_sizes is not None:
                yield SizedRef(ref, self.where.images, self.where.image_sizes)
            else:
                yield ref

    def source_rows(self) -> RowSource | None:
        """The raw rows of all parts by their numbers in the file, where the reader has them at hand."""
        found = getattr(self.source, "source_rows", None)
        return None if found is None else found()

    def parts(self, collector: Collector) -> Iterator[Part]:
        """The parts in order, one at a time.

        Raises InputError for a part that is missing or damaged; errors of records go to the collector.
        """
        for ref in self.refs():
            with uncollected():
                part = ref.load(collector)
            yield part
            del part


def open_parts(where: LabelSource, collector: Collector, size: int = 0) -> LabelParts | None:
    """Find labels that are read part by part; None where they are read whole.

    size  the most persons, and images, of a part; 0: as the dataset is cut

    Raises UsageError where no or several candidates are found, InputError where the file cannot be read.
    """
    path, found = _find(where)
    try:
        with uncollected():
            source = found.parts(path, _options(where), collector, size)
    except KpkitError as error:
        if not error.place:
            error.at(str(path))
        raise
    return None if source is None else LabelParts(path, found, source, True, where)


def open_labels(where: LabelSource, collector: Collector, size: int = 0) -> LabelParts:
    """Find labels and see how they are cut; what is read part by part is not read yet.

    size  as for `open_parts`; labels that are read whole are one part, or several where a size is asked for

    Raises UsageError where no or several candidates are found, InputError where the file cannot be read.
    """
    parts = open_parts(where, collector, size)
    if parts is not None:
        return parts
    path, found = _find(where)
    try:
        dataset = read_with(found, path, _options(where), collector)
    except KpkitError as error:
        if not error.place:
            error.at(str(path))
        raise
    return LabelParts(path, found, MemoryParts(dataset, size or WHOLE), False, where)


def _bare(part: Part) -> Part:
    images = replace(part.dataset.images, extras={})
    return replace(part, dataset=part.dataset.replace(images=images, extras={}, source=None))


def _find(where: LabelSource) -> tuple[Path, Format]:
    return find_input(where.input, where.from_ or ("six2" if where.layout is not None else ""), where.folder)


def _options(where: LabelSource) -> ReadOptions:
    return ReadOptions(
        skeleton=catalog.skeleton(where.skeleton) if where.skeleton else None,
        image_list=where.image_list,
        layout=where.layout,
        sizes=ImageSizes(where.images, where.image_sizes),
    )


__all__ = ["LabelParts", "open_labels", "open_parts"]
