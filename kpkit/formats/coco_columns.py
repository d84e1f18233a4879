"""Raw COCO rows into canonical columns, block by block.

Typed decoding keeps nothing but the fields below; everything else stays in the raw row. Blocks of a few thousand rows
keep the decoded numbers in the processor's cache and the memory low.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from kpkit.core.report import Collector
from kpkit.core.table import Column, as_column, as_ids
from kpkit.errors import RecordError
from kpkit.formats.coco_checks import check_flags, look_at_points
from kpkit.formats.coco_numbers import NOTHING, flat_numbers, rows_of_numbers
from kpkit.formats.coco_parse import fields_of, row_error
from kpkit.formats.jsonspans import Spans

BLOCK = 4096

Id = int | str


class Extra(msgspec.Struct, gc=False):
    """The `kpkit` key of an annotation: what COCO itself cannot say."""

    truncated: list[str] = []
    head_box: list[float] | None = None
    bbox_source: str = ""
    area_source: str = ""
    extras: dict[str, Any] | None = None


class _Fields(msgspec.Struct, gc=False):
    """The canonical fields of an annotation or a detection, but for the keypoints."""

    image_id: Id
    category_id: Id | UnsetType = UNSET
    id: Id | UnsetType = UNSET
    bbox: list[float] | UnsetType | None = UNSET
    area: float | None = None
    iscrowd: int | bool | None = 0
    num_keypoints: int | None = None
    track_id: Id | None = None
    score: float | list[float] | None = None
    kpkit: Extra | None = None


class Row(_Fields, gc=False):
    """A row with its keypoints as numbers."""

    keypoints: list[float] | UnsetType | None = UNSET


class _QuickRow(_Fields, gc=False):
    """A row with its keypoints as text, to be read many at a time."""

    keypoints: msgspec.Raw = msgspec.Raw()


# Rows, their keypoints [n, K * 3] as written (zeros where there are none), and where there are none [n].
_Block = tuple[Sequence[_Fields], NDArray[np.float64], NDArray[np.bool_]]


class ColumnReader:
    """Decodes rows into columns; one for one file.

    path       for messages          k         joints a person
    results    rows are detections: no ids, the third value of a keypoint is a score
    names      of the joints, for messages
    capacity   rows expected (grown when there are more)
    base       row of the file that is the first one here, for messages
    unreadable rows to leave out, because an error about them was collected
    faulty     rows whose keypoints are wrong: nothing more is said about them
    """

    def __init__(
        self,
        path: Path,
        names: tuple[str, ...],
        *,
        results: bool,
        collector: Collector,
        capacity: int,
        base: int = 0,
    ) -> None:
        self.path, self.names, self.results, self.collector = path, names, results, collector
        self.k = len(names)
        self.n, self.base = 0, base
        self._decode = msgspec.json.Decoder(Row).decode
        self._decode_quickly = msgspec.json.Decoder(_QuickRow).decode
        self._decode_together = msgspec.json.Decoder(list[_QuickRow]).decode
        self._columns: dict[str, NDArray[Any]] = {
            "xy": np.empty((capacity, self.k, 2)),
            "visibility": np.empty((capacity, self.k), np.uint8),
            "bbox": np.empty((capacity, 4)),
            "area": np.empty(capacity),
            "score": np.empty(capacity),
            "is_crowd": np.empty(capacity, bool),
        }
        self.kpkit: dict[int, Extra] = {}
        self.ghosts: list[int] = []
        self.unreadable: set[int] = set()
        self.faulty: set[int] = set()
        self._parts: dict[str, list[Any]] = {}

    def add(self, raws: Sequence[Any]) -> None:
        """Decode and check one block of raw rows. Raises GuessError for Spans that are no rows."""
        rows, keypoints, bare = self._quick_rows(raws) or self._slow_rows(raws)
        self._grow(self.n + len(rows))
        self._check_required(rows, raws)
        self._put("id", _id_list(rows, "id"))
        self._put("image_id", as_ids([row.image_id for row in rows]))
        self._put("category_id", _id_list(rows, "category_id"))
        self._put("bbox", self._boxes(rows))
        self._put("area", np.array([row.area for row in rows], np.float64))
        self._put("is_crowd", np.array([row.iscrowd for row in rows], bool))
        self._put("score", _scores(rows))
        self._put("track_id", _optional([row.track_id for row in rows]))
        self.kpkit.update({self.n + i: row.kpkit for i, row in enumerate(rows) if row.kpkit is not None})
        stated = np.array([-1 if row.num_keypoints is None else row.num_keypoints for row in rows])
        self._put_points(keypoints.reshape(len(rows), self.k, 3), stated, bare)
        self.n += len(rows)

    def place(self, row: int, rest: str = "") -> str:
        """`file.json: annotations[row]` and so on."""
        return f"{self.path}: {'' if self.results else 'annotations'}[{self.base + row}]{rest}"

    def finish(self) -> dict[str, NDArray[Any]]:
        """All columns: id, image_id, category_id, bbox [n,4], area, is_crowd, score, track_id, xy, visibility."""
        columns = {name: column[: self.n] for name, column in self._columns.items()}
        for name, kind in (("id", np.int64), ("image_id", np.int64), ("category_id", np.int64), ("track_id", object)):
            columns[name] = np.concatenate(self._parts.pop(name, [np.zeros(0, kind)]))
        if self.results:
            columns["id"] = np.arange(1, self.n + 1)
        return columns

    def _put(self, name: str, values: Column) -> None:
        if name in self._columns:
            self._columns[name][self.n : self.n + len(values)] = values
        else:  # ids may turn out to be text
            self._parts.setdefault(name, []).append(values)

    def _put_points(self, keypoints: NDArray[np.float64], stated: NDArray[np.int64], bare: NDArray[np.bool_]) -> None:
        """Flags and coordinates of a block into the columns; NaN where unlabelled.

        stated  [n]  num_keypoints, -1 not given    bare  [n]  bool  the row has no keypoints
        """
        # Each axis by itself: numpy is slow along an axis of two or three.
        x, y, third = np.ascontiguousarray(np.moveaxis(keypoints, -1, 0))
        if self.results:
            flags = np.full(third.shape, 2, np.uint8)
            flags[bare] = 0
        else:
            flags = check_flags(third, self)
            self.ghosts += look_at_points((x, y), flags, stated, self)
        xy, labelled = self._columns["xy"][self.n : self.n + len(flags)], flags != 0
        xy[..., 0], xy[..., 1] = np.where(labelled, x, np.nan), np.where(labelled, y, np.nan)
        self._put("visibility", flags)

    def _quick_rows(self, raws: Sequence[Any]) -> _Block | None:
        """A block decoded in bulk, or None where something is wrong with a row."""
        if isinstance(raws, Spans):
            rows = raws.decoded(self._decode_together)
        else:
            decode = self._decode_quickly
            try:
                rows = [decode(raw) for raw in raws]
            except (msgspec.MsgspecError, RecursionError):
                return None
        texts = [bytes(row.keypoints) for row in rows]
        keypoints = rows_of_numbers(texts, 3 * self.k)
        if keypoints is None:
            return None
        return rows, keypoints, np.array([text in NOTHING for text in texts], bool)

    def _slow_rows(self, raws: Sequence[Any]) -> _Block:
        """A block decoded row by row, with an error for each that is wrong."""
        rows = [self._explained(raw, self.n + i) for i, raw in enumerate(raws)]
        return rows, self._keypoints(rows), np.array([not row.keypoints for row in rows], bool)

    def _explained(self, raw: Any, row: int) -> Row:
        try:
            decoded: Row = self._decode(raw)
            return decoded
        except (msgspec.MsgspecError, RecursionError) as error:
            where = self.place(row).removeprefix(f"{self.path}: ")
            self.collector.error(row_error(error, self.path, where, bytes(raw)))
            # Only reached when findings are collected: the row takes its place and is left out in the end.
            self.unreadable.add(row)
            return Row(image_id=-1, id=-1, category_id=-1)

    def _grow(self, rows: int) -> None:
        capacity = len(self._columns["xy"])
        if rows <= capacity:
            return
        for name, column in self._columns.items():
            self._columns[name] = np.empty((max(rows, 2 * capacity), *column.shape[1:]), column.dtype)
            self._columns[name][: self.n] = column[: self.n]

    def _keypoints(self, rows: list[Row]) -> NDArray[np.float64]:
        block = np.zeros((len(rows), 3 * self.k))
        for i, values in enumerate([row.keypoints for row in rows]):
            # UNSET, None and [] all mean: no keypoints. Where nothing says which joints there are, none are read.
            if not values or not self.k:
                continue
            if len(values) == 3 * self.k:
                block[i] = values
            else:
                self.faulty.add(self.n + i)
                self.collector.error(self._wrong_length(len(values), self.n + i))
        return block

    def _wrong_length(self, got: int, row: int) -> RecordError:
        return RecordError(
            "'keypoints' has the wrong length",
            code="KP-COCO-LENGTH",
            place=self.place(row, ".keypoints"),
            expected=f"{3 * self.k} numbers (x, y, v for each of {self.k} joints)",
            got=f"{got} numbers",
            help="check that the category lists the joints these annotations have, or name them with --skeleton",
        )

    def _boxes(self, rows: Sequence[_Fields]) -> NDArray[np.float64]:
        """[n, 4] x, y, w, h; NaN where a row has none."""
        boxes = [row.bbox for row in rows]
        flat = flat_numbers(boxes, 4)
        if flat is not None:
            return flat.reshape(len(rows), 4)
        block = np.full((len(rows), 4), np.nan)
        for i, box in enumerate(boxes):
            if not box:
                continue
            if len(box) == 4:
                block[i] = box
            else:
                self.collector.error(
                    RecordError(
                        "'bbox' has the wrong length",
                        code="KP-COCO-BBOX",
                        place=self.place(self.n + i, ".bbox"),
                        expected="4 numbers (x, y, width, height)",
                        got=f"{len(box)} numbers",
                    )
                )
        return block

    def _check_required(self, rows: Sequence[_Fields], raws: Sequence[Any]) -> None:
        if self.results:
            return
        for name in ("id", "category_id"):
            values = list(map(attrgetter(name), rows))
            for i in [i for i, value in enumerate(values) if value is UNSET]:
                self.unreadable.add(self.n + i)
                self.collector.error(
                    RecordError(
                        f"a record has no '{name}'",
                        code="KP-COCO-MISSING",
                        place=self.place(self.n + i),
                        expected=f"a field '{name}'",
                        got=fields_of(raws[i]),
                    )
                )


def _id_list(rows: Sequence[_Fields], name: str) -> Column:
    return as_ids([1 if value is UNSET else value for value in map(attrgetter(name), rows)])


def _scores(rows: Sequence[_Fields]) -> NDArray[np.float64]:
    scores = [row.score for row in rows]
    if list in set(map(type, scores)):
        scores = [None if isinstance(score, list) else score for score in scores]
    return np.array(scores, np.float64)


def _optional(values: Iterable[Id | None]) -> Column:
    return as_column(list(values))


def first_row(path: Path, rows: Sequence[Any]) -> Row:
    """The first row of a result list, decoded alone. Raises GuessError for Spans that are no rows."""
    if isinstance(rows, Spans):
        first: Row = rows[:1].decoded(msgspec.json.Decoder(list[Row]).decode)[0]
        return first
    raw = rows[0]
    try:
        return msgspec.json.decode(raw, type=Row)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise row_error(error, path, "[0]", bytes(raw)) from error
