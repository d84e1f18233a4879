"""The raw rows of a COCO source inside a native dataset, so that COCO can still be given back byte for byte.

Raw rows stand in a column of their own and are read when they are asked for. The columns as the source had them are
stored only where the dataset's have changed since.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.skeleton import Skeleton
from kpkit.core.table import Column, as_ids
from kpkit.errors import FormatError
from kpkit.formats.jsonrows import IMAGE_COLUMNS, ROW_COLUMNS, MemoryRows, Rows, RowSource, iterate
from kpkit.formats.native_columns import HELP, IMAGE_KINDS, Kind, Reader, encode, instance_kinds, stored_name
from kpkit.formats.native_parquet import LazyRows, RawRows, RowCache
from kpkit.formats.rowdiff import differs

if TYPE_CHECKING:
    import pyarrow as pa

PREFIX = "source:"
_FLAG = Kind(np.bool_, default=False)
_INDEX = Kind(np.int64)
_SEPARATOR = re.compile(rb",[ \t\r\n]*")


def raw_rows(rows: Rows, row_of: NDArray[np.int64]) -> RawRows:
    """Raw rows piece by piece, None where an instance has none."""

    def piece(first: int, last: int) -> list[bytes | None]:
        part = row_of[first:last]
        found = iterate(rows, part[part >= 0])
        return [next(found) if row >= 0 else None for row in part.tolist()]

    return piece


def separator_of(rows: Rows, row_of: NDArray[np.int64]) -> bytes:
    """What stands between rows that follow each other in their source: a comma, as a rule with white space."""
    first = row_of[:64]
    if len(first) < 10 or first[0] < 0 or not (np.diff(row_of) == 1).all():
        return b","
    lengths = [len(rows.get(row)) for row in first.tolist()]
    joined = b"".join(bytes(piece) for piece in rows.chunks(first))
    found = joined[lengths[0] : lengths[0] + (len(joined) - sum(lengths)) // (len(first) - 1)]
    return found if _SEPARATOR.fullmatch(found) else b","


class SourceColumns:
    """What of a RowSource is stored beside a dataset's columns.

    instances, images   Arrow columns      document  the section `source` of dataset.json
    """

    def __init__(self, dataset: Dataset, source: RowSource) -> None:
        has = source.row_of >= 0
        self.document: dict[str, Any] = {
            "format": source.format,
            "variant": source.variant,
            "image_rows": bool(len(source.image_rows)),
            "image_columns": sorted(source.image_columns),
            "separator": separator_of(source.rows, source.row_of).decode("ascii"),
            "image_separator": separator_of(source.image_rows, source.image_row_of).decode("ascii"),
        }
        if source.skeleton.to_dict() != dataset.skeleton.to_dict():
            self.document["skeleton"] = source.skeleton.to_dict()
        self.instances = encode(f"{PREFIX}none", ~has, _FLAG)
        self.instances |= encode(f"{PREFIX}ghost", has & np.isin(source.row_of, source.ghosts), _FLAG)
        kinds = instance_kinds(len(source.skeleton))
        for name in ROW_COLUMNS:
            now: Column = getattr(dataset, name)
            self.instances |= _as_read(stored_name(name), now, source.columns[name], source.row_of, kinds[name])
        self.images = encode(f"{PREFIX}none", source.image_row_of < 0, _FLAG)
        for name in IMAGE_COLUMNS + (("split",) if "split" in source.image_columns else ()):
            if name in source.image_columns and len(source.image_rows):
                now = getattr(dataset.images, name)
                before = source.image_columns[name]
                self.images |= _as_read(name, now, before, source.image_row_of, IMAGE_KINDS[name])
        self._image_of(dataset, source)

    def _image_of(self, dataset: Dataset, source: RowSource) -> None:
        """Which image a row named: as a rule the one the instance is in now; the ids of others are listed."""
        ids = source.image_columns["id"]
        known = _before(dataset.images.id, ids, source.image_row_of if len(source.image_rows) else None)
        index = dataset.image_index.copy()
        rows = np.flatnonzero(source.row_of >= 0)
        others: list[Any] = []
        if len(rows):
            named = ids[source.image_of[source.row_of[rows]]]
            moved = differs(named, known[index[rows]])
            for row, value in zip(rows[moved].tolist(), named[moved].tolist(), strict=True):
                index[row] = len(known) + len(others)
                others.append(value)
        if others:
            self.document["other_image_ids"] = others
            self.instances |= encode(f"{PREFIX}image_of", index, Kind(np.int64, needed=True))


def _before(now: Column, before: Column, row_of: NDArray[np.int64] | None) -> Column:
    """The column as the source had it, by present row; the present value where there is no source row."""
    if row_of is None or not len(before) or not (row_of >= 0).any():
        return now
    if now.dtype == before.dtype and now.shape[1:] == before.shape[1:]:
        has = (row_of >= 0).reshape(-1, *[1] * (now.ndim - 1))
        return np.where(has, before[row_of], now)
    spread: Column = before[np.maximum(row_of, 0)]
    return spread


def _as_read(name: str, now: Column, before: Column, row_of: NDArray[np.int64], kind: Kind) -> dict[str, pa.Array]:
    old = _before(now, before, row_of)
    if old is now or (old.dtype == now.dtype and old.shape == now.shape and not differs(old, now).any()):
        return {}
    return encode(PREFIX + name, old, Kind(kind.dtype, kind.shape, needed=True, nullable=kind.nullable))


def restore(
    columns: Mapping[str, Column],
    skeleton: Skeleton,
    images: ImageTable,
    readers: tuple[Reader, Reader],
    files: tuple[Path, Path],
    document: Mapping[str, Any],
    top: bytes,
    cache: RowCache | None = None,
) -> RowSource:
    """The source of a dataset that was read; raw rows stay in their files.

    columns  instance columns as read      readers, files  of instances and images      document  section `source`
    cache    holds raw rows that were read last
    """
    n, m = len(columns["image_index"]), len(images)
    before = skeleton if "skeleton" not in document else Skeleton.from_dict(document["skeleton"])
    kinds = instance_kinds(len(before))
    of_rows, of_images = readers
    has_rows = bool(document.get("image_rows"))
    image_columns: dict[str, Column] = {}
    for name in document.get("image_columns", ()):
        if name in IMAGE_KINDS:
            image_columns[name] = _old(of_images, name, getattr(images, name), IMAGE_KINDS[name], of_images.place)
    needed = {"id", *(IMAGE_COLUMNS if has_rows else ())}
    if missing := sorted(needed - image_columns.keys()):
        raise KeyError(f"image_columns without {', '.join(missing)}")
    others = document.get("other_image_ids", [])
    if others:
        image_columns = {name: _longer(name, column, others) for name, column in image_columns.items()}
    image_of = columns["image_index"]
    if f"{PREFIX}image_of" in of_rows.names:
        image_of = of_rows.column(f"{PREFIX}image_of", _INDEX)
    if len(image_of) and not 0 <= image_of.min() <= image_of.max() < m + len(others):
        raise FormatError(
            "raw rows name images that are not there", code="KP-NATIVE-COLUMN", place=of_rows.place, help=HELP
        )
    none = of_rows.column(f"{PREFIX}none", _FLAG)
    no_image = of_images.column(f"{PREFIX}none", _FLAG)
    return RowSource(
        top=top,
        variant=str(document.get("variant", "")),
        rows=LazyRows(files[0], n, _separator(document, "separator"), cache) if n else MemoryRows(b"", []),
        image_rows=LazyRows(files[1], m, _separator(document, "image_separator"), cache)
        if m and has_rows
        else MemoryRows(b"", []),
        row_of=np.where(none, -1, np.arange(n)),
        image_row_of=np.where(no_image, -1, np.arange(m)),
        columns={
            name: _old(of_rows, stored_name(name), columns[name], kinds[name], of_rows.place) for name in ROW_COLUMNS
        },
        image_columns=image_columns,
        image_of=image_of,
        skeleton=before,
        ghosts=np.flatnonzero(of_rows.column(f"{PREFIX}ghost", _FLAG)),
        format=str(document.get("format", "coco")),
    )


def _separator(document: Mapping[str, Any], key: str) -> bytes:
    separator = str(document.get(key, ",")).encode()
    if _SEPARATOR.fullmatch(separator):
        return separator
    raise FormatError("no separator of JSON rows", code="KP-NATIVE-DOCUMENT", place=f"source.{key}", help=HELP)


def _old(reader: Reader, name: str, now: Column, kind: Kind, place: str) -> Column:
    stored = PREFIX + name
    if stored in reader.names or stored + "_json" in reader.names:
        return reader.column(stored, Kind(kind.dtype, kind.shape, needed=True, nullable=kind.nullable))
    if kind.dtype is not object and now.shape[1:] != kind.shape:
        if kind.width == 0:
            return np.zeros((len(now), *kind.shape), kind.dtype)
        raise FormatError(f"column '{stored}' is missing", code="KP-NATIVE-COLUMN", place=place, help=HELP)
    return now


def _longer(name: str, column: Column, others: list[Any]) -> Column:
    """The column with rows for images that are no longer in the table; only their ids are ever looked at."""
    if name == "id":
        return as_ids([*column.tolist(), *others])
    fill = np.full(len(others), -1 if column.dtype != object else "", column.dtype)
    return np.concatenate((column, fill))
