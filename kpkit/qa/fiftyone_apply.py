"""Edits made in FiftyOne, applied to the labels they were made on. Everything else keeps its bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core import visibility as vis
from kpkit.core.boxes import AREA_SHARE, hull
from kpkit.core.dataset import (
    AREA_BBOX,
    AREA_UNKNOWN,
    BBOX_ANNOTATED,
    BBOX_KEYPOINTS,
    BBOX_UNKNOWN,
    INSTANCE_COLUMNS,
    Dataset,
)
from kpkit.core.table import Column, as_column, as_ids
from kpkit.qa.fiftyone_fields import TAGS_EXTRA, WORDS
from kpkit.qa.fiftyone_pull import ImageEdit, PersonEdit

# The hull of a new person's joints becomes its box, as in a conversion.
PADDING = 0.25


def apply(dataset: Dataset, edits: Sequence[ImageEdit], gone: NDArray[np.int64]) -> Dataset:
    """The dataset with all edits; rows of images and persons in `edits` are rows of `dataset`.

    gone  [G]  int64  rows of images that are no longer in FiftyOne
    """
    persons = [person for image in edits for person in image.persons]
    known = [person for person in persons if person.row >= 0]
    changed = _with_joints(dataset, [p for p in known if p.xy or p.words or p.swapped])
    changed = _with_boxes(changed, [p for p in known if p.box is not None or p.box_gone])
    changed = _with_tags(changed, edits)
    changed = _with_added(changed, [p for p in persons if p.row < 0 and not p.dropped])
    drop_images = np.union1d(gone, [image.image for image in edits if image.dropped]).astype(np.int64)
    drop = np.isin(changed.image_index, drop_images)
    drop[[p.row for p in known if p.dropped]] = True
    return _without(changed, drop, drop_images)


def _with_joints(dataset: Dataset, persons: list[PersonEdit]) -> Dataset:
    if not persons:
        return dataset
    xy, flags, truncated = dataset.xy.copy(), dataset.visibility.copy(), dataset.truncated.copy()
    for person in persons:
        row = person.row
        for joint, place in person.xy.items():
            xy[row, joint] = (np.nan, np.nan) if place is None else place
            truncated[row, joint] &= place is not None
        for joint, word in person.words.items():
            _say(word, xy[row, joint], flags[row], truncated[row], joint)
        joints = sorted({*person.xy, *person.words})
        set_to = vis.annotated(xy[row, joints], flags[row, joints], truncated[row, joints])
        xy[row, joints], flags[row, joints], truncated[row, joints] = set_to
        if person.swapped:
            order = dataset.skeleton.flip_index
            xy[row], flags[row], truncated[row] = xy[row, order], flags[row, order], truncated[row, order]
    return dataset.replace(xy=xy, visibility=flags, truncated=truncated)


def _say(
    word: str, xy: NDArray[np.float64], flags: NDArray[np.uint8], truncated: NDArray[np.bool_], joint: int
) -> None:
    """Set one joint's flag to what its word means, in place."""
    truncated[joint] = word == WORDS[3]
    flags[joint] = min(WORDS.index(word), vis.VISIBLE)
    if word == WORDS[0]:
        xy[:] = np.nan


def _with_boxes(dataset: Dataset, persons: list[PersonEdit]) -> Dataset:
    if not persons:
        return dataset
    box, source = dataset.bbox_xywh.copy(), dataset.bbox_source.copy()
    area, area_source = dataset.area.copy(), dataset.area_source.copy()
    for person in persons:
        row = person.row
        box[row] = np.nan if person.box is None else person.box
        source[row] = BBOX_UNKNOWN if person.box is None else BBOX_ANNOTATED
        if area_source[row] == AREA_BBOX:
            area[row] = AREA_SHARE * box[row, 2] * box[row, 3]
            area_source[row] = AREA_UNKNOWN if person.box is None else AREA_BBOX
    return dataset.replace(bbox_xywh=box, bbox_source=source, area=area, area_source=area_source)


def _with_tags(dataset: Dataset, edits: Sequence[ImageEdit]) -> Dataset:
    persons = {p.row: p.tags for image in edits for p in image.persons if p.row >= 0}
    images = {image.image: image.tags for image in edits}
    extras = _tagged(dataset.extras, len(dataset), persons)
    image_extras = _tagged(dataset.images.extras, len(dataset.images), images)
    if image_extras is not dataset.images.extras:
        dataset = dataset.replace(images=replace(dataset.images, extras=image_extras))
    return dataset if extras is dataset.extras else dataset.replace(extras=extras)


def _tagged(extras: Mapping[str, Column], rows: int, tags: Mapping[int, list[str]]) -> Mapping[str, Column]:
    """The extras with the tags of each row; the same object where nothing changes."""
    before = extras.get(TAGS_EXTRA)
    column = as_column([None] * rows) if before is None else before.copy()
    differs = False
    for row, now in tags.items():
        if (column[row] or []) != now:
            column[row], differs = now or None, True
    return {**extras, TAGS_EXTRA: column} if differs else extras


def _with_added(dataset: Dataset, persons: list[PersonEdit]) -> Dataset:
    """New persons behind the others, with new ids, and boxes of their joints where none was drawn."""
    if not persons:
        return dataset
    n, k = len(persons), len(dataset.skeleton)
    xy = np.full((n, k, 2), np.nan)
    flags, truncated = np.zeros((n, k), np.uint8), np.zeros((n, k), bool)
    for i, person in enumerate(persons):
        for joint, place in person.xy.items():
            xy[i, joint] = (np.nan, np.nan) if place is None else place
        for joint, word in person.words.items():
            _say(word, xy[i, joint], flags[i], truncated[i], joint)
    xy, flags, truncated = vis.annotated(xy, flags, truncated)
    image = np.array([person.image for person in persons], np.int64)
    box, box_source = _new_boxes(dataset, persons, xy, image)
    area = AREA_SHARE * box[:, 2] * box[:, 3]
    new: dict[str, Any] = {
        "image_index": image,
        "instance_id": _new_ids(dataset.instance_id, n),
        "category_id": as_ids([_usual(dataset)] * n),
        "xy": xy,
        "visibility": flags,
        "truncated": truncated,
        "bbox_xywh": box,
        "bbox_source": box_source,
        "area": area,
        "area_source": np.where(np.isfinite(area), AREA_BBOX, AREA_UNKNOWN).astype(np.uint8),
        "head_box": np.full((n, 4), np.nan),
        "track_id": as_column([None] * n),
        "score": np.full(n, np.nan),
        "is_crowd": np.array([person.label == "crowd" for person in persons]),
    }
    columns = {name: _joined(getattr(dataset, name), new[name], name) for name in INSTANCE_COLUMNS}
    extras = {name: np.concatenate([column, as_column([None] * n)]) for name, column in dataset.extras.items()}
    if any(person.tags for person in persons):
        before = extras.get(TAGS_EXTRA, as_column([None] * (len(dataset) + n))).copy()
        before[len(dataset) :] = as_column([person.tags or None for person in persons])
        extras[TAGS_EXTRA] = before
    rows = np.concatenate([np.arange(len(dataset)), np.full(n, -1)])
    source = dataset.source.take(rows, np.arange(len(dataset.images))) if dataset.source is not None else None
    return dataset.replace(**columns, extras=extras, source=source)


def _joined(before: Column, new: Column, name: str) -> Column:
    if name.endswith("_id") and name != "track_id":
        return as_ids([*before.tolist(), *new.tolist()])
    return np.concatenate([before, new])


def _new_boxes(
    dataset: Dataset, persons: list[PersonEdit], xy: NDArray[np.float64], image: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    box = np.full((len(persons), 4), np.nan)
    if len(dataset.skeleton):
        box = hull(xy, PADDING, dataset.images.width[image], dataset.images.height[image])
    source = np.where(np.isfinite(box).all(axis=1), BBOX_KEYPOINTS, BBOX_UNKNOWN).astype(np.uint8)
    for i, person in enumerate(persons):
        if person.box is not None:
            box[i], source[i] = person.box, BBOX_ANNOTATED
    return box, source


def _new_ids(ids: Column, count: int) -> Column:
    """Numbers above the largest; for ids that are texts, texts of the first such numbers that are free."""
    known = ids.tolist()
    numbers = [one for one in known if isinstance(one, int)]
    if numbers or not known:
        first = max(numbers, default=0) + 1
        return as_ids(list(range(first, first + count)))
    taken, found, number = set(known), list[str](), 1
    while len(found) < count:
        if f"added-{number}" not in taken:
            found.append(f"added-{number}")
        number += 1
    return as_ids(found)


def _usual(dataset: Dataset) -> Any:
    """The category most persons have."""
    values = dataset.category_id.tolist()
    return max(set(values), key=values.count) if values else 1


def _without(dataset: Dataset, drop: NDArray[np.bool_], images: NDArray[np.int64]) -> Dataset:
    """Without the marked persons and the images in `images`."""
    if drop.any():
        dataset = dataset.take(~drop)
    if not len(images):
        return dataset
    keep = np.setdiff1d(np.arange(len(dataset.images)), images)
    place = np.full(len(dataset.images), -1)
    place[keep] = np.arange(len(keep))
    source = dataset.source.take(np.arange(len(dataset)), keep) if dataset.source is not None else None
    return dataset.replace(
        images=dataset.images.take(keep), image_index=place[dataset.image_index].astype(np.int64), source=source
    )
