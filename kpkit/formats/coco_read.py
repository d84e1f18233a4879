"""A parsed COCO file into a Dataset: references resolved, flags checked, raw rows kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kpkit.core import visibility as vis
from kpkit.core.dataset import AREA_SOURCES, BBOX_SOURCES, Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.core.skeleton import Skeleton
from kpkit.core.table import Column
from kpkit.errors import RecordError
from kpkit.formats.base import ReadOptions
from kpkit.formats.coco_columns import BLOCK, ColumnReader
from kpkit.formats.coco_images import Images, read_images
from kpkit.formats.coco_parse import Parsed
from kpkit.formats.coco_skeleton import Categories, choose, read_categories
from kpkit.formats.jsonrows import IMAGE_COLUMNS, ROW_COLUMNS, MemoryRows, Rows, RowSource


def read_ground_truth(parsed: Parsed, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
    """The dataset of a whole parsed file."""
    top = msgspec.json.decode(parsed.top, type=dict[str, msgspec.Raw])
    blocks = (parsed.rows[i : i + BLOCK] for i in range(0, len(parsed.rows), BLOCK))
    return assemble(
        path=path,
        top=parsed.top,
        categories=read_categories(_raw(top, "categories"), str(path), collector),
        images=read_images(parsed.image_rows, path, collector),
        blocks=blocks,
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
    rows: Any,
    image_rows: Rows,
    options: ReadOptions,
    collector: Collector,
) -> Dataset:
    """Put a dataset together from image rows and blocks of annotation rows.

    persons  rows expected (an estimate will do)    rows  called at the end for the raw rows (see RowSource)
    """
    skeleton = choose(categories.skeleton, options.skeleton, persons, str(path), collector)
    reader = ColumnReader(path, len(skeleton), results=False, collector=collector, capacity=persons)
    for block in blocks:
        reader.add(block)
    columns = reader.finish()
    good = _check_references(reader, columns, categories, images.table, collector)
    keep = _merge_rows(columns["ids"], rows, reader, collector) & good
    dataset, ghosts = to_dataset(reader, columns, np.flatnonzero(keep), skeleton, images.table, collector)
    source = RowSource(
        top=top,
        variant="ground truth",
        rows=rows(),
        image_rows=image_rows,
        row_of=np.flatnonzero(keep),
        image_row_of=images.row_of,
        columns=rows_as_read(dataset, keep),
        image_columns=_images_by_row(images),
        image_of=_scatter(images.row_of[dataset.image_index], keep, 0),
        skeleton=skeleton,
        ghosts=ghosts,
    )
    return dataset.replace(source=source)


def to_dataset(
    reader: ColumnReader,
    columns: dict[str, NDArray[Any]],
    rows: NDArray[np.int64],
    skeleton: Skeleton,
    images: ImageTable,
    collector: Collector,
) -> tuple[Dataset, NDArray[np.int64]]:
    """Columns of the selected rows as a Dataset, and which raw rows hold coordinates on unlabelled joints."""
    every = len(rows) == reader.n
    part = {name: values if every else values[rows] for name, values in columns.items()}
    xy, flags = part["keypoints"][..., :2], _flags(part["keypoints"], rows, skeleton, reader)
    ghosts = _look_for_ghosts(xy, flags, rows, skeleton, reader, collector)
    _look_at_counts(reader, rows, flags, collector)
    image_index = lookup(images.id, part["image_ids"])
    dataset = Dataset.build(
        skeleton=skeleton,
        images=images,
        image_index=image_index,
        xy=vis.unlabel(xy, flags),
        visibility=flags,
        instance_id=part["ids"],
        category_id=part["category_ids"],
        bbox_xywh=part["bbox"],
        area=part["area"],
        score=part["score"],
        is_crowd=part["is_crowd"],
        track_id=part["track_id"],
    )
    _look_outside(dataset, rows, reader, collector)
    return _with_kpkit(dataset, reader, rows), ghosts


def _flags(
    keypoints: NDArray[np.float64], rows: NDArray[np.int64], skeleton: Skeleton, reader: ColumnReader
) -> NDArray[np.uint8]:
    values = keypoints[..., 2]
    flags: NDArray[np.uint8] = np.clip(values, 0, 3).astype(np.uint8)
    wrong = flags != values
    wrong |= flags > 2
    if wrong.any():
        for row, joint in np.argwhere(wrong)[:1000].tolist():
            reader.collector.error(
                RecordError(
                    f"visibility of '{skeleton.keypoints[joint]}' is not 0, 1 or 2",
                    code="KP-COCO-VISIBILITY",
                    place=reader.place(int(rows[row]), f".keypoints[{3 * joint + 2}]"),
                    expected="0 unlabelled, 1 occluded or 2 visible",
                    got=f"{values[row, joint]:g}",
                )
            )
        flags = np.where(wrong, 0, flags).astype(np.uint8)
    return flags


def _look_for_ghosts(
    xy: NDArray[np.float64],
    flags: NDArray[np.uint8],
    rows: NDArray[np.int64],
    skeleton: Skeleton,
    reader: ColumnReader,
    collector: Collector,
) -> NDArray[np.int64]:
    nonzero = (xy != 0).any(axis=-1)
    ghost = nonzero & (flags == 0)
    zero = ~nonzero & (flags > 0)
    for found, code, message in (
        (ghost, "KP-COCO-GHOST", "unlabelled joints (v = 0) that have coordinates; kept for COCO, no joint elsewhere"),
        (zero, "KP-COCO-ORIGIN", "labelled joints at exactly (0, 0): placeholders?"),
    ):
        if found.any():
            places = [
                reader.place(int(rows[row]), f".keypoints[{3 * joint}] ({skeleton.keypoints[joint]})")
                for row, joint in np.argwhere(found)[:5].tolist()
            ]
            collector.issue(code, message, count=int(found.sum()), places=places)
    ghosts: NDArray[np.int64] = rows[ghost.any(axis=1)]
    return ghosts


def _look_at_counts(reader: ColumnReader, rows: NDArray[np.int64], flags: NDArray[np.uint8], collector: Collector) -> None:
    stated = np.array(reader.columns.num_keypoints, np.int64)[rows]
    wrong = rows[(stated >= 0) & (stated != (flags > 0).sum(axis=1))]
    collector.issue(
        "KP-COCO-NUM-KEYPOINTS",
        "num_keypoints is not the number of labelled joints; the joints are believed",
        count=len(wrong),
        places=[reader.place(int(row), ".num_keypoints") for row in wrong[:5]],
    )


def _look_outside(dataset: Dataset, rows: NDArray[np.int64], reader: ColumnReader, collector: Collector) -> None:
    width = dataset.images.width[dataset.image_index].astype(np.float64)
    height = dataset.images.height[dataset.image_index].astype(np.float64)
    limit = np.stack([np.where(width > 0, width, np.inf), np.where(height > 0, height, np.inf)], axis=-1)[:, None, :]
    outside = ((dataset.xy < 0) | (dataset.xy > limit)).any(axis=-1)
    if outside.any():
        places = [
            reader.place(int(rows[row]), f".keypoints[{3 * joint}] ({dataset.skeleton.keypoints[joint]})")
            for row, joint in np.argwhere(outside)[:5].tolist()
        ]
        collector.issue(
            "KP-JOINT-OUTSIDE", "labelled joints outside their image; kept", count=int(outside.sum()), places=places
        )


def _check_references(
    reader: ColumnReader,
    columns: dict[str, NDArray[Any]],
    categories: Categories,
    images: ImageTable,
    collector: Collector,
) -> NDArray[np.bool_]:
    """[n] bool: the row's image and category exist; errors for the others."""
    found = lookup(images.id, columns["image_ids"]) >= 0
    for row in np.flatnonzero(~found).tolist():
        collector.error(
            RecordError(
                "the annotation points to an image that is not listed",
                code="KP-COCO-IMAGE",
                place=reader.place(row, ".image_id"),
                expected=f"one of the {len(images)} ids in 'images'",
                got=str(columns["image_ids"][row]),
            )
        )
    if categories.ids:
        distinct = set(np.unique(columns["category_ids"]).tolist()) if len(columns["category_ids"]) else set()
        unknown = distinct - categories.ids
        for row in np.flatnonzero([value in unknown for value in columns["category_ids"]] if unknown else []).tolist():
            collector.error(
                RecordError(
                    "the annotation points to a category that is not listed",
                    code="KP-COCO-CATEGORY",
                    place=reader.place(row, ".category_id"),
                    expected="one of " + ", ".join(map(str, sorted(categories.ids, key=str))),
                    got=str(columns["category_ids"][row]),
                )
            )
            found[row] = False
    return found


def _merge_rows(ids: Column, rows: Any, reader: ColumnReader, collector: Collector) -> NDArray[np.bool_]:
    """[n] bool: the first row of each id; a second one must be identical."""
    keep = np.ones(len(ids), bool)
    if ids.dtype != object and len(np.unique(ids)) == len(ids):
        return keep
    first: dict[Any, int] = {}
    for row, value in enumerate(ids.tolist()):
        original = first.setdefault(value, row)
        if original == row:
            continue
        raw = rows()
        if msgspec.json.decode(raw.get(row)) != msgspec.json.decode(raw.get(original)):
            collector.error(
                RecordError(
                    f"annotation id {value} stands for two different persons",
                    code="KP-COCO-ID",
                    place=reader.place(row, ".id"),
                    expected=f"an id other than that of annotations[{original}]",
                    got=str(value),
                    help="give one of them another id",
                )
            )
            continue
        keep[row] = False
        collector.issue("KP-COCO-ID-TWICE", "identical annotations of one id; merged", place=reader.place(row))
    return keep


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


def _with_kpkit(dataset: Dataset, reader: ColumnReader, rows: NDArray[np.int64]) -> Dataset:
    """The columns that stand under the `kpkit` key."""
    if not reader.columns.kpkit:
        return dataset
    at = {row: i for i, row in enumerate(rows.tolist())}
    truncated, head = dataset.truncated.copy(), dataset.head_box.copy()
    bbox_source, area_source = dataset.bbox_source.copy(), dataset.area_source.copy()
    extras: dict[str, list[Any]] = {}
    for row, extra in reader.columns.kpkit.items():
        i = at.get(row)
        if i is None:
            continue
        place = reader.place(row, ".kpkit")
        truncated[i, [_joint(dataset.skeleton, name, place) for name in extra.truncated]] = True
        if extra.head_box is not None:
            head[i] = _head_box(extra.head_box, place)
        bbox_source[i] = _code(BBOX_SOURCES, extra.bbox_source, bbox_source[i])
        area_source[i] = _code(AREA_SOURCES, extra.area_source, area_source[i])
        for name, value in (extra.extras or {}).items():
            extras.setdefault(name, [None] * len(rows))[i] = value
    wrong = truncated & (dataset.visibility == 2)
    if wrong.any():
        row = int(rows[np.argwhere(wrong)[0, 0]])
        raise RecordError(
            "a joint is truncated and visible", code="KP-COCO-KPKIT", place=reader.place(row, ".kpkit.truncated")
        )
    return Dataset.build(
        **{
            **{name: getattr(dataset, name) for name in ("skeleton", "images", "image_index", *ROW_COLUMNS)},
            "truncated": truncated,
            "head_box": head,
            "bbox_source": bbox_source,
            "area_source": area_source,
            "extras": extras,
        }
    )


def _joint(skeleton: Skeleton, name: str, place: str) -> int:
    if name not in skeleton.keypoints:
        raise RecordError(f"'{name}' is no joint of this file", code="KP-COCO-KPKIT", place=f"{place}.truncated")
    return skeleton.keypoints.index(name)


def _head_box(box: list[float], place: str) -> list[float]:
    if len(box) != 4:
        raise RecordError(
            "'head_box' has the wrong length", code="KP-COCO-KPKIT", place=place, expected="4 numbers", got=str(len(box))
        )
    return box


def _code(names: tuple[str, ...], name: str, default: int) -> int:
    return names.index(name) if name in names else default


def _raw(top: dict[str, msgspec.Raw], key: str) -> bytes | None:
    return bytes(top[key]) if key in top else None


def rows_as_read(dataset: Dataset, keep: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    return {name: _scatter(getattr(dataset, name), keep, None) for name in ROW_COLUMNS}


def _images_by_row(images: Images) -> dict[str, NDArray[Any]]:
    keep = np.zeros(images.seen, bool)
    keep[images.row_of] = True
    return {name: _scatter(getattr(images.table, name), keep, None) for name in (*IMAGE_COLUMNS, "split")}


def _scatter(values: NDArray[Any], keep: NDArray[np.bool_], fill: Any) -> NDArray[Any]:
    """Values of kept rows at their raw rows; nothing is copied when every row is kept."""
    if keep.all():
        return values
    spread = np.empty((len(keep), *values.shape[1:]), values.dtype)
    if fill is not None:
        spread[...] = fill
    elif values.dtype == np.float64:
        spread[...] = np.nan
    spread[keep] = values
    return spread
