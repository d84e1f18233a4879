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
from kpkit.formats.coco_parse import Parsed
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
    source = RowSource(
        top=top,
        variant="ground truth",
        rows=rows(),
        image_rows=image_rows,
        row_of=kept,
        image_row_of=images.row_of,
        columns=columns_as_read(dataset, keep),
        image_columns=_images_as_read(images),
        image_of=_scatter(images.row_of[image_index], keep),
        skeleton=skeleton,
        ghosts=np.array(reader.ghosts, np.int64),
    )
    return dataset.replace(source=source)


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
    if ids.dtype == object or wanted.dtype == object:
        rows = {value: row for row, value in enumerate(ids.tolist())}
        return np.array([rows.get(value, -1) for value in wanted.tolist()], np.int64)
    if not len(ids):
        return np.full(len(wanted), -1, np.int64)
    order = np.argsort(ids, kind="stable")
    at = np.minimum(np.searchsorted(ids[order], wanted), len(ids) - 1)
    found: NDArray[np.int64] = np.where(ids[order[at]] == wanted, order[at], -1)
    return found


def _kpkit_columns(
    columns: dict[str, NDArray[Any]], reader: ColumnReader, rows: NDArray[np.int64], skeleton: Skeleton
) -> dict[str, Any]:
    """The columns that stand under the `kpkit` key of the rows."""
    n = len(rows)
    at = {row: i for i, row in enumerate(rows.tolist())}
    truncated, head = np.zeros((n, len(skeleton)), bool), np.full((n, 4), np.nan)
    bbox_source = np.isfinite(columns["bbox"]).all(axis=1).astype(np.uint8)
    area_source = np.isfinite(columns["area"]).astype(np.uint8)
    extras: dict[str, list[Any]] = {}
    for row, extra in reader.kpkit.items():
        i, place = at.get(row), reader.place(row, ".kpkit")
        if i is None:
            continue
        truncated[i, [_joint(skeleton, name, place) for name in extra.truncated]] = True
        if extra.head_box is not None:
            head[i] = _head_box(extra.head_box, place)
        bbox_source[i] = _code(BBOX_SOURCES, extra.bbox_source, bbox_source[i])
        area_source[i] = _code(AREA_SOURCES, extra.area_source, area_source[i])
        for name, value in (extra.extras or {}).items():
            extras.setdefault(name, [None] * n)[i] = value
    wrong = truncated & (columns["visibility"] == 2)
    if wrong.any():
        raise RecordError(
            "a joint is truncated and visible",
            code="KP-COCO-KPKIT",
            place=reader.place(int(rows[np.argwhere(wrong)[0, 0]]), ".kpkit.truncated"),
        )
    return {
        "truncated": truncated,
        "head_box": head,
        "bbox_source": bbox_source,
        "area_source": area_source,
        "extras": extras,
    }


def _joint(skeleton: Skeleton, name: str, place: str) -> int:
    if name not in skeleton.keypoints:
        raise RecordError(f"'{name}' is no joint of this file", code="KP-COCO-KPKIT", place=f"{place}.truncated")
    return skeleton.keypoints.index(name)


def _head_box(box: list[float], place: str) -> list[float]:
    if len(box) != 4:
        raise RecordError(
            "'head_box' has the wrong length",
            code="KP-COCO-KPKIT",
            place=place,
            expected="4 numbers",
            got=str(len(box)),
        )
    return box


def _code(names: tuple[str, ...], name: str, default: int) -> int:
    return names.index(name) if name in names else default


def columns_as_read(dataset: Dataset, keep: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """The canonical columns by raw row, for RowSource."""
    return {name: _scatter(getattr(dataset, name), keep) for name in ROW_COLUMNS}


def _images_as_read(images: Images) -> dict[str, NDArray[Any]]:
    keep = np.zeros(images.seen, bool)
    keep[images.row_of] = True
    return {name: _scatter(getattr(images.table, name), keep) for name in (*IMAGE_COLUMNS, "split")}


def _scatter(values: NDArray[Any], keep: NDArray[np.bool_]) -> NDArray[Any]:
    """Values of kept rows at their raw rows; nothing is copied when every row is kept."""
    if keep.all():
        return values
    spread = np.zeros((len(keep), *values.shape[1:]), values.dtype)
    spread[keep] = values
    return spread
