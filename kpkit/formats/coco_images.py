"""The image rows of a COCO file: typed columns, and duplicate rows merged where they agree."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from kpkit.core.dataset import ImageTable
from kpkit.core.report import Collector
from kpkit.core.table import Column, as_ids
from kpkit.errors import RecordError
from kpkit.formats.coco_parse import row_error
from kpkit.formats.jsonspans import Spans
from kpkit.guard import contained


class ImageExtra(msgspec.Struct, gc=False):
    """The `kpkit` key of an image: what COCO itself cannot say."""

    split: str = ""
    extras: dict[str, Any] | None = None


class ImageRow(msgspec.Struct, gc=False):
    """The canonical fields of an image."""

    id: int | str
    file_name: str = ""
    width: int | UnsetType | None = UNSET
    height: int | UnsetType | None = UNSET
    kpkit: ImageExtra | None = None


@dataclass(frozen=True)
class Images:
    """table  merged images    row_of  [M] int64 raw row of each    seen  raw rows before merging"""

    table: ImageTable
    row_of: NDArray[np.int64]
    seen: int


def read_images(raws: Sequence[Any], path: Path, collector: Collector) -> Images:
    """Decode image rows; rows of one id are merged if identical.

    Raises GuessError for Spans that are no rows, and RecordError for a row of the wrong type, a file name outside
    the dataset, or two rows of one id that differ.
    """
    rows = _decode(raws, path, collector)
    ids = as_ids([row.id for row in rows])
    keep = _merge(ids, raws, path, collector)
    kept = rows if len(keep) == len(rows) else [rows[i] for i in keep.tolist()]
    names = _posix_names([row.file_name for row in kept], keep, path, collector)
    table = ImageTable.build(
        id=ids[keep],
        path=names,
        width=_sides([row.width for row in kept]),
        height=_sides([row.height for row in kept]),
        split=[row.kpkit.split if row.kpkit else "" for row in kept],
        extras=_extras([row.kpkit.extras if row.kpkit else None for row in kept]),
    )
    return Images(table, keep, len(rows))


def _decode(raws: Sequence[Any], path: Path, collector: Collector) -> list[ImageRow]:
    if isinstance(raws, Spans):
        return raws.decoded(msgspec.json.Decoder(list[ImageRow]).decode)
    decode = msgspec.json.Decoder(ImageRow).decode
    rows: list[ImageRow] = []
    try:
        for raw in raws:
            rows.append(decode(raw))
    except (msgspec.MsgspecError, RecursionError):
        rows = []
        for i, raw in enumerate(raws):
            try:
                rows.append(decode(raw))
            except (msgspec.MsgspecError, RecursionError) as error:
                collector.error(row_error(error, path, f"images[{i}]", bytes(raw)))
                rows.append(ImageRow(id=f"unreadable row {i}"))
    return rows


def _sides(values: list[int | UnsetType | None]) -> Any:
    """Pixels; -1 for what is no length."""
    if set(map(type, values)) <= {int}:
        with contextlib.suppress(OverflowError):
            given = np.array(values, np.int64)
            return np.where((given > 0) & (given < 2**31), given, -1)
    return [_side(value) for value in values]


def _side(value: int | UnsetType | None) -> int:
    return value if isinstance(value, int) and 0 < value < 2**31 else -1


def _posix_names(names: list[str], rows: NDArray[np.int64], path: Path, collector: Collector) -> list[str]:
    """The names with slashes; an error for each that leads out of the dataset."""
    # One look at everything together; only a suspicious list is looked at name by name.
    joined = "\n".join(names)
    if not any(sign in joined for sign in ("..", "\\", "\0", ":", "/")):
        return names
    checked = list(names)
    for i, (row, name) in enumerate(zip(rows.tolist(), names, strict=True)):
        try:
            checked[i] = contained(name, place=f"{path}: images[{row}].file_name")
        except RecordError as error:
            collector.error(error)
    return checked


def _merge(ids: Column, raws: Sequence[Any], path: Path, collector: Collector) -> NDArray[np.int64]:
    """Raw rows to keep, the first of each id, in order."""
    if ids.dtype != object:
        _, first, group = np.unique(ids, return_index=True, return_inverse=True)
    else:
        seen: dict[Any, int] = {}
        group = np.array([seen.setdefault(value, len(seen)) for value in ids.tolist()], np.int64)
        first = np.unique(group, return_index=True)[1]
    if len(first) == len(ids):
        return np.arange(len(ids))
    repeated = np.setdiff1d(np.arange(len(ids)), first).tolist()
    differing: set[int] = set()
    for row in repeated:
        original = int(first[group[row]])
        if bytes(raws[row]) != bytes(raws[original]) and _value(raws[row]) != _value(raws[original]):
            differing.add(row)
            collector.error(
                RecordError(
                    f"image id {ids[row]} stands for two different images",
                    code="KP-COCO-IMAGE-ID",
                    place=f"{path}: images[{row}]",
                    expected=f"the same fields as images[{original}]",
                    got=bytes(raws[row])[:120].decode("utf-8", "replace"),
                    help="give one of them another id",
                )
            )
    repeated = [row for row in repeated if row not in differing]
    times = int(np.bincount(group).max())
    collector.issue(
        "KP-COCO-IMAGE-TWICE",
        f"image rows listed more than once and merged: {len(first)} images in {len(ids)} rows, up to {times} times",
        places=[f"{path}: images[{row}]" for row in repeated[: collector.places_kept]],
        count=len(repeated),
    )
    return np.sort(first).astype(np.int64)


def _value(raw: Any) -> Any:
    return msgspec.json.decode(raw)


def _extras(values: list[dict[str, Any] | None]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for value in values if value for name in value)
    return {name: [value.get(name) if value else None for value in values] for name in names}
