"""`info`: what a path holds, in numbers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from kpkit import storage
from kpkit.core import catalog
from kpkit.core.dataset import BBOX_SOURCES, Dataset
from kpkit.core.report import Collector
from kpkit.core.skeleton import Skeleton
from kpkit.errors import KpkitError
from kpkit.formats.base import ReadOptions
from kpkit.pipelines.bulk import uncollected
from kpkit.pipelines.find import bring_labels, detect, get_format
from kpkit.pipelines.images import ImageSizes
from kpkit.pipelines.io import read_with

SCHEMA_VERSION = 1
NO_SPLIT = "(none)"


def run(path: Path, *, from_: str | None = None, skeleton: str | None = None, **options: Any) -> dict[str, Any]:
    """Format, counts, visibility by joint, and what was noticed; errors in records are listed, not raised.

    path     file or folder        from_  name of the format; None: told by the content
    options  images, image_sizes, image_list, layout as in kpkit.read

    Labels that have parts are read part by part.

    Raises InputError or FormatError where the file cannot be read at all.
    """
    if from_ is None and options.get("layout") is not None:
        from_ = "six2"
    path = bring_labels(path)
    found, variant = (get_format(from_), "") if from_ else detect(path)
    collector = Collector("collect")
    sizes = ImageSizes(options.pop("images", None), options.pop("image_sizes", None))
    chosen = catalog.skeleton(skeleton) if skeleton else None
    given = ReadOptions(skeleton=chosen, sizes=sizes, **options)
    facts = Facts()
    try:
        with uncollected():
            parts = found.parts(path, given, collector)
            if parts is None:
                facts.add(read_with(found, path, given, collector))
            for ref in parts.refs() if parts is not None else ():
                facts.add(ref.load(collector).dataset)
    except KpkitError as error:
        if not error.place:
            error.at(str(path))
        raise
    told = {
        "schema_version": SCHEMA_VERSION,
        "path": str(storage.origin(path)),
        "format": found.name,
        "variant": variant or found.sniff(path) or "",
        **facts.as_dict(),
    }
    return told | {"issues": [vars(issue) for issue in collector.issues]}


class Facts:
    """The numbers of a dataset, added up over its parts: every image stands in one of them."""

    def __init__(self) -> None:
        self._skeleton: Skeleton | None = None
        self._numbers: dict[str, Counter[str]] = {name: Counter() for name in ("counts", "boxes", "splits", "extras")}
        self._rows: Counter[str] = Counter()
        self._joints: list[dict[str, Any]] = []

    def add(self, dataset: Dataset) -> None:
        """Add a part."""
        first = self._skeleton is None
        self._skeleton = self._skeleton or dataset.skeleton
        for name, numbers in (
            ("counts", dataset.counts()),
            ("boxes", _boxes(dataset)),
            ("splits", _splits(dataset)),
            ("extras", _extras(dataset, whole=first)),
        ):
            self._numbers[name].update(numbers)
        joints = _joints(dataset)
        for one, more in zip(self._joints, joints, strict=not first):
            one.update({flag: one[flag] + more[flag] for flag in more if flag != "joint"})
        self._joints = self._joints or joints
        self._rows["images_without_persons"] += len(dataset.images) - len(np.unique(dataset.image_index))
        self._rows["persons_without_joints"] += int((~(dataset.visibility > 0).any(axis=1)).sum())
        self._rows["image_sizes_unknown"] += int((dataset.images.width < 0).sum())

    def as_dict(self) -> dict[str, Any]:
        """Plain data, in the order in which it is read."""
        numbers = {name: dict(counts) for name, counts in self._numbers.items()}
        return {
            "skeleton": self._skeleton.name if self._skeleton is not None else "",
            "counts": numbers["counts"],
            "joints": self._joints,
            "boxes": {name: numbers["boxes"][name] for name in BBOX_SOURCES if name in numbers["boxes"]},
            **self._rows,
            "splits": dict(sorted(numbers["splits"].items(), key=lambda one: "" if one[0] == NO_SPLIT else one[0])),
            "extras": dict(sorted(numbers["extras"].items())),
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
    return {str(name) or NO_SPLIT: int(count) for name, count in zip(names, counts, strict=True)}


def _extras(dataset: Dataset, *, whole: bool) -> dict[str, int]:
    """How many persons and images have each extra; what belongs to the dataset as a whole only where asked for."""
    counts = Counter(
        {
            name: sum(value is not None for value in column)
            for extras in (dataset.extras, dataset.images.extras)
            for name, column in extras.items()
        }
    )
    if dataset.source is not None:
        counts.update(dataset.source.extra_counts())
        if not whole:
            counts.subtract(dataset.source.of_the_whole())
    if whole:
        counts.update(dict.fromkeys(dataset.meta, 1))
    return dict(counts)
