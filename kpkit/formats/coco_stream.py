"""COCO ground truth in little memory: rows stay in the file, only columns and places are held.

The file is passed over twice, once for the places of its rows and once to decode them, and read again when unchanged
rows are written. It must not change meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.errors import FormatError
from kpkit.formats.base import ReadOptions
from kpkit.formats.coco_images import read_images
from kpkit.formats.coco_parse import BOM, explain, parse
from kpkit.formats.coco_read import assemble, read_ground_truth
from kpkit.formats.coco_results import read_results
from kpkit.formats.coco_skeleton import read_categories
from kpkit.formats.jsonfile import FileRows
from kpkit.formats.jsonrows import Rows, iterate
from kpkit.formats.jsonscan import Scan, scan
from kpkit.guard import read_bytes

# Rows decoded at a time: fewer than the ordinary reader takes, for less memory.
SMALL = 1024


def read_streamed(path: Path, options: ReadOptions, collector: Collector) -> Dataset:
    """The same dataset as the ordinary reader's, in memory that holds the columns but not the file.

    Result lists have no polygons and are read the ordinary way. Raises what the ordinary reader raises.
    """
    head = read_bytes(path, limit=64).removeprefix(BOM).lstrip()
    if not head.startswith(b"{"):
        parsed = parse(path)
        return (read_results if parsed.results else read_ground_truth)(parsed, path, options, collector)
    found = scan(path, ("images", "annotations"))
    top = found.top.removeprefix(BOM)
    fields = top_of(top, path)
    images, rows = (rows_of(found, path, key, fields) for key in ("images", "annotations"))
    return assemble(
        path=path,
        top=top,
        categories=read_categories(
            bytes(fields["categories"]) if "categories" in fields else None, str(path), collector
        ),
        images=read_images(FileSequence(images, path, "images"), path, collector),
        blocks=blocks_of(rows, path),
        persons=len(rows),
        rows=lambda: rows,
        image_rows=images,
        options=options,
        collector=collector,
    )


def top_of(top: bytes, path: Path) -> dict[str, msgspec.Raw]:
    """The fields of the top level; FormatError where it is no object."""
    try:
        return msgspec.json.decode(top, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError) as error:
        explain(error, top, path)


def rows_of(found: Scan, path: Path, key: str, fields: dict[str, msgspec.Raw]) -> FileRows:
    """The places of the rows of one array; FormatError where it is none, or holds other things than objects."""
    if key not in fields:
        raise FormatError(
            f"not a COCO file: no '{key}'",
            code="KP-COCO-TOP",
            place=str(path),
            expected="an object with 'images', 'annotations' and 'categories'",
            got=", ".join(list(fields)[:8]) or "an empty object",
        )
    left = bytes(fields[key]).split()
    if b"".join(left) != b"[]":
        raise FormatError(
            f"'{key}' is not an array of objects",
            code="KP-COCO-TYPE",
            place=f"{path}: {key}",
            expected="[{...}, ...]",
            got=b" ".join(left)[:60].decode("utf-8", "replace"),
        )
    starts, ends = found.arrays.get(key, (np.zeros(0, np.int64), np.zeros(0, np.int64)))
    return FileRows(path, starts, ends)


class FileSequence(Sequence[bytes]):
    """Rows of a file as a sequence that is read as it is walked."""

    def __init__(self, rows: Rows, path: Path, key: str) -> None:
        self._rows, self._path, self._key = rows, path, key

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        return self._rows.get(index)

    def __iter__(self) -> Iterator[bytes]:
        return _raws(self._rows, self._path, self._key)


def _raws(rows: Rows, path: Path, key: str) -> Iterator[bytes]:
    try:
        yield from iterate(rows, np.arange(len(rows)), SMALL)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise FormatError(
            f"the rows of '{key}' are not valid JSON: {error}",
            code="KP-JSON-SYNTAX",
            place=f"{path}: {key}",
            help="read it without --low-memory to see the exact place",
        ) from error


def blocks_of(rows: Rows, path: Path) -> Iterator[list[bytes]]:
    """The rows in blocks of a usual size, in their order."""
    raws = _raws(rows, path, "annotations")
    while block := list(islice(raws, SMALL)):
        yield block
