"""`info`: what a path holds, in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kpkit.core import catalog
from kpkit.core.dataset import BBOX_SOURCES, Dataset
from kpkit.core.report import Collector
from kpkit.errors import KpkitError
from kpkit.formats.base import ReadOptions
from kpkit.pipelines.find import detect, get_format
from kpkit.pipelines.images import ImageSizes
from kpkit.pipelines.io import read_with

SCHEMA_VERSION = 1


def run(path: Path, *, from_: str | None = None, skeleton: str | None = None, **options: Any) -> dict[str, Any]:
    """Format, counts, visibility by joint, and what was noticed; errors in records are listed, not raised.

    path     file or folder        from_  name of the format; None: told by the content
    options  images, image_sizes, image_list, layout as in kpkit.read

    Raises InputError or FormatError where the file cannot be read at all.
    """
    if from_ is None and options.get("layout") is not None:
        from_ = "six2"
    found, variant = (get_format(from_), "") if from_ else detect(path)
    collector = Collector("collect")
    sizes = ImageSizes(options.pop("images", None), options.pop("image_sizes", None))
    chosen = catalog.skeleton(skeleton) if skeleton else None
    try:
        dataset = read_with(found, path, ReadOptions(skeleton=chosen, sizes=sizes, **options), collector)
    except KpkitError as error:
        if not error.place:
            error.at(str(path))
        raise
    return {
        "schema_version": SCHEMA_VERSION,
        "path": str(path),
        "format": found.name,
        "variant": variant or found.sniff(path) or "",
        "skeleton": dataset.skeleton.name,
        "counts": dataset.counts(),
        "joints": _joints(dataset),
        "boxes": _boxes(dataset),
        "images_without_persons": len(dataset.images) - len(np.unique(dataset.image_index)),
        "persons_without_joints": int((~(dataset.visibility > 0).any(axis=1)).sum()),
        "image_sizes_unknown": int((dataset.images.width < 0).sum()),
        "splits": _splits(dataset),
        "extras": _extras(dataset),
        "issues": [vars(issue) for issue in collector.issues],
    }


def _joints(dataset: Dataset) -> list[dict[str, Any]]:
    return [
        {
            "joint": name,
            "visible": int((dataset.visibility[:, k] == 2).sum()),
            "occluded": int((dataset.visibility[:, k] == 1).sum()),
            "unlabelled": int((dataset.visibility[:, k] == 0).sum()),
            "truncated": int(dataset.truncated[:, k].sum()),
        }
        for k, name in enumerate(dataset.skeleton.keypoints)
    ]


def _boxes(dataset: Dataset) -> dict[str, int]:
    counts = np.bincount(dataset.bbox_source, minlength=len(BBOX_SOURCES))
    return {name: int(count) for name, count in zip(BBOX_SOURCES, counts, strict=True) if count}


def _splits(dataset: Dataset) -> dict[str, int]:
    names, counts = np.unique(dataset.images.split.astype(str), return_counts=True)
    return {str(name) or "(none)": int(count) for name, count in zip(names, counts, strict=True)}


def _extras(dataset: Dataset) -> dict[str, int]:
    counts = {
        name: sum(value is not None for value in column)
        for extras in (dataset.extras, dataset.images.extras)
        for name, column in extras.items()
    }
    counts.update(dict.fromkeys(dataset.meta, 1))
    if dataset.source is not None:
        counts.update(dataset.source.extra_counts())
    return dict(sorted(counts.items()))
