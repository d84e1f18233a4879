"""The canonical dataset: frozen columns, checked by one constructor.

N instances, K keypoints (K may be 0), M images. Coordinates are 0-based pixels, (0, 0) is the centre of the top-left
pixel; boxes are x, y, w, h on the same axes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kpkit.core.skeleton import Skeleton
from kpkit.core.table import Column, as_column, as_ids, check_instances, freeze

if TYPE_CHECKING:
    import pandas as pd

BBOX_UNKNOWN, BBOX_ANNOTATED, BBOX_KEYPOINTS, BBOX_SCALE = range(4)
BBOX_SOURCES = ("unknown", "annotated", "keypoints", "scale")
AREA_UNKNOWN, AREA_ANNOTATED, AREA_SEGMENTATION, AREA_BBOX = range(4)
AREA_SOURCES = ("unknown", "annotated", "segmentation", "0.53 x bbox")


class Source(Protocol):
    """What a reader keeps of the file itself, so that its own writer can give back unchanged rows byte for byte."""

    @property
    def format(self) -> str:
        """Name of the format it came from."""
        ...

    def take(self, instances: NDArray[np.int64], images: NDArray[np.int64]) -> Source:
        """The same source for a selection (or reordering) of instances and images; -1 is a row of no source."""
        ...

    def extra_counts(self) -> dict[str, int]:
        """How many instances and images carry each field that is no canonical column."""
        ...

    def of_the_whole(self) -> dict[str, int]:
        """What of these counts is of the file as a whole, and would be the same of any part of it."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageTable:
    """One row an image.

    id      [M]  int64 or object(str)  as the source had it
    path    [M]  object(str)  posix, relative
    width   [M]  int32  pixels, -1 unknown
    height  [M]  int32  pixels, -1 unknown
    split   [M]  object(str)  "" unknown
    extras  name -> [M] object, None where an image has no value; names are "format.field"
    """

    id: Column
    path: Column
    width: NDArray[np.int32]
    height: NDArray[np.int32]
    split: Column
    extras: Mapping[str, Column] = field(default_factory=dict)

    @classmethod
    def build(
        cls,
        *,
        path: Sequence[str] | Column,
        id: Sequence[Any] | Column | None = None,
        width: Any = None,
        height: Any = None,
        split: Sequence[str] | Column | None = None,
        extras: Mapping[str, Any] | None = None,
    ) -> ImageTable:
        """A table from what is known; ids default to 1..M, sizes to -1, splits to ""."""
        m = len(path)
        return cls(
            id=as_ids(np.arange(1, m + 1) if id is None else id),
            path=as_column(path),
            width=np.full(m, -1, np.int32) if width is None else np.asarray(width, np.int32),
            height=np.full(m, -1, np.int32) if height is None else np.asarray(height, np.int32),
            split=as_column([""] * m if split is None else split),
            extras={name: as_column(values) for name, values in (extras or {}).items()},
        )

    def __post_init__(self) -> None:
        m = len(self.path)
        freeze(self, m, ("id", "path", "width", "height", "split"))

    def __len__(self) -> int:
        return len(self.path)

    def take(self, rows: NDArray[np.int64]) -> ImageTable:
        """The selected rows, in that order."""
        return ImageTable(
            id=self.id[rows],
            path=self.path[rows],
            width=self.width[rows],
            height=self.height[rows],
            split=self.split[rows],
            extras={name: column[rows] for name, column in self.extras.items()},
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Labelled persons in images.

    skeleton      the joints
    images        ImageTable, M rows
    image_index   [N]       int64    row in images
    instance_id   [N]       int64 or object(str)  the source's own id
    category_id   [N]       int64 or object(str)
    xy            [N,K,2]   float64  pixels; NaN exactly where visibility is 0
    visibility    [N,K]     uint8    0 unlabelled, 1 occluded, 2 visible
    truncated     [N,K]     bool     outside the frame; implies visibility 0 or 1
    bbox_xywh     [N,4]     float64  pixels, NaN unknown       bbox_source [N] uint8, index into BBOX_SOURCES
    area          [N]       float64  pixels^2, NaN unknown     area_source [N] uint8, index into AREA_SOURCES
    head_box      [N,4]     float64  pixels, x y w h; NaN unknown
    track_id      [N]       object   int, str or None
    score         [N]       float64  NaN unknown
    is_crowd      [N]       bool
    extras        name -> [N] object, None where an instance has no value; names are "format.field"
    meta          dataset-level fields of the source, names as in extras
    provenance    the steps that made it, oldest first
    source        what the reader kept of the file (see Source)
    image_root    folder the image paths are relative to, where known; not part of the content
    """

    skeleton: Skeleton
    images: ImageTable
    image_index: NDArray[np.int64]
    instance_id: Column
    category_id: Column
    xy: NDArray[np.float64]
    visibility: NDArray[np.uint8]
    truncated: NDArray[np.bool_]
    bbox_xywh: NDArray[np.float64]
    bbox_source: NDArray[np.uint8]
    area: NDArray[np.float64]
    area_source: NDArray[np.uint8]
    head_box: NDArray[np.float64]
    track_id: Column
    score: NDArray[np.float64]
    is_crowd: NDArray[np.bool_]
    extras: Mapping[str, Column] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    provenance: tuple[Mapping[str, Any], ...] = ()
    source: Source | None = None
    image_root: str | None = None

    @classmethod
    def build(
        cls,
        *,
        skeleton: Skeleton,
        images: ImageTable,
        image_index: Any,
        xy: Any,
        visibility: Any,
        truncated: Any = None,
        instance_id: Any = None,
        category_id: Any = None,
        bbox_xywh: Any = None,
        bbox_source: Any = None,
        area: Any = None,
        area_source: Any = None,
        head_box: Any = None,
        track_id: Any = None,
        score: Any = None,
        is_crowd: Any = None,
        extras: Mapping[str, Any] | None = None,
        **rest: Any,
    ) -> Dataset:
        """A dataset from what is known; everything left out is "unknown", ids default to 1..N, categories to 1.

        Shapes and dtypes as in the class; sources of boxes and areas default to "annotated" where there is a value.
        """
        n = len(image_index)
        box = np.full((n, 4), np.nan) if bbox_xywh is None else np.asarray(bbox_xywh, np.float64).reshape(n, 4)
        size = np.full(n, np.nan) if area is None else np.asarray(area, np.float64)
        flags = np.asarray(visibility, np.uint8).reshape(n, len(skeleton))
        return cls(
            skeleton=skeleton,
            images=images,
            image_index=np.asarray(image_index, np.int64),
            instance_id=as_ids(np.arange(1, n + 1) if instance_id is None else instance_id),
            category_id=as_ids(np.ones(n, np.int64) if category_id is None else category_id),
            xy=np.asarray(xy, np.float64).reshape(n, len(skeleton), 2),
            visibility=flags,
            truncated=_constant(False, flags.shape) if truncated is None else np.asarray(truncated, bool),
            bbox_xywh=box,
            bbox_source=_default_source(bbox_source, known_rows(box)),
            area=size,
            area_source=_default_source(area_source, known_rows(size)),
            head_box=_constant(np.nan, (n, 4)) if head_box is None else np.asarray(head_box, np.float64).reshape(n, 4),
            track_id=as_column([None] * n if track_id is None else track_id),
            score=_constant(np.nan, (n,)) if score is None else np.asarray(score, np.float64),
            is_crowd=np.zeros(n, bool) if is_crowd is None else np.asarray(is_crowd, bool),
            extras={name: as_column(values) for name, values in (extras or {}).items()},
            **rest,
        )

    def __post_init__(self) -> None:
        freeze(self, len(self.image_index), INSTANCE_COLUMNS)
        check_instances(self)

    def __len__(self) -> int:
        return len(self.image_index)

    def replace(self, **columns: Any) -> Dataset:
        """A copy with some columns exchanged; checked like any other dataset."""
        if columns.keys() <= UNCHECKED:
            copy = object.__new__(Dataset)
            copy.__dict__.update(self.__dict__)
            copy.__dict__.update(columns)
            return copy
        return dataclasses.replace(self, **columns)

    def add_step(self, step: str, **details: Any) -> Dataset:
        """A copy whose provenance ends with one more step."""
        return self.replace(provenance=(*self.provenance, {"step": step, **details}))

    def take(self, rows: Any) -> Dataset:
        """The selected instances in that order (indices or a boolean mask); all images stay."""
        index = np.asarray(rows)
        index = np.flatnonzero(index) if index.dtype == bool else index.astype(np.int64)
        source = self.source.take(index, np.arange(len(self.images))) if self.source is not None else None
        return self.replace(
            **{name: getattr(self, name)[index] for name in INSTANCE_COLUMNS},
            extras={name: column[index] for name, column in self.extras.items()},
            source=source,
        )

    def counts(self) -> dict[str, int]:
        """Images, instances and joints by flag."""
        from kpkit.core import visibility

        flags = visibility.counts(self.visibility, self.truncated)
        return {
            "images": len(self.images),
            "instances": len(self),
            "crowd": int(np.count_nonzero(self.is_crowd)),
            "labelled": flags["visible"] + flags["occluded"],
            **flags,
        }

    def to_pandas(self) -> pd.DataFrame:
        """One row an instance: ids, image, box, and x, y, v (and t for truncated) a joint. Needs pandas."""
        from kpkit.core.frame import to_frame

        return to_frame(self)


UNCHECKED = frozenset({"meta", "provenance", "source", "image_root"})
INSTANCE_COLUMNS = (
    "image_index",
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


def known_rows(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[N] bool: every number of the row is finite.

    values  [N] or [N, ...]  float64  NaN unknown
    """
    finite = np.isfinite(values)
    known: NDArray[np.bool_] = np.logical_and.reduce(finite, axis=tuple(range(1, finite.ndim)))
    return known


def _constant(value: float | bool, shape: tuple[int, ...]) -> NDArray[Any]:
    """A read-only column of one value, which takes no memory."""
    return np.broadcast_to(np.array(value), shape)


def _default_source(given: Any, known: NDArray[np.bool_]) -> NDArray[np.uint8]:
    if given is not None:
        return np.asarray(given, np.uint8)
    # 1 is "annotated" for boxes and areas alike.
    return known.astype(np.uint8)
