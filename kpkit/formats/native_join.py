"""Parts of a native dataset as one dataset again: the same rows in the same order, raw rows of the source included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import INSTANCE_COLUMNS, Dataset, ImageTable
from kpkit.core.partition import Part
from kpkit.core.table import Column, as_column
from kpkit.errors import FormatError
from kpkit.formats.jsonmerge import ChainedRows
from kpkit.formats.jsonrows import Index, Rows, RowSource
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


def join(parts: Sequence[Part], n: int, place: str) -> Dataset:
    """One dataset of all parts.

    n  persons it must have      place  for messages

    Raises FormatError where a row is missing, or stands in two parts.
    """
    order = _order(parts, n, place)
    datasets = [part.dataset for part in parts]

    def joined(columns: list[Column]) -> Column:
        together = concatenated(columns)
        return together if order is None else together[order]

    columns = {name: joined([getattr(one, name) for one in datasets]) for name in INSTANCE_COLUMNS[1:]}
    columns["image_index"] = joined([part.dataset.image_index + part.first_image for part in parts])
    first = datasets[0]
    images = ImageTable(
        **{name: concatenated([getattr(one.images, name) for one in datasets]) for name in IMAGE_TABLE},
        extras=_extras([(one.images.extras, len(one.images)) for one in datasets], concatenated),
    )
    return first.replace(
        **columns,
        images=images,
        extras=_extras([(one.extras, len(one)) for one in datasets], joined),
        source=None if first.source is None else _source(parts, len(images), order, joined),
    )


def _extras(
    parts: list[tuple[Mapping[str, Column], int]], joined: Callable[[list[Column]], Column]
) -> dict[str, Column]:
    """Every extra that a part has, None where another has none.

    parts  extras and rows of each
    """
    names = dict.fromkeys(name for extras, _ in parts for name in extras)
    return {name: joined([extras.get(name, np.full(rows, None, object)) for extras, rows in parts]) for name in names}


def _order(parts: Sequence[Part], n: int, place: str) -> Index | None:
    """[n] position, among the persons of all parts one after the other, of each row; None where it is the same."""
    rows = np.concatenate([part.rows for part in parts])
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


def _source(parts: Sequence[Part], m: int, order: Index | None, joined: Callable[[list[Column]], Column]) -> RowSource:
    sources = [part.dataset.source for part in parts]
    kept = [source for source in sources if isinstance(source, RowSource)]
    first = kept[0]
    rows: Rows = ChainedRows.of([source.rows for source in kept])
    if order is not None:
        rows = ReorderedRows(rows, order)
    sizes = [len(part.dataset.images) for part in parts]
    return RowSource(
        top=first.top,
        variant=first.variant,
        rows=rows,
        image_rows=ChainedRows.of([source.image_rows for source in kept]),
        row_of=_flagged(joined([source.row_of < 0 for source in kept])),
        image_row_of=_flagged(np.concatenate([source.image_row_of < 0 for source in kept])),
        columns={name: joined([source.columns[name] for source in kept]) for name in first.columns},
        image_columns=_image_columns(kept, sizes),
        image_of=joined(_images_of(parts, kept, sizes, m)),
        skeleton=first.skeleton,
        ghosts=np.flatnonzero(joined([_mask(source) for source in kept])),
        format=first.format,
    )


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


def _images_of(parts: Sequence[Part], sources: list[RowSource], sizes: list[int], m: int) -> list[Column]:
    """For each part, the row in the joint image columns that each raw row names."""
    found, gone = [], m
    for part, source, size in zip(parts, sources, sizes, strict=True):
        index = source.image_of
        found.append(np.where(index < size, index + part.first_image, index - size + gone))
        gone += len(source.image_columns["id"]) - size
    return found
