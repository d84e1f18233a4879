"""What a declared `Keeps` means, said once more and apart from the formats: the model of the contract tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import AREA_ANNOTATED, AREA_BBOX, BBOX_ANNOTATED, Dataset
from kpkit.formats.base import Keeps

EVERYTHING = Keeps(
    truncated=True,
    bbox_source=True,
    head_box=True,
    track_id=True,
    score=True,
    is_crowd=True,
    split=True,
    instance_id=True,
    category_id=True,
    image_id=True,
    extras=("*",),
)

Mask = NDArray[np.bool_]
Unmarked = Literal["plain", "left out"]


def restrict(
    dataset: Dataset,
    keeps: Keeps,
    *,
    rounded: bool = True,
    unmarked_crowd: Unmarked = "plain",
    unmarked_boxes: Unmarked = "plain",
) -> Dataset:
    """The part of a dataset that a format with these `keeps` promises to hold.

    rounded         coordinates are rounded to the declared decimals (never where those are relative to the image size)
    unmarked_crowd  crowd regions, where the format has no flag for them: plain persons, or left out
    unmarked_boxes  boxes that were made, where the format cannot say so: plain boxes, or left out
    """
    if unmarked_crowd == "left out" and not keeps.is_crowd:
        dataset = _select(dataset, ~dataset.is_crowd, np.ones(len(dataset.images), bool))
    if unmarked_boxes == "left out" and not keeps.bbox_source:
        made = dataset.bbox_source > BBOX_ANNOTATED
        dataset = dataset.replace(
            bbox_xywh=np.where(made[:, None], np.nan, dataset.bbox_xywh),
            bbox_source=np.where(made, 0, dataset.bbox_source).astype(np.uint8),
        )
    dataset = _rows(dataset, keeps)
    n, m, images = len(dataset), len(dataset.images), dataset.images
    xy, flags, truncated = _joints(dataset, keeps, rounded)
    has_box, has_area = np.isfinite(dataset.bbox_xywh).all(axis=1), np.isfinite(dataset.area)
    return Dataset.build(
        skeleton=dataset.skeleton,
        images=type(images).build(
            id=images.id if keeps.image_id else None,
            path=images.path,
            width=images.width if keeps.image_size else None,
            height=images.height if keeps.image_size else None,
            split=images.split if keeps.split else [""] * m,
            extras=_own(images.extras, keeps),
        ),
        image_index=dataset.image_index,
        xy=xy,
        visibility=flags,
        truncated=truncated,
        instance_id=dataset.instance_id if keeps.instance_id else None,
        category_id=dataset.category_id if keeps.category_id else None,
        bbox_xywh=_round(dataset.bbox_xywh, keeps, rounded) if keeps.bbox else None,
        bbox_source=(dataset.bbox_source if keeps.bbox_source else has_box) if keeps.bbox else None,
        area=dataset.area if keeps.area else None,
        area_source=(dataset.area_source if keeps.bbox_source else has_area) if keeps.area else None,
        head_box=_round(dataset.head_box, keeps, rounded) if keeps.head_box else None,
        track_id=dataset.track_id if keeps.track_id else [None] * n,
        score=dataset.score if keeps.score else None,
        is_crowd=dataset.is_crowd if keeps.is_crowd else None,
        extras=_own(dataset.extras, keeps),
        meta=_own(dataset.meta, keeps),
    )


def lost(dataset: Dataset, keeps: Keeps) -> set[str]:
    """Names, as in `Loss.what`, of everything in a dataset that `restrict` takes away."""
    gone = {f"visibility {flag}" for flag in {1, 2} - keeps.visibility if (dataset.visibility == flag).any()}
    images = dataset.images
    known: dict[str, Any] = {
        "truncated": dataset.truncated,
        "bbox": np.isfinite(dataset.bbox_xywh),
        # An area made from its box is no label: the box says it again.
        "area": np.isfinite(dataset.area) & (dataset.area_source != AREA_BBOX),
        "head_box": np.isfinite(dataset.head_box),
        "track_id": [one is not None for one in dataset.track_id],
        "score": np.isfinite(dataset.score),
        "is_crowd": dataset.is_crowd,
        "split": images.split != "",
        "image_size": images.width >= 0,
        "instance_id": [_told(dataset.instance_id)],
        "image_id": [_told(images.id)],
        "category_id": [len(set(dataset.category_id.tolist())) > 1],
    }
    gone |= {name for name, values in known.items() if not getattr(keeps, name) and np.any(values)}
    if keeps.decimals is not None and not keeps.relative:
        kept = [dataset.xy] + [dataset.bbox_xywh] * keeps.bbox + [dataset.head_box] * keeps.head_box
        known_numbers = np.concatenate([values[np.isfinite(values)] for values in kept])
        if (np.round(known_numbers, keeps.decimals) != known_numbers).any():
            gone.add("coordinates")
    if keeps.bbox and not keeps.bbox_source and (dataset.bbox_source > BBOX_ANNOTATED).any():
        gone.add("bbox_source")
    if keeps.area and not keeps.bbox_source and (dataset.area_source > AREA_ANNOTATED).any():
        gone.add("area_source")
    without = np.bincount(dataset.image_index, minlength=len(images)) == 0
    if not keeps.empty_images and without.any():
        gone.add("images")
    if not keeps.empty_persons and (~_with_joint(dataset)).any():
        gone.add("instances")
    for named in (dataset.extras, images.extras, dataset.meta):
        gone |= {name for name in named.keys() - _own(named, keeps).keys() if _any_value(named[name])}
    return gone


def also(keeps: Keeps, what: str) -> Keeps:
    """The same promise and one thing more, named as in `Loss.what`."""
    if what.startswith("visibility"):
        return replace(keeps, visibility=frozenset({0, 1, 2}))
    rest: dict[str, dict[str, Any]] = {
        "coordinates": {"decimals": None, "bbox": False, "head_box": False},
        "area_source": {"bbox_source": True},
        "images": {"empty_images": True},
        "instances": {"empty_persons": True},
    }
    columns = {one.name for one in fields(Keeps)}
    if what in rest or what in columns:
        return replace(keeps, **rest.get(what, {what: True}))
    return replace(keeps, extras=(*keeps.extras, what.split(".")[0]))


def _rows(dataset: Dataset, keeps: Keeps) -> Dataset:
    persons = np.ones(len(dataset), bool)
    if keeps.persons_need_size:
        persons &= ((dataset.images.width > 0) & (dataset.images.height > 0))[dataset.image_index]
    if not keeps.empty_persons:
        persons &= _with_joint(dataset)
    images = np.ones(len(dataset.images), bool)
    if not keeps.empty_images:
        images = np.bincount(dataset.image_index[persons], minlength=len(dataset.images)) > 0
    return _select(dataset, persons, images)


def _select(dataset: Dataset, persons: Mask, images: Mask) -> Dataset:
    """The selected persons and images; every selected person's image is selected too."""
    if persons.all() and images.all():
        return dataset
    kept = dataset.take(persons)
    position = np.cumsum(images) - 1
    return kept.replace(
        images=dataset.images.take(np.flatnonzero(images)), image_index=position[kept.image_index], source=None
    )


def _joints(
    dataset: Dataset, keeps: Keeps, rounded: bool
) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.bool_]]:
    flags = dataset.visibility.copy()
    for flag in {1, 2} - keeps.visibility:
        flags[dataset.visibility == flag] = 3 - flag
    truncated = dataset.truncated & (flags < 2) if keeps.truncated else np.zeros(flags.shape, bool)
    return _round(dataset.xy, keeps, rounded), flags, truncated


def _round(values: NDArray[np.float64], keeps: Keeps, rounded: bool) -> NDArray[np.float64]:
    if keeps.decimals is None or keeps.relative or not rounded:
        return values
    # Plus 0.0: rounding makes -0.0 of small negative numbers, and the sign of zero says nothing.
    return np.round(values, keeps.decimals) + 0.0


def _own(named: Mapping[str, Any], keeps: Keeps) -> dict[str, Any]:
    return {name: values for name, values in named.items() if "*" in keeps.extras or name.split(".")[0] in keeps.extras}


def _with_joint(dataset: Dataset) -> Mask:
    return np.asarray((dataset.visibility > 0).any(axis=1), bool)


def _told(ids: NDArray[Any]) -> bool:
    """Ids 1..n in order are what a reader makes up where a file has none."""
    return list(ids.tolist()) != list(range(1, len(ids) + 1))


def _any_value(values: Any) -> bool:
    return not isinstance(values, np.ndarray) or any(value is not None for value in values)
