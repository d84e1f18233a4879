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
from kpkit.core.dataset import Dataset
from kpkit.core.partition import MemoryParts, Part, PartRef, PartSource
from kpkit.core.report import Collector
from kpkit.errors import KpkitError
from kpkit.formats.base import Format, ReadOptions
from kpkit.pipelines.bulk import uncollected
from kpkit.pipelines.find import find_input
from kpkit.pipelines.images import ImageSizes, with_sizes
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
        return replace(part, dataset=with_sizes(part.dataset, ImageSizes(self.images, self.table), collector))


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

    def parts(self, collector: Collector) -> Iterator[Part]:
        """The parts in order, one at a time.

        Raises InputError for a part that is missing or damaged; errors of records go to the collector.
        """
        for ref in self.refs():
            with uncollected():
                part = ref.load(collector)
            yield part
            del part


def open_labels(where: LabelSource, collector: Collector, size: int = 0) -> LabelParts:
    """Find labels and see how they are cut; what is read part by part is not read yet.

    size  the most persons, and images, of a part; 0: as the dataset is cut, one part where it is not

    Raises UsageError where no or several candidates are found, InputError where the file cannot be read.
    """
    name = where.from_ or ("six2" if where.layout is not None else "")
    path, found = find_input(where.input, name, where.folder)
    options = ReadOptions(
        skeleton=catalog.skeleton(where.skeleton) if where.skeleton else None,
        image_list=where.image_list,
        layout=where.layout,
        sizes=ImageSizes(where.images, where.image_sizes),
    )
    try:
        source = found.parts(path, options, collector, size)
        if source is not None:
            return LabelParts(path, found, source, True, where)
        dataset: Dataset = read_with(found, path, options, collector)
    except KpkitError as error:
        if not error.place:
            error.at(str(path))
        raise
    return LabelParts(path, found, MemoryParts(dataset, size or WHOLE), False, where)


__all__ = ["LabelParts", "open_labels"]
