"""Parts of a native dataset as one dataset again: the same rows in the same order, raw rows of the source included."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import INSTANCE_COLUMNS, Dataset, ImageTable
from kpkit.core.partition import Part
from kpkit.core.table import Column, as_column
from kpkit.errors import FormatError
from kpkit.formats.jsonmerge import ChainedRows
from kpkit.formats.jsonrows import ROW_COLUMNS, Index, Rows, RowSource
from kpkit.formats.native_columns import HELP

IMAGE_TABLE = ("id", "path", "width", "height", "split")


@dataclass(frozen=True)
class ReorderedRows:
    """Rows in another order: row i is row `order[i]` of `rows`."""

    rows: Rows
    order: Index

    def __len__(self) -> int:
        return len(self.order)

    def get(self, index: int) -> bytes:
        """See Rows."""
        return self.rows.get(int(self.order[index]))

    def chunks(self, index: Index) -> Iterator[bytes | memoryview]:
        """See Rows."""
        return self.rows.chunks(self.order[index])


def join(parts: Iterable[Part], n: int, place: str) -> Dataset:
    """One dataset of all parts, which go as their columns are taken over.

    n  persons it must have      place  for messages

    Raises FormatError where a row is missing, or stands in two parts.
    """
    pieces = _Pieces()
    first: Dataset | None = None
    for part in parts:
        if first is None:
            first = part.dataset.replace(source=None)
        pieces.add(part)
    assert first is not None
    order = _order(pieces.rows, n, place)
    columns: dict[str, Any] = {name: pieces.instances(name, order) for name in INSTANCE_COLUMNS}
    images: dict[str, Any] = {name: concatenated(pieces.images.pop(name)) for name in IMAGE_TABLE}
    table = ImageTable(**images, extras=_extras(pieces.image_extras, concatenated))
    return first.replace(
        **columns,
        images=table,
        extras=_extras(pieces.extras, lambda columns: _in_place(columns, order)),
        source=pieces.source(columns, len(table), order),
    )


class _Pieces:
    """The columns of all parts, part by part; those that were put together are given away."""

    def __init__(self) -> None:
        self.rows: list[Index] = []
        self.columns: dict[str, list[Column]] = {name: [] for name in INSTANCE_COLUMNS}
        self.images: dict[str, list[Column]] = {name: [] for name in IMAGE_TABLE}
        self.extras: list[tuple[Mapping[str, Column], int]] = []
        self.image_extras: list[tuple[Mapping[str, Column], int]] = []
        self.sources: list[RowSource] = []
        self.first_images: list[int] = []
        # Columns of the source that are not the dataset's own.
        self._before: dict[str, list[Column]] = {}

    def add(self, part: Part) -> None:
        """Take over a part."""
        dataset, source = part.dataset, part.dataset.source
        self.rows.append(part.rows)
        for name in INSTANCE_COLUMNS:
            moved = name == "image_index"
            self.columns[name].append(dataset.image_index + part.first_image if moved else getattr(dataset, name))
        for name in IMAGE_TABLE:
            self.images[name].append(getattr(dataset.images, name))
        self.extras.append((dataset.extras, len(dataset)))
        self.image_extras.append((dataset.images.extras, len(dataset.images)))
        if isinstance(source, RowSource):
            self._add_source(source, dataset, part.first_image)

    def _add_source(self, source: RowSource, dataset: Dataset, first_image: int) -> None:
        number = len(self.sources)
        for name, column in source.columns.items():
            if name in self._before:
                self._before[name].append(column)
            elif not _same_memory(column, getattr(dataset, name)):
                self._before[name] = [*self.columns[name][:number], column]
        self.sources.append(replace(source, columns={}))
        self.first_images.append(first_image)

    def instances(self, name: str, order: Index | None) -> Column:
        """A column of the whole dataset."""
        if name in self._before or not self.sources:
            return _in_place(self.columns[name], order)
        return _in_place(self.columns.pop(name), order)

    def source(self, columns: Mapping[str, Column], m: int, order: Index | None) -> RowSource | None:
        """The source of the whole; it shares the columns that are as they were read."""
        if not self.sources:
            return None
        kept, first = self.sources, self.sources[0]
        rows: Rows = ChainedRows.of([source.rows for source in kept])
        if order is not None:
            rows = ReorderedRows(rows, order)
        sizes = [size for _, size in self.image_extras]
        return RowSource(
            top=first.top,
            variant=first.variant,
            rows=rows,
            image_rows=ChainedRows.of([source.image_rows for source in kept]),
            row_of=_flagged(_in_place([source.row_of < 0 for source in kept], order)),
            image_row_of=_flagged(np.concatenate([source.image_row_of < 0 for source in kept])),
            columns={
                name: _in_place(self._before[name], order) if name in self._before else columns[name]
                for name in ROW_COLUMNS
            },
            image_columns=_image_columns(kept, sizes),
            image_of=_in_place(_images_of(self.first_images, kept, sizes, m), order),
            skeleton=first.skeleton,
            ghosts=np.flatnonzero(_in_place([_mask(source) for source in kept], order)),
            format=first.format,
        )


def _same_memory(one: Column, other: Column) -> bool:
    return one is other or (
        one.shape == other.shape
        and one.strides == other.strides
        and one.dtype == other.dtype
        and one.__array_interface__["data"] == other.__array_interface__["data"]
    )


def _constant(piece: Column, first: Column) -> bool:
    """Whether a column is one value that takes no memory, and the same as another's first."""
    same = piece.dtype == first.dtype != object and not any(piece.strides)
    return same and piece[0].tobytes() == first[0].tobytes()


def _in_place(pieces: list[Column], order: Index | None) -> Column:
    """The pieces one after the other, then by `order`; each is let go when it is copied."""
    first = next((piece for piece in pieces if len(piece)), pieces[0])
    if all(_constant(piece, first) for piece in pieces if len(piece)) and first.size:
        return np.broadcast_to(first[0], (sum(map(len, pieces)), *first.shape[1:]))
    if any(piece.dtype != first.dtype for piece in pieces):
        together = concatenated(pieces)
    else:
        together = np.empty((sum(map(len, pieces)), *first.shape[1:]), first.dtype)
        at = 0
        for number, piece in enumerate(pieces):
            together[at : at + len(piece)] = piece
            at += len(piece)
            pieces[number] = first[:0]
            del piece
    return together if order is None else together[order]


def _extras(
    parts: list[tuple[Mapping[str, Column], int]], joined: Callable[[list[Column]], Column]
) -> dict[str, Column]:
    """Every extra that a part has, None where another has none.

    parts  extras and rows of each
    """
    names = dict.fromkeys(name for extras, _ in parts for name in extras)
    return {name: joined([extras.get(name, np.full(rows, None, object)) for extras, rows in parts]) for name in names}


def _order(pieces: list[Index], n: int, place: str) -> Index | None:
    """[n] position, among the persons of all parts one after the other, of each row; None where it is the same."""
    rows = np.concatenate(pieces)
    here = np.arange(n)
    if len(rows) == n and np.array_equal(rows, here):
        return None
    order = np.argsort(rows, kind="stable")
    if len(rows) != n or not np.array_equal(rows[order], here):
        raise FormatError(
            "the parts do not make up the whole dataset: a person is missing or stands in two parts",
            code="KP-NATIVE-PART",
            place=place,
            expected=f"each of {n} rows once",
            got=f"{len(np.unique(rows))} different rows of {len(rows)}",
            help=HELP,
        )
    return order


def concatenated(columns: list[Column]) -> Column:
    """Columns one after the other; integers become Python's own beside objects."""
    if any(column.dtype == object for column in columns) and any(column.dtype != object for column in columns):
        return as_column([value for column in columns for value in column.tolist()])
    return np.concatenate(columns)


def _flagged(none: NDArray[Any]) -> Index:
    return np.where(none, -1, np.arange(len(none)))


def _mask(source: RowSource) -> NDArray[np.bool_]:
    mask = np.zeros(len(source.row_of), bool)
    mask[source.ghosts] = True
    return mask


def _image_columns(sources: list[RowSource], sizes: list[int]) -> dict[str, Column]:
    """The columns of the images as read, and behind them those of images that are in no table any more."""
    found: dict[str, Column] = {}
    for name in sources[0].image_columns:
        columns = [source.image_columns[name] for source in sources]
        there = [column[:size] for column, size in zip(columns, sizes, strict=True)]
        gone = [column[size:] for column, size in zip(columns, sizes, strict=True)]
        found[name] = concatenated([*there, *(column for column in gone if len(column))])
    return found


def _images_of(first_images: list[int], sources: list[RowSource], sizes: list[int], m: int) -> list[Column]:
    """For each part, the row in the joint image columns that each raw row names."""
    found, gone = [], m
    for first_image, source, size in zip(first_images, sources, sizes, strict=True):
        index = source.image_of
        found.append(np.where(index < size, index + first_image, index - size + gone))
        gone += len(source.image_columns["id"]) - size
    return found
