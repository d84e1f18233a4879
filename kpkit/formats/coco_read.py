"""A parsed COCO file into a Dataset: references resolved, raw rows kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import AREA_SOURCES, BBOX_SOURCES, Dataset
from kpkit.core.report import Collector
from kpkit.core.skeleton import Skeleton
from kpkit.core.table import Column
from kpkit.errors import RecordError
from kpkit.formats.base import ReadOptions
from kpkit.formats.coco_checks import check_references, first_of_each_id, look_outside
from kpkit.formats.coco_columns import BLOCK, ColumnReader
from kpkit.formats.coco_images import Images, read_images
from kpkit.formats.coco_parse import Parsed, check_keys_once
from kpkit.formats.coco_skeleton import Categories, choose, read_categories
from kpkit.formats.jsonrows import IMAGE_COLUMNS, ROW_COLUMNS, MemoryRows, Rows, RowSource


def read_ground_truth(parsed: Parsed, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
    """The dataset of a whole parsed file."""
    top = msgspec.json.decode(parsed.top, type=dict[str, msgspec.Raw])
    return assemble(
        path=path,
        top=parsed.top,
        categories=read_categories(bytes(top["categories"]) if "categories" in top else None, str(path), collector),
        images=read_images(parsed.image_rows, path, collector),
        blocks=(parsed.rows[i : i + BLOCK] for i in range(0, len(parsed.rows), BLOCK)),
        persons=len(parsed.rows),
        rows=lambda: MemoryRows(parsed.buffer, parsed.rows),
        image_rows=MemoryRows(parsed.buffer, parsed.image_rows),
        options=options,
        collector=collector,
    )


def assemble(
    *,
    path: Path,
    top: bytes,
    categories: Categories,
    images: Images,
    blocks: Iterable[Sequence[Any]],
    persons: int,
    rows: Callable[[], Rows],
    image_rows: Rows,
    options: ReadOptions,
    collector: Collector,
) -> Dataset:
    """Put a dataset together from image rows and blocks of annotation rows.

    persons  rows expected (an estimate will do)    rows  gives the raw rows once all blocks were seen
    """
    check_keys_once(top, path)
    skeleton = choose(categories.skeleton, options.skeleton, persons, str(path), collector)
    reader = ColumnReader(path, skeleton.keypoints, results=False, collector=collector, capacity=persons)
    for block in blocks:
        reader.add(block)
    columns = reader.finish()
    image_index = lookup(images.table.id, columns["image_id"])
    keep = check_references(image_index, columns, categories.ids, images.table, reader)
    keep &= first_of_each_id(columns["id"], rows, reader)
    kept = np.flatnonzero(keep)
    if len(kept) != reader.n:
        columns = {name: values[kept] for name, values in columns.items()}
        image_index = image_index[kept]
    look_outside(columns["xy"], kept, image_index, images.table, reader)
    dataset = build(columns, image_index, images, skeleton, reader, kept)
    source = _source(dataset, images, keep, top, rows(), image_rows, reader.ghosts)
    return dataset.replace(source=source, meta=read_meta(top))


def _source(
    dataset: Dataset,
    images: Images,
    keep: NDArray[np.bool_],
    top: bytes,
    rows: Rows,
    image_rows: Rows,
    ghosts: list[int],
) -> RowSource:
    """What is kept of the file beside its dataset.

    keep  [rows]  bool  the raw row is an instance of the dataset
    """
    return RowSource(
        top=top,
        variant="ground truth",
        rows=rows,
        image_rows=image_rows,
        row_of=np.flatnonzero(keep),
        image_row_of=images.row_of,
        columns=columns_as_read(dataset, keep),
        image_columns=_images_as_read(images),
        image_of=_scatter(images.row_of[dataset.image_index], keep),
        skeleton=dataset.skeleton,
        ghosts=np.array(ghosts, np.int64),
        extras={name: _scatter(column, keep, None) for name, column in dataset.extras.items()},
        image_extras=_image_extras(images),
    )


class _Kpkit(msgspec.Struct, gc=False):
    meta: dict[str, Any] = {}


class _Top(msgspec.Struct, gc=False):
    kpkit: _Kpkit | None = None


def read_meta(top: bytes) -> dict[str, Any]:
    """Fields of the dataset as a whole, from the key `kpkit` of the top level; none where it says something else."""
    try:
        found = msgspec.json.decode(top, type=_Top).kpkit
    except (msgspec.MsgspecError, RecursionError):
        return {}
    return found.meta if found is not None else {}


def build(
    columns: dict[str, NDArray[Any]],
    image_index: NDArray[np.int64],
    images: Images,
    skeleton: Skeleton,
    reader: ColumnReader,
    rows: NDArray[np.int64],
) -> Dataset:
    """The columns of the selected raw rows as a checked Dataset."""
    given: dict[str, Any] = {
        "skeleton": skeleton,
        "images": images.table,
        "image_index": image_index,
        "xy": columns["xy"],
        "visibility": columns["visibility"],
        "instance_id": columns["id"],
        "category_id": columns["category_id"],
        "bbox_xywh": columns["bbox"],
        **{name: columns[name] for name in ("area", "score", "is_crowd", "track_id")},
    }
    if reader.kpkit:
        given.update(_kpkit_columns(columns, reader, rows, skeleton))
    return Dataset.build(**given)


def lookup(ids: Column, wanted: Column) -> NDArray[np.int64]:
    """Row of each wanted id, -1 where there is none."""
    return Finder(ids).find(wanted)


class Finder:
    """Finds rows by id, again and again.

    ids  [M]  int64 or object
    """

    def __init__(self, ids: Column) -> None:
        self._ids = ids
        self._order = np.argsort(ids, kind="stable") if ids.dtype != object else None
        self._sorted = ids[self._order] if self._order is not None else ids
        self._rows: dict[Any, int] | None = None

    def find(self, wanted: Column) -> NDArray[np.int64]:
        """Row of each wanted id, -1 where there is none."""
        if self._order is None or wanted.dtype == object:
            if self._rows is None:
                self._rows = {value: row for row, value in enumerate(self._ids.tolist())}
            rows = self._rows
            return np.array([rows.get(value, -1) for value in wanted.tolist()], np.int64)
        if not len(self._ids):
            return np.full(len(wanted), -1, np.int64)
        at = np.minimum(np.searchsorted(self._sorted, wanted), len(self._ids) - 1)
        found: NDArray[np.int64] = np.where(self._sorted[at] == wanted, self._order[at], -1)
        return found


def _kpkit_columns(
    columns: dict[str, NDArray[Any]], reader: ColumnReader, rows: NDArray[np.int64], skeleton: Skeleton
) -> dict[str, Any]:
    """The columns that stand under the `kpkit` key of the rows."""
    n = len(rows)
    at = {row: i for i, row in enumerate(rows.tolist())}
    truncated, head = np.zeros((n, len(skeleton)), bool), np.full((n, 4), np.nan)
    visible = columns["visibility"] == 2
    bbox_source = np.isfinite(columns["bbox"]).all(axis=1).astype(np.uint8)
    area_source = np.isfinite(columns["area"]).astype(np.uint8)
    extras: dict[str, list[Any]] = {}
    for row, extra in reader.kpkit.items():
        i, place = at.get(row), reader.place(row, ".kpkit")
        if i is None:
            continue
        truncated[i] = _truncated(extra.truncated, visible[i], skeleton, f"{place}.truncated", reader)
        head[i] = _head_box(extra.head_box, f"{place}.head_box", reader)
        bbox_source[i] = _code(BBOX_SOURCES, extra.bbox_source, bbox_source[i])
        area_source[i] = _code(AREA_SOURCES, extra.area_source, area_source[i])
        for name, value in (extra.extras or {}).items():
            extras.setdefault(name, [None] * n)[i] = value
    return {
        "truncated": truncated,
        "head_box": head,
        "bbox_source": bbox_source,
        "area_source": area_source,
        "extras": extras,
    }


def _truncated(
    names: list[str], visible: NDArray[np.bool_], skeleton: Skeleton, place: str, reader: ColumnReader
) -> NDArray[np.bool_]:
    """[K] bool: the named joints; an error for a name that is no joint, and for a joint that is visible."""
    found = np.zeros(len(skeleton), bool)
    for name in names:
        joint = skeleton.keypoints.index(name) if name in skeleton.keypoints else None
        if joint is not None and not visible[joint]:
            found[joint] = True
            continue
        reader.collector.error(
            RecordError(
                "a truncated joint is no joint of this file" if joint is None else "a joint is truncated and visible",
                code="KP-COCO-KPKIT",
                place=place,
                expected="one of " + ", ".join(skeleton.keypoints) if joint is None else "v = 0 or 1",
                got=name if joint is None else f"v = 2 for '{name}'",
            )
        )
    return found


def _head_box(box: list[float] | None, place: str, reader: ColumnReader) -> list[float]:
    if box is not None and len(box) != 4:
        reader.collector.error(
            RecordError(
                "'head_box' has the wrong length",
                code="KP-COCO-KPKIT",
                place=place,
                expected="4 numbers (x, y, width, height)",
                got=f"{len(box)} numbers",
            )
        )
        box = None
    return [np.nan] * 4 if box is None else box


def _code(names: tuple[str, ...], name: str, default: int) -> int:
    return names.index(name) if name in names else default


def columns_as_read(dataset: Dataset, keep: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """The canonical columns by raw row, for RowSource."""
    return {name: _scatter(getattr(dataset, name), keep) for name in ROW_COLUMNS}


def _images_as_read(images: Images) -> dict[str, NDArray[Any]]:
    keep = np.zeros(images.seen, bool)
    keep[images.row_of] = True
    return {name: _scatter(getattr(images.table, name), keep) for name in (*IMAGE_COLUMNS, "split")}


def _image_extras(images: Images) -> dict[str, NDArray[Any]]:
    keep = np.zeros(images.seen, bool)
    keep[images.row_of] = True
    return {name: _scatter(column, keep, None) for name, column in images.table.extras.items()}


def _scatter(values: NDArray[Any], keep: NDArray[np.bool_], fill: Any = 0) -> NDArray[Any]:
    """Values of kept rows at their raw rows; nothing is copied when every row is kept."""
    if keep.all():
        return values
    spread = np.full((len(keep), *values.shape[1:]), fill, values.dtype)
    spread[keep] = values
    return spread
