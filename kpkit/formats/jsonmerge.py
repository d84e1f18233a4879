"""The raw rows of several COCO files as one source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset
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


def merge_sources(
    datasets: Sequence[Dataset], names: Sequence[str], row_of: Index, m: int, collector: Collector
) -> RowSource | None:
    """One source for datasets put one after the other; None where no input kept its rows.

    names   of the inputs, for messages
    row_of  merged image row of every input image row    m  merged images
    """
    kept = _kept(datasets, names, collector)
    sources = [source for source in kept if source is not None]
    if not sources:
        return None
    rows, image_rows = ChainedRows.of([s.rows for s in sources]), ChainedRows.of([s.image_rows for s in sources])
    raw = _shift(kept, "image_row_of", image_rows.starts, [len(dataset.images) for dataset in datasets])
    image_row_of = _merge_image_rows(raw, row_of, m)
    _report_lost_fields(image_rows, raw, image_row_of[row_of], collector)
    return RowSource(
        top=_merge_top(kept, names, collector),
        variant="ground truth",
        rows=rows,
        image_rows=image_rows,
        row_of=_shift(kept, "row_of", rows.starts, [len(d) for d in datasets]),
        image_row_of=image_row_of,
        columns=_concat([s.columns for s in sources]),
        image_columns=_concat([s.image_columns for s in sources]),
        image_of=_shift(sources, "image_of", image_rows.starts),
        skeleton=sources[0].skeleton,
        ghosts=_shift(sources, "ghosts", rows.starts),
        extras=_concat_extras([s.extras for s in sources], [len(s.rows) for s in sources]),
        image_extras=_concat_extras([s.image_extras for s in sources], [len(s.image_rows) for s in sources]),
    )


def _kept(datasets: Sequence[Dataset], names: Sequence[str], collector: Collector) -> list[RowSource | None]:
    """The raw rows of each input; None where it has none, or where its rows have other joints than the first's."""
    kept = [dataset.source if isinstance(dataset.source, RowSource) else None for dataset in datasets]
    first = next((source for source in kept if source is not None), None)
    for number, source in enumerate(kept):
        if source is not None and first is not None and not source.skeleton.same_joints(first.skeleton):
            kept[number] = None
            collector.issue(
                "KP-MERGE-ROWS",
                "inputs whose raw rows have other joints than the first's; fields only raw rows hold are left out",
                place=names[number],
            )
    return kept


def _shift(sources: Sequence[RowSource | None], name: str, starts: Index, sizes: Sequence[int] | None = None) -> Index:
    """Row numbers of single sources as numbers of the chained rows, one input after the other; -1 stays.

    sizes  how many there are of an input without a source
    """
    parts: list[Index] = []
    offsets = iter(starts.tolist())
    for number, source in enumerate(sources):
        if source is None:
            parts.append(np.full(sizes[number] if sizes is not None else 0, -1, np.int64))
        else:
            part, start = getattr(source, name), next(offsets)
            parts.append(np.where(part >= 0, part + start, -1))
    return np.concatenate(parts)


def _merge_image_rows(raw: Index, row_of: Index, m: int) -> Index:
    """[m] raw row of each merged image: that of the first input that has one.

    raw, row_of  raw row, and merged row, of every input image
    """
    merged = np.full(m, -1, np.int64)
    has = np.flatnonzero(raw >= 0)[::-1]
    merged[row_of[has]] = raw[has]
    return merged


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


def _equal(one: bytes, other: bytes) -> bool:
    """Whether two JSON values are the same; numbers too long for the decoder are compared as they are written."""
    try:
        return one == other or bool(msgspec.json.decode(one) == msgspec.json.decode(other))
    except msgspec.MsgspecError:
        return False


def _merge_top(sources: Sequence[RowSource | None], names: Sequence[str], collector: Collector) -> bytes:
    """The first top level, with the categories and fields that only later inputs have."""
    merged: dict[str, Any] = {}
    categories: list[dict[str, Any]] = []
    for name, source in zip(names, sources, strict=True):
        if source is None:
            continue
        top = msgspec.json.decode(source.top, type=dict[str, msgspec.Raw])
        _add_categories(categories, msgspec.json.decode(bytes(top.get("categories", b"[]"))), name, collector)
        for key, value in top.items():
            if key not in merged:
                merged[key] = value
            elif key != "categories" and not _equal(bytes(value), bytes(merged[key])):
                collector.issue("KP-MERGE-TOP", f"'{key}' differs between the inputs; the first is kept", place=name)
    if "categories" in merged:
        merged["categories"] = msgspec.Raw(msgspec.json.encode(categories))
    return msgspec.json.encode(merged)


def _add_categories(known: list[dict[str, Any]], others: list[dict[str, Any]], name: str, collector: Collector) -> None:
    for entry in others:
        same = next((one for one in known if one.get("id") == entry.get("id")), None)
        if same is None:
            known.append(entry)
        elif same.get("name") != entry.get("name"):
            raise RecordError(
                f"category {entry.get('id')} has another name than in the inputs before",
                code="KP-MERGE-CATEGORY",
                place=f"{name}: categories",
                expected=str(same.get("name")),
                got=str(entry.get("name")),
                help="give the categories the same ids first",
            )
        elif same != entry:
            collector.issue(
                "KP-MERGE-TOP", f"category {entry.get('id')} differs between the inputs; the first is kept", place=name
            )


def _report_lost_fields(rows: Rows, raw: Index, standing: Index, collector: Collector) -> None:
    """Count images whose raw row gave way to another one that says something else.

    raw, standing  raw row of every input image, and the one written for it
    """
    for image in np.flatnonzero((raw >= 0) & (raw != standing)).tolist():
        lost, kept = (msgspec.json.decode(rows.get(int(row[image]))) for row in (raw, standing))
        if {**lost, "id": None} != {**kept, "id": None}:
            collector.issue(
                "KP-MERGE-IMAGE-FIELDS",
                "images whose other fields differ between the inputs; the first's are kept",
                place=str(lost.get("file_name", "")),
            )
