"""What is kept of a dataset that was read part by part: who and where, but no points.

The outline is a `Dataset` of all images and persons in their places, whose columns of points and boxes say "unknown"
everywhere and take no memory. A hundred bytes a person and an image are enough to name what was found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.partition import Part
from kpkit.core.table import Column
from kpkit.formats.jsonmerge import ChainedRows
from kpkit.formats.jsonrows import MemoryRows, RowSource
from kpkit.formats.native_join import IMAGE_TABLE, ReorderedRows, concatenated

NAMES = ("instance_id", "category_id", "is_crowd")


@dataclass(frozen=True)
class Piece:
    """What an outline keeps of one part; small, so that it may come from another process.

    bare      skeleton, images and description; no persons      counts  as `Dataset.counts`
    columns   name -> [n] of its persons                        source  raw rows, for naming places
    """

    bare: Dataset
    counts: dict[str, int]
    columns: dict[str, Any]
    source: RowSource | None


def piece_of(part: Part) -> Piece:
    """The piece of a part."""
    dataset = part.dataset
    columns: dict[str, Any] = {name: getattr(dataset, name) for name in NAMES}
    columns["image_index"] = dataset.image_index + part.first_image
    columns["rows"] = part.rows
    # Counted, since what a reader said of a person may have to be said again.
    columns["labelled"] = (dataset.visibility > 0).sum(axis=1, dtype=np.uint16)
    images = replace(dataset.images, extras={})
    bare = dataset.replace(source=None, extras={}, images=images).take(np.zeros(0, np.int64))
    return Piece(bare, dataset.counts(), columns, _bare(dataset.source))


class Outline:
    """Gathers parts as they go by, in order.

    counts    of the dataset so far, as `Dataset.counts`
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._first: Dataset | None = None
        self._columns: dict[str, list[Any]] = {name: [] for name in (*NAMES, "image_index", "rows", "labelled")}
        self._images: dict[str, list[Column]] = {name: [] for name in IMAGE_TABLE}
        self._sources: list[RowSource | None] = []

    def add(self, piece: Piece) -> None:
        """Keep what is needed of a part."""
        self._first = self._first or piece.bare
        self.counts.update(piece.counts)
        for name, column in piece.columns.items():
            self._columns[name].append(column)
        for name in IMAGE_TABLE:
            self._images[name].append(getattr(piece.bare.images, name))
        self._sources.append(piece.source)

    @property
    def labelled(self) -> NDArray[np.uint16]:
        """[N] uint16: labelled joints of each person."""
        return np.asarray(self._ordered()(self._columns["labelled"]))

    def dataset(self, source: RowSource | None = None) -> Dataset:
        """The outline of all parts.

        source  the raw rows, where the reader has them at hand; None: those of the parts
        """
        assert self._first is not None
        first, joined = self._first, self._ordered()
        columns: dict[str, Any] = {name: joined(self._columns[name]) for name in (*NAMES, "image_index")}
        images: dict[str, Any] = {name: concatenated(tables) for name, tables in self._images.items()}
        n, k = len(columns["instance_id"]), len(first.skeleton)
        return Dataset.build(
            skeleton=first.skeleton,
            images=ImageTable(**images),
            **columns,
            xy=np.broadcast_to(np.nan, (n, k, 2)),
            visibility=np.broadcast_to(np.uint8(0), (n, k)),
            bbox_xywh=np.broadcast_to(np.nan, (n, 4)),
            track_id=np.broadcast_to(np.array([None], object), (n,)),
            meta=first.meta,
            provenance=first.provenance,
            source=source if source is not None else self._source(),
            image_root=first.image_root,
        )

    def _order(self) -> NDArray[np.int64] | None:
        rows = np.concatenate(self._columns["rows"])
        return None if bool((np.diff(rows) == 1).all()) else np.argsort(rows, kind="stable")

    def _ordered(self) -> Callable[[list[Column]], Column]:
        order = self._order()
        return lambda columns: concatenated(columns) if order is None else concatenated(columns)[order]

    def _source(self) -> RowSource | None:
        kept = [source for source in self._sources if source is not None]
        if not kept or len(kept) != len(self._sources):
            return None
        order = self._order()
        rows = ChainedRows.of([source.rows for source in kept])
        none = concatenated([source.row_of < 0 for source in kept])
        if order is not None:
            none = none[order]
        no_image = concatenated([source.image_row_of < 0 for source in kept])
        return outline_source(
            kept[0],
            rows=rows if order is None else ReorderedRows(rows, order),
            image_rows=ChainedRows.of([source.image_rows for source in kept]),
            row_of=np.where(none, -1, np.arange(len(none))),
            image_row_of=np.where(no_image, -1, np.arange(len(no_image))),
        )


def _bare(source: Any) -> RowSource | None:
    """The raw rows without the columns that were read from them."""
    if not isinstance(source, RowSource):
        return None
    return outline_source(source, source.rows, source.image_rows, source.row_of, source.image_row_of)


def outline_source(source: RowSource, rows: Any, image_rows: Any, row_of: Any, image_row_of: Any) -> RowSource:
    """Raw rows for naming places; nothing can be spliced back from them."""
    return RowSource(
        top=source.top,
        variant=source.variant,
        rows=rows if len(rows) else MemoryRows(b"", []),
        image_rows=image_rows if len(image_rows) else MemoryRows(b"", []),
        row_of=row_of,
        image_row_of=image_row_of,
        columns={},
        image_columns={},
        image_of=np.zeros(0, np.int64),
        skeleton=source.skeleton,
        format=source.format,
    )


__all__ = ["Outline", "Piece", "outline_source", "piece_of"]
