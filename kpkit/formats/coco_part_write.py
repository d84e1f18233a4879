"""A COCO file made of parts: each part's rows go to a file of their own, then all are put in order into one.

The order of persons in a COCO file need not be that of its images, so rows are gathered from the parts block by block.
A block touches one stretch of each part's file, since the persons of a part stand there in the order of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.partition import Part
from kpkit.core.skeleton import Skeleton
from kpkit.formats.coco_encode import annotation_rows, image_chunks
from kpkit.formats.coco_write import pieces
from kpkit.formats.jsonrows import Index, MemoryRows, RowSource
from kpkit.formats.part_pack import packed, unpacked

BLOCK = 16_384
COPIED_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Origin:
    """What the top level of the file is made from."""

    top: bytes
    variant: str
    skeleton: Skeleton


@dataclass(frozen=True)
class Written:
    """One part's rows, in files of the scratch folder.

    categories  each category id, and the row in the whole dataset that has it first
    """

    number: int
    skeleton: Skeleton
    meta: Any
    origin: Origin | None
    categories: list[tuple[int, Any]]


class _Packed(msgspec.Struct, forbid_unknown_fields=True):
    """The same as plain data; the source's top level stands beside it.

    variant, origin  of the source; None where there is none
    """

    number: int
    skeleton: dict[str, Any]
    meta: dict[str, Any]
    variant: str | None
    origin: dict[str, Any] | None
    categories: list[tuple[int, Any]]


@dataclass(frozen=True)
class CocoPartWriter:
    """See PartWriter and Packer. path, scratch  the output, and a folder for the rows    version  kpkit's"""

    path: Path
    scratch: Path
    version: str

    def write(self, part: Part, number: int) -> Written:
        """Encode the rows of one part."""
        dataset = part.dataset
        source = dataset.source if isinstance(dataset.source, RowSource) else None
        images, rows, places = self._files(number)
        with images.open("wb", buffering=COPIED_AT_ONCE) as stream:
            for piece in image_chunks(dataset, source):
                stream.write(piece)
        lengths = np.zeros(len(dataset), np.int64)
        with rows.open("wb", buffering=COPIED_AT_ONCE) as stream:
            for i, row in enumerate(annotation_rows(dataset, source)):
                lengths[i] = len(row) + 1
                stream.write(row)
                stream.write(b",")
        with places.open("wb") as stream:
            np.save(stream, np.stack((part.rows, lengths)))
        return Written(
            number=number,
            skeleton=dataset.skeleton,
            # The others have the same.
            meta={} if number else dataset.meta,
            origin=None if source is None or number else Origin(source.top, source.variant, source.skeleton),
            categories=_first_rows(dataset, part.rows),
        )

    def pack(self, written: Written) -> bytes:
        """See Packer."""
        origin = written.origin
        document = {
            "number": written.number,
            "skeleton": written.skeleton.to_dict(),
            "meta": dict(written.meta),
            "variant": None if origin is None else origin.variant,
            "origin": None if origin is None else origin.skeleton.to_dict(),
            "categories": written.categories,
        }
        return packed(document, None if origin is None else origin.top)

    def unpack(self, data: bytes) -> Written:
        """See Packer."""
        found, top = unpacked(data, _Packed)
        origin = None
        if top is not None and found.variant is not None and found.origin is not None:
            origin = Origin(top, found.variant, Skeleton.from_dict(found.origin))
        skeleton = Skeleton.from_dict(found.skeleton)
        return Written(found.number, skeleton, found.meta, origin, found.categories)

    def finish(self, written: Sequence[Written]) -> None:
        """Put the file together."""
        first = written[0]
        source = None if first.origin is None else _source(first.origin)
        dataset = _frame(first, [one for part in written for one in part.categories])
        rows = {"images": self._images(written), "annotations": self._annotations(written)}
        with self.path.open("wb", buffering=COPIED_AT_ONCE) as stream:
            for piece in pieces(dataset, source, self.version, rows):
                stream.write(piece)

    def _files(self, number: int) -> tuple[Path, Path, Path]:
        images, rows, places = (self.scratch / f"{number}.{name}" for name in ("images", "rows", "places"))
        return images, rows, places

    def _images(self, written: Sequence[Written]) -> Iterator[bytes]:
        comma = b""
        for part in written:
            path = self._files(part.number)[0]
            if path.stat().st_size:
                yield comma
                comma = b","
                with path.open("rb") as stream:
                    while piece := stream.read(COPIED_AT_ONCE):
                        yield piece

    def _annotations(self, written: Sequence[Written]) -> Iterator[bytes]:
        numbers = [part.number for part in written]
        places = [np.load(self._files(number)[2], allow_pickle=False) for number in numbers]
        sizes = [place.shape[1] for place in places]
        joined = np.concatenate(places, axis=1)
        order = np.argsort(joined[0], kind="stable")
        starts = np.concatenate(([0], np.cumsum(joined[1])))
        bounds = np.cumsum([0, *sizes])
        for at in range(0, len(order), BLOCK):
            last = at + BLOCK >= len(order)
            text = b"".join(self._gather(order[at : at + BLOCK], starts, bounds, numbers))
            yield text[:-1] if last else text

    def _gather(self, wanted: Index, starts: Index, bounds: Index, numbers: Sequence[int]) -> Iterator[bytes]:
        """The rows of a block, each with the comma behind it.

        wanted  rows counted through all parts    starts  where each begins, counted through all files
        bounds  first row of each part
        """
        owner = np.searchsorted(bounds, wanted, side="right") - 1
        stretches: dict[int, tuple[bytes, int]] = {}
        for part in np.unique(owner).tolist():
            mine = wanted[owner == part]
            begin, end = int(starts[mine[0]]), int(starts[mine[-1] + 1])
            with self._files(numbers[part])[1].open("rb") as stream:
                stream.seek(begin - int(starts[bounds[part]]))
                stretches[part] = stream.read(end - begin), begin
        # Neighbours in the block that are neighbours in their file are one piece.
        breaks = np.flatnonzero((np.diff(wanted) != 1) | (np.diff(owner) != 0)) + 1
        edges = [0, *breaks.tolist(), len(wanted)]
        for i, j in pairwise(edges):
            data, base = stretches[int(owner[i])]
            yield data[int(starts[wanted[i]]) - base : int(starts[wanted[j - 1] + 1]) - base]


def _first_rows(dataset: Dataset, rows: Index) -> list[tuple[int, Any]]:
    first: dict[Any, int] = {}
    for row, value in zip(rows.tolist(), dataset.category_id.tolist(), strict=True):
        first.setdefault(value, row)
    return [(row, value) for value, row in first.items()]


def _frame(first: Written, categories: list[tuple[int, Any]]) -> Dataset:
    """A dataset that the top level is made from: nobody but one person of each category, in order of appearance."""
    ids = list(dict.fromkeys(value for _, value in sorted(categories, key=lambda one: one[0])))
    k = len(first.skeleton)
    return Dataset.build(
        skeleton=first.skeleton,
        images=ImageTable.build(path=[""]),
        image_index=np.zeros(len(ids), np.int64),
        xy=np.full((len(ids), k, 2), np.nan),
        visibility=np.zeros((len(ids), k), np.uint8),
        category_id=ids,
        meta=first.meta,
    )


def _source(origin: Origin) -> RowSource:
    nothing = np.zeros(0, np.int64)
    return RowSource(
        top=origin.top,
        variant=origin.variant,
        rows=MemoryRows(b"", []),
        image_rows=MemoryRows(b"", []),
        row_of=nothing,
        image_row_of=nothing,
        columns={},
        image_columns={},
        image_of=nothing,
        skeleton=origin.skeleton,
    )


__all__ = ["CocoPartWriter"]
