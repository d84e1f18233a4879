"""Raw COCO rows into canonical columns, block by block, with every check that the format allows.

Typed decoding keeps nothing but the fields below; everything else stays in the raw row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from kpkit.core.report import Collector
from kpkit.core.table import as_column, as_ids
from kpkit.errors import RecordError
from kpkit.formats.coco_parse import row_error

BLOCK = 4096

Id = int | str


class Extra(msgspec.Struct, gc=False):
    """The `kpkit` key of an annotation: what COCO itself cannot say."""

    truncated: list[str] = []
    head_box: list[float] | None = None
    bbox_source: str = "annotated"
    area_source: str = ""
    extras: dict[str, Any] | None = None


class Row(msgspec.Struct, gc=False):
    """The canonical fields of an annotation or a detection."""

    image_id: Id
    category_id: Id | UnsetType = UNSET
    id: Id | UnsetType = UNSET
    keypoints: list[float] | None | UnsetType = UNSET
    bbox: list[float] | None | UnsetType = UNSET
    area: float | None | UnsetType = UNSET
    iscrowd: int | bool = 0
    num_keypoints: int | None | UnsetType = UNSET
    track_id: Id | None | UnsetType = UNSET
    score: float | list[float] | None | UnsetType = UNSET
    segmentation: msgspec.Raw = msgspec.Raw()
    kpkit: Extra | None = None


@dataclass
class Columns:
    """Columns of n rows, as in Dataset; `keypoints` is float64 [n, K, 3] exactly as written."""

    keypoints: NDArray[np.float64]
    ids: list[Id | None] = field(default_factory=list)
    image_ids: list[Id] = field(default_factory=list)
    category_ids: list[Id] = field(default_factory=list)
    bbox: list[NDArray[np.float64]] = field(default_factory=list)
    area: list[NDArray[np.float64]] = field(default_factory=list)
    score: list[NDArray[np.float64]] = field(default_factory=list)
    is_crowd: list[NDArray[np.bool_]] = field(default_factory=list)
    track_ids: list[Id | None] = field(default_factory=list)
    num_keypoints: list[int] = field(default_factory=list)
    kpkit: dict[int, Extra] = field(default_factory=dict)
    rows_without_keypoints: int = 0


class ColumnReader:
    """Decodes rows into columns; one for one file.

    path       for messages          k       joints a person
    results    rows are detections: no ids, the third value of a keypoint is a score
    capacity   rows expected (grown when there are more)
    """

    def __init__(self, path: Path, k: int, *, results: bool, collector: Collector, capacity: int) -> None:
        self.path, self.k, self.results, self.collector = path, k, results, collector
        self._decode = msgspec.json.Decoder(Row).decode
        self.columns = Columns(keypoints=np.zeros((capacity, k, 3)))
        self.n = 0

    def add(self, raws: Sequence[Any]) -> None:
        """Decode and check one block of raw rows (about 4,096 keeps memory low)."""
        rows = self._rows(raws)
        start, c = self.n, self.columns
        self._grow(start + len(rows))
        c.ids += [None if row.id is UNSET else row.id for row in rows]
        c.image_ids += [row.image_id for row in rows]
        c.category_ids += [1 if row.category_id is UNSET else row.category_id for row in rows]
        self._add_keypoints(rows, start)
        c.num_keypoints += [row.num_keypoints if isinstance(row.num_keypoints, int) else -1 for row in rows]
        self._add_boxes(rows, start)
        c.area.append(_floats(row.area for row in rows))
        c.score.append(_floats(row.score if isinstance(row.score, float) else None for row in rows))
        c.is_crowd.append(np.fromiter((bool(row.iscrowd) for row in rows), bool, len(rows)))
        c.track_ids += [None if row.track_id is UNSET else row.track_id for row in rows]
        c.kpkit.update({start + i: row.kpkit for i, row in enumerate(rows) if row.kpkit is not None})
        self._check_required(rows, start)
        self.n += len(rows)

    def place(self, row: int, rest: str = "") -> str:
        """`file.json: annotations[row]` and so on."""
        return f"{self.path}: {'' if self.results else 'annotations'}[{row}]{rest}"

    def finish(self) -> dict[str, NDArray[Any]]:
        """All columns as arrays: ids as int64 or object, bbox [n,4], area, score, is_crowd, track_id."""
        c, n = self.columns, self.n
        return {
            "ids": as_ids(np.arange(1, n + 1) if self.results else c.ids),
            "image_ids": as_ids(c.image_ids),
            "category_ids": as_ids(c.category_ids),
            "keypoints": c.keypoints[:n],
            "bbox": np.concatenate(c.bbox) if c.bbox else np.zeros((0, 4)),
            "area": np.concatenate(c.area) if c.area else np.zeros(0),
            "score": np.concatenate(c.score) if c.score else np.zeros(0),
            "is_crowd": np.concatenate(c.is_crowd) if c.is_crowd else np.zeros(0, bool),
            "track_id": as_column(c.track_ids),
        }

    def _rows(self, raws: Sequence[Any]) -> list[Row]:
        decode = self._decode
        try:
            return [decode(raw) for raw in raws]
        except (msgspec.MsgspecError, RecursionError):
            return [self._explained(raw, self.n + i) for i, raw in enumerate(raws)]

    def _explained(self, raw: Any, row: int) -> Row:
        try:
            decoded: Row = self._decode(raw)
            return decoded
        except (msgspec.MsgspecError, RecursionError) as error:
            where = self.place(row).removeprefix(f"{self.path}: ")
            self.collector.error(row_error(error, self.path, where, bytes(raw)))
            # Only reached when findings are collected: the row goes on without the field that is wrong.
            return Row(image_id=_peek(raw, "image_id"), id=_peek(raw, "id"))

    def _grow(self, rows: int) -> None:
        if rows > len(self.columns.keypoints):
            bigger = np.zeros((max(rows, 2 * len(self.columns.keypoints)), self.k, 3))
            bigger[: self.n] = self.columns.keypoints[: self.n]
            self.columns.keypoints = bigger

    def _add_keypoints(self, rows: list[Row], start: int) -> None:
        width = 3 * self.k
        lists = [row.keypoints or None for row in rows]  # UNSET, None and [] all mean: no keypoints
        if all(values is not None and len(values) == width for values in lists):
            flat = chain.from_iterable(lists)  # type: ignore[arg-type] # no None left, checked above
            block = np.fromiter(flat, np.float64, len(rows) * width)
            self.columns.keypoints[start : start + len(rows)] = block.reshape(len(rows), self.k, 3)
            return
        for i, values in enumerate(lists):
            if values is None:
                self.columns.rows_without_keypoints += 1
            elif len(values) == width:
                self.columns.keypoints[start + i] = np.reshape(values, (self.k, 3))
            else:
                self.collector.error(self._wrong_length(len(values), start + i))

    def _wrong_length(self, got: int, row: int) -> RecordError:
        return RecordError(
            "'keypoints' has the wrong length",
            code="KP-COCO-LENGTH",
            place=self.place(row, ".keypoints"),
            expected=f"{3 * self.k} numbers (x, y, v for each of {self.k} joints)",
            got=f"{got} numbers",
            help="check that the category lists the joints these annotations have, or name them with --skeleton",
        )

    def _add_boxes(self, rows: list[Row], start: int) -> None:
        boxes = [row.bbox or None for row in rows]
        if all(box is not None and len(box) == 4 for box in boxes):
            flat = chain.from_iterable(boxes)  # type: ignore[arg-type] # no None left, checked above
            self.columns.bbox.append(np.fromiter(flat, np.float64, 4 * len(rows)).reshape(-1, 4))
            return
        block = np.full((len(rows), 4), np.nan)
        for i, box in enumerate(boxes):
            if box is None:
                continue
            if len(box) == 4:
                block[i] = box
            else:
                self.collector.error(
                    RecordError(
                        "'bbox' has the wrong length",
                        code="KP-COCO-BBOX",
                        place=self.place(start + i, ".bbox"),
                        expected="4 numbers (x, y, width, height)",
                        got=f"{len(box)} numbers",
                    )
                )
        self.columns.bbox.append(block)

    def _check_required(self, rows: list[Row], start: int) -> None:
        if self.results:
            return
        for name in ("id", "category_id"):
            if any(getattr(row, name) is UNSET for row in rows):
                first = next(i for i, row in enumerate(rows) if getattr(row, name) is UNSET)
                self.collector.error(
                    RecordError(
                        f"an annotation has no '{name}'",
                        code="KP-COCO-MISSING",
                        place=self.place(start + first),
                        expected=f"a field '{name}'",
                        got=_keys(rows[first]),
                    )
                )


def _floats(values: Iterable[Any]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None or value is UNSET else value for value in values], np.float64)


def _peek(raw: Any, name: str) -> Any:
    try:
        value = msgspec.json.decode(raw).get(name)
    except (msgspec.MsgspecError, RecursionError, AttributeError):
        return -1
    return value if isinstance(value, int | str) else -1


def _keys(row: Row) -> str:
    present = [name for name in row.__struct_fields__ if name != "segmentation" and getattr(row, name) is not UNSET]
    return "fields " + ", ".join(present)


def row_decoder(path: Path, raw: Any) -> Row:
    """The first row of a result list, decoded alone."""
    try:
        return msgspec.json.decode(raw, type=Row)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise row_error(error, path, "[0]", bytes(raw)) from error
