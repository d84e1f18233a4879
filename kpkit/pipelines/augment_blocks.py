"""Labels as blocks of images in the order of their paths: one, where they are in memory, else as many as it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpkit.core.boxes import with_boxes
from kpkit.core.dataset import Dataset, known_rows
from kpkit.core.partition import Part, cut
from kpkit.core.report import Collector
from kpkit.pipelines.augment_fields import Fields, fields_of
from kpkit.pipelines.augment_images import Block, source_images
from kpkit.pipelines.augment_keys import Gathered, Keys
from kpkit.pipelines.augment_spool import Spool
from kpkit.pipelines.bulk import uncollected
from kpkit.pipelines.parts import LabelParts

Progress = Callable[[str, int, int], None]

BOX_PADDING = 0.25
# Persons, and images, of what a block becomes; more only where an output had too many parts (the formats allow more).
LARGEST, MOST_PARTS = 8192, 50_000


@dataclass(frozen=True)
class Labels:
    """Labels that were looked through, and are taken block by block.

    head    what all of them have in common: skeleton, description, the first paths; no persons
    keys    all images        ranges  (first, end) of each block's images, numbers in `keys`
    size    the most persons, and images, of a block's output
    """

    parts: LabelParts
    head: Dataset
    keys: Keys
    ranges: list[tuple[int, int]]
    size: int

    def blocks(self, tell: Progress) -> Iterator[Block]:
        """The blocks in order, one in memory at a time.

        Raises InputError for a part that cannot be read any more, OutputError where there is no room for temporary
        files.
        """
        if len(self.ranges) == 1 and len(self.parts) == 1:
            yield self._only()
            return
        spool = self._spool(tell)
        for number in range(len(self.ranges)):
            # Not held here while it is worked on.
            yield self._from(spool, number)

    @uncollected()
    def _only(self) -> Block:
        part = next(self.parts.parts(Collector()))
        return self._block(*self._boxed(part), fields_of(part.dataset), 0)

    @uncollected()
    def _from(self, spool: Spool, number: int) -> Block:
        found = spool.take(number)
        return self._block(found.dataset, found.own_boxes, found.fields, self.ranges[number][0])

    def _block(self, dataset: Dataset, own: NDArray[np.bool_], fields: Fields, first: int) -> Block:
        has_ids = self.parts.format.keeps_for(self.parts.path).instance_id
        return Block(source_images(dataset, has_ids=has_ids), first, dataset, own, fields)

    def _boxed(self, part: Part) -> tuple[Dataset, NDArray[np.bool_]]:
        """With a box for everybody who can have one, since occluders and crops need it; [N] bool: who had one."""
        dataset = part.dataset
        boxed = with_boxes(dataset, "auto", BOX_PADDING, self.parts.format.scale_boxes(dataset))
        return boxed, known_rows(dataset.bbox_xywh)

    def _spool(self, tell: Progress) -> Spool:
        spool = Spool(self.head, len(self.ranges))
        ends = np.array([end for _, end in self.ranges])
        for number, part in enumerate(self.parts.parts(Collector()), start=1):
            images = np.arange(part.first_image, part.first_image + len(part.dataset.images))
            with uncollected():
                spool.put(*self._boxed(part), np.searchsorted(ends, self.keys.of_row[images], side="right"))
            tell("sorting", number, len(self.parts))
            del part
        return spool


def look_through(parts: LabelParts, size: int, outputs: int, collector: Collector, tell: Progress) -> Labels:
    """Read all parts once, one at a time.

    size     of a part of the output, persons or images, which is one block where it has one part; 0: it is one anyway
    outputs  of an image, or a person

    Raises InputError for a part that cannot be read, RecordError for an image without a file name, or one that leads
    outside the dataset.
    """
    gathered = Gathered()
    with uncollected():
        for number, part in enumerate(parts.parts(collector), start=1):
            gathered.add(part)
            if parts.streamed:
                tell("reading", number, len(parts))
            del part
        keys = gathered.keys()
    most = max(len(keys), int(keys.persons.sum())) * outputs
    if not size or most <= size:
        size = max(most, 1)
    else:
        size = max(min(size, LARGEST), -(-most // MOST_PARTS))
    return Labels(parts, gathered.head(), keys, cut(keys.persons, max(1, size // outputs)), size)


__all__ = ["BOX_PADDING", "Labels", "look_through"]
