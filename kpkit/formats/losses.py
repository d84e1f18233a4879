"""What a target format cannot hold, counted from its declared `Keeps` before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import AREA_ANNOTATED, AREA_BBOX, BBOX_ANNOTATED, Dataset, known_rows
from kpkit.core.report import Loss
from kpkit.formats.base import Keeps

_COLUMNS: dict[str, tuple[str, Callable[[Dataset], NDArray[np.bool_]]]] = {
    "truncated": ("no flag for joints outside the frame", lambda d: d.truncated),
    "bbox": ("no person boxes", lambda d: known_rows(d.bbox_xywh)),
    # An area made from its box is no label: whoever reads the box can make it again.
    "area": ("no person areas", lambda d: np.isfinite(d.area) & (d.area_source != AREA_BBOX)),
    "head_box": ("no head rectangles", lambda d: known_rows(d.head_box)),
    "track_id": ("no tracks", lambda d: np.array([t is not None for t in d.track_id], bool)),
    "score": ("no scores", lambda d: np.isfinite(d.score)),
    "is_crowd": ("no crowd regions", lambda d: d.is_crowd),
    "split": ("no splits", lambda d: np.array([s != "" for s in d.images.split], bool)),
    "image_size": ("no image sizes", lambda d: d.images.width >= 0),
}


def losses(dataset: Dataset, keeps: Keeps, format_name: str) -> list[Loss]:
    """Everything in `dataset` that a format with these `keeps` does not hold, one Loss a kind."""
    found = [*_column_losses(dataset, keeps), *_flag_losses(dataset, keeps), *_row_losses(dataset, keeps)]
    found += _extra_losses(dataset, keeps, format_name)
    return found


def _column_losses(dataset: Dataset, keeps: Keeps) -> Iterator[Loss]:
    for column, (why, present) in _COLUMNS.items():
        if getattr(keeps, column):
            continue
        rows = present(dataset)
        if column == "is_crowd" and not rows.any():
            continue
        count = int(np.count_nonzero(rows))
        if count:
            yield Loss(column, count, f"the format has {why}", _example(dataset, column, rows))
    custom = dataset.instance_id
    if not keeps.instance_id and _informative(custom):
        yield Loss("instance_id", len(dataset), "the format has no ids for persons")
    if not keeps.image_id and _informative(dataset.images.id):
        yield Loss("image_id", len(dataset.images), "the format has no ids for images")
    if not keeps.category_id and len(dataset) and len(set(dataset.category_id.tolist())) > 1:
        yield Loss("category_id", len(dataset), "the format has one category")


def _informative(ids: NDArray[np.generic]) -> bool:
    """Ids 1..n in order are made up by readers and carry nothing."""
    return not (ids.dtype.kind == "i" and np.array_equal(ids, np.arange(1, len(ids) + 1)))


def _flag_losses(dataset: Dataset, keeps: Keeps) -> Iterator[Loss]:
    names = {0: "unlabelled", 1: "occluded", 2: "visible"}
    for flag in sorted({1, 2} - keeps.visibility):
        count = int(np.count_nonzero(dataset.visibility == flag))
        if count:
            yield Loss(f"visibility {flag}", count, f"the format cannot say '{names[flag]}'")
    if keeps.decimals is not None and not keeps.relative:
        boxes = [box for box, kept in ((dataset.bbox_xywh, keeps.bbox), (dataset.head_box, keeps.head_box)) if kept]
        count = sum(_rounded(values, keeps.decimals) for values in (dataset.xy, *boxes))
        if count:
            yield Loss("coordinates", count, f"the format has {keeps.decimals} decimals; values are rounded")


def _rounded(values: NDArray[np.float64], decimals: int) -> int:
    """How many numbers have more decimals."""
    with np.errstate(over="ignore"):  # what overflows in rounding differs, which is all that is asked
        return int(np.count_nonzero((np.round(values, decimals) != values) & np.isfinite(values)))


def _row_losses(dataset: Dataset, keeps: Keeps) -> Iterator[Loss]:
    if not keeps.empty_images:
        empty = np.ones(len(dataset.images), bool)
        empty[dataset.image_index] = False
        if empty.any():
            example = str(dataset.images.path[int(np.flatnonzero(empty)[0])])
            yield Loss("images", int(empty.sum()), "the format has no images without persons", example)
    if not keeps.empty_persons:
        bare = ~(dataset.visibility > 0).any(axis=1)
        if bare.any():
            yield Loss("instances", int(bare.sum()), "the format has no persons without a labelled joint")
    if not keeps.bbox_source:
        made = np.isfinite(dataset.bbox_xywh).all(axis=1) & (dataset.bbox_source != BBOX_ANNOTATED)
        if keeps.bbox and made.any():
            yield Loss("bbox_source", int(made.sum()), "the format cannot say that a box was made, not annotated")
        made = np.isfinite(dataset.area) & (dataset.area_source != AREA_ANNOTATED)
        if keeps.area and made.any():
            yield Loss("area_source", int(made.sum()), "the format cannot say that an area was made, not annotated")


def _extra_losses(dataset: Dataset, keeps: Keeps, format_name: str) -> Iterator[Loss]:
    if "*" in keeps.extras:
        return
    counted: dict[str, int] = {}
    for extras in (dataset.extras, dataset.images.extras):
        for name, column in extras.items():
            counted[name] = counted.get(name, 0) + sum(value is not None for value in column)
    for name in dataset.meta:
        counted[name] = counted.get(name, 0) + 1
    source = dataset.source
    if source is not None and source.format != format_name:
        counted.update(source.extra_counts())
    for name, count in sorted(counted.items()):
        if count and name.split(".")[0] not in keeps.extras:
            yield Loss(name, count, "the format has no place for this field")


def _example(dataset: Dataset, column: str, rows: NDArray[np.bool_]) -> str:
    first = int(np.argwhere(rows)[0, 0])
    if column in {"split", "image_size"}:
        return f"image {dataset.images.path[first]}"
    return f"instance {dataset.instance_id[first]} in {dataset.images.path[dataset.image_index[first]]}"
