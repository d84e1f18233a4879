"""A dataset in a few lines, with nothing in them that is unknown: what a failing test shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kpkit.core.dataset import Dataset

_COLUMNS = (
    "instance_id", "category_id", "bbox_xywh", "bbox_source", "area", "area_source", "head_box", "track_id", "score",
    "is_crowd",
)  # fmt: skip


def describe(dataset: Dataset) -> str:
    """Skeleton, images and persons, a line each, without columns that say nothing."""
    skeleton = dataset.skeleton
    joints = list(skeleton.keypoints) if len(skeleton) <= 6 else f"{len(skeleton)} joints"
    lines = [f"skeleton '{skeleton.name}': {joints}", *_images(dataset), *_persons(dataset)]
    if dataset.meta:
        lines.append(f"meta: {dict(dataset.meta)}")
    return "\n  ".join(lines)


def _images(dataset: Dataset) -> Iterator[str]:
    images = dataset.images
    for row, path in enumerate(images.path.tolist()):
        parts = [f"id {images.id.tolist()[row]!r}", f"{images.width[row]}x{images.height[row]}"]
        parts += [f"split {images.split[row]!r}"] if images.split[row] else []
        yield f"image {row} {path!r}: " + ", ".join([*parts, *_values(images.extras, row)])


def _persons(dataset: Dataset) -> Iterator[str]:
    for row in range(len(dataset)):
        parts = [f"{name} {value}" for name in _COLUMNS if (value := _told(name, getattr(dataset, name).tolist()[row]))]
        for k in np.flatnonzero((dataset.visibility[row] > 0) | dataset.truncated[row]).tolist():
            flag = f"v{dataset.visibility[row, k]}" + (" truncated" if dataset.truncated[row, k] else "")
            parts.append(f"{dataset.skeleton.keypoints[k]} {dataset.xy[row, k].tolist()} {flag}")
        yield f"person {row} in image {dataset.image_index[row]}: " + ", ".join([*parts, *_values(dataset.extras, row)])


def _told(name: str, value: Any) -> str:
    if name.endswith("_source") and value < 2:
        return ""
    unknown = value is None or value is False or value != value or (isinstance(value, list) and value[0] != value[0])
    return "" if unknown else repr(value)


def _values(extras: Any, row: int) -> list[str]:
    return [f"{name} {column[row]!r}" for name, column in extras.items() if column[row] is not None]
