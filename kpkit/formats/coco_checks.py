"""What is wrong or suspicious in the rows of a COCO file.

Wrong is an error (raised, or collected); suspicious is kept, counted and named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import ImageTable
from kpkit.core.table import Column
from kpkit.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpkit.formats.coco_columns import ColumnReader
    from kpkit.formats.jsonrows import Rows

BLOCK = 8192


def check_flags(values: NDArray[np.float64], reader: ColumnReader) -> NDArray[np.uint8]:
    """[n,K] flags of a block; an error for each that is not 0, 1 or 2 (read as 0 when errors are collected)."""
    with np.errstate(invalid="ignore"):
        flags = values.astype(np.uint8)
    wrong = (flags != values) | (flags > 2)
    if not wrong.any():
        return flags
    for row, joint in np.argwhere(wrong).tolist():
        reader.faulty.add(reader.n + row)
        reader.collector.error(
            RecordError(
                f"visibility of '{reader.names[joint]}' is not 0, 1 or 2",
                code="KP-COCO-VISIBILITY",
                place=reader.place(reader.n + row, f".keypoints[{3 * joint + 2}]"),
                expected="0 unlabelled, 1 occluded or 2 visible",
                got=f"{values[row, joint]:g}",
            )
        )
    flags[wrong] = 0
    return flags


def look_at_points(
    xy: tuple[NDArray[np.float64], NDArray[np.float64]],
    flags: NDArray[np.uint8],
    stated: NDArray[np.int64],
    reader: ColumnReader,
) -> list[int]:
    """Report suspicious points and counts of a block; returns the rows with coordinates on unlabelled joints.

    xy  x and y, each [n,K]  pixels
    """
    nonzero = (xy[0] != 0) | (xy[1] != 0)
    labelled = flags != 0
    sound = np.ones((len(flags), 1), bool)
    sound[[row - reader.n for row in reader.faulty if row >= reader.n]] = False
    ghost = nonzero & ~labelled & sound
    _report(
        ghost,
        "KP-COCO-GHOST",
        "unlabelled joints (v = 0) that have coordinates; kept for COCO, no joint elsewhere",
        reader,
    )
    _report(labelled & ~nonzero & sound, "KP-COCO-ORIGIN", "labelled joints at exactly (0, 0): placeholders?", reader)
    # Without joints nothing was counted.
    wrong = np.flatnonzero((reader.k > 0) & (stated >= 0) & (stated != labelled.sum(axis=1)) & sound[:, 0])
    reader.collector.issue(
        "KP-COCO-NUM-KEYPOINTS",
        "num_keypoints is not the number of labelled joints; the joints are believed",
        count=len(wrong),
        places=[
            reader.place(reader.n + row, ".num_keypoints") for row in wrong[: reader.collector.places_kept].tolist()
        ],
    )
    rows: list[int] = (np.flatnonzero(ghost.any(axis=1)) + reader.n).tolist() if ghost.any() else []
    return rows


def _report(found: NDArray[np.bool_], code: str, message: str, reader: ColumnReader, base: int | None = None) -> None:
    count = int(np.count_nonzero(found))
    if not count:
        return
    start = reader.n if base is None else base
    places = [
        reader.place(start + row, f".keypoints[{3 * joint}] ({reader.names[joint]})")
        for row, joint in np.argwhere(found)[: reader.collector.places_kept].tolist()
    ]
    reader.collector.issue(code, message, count=count, places=places)


def look_outside(
    xy: NDArray[np.float64],
    rows: NDArray[np.int64],
    image_index: NDArray[np.int64],
    images: ImageTable,
    reader: ColumnReader,
) -> None:
    """Report labelled joints outside their image (its size known); `rows` are the raw rows of `xy`."""
    for start in range(0, len(xy), BLOCK):
        found = outside(xy[start : start + BLOCK], image_index[start : start + BLOCK], images)
        if found.any():
            spread = np.zeros((int(rows[min(start + BLOCK, len(xy)) - 1] - rows[start]) + 1, xy.shape[1]), bool)
            spread[rows[start : start + BLOCK] - rows[start]] = found
            _report(spread, "KP-JOINT-OUTSIDE", "labelled joints outside their image; kept", reader, int(rows[start]))


def outside(xy: NDArray[np.float64], image_index: NDArray[np.int64], images: ImageTable) -> NDArray[np.bool_]:
    """[n,K] bool: the joint lies outside its image, whose size is known.

    xy           [n,K,2]  float64  pixels, NaN unlabelled
    image_index  [n]      int64    row in images, -1 none
    """
    if not len(images):
        return np.zeros(xy.shape[:2], bool)
    sides = [side[image_index].astype(np.float64) for side in (images.width, images.height)]
    for side in sides:
        side[(side <= 0) | (image_index < 0)] = np.inf
    # Axis by axis: numpy is slow along an axis of two.
    x, y = xy[..., 0], xy[..., 1]
    found: NDArray[np.bool_] = (x < 0) | (y < 0) | (x > sides[0][:, None]) | (y > sides[1][:, None])
    return found


def check_references(
    image_index: NDArray[np.int64],
    columns: dict[str, NDArray[Any]],
    category_ids: frozenset[int | str],
    images: ImageTable,
    reader: ColumnReader,
) -> NDArray[np.bool_]:
    """[n] bool: the row's image and category exist; an error for each of the others that could be read at all."""
    good = image_index >= 0
    for row in [row for row in np.flatnonzero(~good).tolist() if row not in reader.unreadable]:
        reader.collector.error(
            RecordError(
                "the annotation points to an image that is not listed",
                code="KP-COCO-IMAGE",
                place=reader.place(row, ".image_id"),
                expected=f"one of the {len(images)} ids in 'images'",
                got=str(columns["image_id"][row]),
            )
        )
    good[list(reader.unreadable)] = False
    if not category_ids:
        return good
    # Sets, not sorting: integers and texts may stand side by side.
    unknown = set(columns["category_id"].tolist()) - category_ids
    rows = [row for row, one in enumerate(columns["category_id"].tolist()) if one in unknown] if unknown else []
    for row in [row for row in rows if row not in reader.unreadable]:
        good[row] = False
        reader.collector.error(
            RecordError(
                "the annotation points to a category that is not listed",
                code="KP-COCO-CATEGORY",
                place=reader.place(row, ".category_id"),
                expected="one of " + ", ".join(map(str, sorted(category_ids, key=str))),
                got=str(columns["category_id"][row]),
            )
        )
    return good


def first_of_each_id(ids: Column, rows: Callable[[], Rows], reader: ColumnReader) -> NDArray[np.bool_]:
    """[n] bool: the first row of each id. A second row must be identical (reported); else it is an error."""
    keep = np.ones(len(ids), bool)
    if ids.dtype != object and (len(ids) < 2 or bool((np.diff(ids) > 0).all()) or len(np.unique(ids)) == len(ids)):
        return keep
    first: dict[Any, int] = {}
    for row, value in enumerate(ids.tolist()):
        original = row if row in reader.unreadable else first.setdefault(value, row)
        if original == row:
            continue
        raw = rows()
        if msgspec.json.decode(raw.get(row)) == msgspec.json.decode(raw.get(original)):
            keep[row] = False
            reader.collector.issue(
                "KP-COCO-ID-TWICE", "identical annotations of one id; merged", place=reader.place(row)
            )
            continue
        reader.collector.error(
            RecordError(
                f"annotation id {value} stands for two different persons",
                code="KP-COCO-ID",
                place=reader.place(row, ".id"),
                expected=f"an id other than that of annotations[{original}]",
                got=str(value),
                help="give one of them another id",
            )
        )
    return keep
