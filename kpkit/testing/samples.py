"""One ordinary dataset, always the same: what tests write that want a file rather than a surprise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kpkit.core import catalog
from kpkit.core.dataset import BBOX_SCALE, Dataset, ImageTable
from kpkit.formats.base import Keeps
from kpkit.testing.restrict import EVERYTHING, restrict


def sample(keeps: Keeps = EVERYTHING, persons: int = 5) -> Dataset:
    """What `keeps` has of persons in three images, with every legal state of a joint, boxes, areas, ids and splits."""
    skeleton = catalog.skeleton(keeps.skeletons[0] if keeps.skeletons else "coco17")
    n, k = persons, len(skeleton)
    grid = np.arange(n * k).reshape(n, k)
    states = np.array([(2, False), (1, False), (2, False), (0, False), (1, True), (0, True)], np.uint8)[grid % 6]
    visibility, truncated = states[..., 0], states[..., 1].astype(bool)
    xy = np.stack([40.5 + grid * 7 % 501, 31.25 + grid * 11 % 353], axis=-1)
    whole = Dataset.build(
        skeleton=skeleton,
        images=ImageTable.build(
            id=[139, 285, 632],
            path=["train/a 1.jpg", "train/größe.jpg", "val/c.png"],
            width=[640, 640, 500],
            height=[480, 427, 375],
            split=["train", "train", "val"],
        ),
        image_index=np.arange(n) * 3 // n,
        xy=np.where(visibility[..., None] > 0, xy, np.nan),
        visibility=visibility,
        truncated=truncated,
        instance_id=np.arange(n) + 1001,
        bbox_xywh=np.stack([10.0 + np.arange(n), np.full(n, 12.5), np.full(n, 300.0), np.full(n, 280.25)], axis=1),
        area=44_000.0 + np.arange(n),
    )
    return restrict(whole, keeps)


def changes(dataset: Dataset, keeps: Keeps) -> Iterator[tuple[str, Dataset]]:
    """The dataset with one column changed, for every column that `keeps` names, in the last person or in all images."""
    last = {
        "xy": dataset.xy + 1.0,
        "bbox_xywh": dataset.bbox_xywh + 1.0,
        "area": dataset.area + 1.0,
        "head_box": np.full((len(dataset), 4), 30.0),
        "score": np.full(len(dataset), 0.25),
        "is_crowd": ~dataset.is_crowd,
        "track_id": _texts(len(dataset), "track"),
        "instance_id": _texts(len(dataset), "person"),
        "bbox_source": np.full(len(dataset), BBOX_SCALE, np.uint8),
    }
    kept = {"xy": True, "bbox_xywh": keeps.bbox, "bbox_source": keeps.bbox and keeps.bbox_source}
    for name, values in last.items():
        if kept.get(name, getattr(keeps, name, False)):
            yield name, dataset.replace(**{name: _last_row(getattr(dataset, name), values)})
    yield "visibility", _unlabelled(dataset)
    yield "image_index", dataset.replace(image_index=np.zeros(len(dataset), np.int64))
    if "*" in keeps.extras:
        yield "extras", dataset.replace(extras={**dataset.extras, "other.note": _texts(len(dataset), "note")})
        yield "meta", dataset.replace(meta={**dataset.meta, "other.note": {"a": [1]}})
    yield from _image_changes(dataset, keeps)


def _image_changes(dataset: Dataset, keeps: Keeps) -> Iterator[tuple[str, Dataset]]:
    images, m = dataset.images, len(dataset.images)
    whole: dict[str, Any] = {
        name: getattr(images, name) for name in ("id", "path", "width", "height", "split", "extras")
    }
    new: dict[str, Any] = {"path": [f"renamed {one}" for one in images.path]}
    if keeps.image_id:
        new["id"] = np.arange(m) + 77
    if keeps.image_size:
        new["width"] = images.width + 1
    if keeps.split:
        new["split"] = np.array(["test"] * m, object)
    if "*" in keeps.extras:
        new["extras"] = {**images.extras, "other.note": _texts(m, "note")}
    for name, values in new.items():
        yield f"images.{name}", dataset.replace(images=type(images).build(**{**whole, name: values}))


def _last_row(before: Any, values: Any) -> Any:
    """`before` with its last row taken from `values`."""
    if values.dtype == object or before.dtype == object:
        mixed = np.empty(len(before), object)
        mixed[:] = [*before.tolist()[:-1], values.tolist()[-1]]
        return mixed
    changed = before.copy()
    changed[-1] = values[-1]
    return changed


def _unlabelled(dataset: Dataset) -> Dataset:
    """The first labelled joint of the last person taken away."""
    xy, flags = dataset.xy.copy(), dataset.visibility.copy()
    joint = int(np.flatnonzero(flags[-1])[0])
    xy[-1, joint], flags[-1, joint] = np.nan, 0
    return dataset.replace(xy=xy, visibility=flags)


def _texts(n: int, word: str) -> Any:
    values = np.empty(n, object)
    values[:] = [f"{word} {letter}" for letter in "abcdefghijklmnop"[:n]]
    return values
