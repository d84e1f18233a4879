"""The raw rows of a COCO file, kept beside the canonical columns.

A row is given back byte for byte while its columns are what the reader made of it. The rule needs no bookkeeping by
anybody who changes a dataset: the columns as read are kept (they are frozen, so this costs nothing) and compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset
from kpkit.core.skeleton import Skeleton
from kpkit.formats.jsonspans import Spans
from kpkit.formats.rowdiff import differs, extras_differ

Index = NDArray[np.int64]

JOINED = 1024

IMAGE_COLUMNS = ("id", "path", "width", "height")
ROW_COLUMNS = (
    "instance_id",
    "category_id",
    "xy",
    "visibility",
    "truncated",
    "bbox_xywh",
    "bbox_source",
    "area",
    "area_source",
    "head_box",
    "track_id",
    "score",
    "is_crowd",
)


class Rows(Protocol):
    """Raw JSON objects by position; `chunks` reads many of them cheaply."""

    def __len__(self) -> int: ...

    def get(self, index: int) -> bytes:
        """One row."""
        ...

    def chunks(self, index: Index) -> Iterator[bytes | memoryview]:
        """Byte pieces that, put together, are the rows of `index` separated by commas."""
        ...


@dataclass(frozen=True)
class MemoryRows:
    """Rows as slices of one buffer (or as single byte strings)."""

    buffer: bytes
    rows: Sequence[Any]  # views of the buffer, or bytes

    def __len__(self) -> int:
        return len(self.rows)

    def get(self, index: int) -> bytes:
        """See Rows."""
        return bytes(self.rows[index])

    def chunks(self, index: Index) -> Iterator[bytes | memoryview]:
        """See Rows."""
        comma = b""
        for first, last in runs(index):
            for at in range(first, last + 1, JOINED):
                yield comma
                # Joined anew, so that the same rows are the same bytes wherever they are kept.
                rows = self.rows[at : min(at + JOINED, last + 1)]
                yield rows.joined() if isinstance(rows, Spans) else b",".join(rows)
                comma = b","

    def start(self, index: int) -> int:
        """Where the row begins in the buffer."""
        return address(self.rows[index]) - address(self.buffer)

    def end(self, index: int) -> int:
        """Where the row ends in the buffer."""
        return self.start(index) + len(memoryview(self.rows[index]))

    def __reduce__(self) -> tuple[Any, ...]:
        # Views of a buffer are pickled apart from it: the copy has the rows alone.
        return MemoryRows, (b"", [bytes(row) for row in self.rows])


def runs(index: Index) -> Iterator[tuple[int, int]]:
    """Runs of consecutive positions as (first, last)."""
    if len(index) == 0:
        return
    breaks = np.flatnonzero(np.diff(index) != 1)
    firsts = index[np.concatenate(([0], breaks + 1))]
    lasts = index[np.concatenate((breaks, [len(index) - 1]))]
    yield from zip(firsts.tolist(), lasts.tolist(), strict=True)


def address(data: Any) -> int:
    """Where the bytes of a buffer or of a view stand in memory."""
    address: int = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    return address


@dataclass(frozen=True)
class RowSource:
    """What a COCO reader keeps of its file.

    top           the top level with its two arrays emptied, key order kept
    variant       "ground truth" | "results"
    rows, image_rows          raw rows of annotations and images
    row_of, image_row_of      [N], [M]  int64  row of each instance and image; -1: none
    columns, image_columns    the canonical columns as read, by raw row
    image_of                  [rows]  int64  the raw image row each annotation row points to
    skeleton                  the skeleton as read
    ghosts                    int64  rows that hold coordinates on unlabelled joints
    extras, image_extras      the extras as read, by raw row
    """

    top: bytes
    variant: str
    rows: Rows
    image_rows: Rows
    row_of: Index
    image_row_of: Index
    columns: Mapping[str, NDArray[Any]]
    image_columns: Mapping[str, NDArray[Any]]
    image_of: Index
    skeleton: Skeleton
    ghosts: Index = field(default_factory=lambda: np.zeros(0, np.int64))
    format: str = "coco"
    extras: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    image_extras: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def take(self, instances: Index, images: Index) -> RowSource:
        """The source for a selection; -1 is a row of no source."""
        return replace(self, row_of=_take(self.row_of, instances), image_row_of=_take(self.image_row_of, images))

    def changed(self, dataset: Dataset) -> NDArray[np.bool_]:
        """[N] bool: the instance has no raw row, or its columns are no longer what was read from it."""
        rows = self.row_of
        changed = rows < 0
        if not len(self.rows) or not self.skeleton.same_joints(dataset.skeleton):
            return np.ones(len(dataset), bool)
        for name in ROW_COLUMNS:
            changed |= differs(getattr(dataset, name), _by_row(self.columns[name], rows))
        ids = self.image_columns["id"]
        changed |= differs(dataset.images.id[dataset.image_index], ids[self.image_of[rows]])
        return changed | extras_differ(dataset.extras, self.extras, rows)

    def images_changed(self, dataset: Dataset) -> NDArray[np.bool_]:
        """[M] bool, as `changed`, for images."""
        rows = self.image_row_of
        changed = rows < 0
        if not len(self.image_rows):
            return np.ones(len(dataset.images), bool)
        for name in (*IMAGE_COLUMNS, "split"):
            if name in self.image_columns:
                changed |= differs(getattr(dataset.images, name), _by_row(self.image_columns[name], rows))
        return changed | extras_differ(dataset.images.extras, self.image_extras, self.image_row_of)

    def ghost_count(self) -> int:
        """How many of the instances hold coordinates on unlabelled joints."""
        return int(np.isin(self.row_of, self.ghosts).sum())

    def fields(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Fields that are no canonical column, by instance and by image ("coco.segmentation", "coco.image.license")."""
        return (
            _unknown_fields(self.rows, self.row_of, KNOWN_ROW_KEYS, "coco."),
            _unknown_fields(self.image_rows, self._image_rows_held(), KNOWN_IMAGE_KEYS, "coco.image."),
        )

    def _image_rows_held(self) -> Index:
        """[M] int64: the row of each image; -1 also where no rows of images were kept."""
        return self.image_row_of if len(self.image_rows) else np.full_like(self.image_row_of, -1)

    def extra_counts(self) -> dict[str, int]:
        """How often each field occurs that is no canonical column: "coco.segmentation", "coco.info", ..."""
        counts = self.of_the_whole()
        if self.variant == "results":
            counts["coco.keypoint_scores"] = int((self.row_of >= 0).sum())
        if self.ghost_count():
            counts["coco.unlabelled_coordinates"] = self.ghost_count()
        _count_keys(counts, self.rows, self.row_of, KNOWN_ROW_KEYS, "coco.")
        _count_keys(counts, self.image_rows, self._image_rows_held(), KNOWN_IMAGE_KEYS, "coco.image.")
        return counts

    def of_the_whole(self) -> dict[str, int]:
        """Fields of the top level."""
        if self.variant == "results":
            return {}
        keys = msgspec.json.decode(self.top, type=dict[str, msgspec.Raw])
        return {f"coco.{key}": 1 for key in keys if key not in {"images", "annotations", "categories", "kpkit"}}


KNOWN_ROW_KEYS = frozenset(
    {
        "id",
        "image_id",
        "category_id",
        "keypoints",
        "num_keypoints",
        "bbox",
        "area",
        "iscrowd",
        "track_id",
        "score",
        "kpkit",
    }
)
KNOWN_IMAGE_KEYS = frozenset({"id", "file_name", "width", "height", "kpkit"})


def iterate(rows: Rows, index: Index, block: int = 4096) -> Iterator[bytes]:
    """Single rows in the order of `index`, read block by block."""
    decoder = msgspec.json.Decoder(list[msgspec.Raw])
    for start in range(0, len(index), block):
        part = index[start : start + block]
        if isinstance(rows, MemoryRows):
            for i in part.tolist():
                yield rows.get(i)
        else:
            for raw in decoder.decode(b"[" + b"".join(rows.chunks(part)) + b"]"):
                yield bytes(raw)


def _unknown_fields(rows: Rows, index: Index, known: frozenset[str], prefix: str) -> list[dict[str, Any]]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    raws = iterate(rows, index[index >= 0])
    return [
        {prefix + key: value for key, value in decode(next(raws)).items() if key not in known} if row >= 0 else {}
        for row in index.tolist()
    ]


def _count_keys(counts: dict[str, int], rows: Rows, index: Index, known: frozenset[str], prefix: str) -> None:
    decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
    for raw in iterate(rows, index[index >= 0]):
        for key in decoder.decode(raw).keys() - known:
            _count(counts, prefix + key)


def _count(counts: dict[str, int], key: str) -> None:
    counts[key] = counts.get(key, 0) + 1


def _by_row(column: NDArray[Any], rows: Index) -> NDArray[Any]:
    """The values at `rows`; the column itself where these are all of it, in order."""
    return column if len(rows) == len(column) and np.array_equal(rows, np.arange(len(rows))) else column[rows]


def _take(rows: Index, selection: Index) -> Index:
    return np.where(selection >= 0, rows[selection], -1) if len(rows) else np.full(len(selection), -1, np.int64)
