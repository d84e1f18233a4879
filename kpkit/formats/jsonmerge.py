"""The raw rows of several COCO files as one source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kpkit.core.report import Collector
from kpkit.core.table import as_column
from kpkit.errors import RecordError
from kpkit.formats.jsonrows import Index, Rows, RowSource


@dataclass(frozen=True)
class ChainedRows:
    """Rows of several files, numbered through."""

    parts: tuple[Rows, ...]
    starts: Index

    @classmethod
    def of(cls, parts: Sequence[Rows]) -> ChainedRows:
        """Chain them in order."""
        return cls(tuple(parts), np.cumsum([0, *[len(part) for part in parts]]))

    def __len__(self) -> int:
        return int(self.starts[-1])

    def get(self, index: int) -> bytes:
        """See Rows."""
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.parts[part].get(index - int(self.starts[part]))

    def chunks(self, index: Index) -> Iterator[bytes | memoryview]:
        """See Rows."""
        owner = np.searchsorted(self.starts, index, side="right") - 1
        edges = [0, *(np.flatnonzero(np.diff(owner)) + 1).tolist(), len(index)]
        comma = b""
        for first, end in pairwise(edges):
            if first == end:
                continue
            part = int(owner[first])
            yield comma
            yield from self.parts[part].chunks(index[first:end] - self.starts[part])
            comma = b","


def merge_sources(sources: list[Any], row_of: NDArray[np.int64], m: int, collector: Collector) -> RowSource | None:
    """One source for datasets put one after the other; None where an input kept no rows.

    row_of  merged image row of every input image row    m  merged images
    """
    kept = [source for source in sources if isinstance(source, RowSource) and source.variant == "ground truth"]
    if len(kept) != len(sources) or not kept:
        return None
    rows, image_rows = ChainedRows.of([s.rows for s in kept]), ChainedRows.of([s.image_rows for s in kept])
    shifted = [
        np.where(s.image_row_of >= 0, s.image_row_of + start, -1)
        for s, start in zip(kept, image_rows.starts[:-1].tolist(), strict=True)
    ]
    image_row_of = np.full(m, -1, np.int64)
    flat = np.concatenate(shifted)
    # Written backwards, so that the first input that has an image gives its row.
    image_row_of[row_of[::-1]] = flat[::-1]
    return RowSource(
        top=_merge_top(kept, collector),
        variant="ground truth",
        rows=rows,
        image_rows=image_rows,
        row_of=_shift([s.row_of for s in kept], rows.starts),
        image_row_of=image_row_of,
        columns=_concat([s.columns for s in kept]),
        image_columns=_concat([s.image_columns for s in kept]),
        image_of=_shift([s.image_of for s in kept], image_rows.starts),
        skeleton=kept[0].skeleton,
        ghosts=_shift([s.ghosts for s in kept], rows.starts),
        extras=_concat_extras([s.extras for s in kept], [len(s.rows) for s in kept]),
        image_extras=_concat_extras([s.image_extras for s in kept], [len(s.image_rows) for s in kept]),
    )


def _shift(parts: list[Index], starts: Index) -> Index:
    return np.concatenate([np.where(p >= 0, p + s, -1) for p, s in zip(parts, starts[:-1].tolist(), strict=True)])


def _concat(tables: list[Any]) -> dict[str, NDArray[Any]]:
    joined: dict[str, NDArray[Any]] = {}
    for name in tables[0]:
        columns = [table[name] for table in tables]
        if any(column.dtype == object for column in columns):
            joined[name] = as_column([value for column in columns for value in column.tolist()])
        else:
            joined[name] = np.concatenate(columns)
    return joined


def _concat_extras(tables: list[Any], sizes: list[int]) -> dict[str, NDArray[Any]]:
    names = dict.fromkeys(name for table in tables for name in table)
    return {
        name: np.concatenate(
            [table.get(name, np.full(n, None, object)) for table, n in zip(tables, sizes, strict=True)]
        )
        for name in names
    }


def _merge_top(sources: list[RowSource], collector: Collector) -> bytes:
    """The first top level, with the categories that only later inputs have."""
    tops = [msgspec.json.decode(source.top, type=dict[str, msgspec.Raw]) for source in sources]
    merged: dict[str, Any] = dict(tops[0])
    categories = msgspec.json.decode(bytes(merged.get("categories", b"[]")))
    for number, top in enumerate(tops[1:], start=2):
        for entry in msgspec.json.decode(bytes(top.get("categories", b"[]"))):
            known = next((one for one in categories if one.get("id") == entry.get("id")), None)
            if known is None:
                categories.append(entry)
            elif known.get("name") != entry.get("name"):
                raise RecordError(
                    f"category {entry.get('id')} has another name in input {number}",
                    code="KP-MERGE-CATEGORY",
                    place=f"input {number}: categories",
                    expected=str(known.get("name")),
                    got=str(entry.get("name")),
                    help="give the categories the same ids first",
                )
        for key, value in top.items():
            if key in {"images", "annotations", "categories"}:
                continue
            if key not in merged:
                merged[key] = value
            elif msgspec.json.decode(bytes(value)) != msgspec.json.decode(bytes(merged[key])):
                collector.issue("KP-MERGE-TOP", f"'{key}' differs between the inputs; the first is kept")
    if "categories" in merged:
        merged["categories"] = msgspec.Raw(msgspec.json.encode(categories))
    return msgspec.json.encode(merged)
