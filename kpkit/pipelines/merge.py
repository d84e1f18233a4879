"""Several datasets of one skeleton as one: ids that collide are given anew, and that is reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import INSTANCE_COLUMNS, Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.core.skeleton import Skeleton
from kpkit.core.table import Column, as_column, as_ids
from kpkit.errors import UsageError
from kpkit.formats.jsonmerge import merge_sources
from kpkit.formats.jsonrows import RowSource


def merge(datasets: list[Dataset], names: list[str], collector: Collector) -> Dataset:
    """One dataset of all; images of the same path and size are one image.

    names  of the inputs, for messages

    Raises UsageError where the skeletons differ, or where one is a list of detections: its image ids belong to a
    ground truth and must not change.
    """
    if len(datasets) == 1:
        return datasets[0]
    first = datasets[0]
    _refuse_results(datasets, names)
    check_skeletons([dataset.skeleton for dataset in datasets], names)
    images, row_of, offsets = merge_images([dataset.images for dataset in datasets], names, collector)
    columns: dict[str, Any] = {
        name: _concat([getattr(dataset, name) for dataset in datasets]) for name in INSTANCE_COLUMNS
    }
    columns["image_index"] = np.concatenate(
        [row_of[start + dataset.image_index] for start, dataset in zip(offsets, datasets, strict=True)]
    ).astype(np.int64)
    columns["instance_id"] = unique_ids(columns["instance_id"], "persons", "KP-MERGE-PERSON-ID", collector)
    return replace(
        first,
        images=images,
        **columns,
        extras=_merge_extras([dataset.extras for dataset in datasets], [len(dataset) for dataset in datasets]),
        meta=merge_meta([dataset.meta for dataset in datasets], collector),
        source=merge_sources(datasets, names, row_of, len(images), collector),
        provenance=(*first.provenance, {"step": "merge", "inputs": len(datasets)}),
        image_root=first.image_root if len({dataset.image_root for dataset in datasets}) == 1 else None,
    )


def check_skeletons(skeletons: list[Skeleton], names: list[str]) -> None:
    """Raise UsageError where the inputs have different joints."""
    for other, name in zip(skeletons[1:], names[1:], strict=True):
        if not other.same_joints(skeletons[0]):
            raise UsageError(
                "the inputs have different skeletons",
                code="KP-MERGE-SKELETON",
                place=name,
                expected=f"{skeletons[0].name} as in {names[0]}",
                got=other.name,
                help="convert them one by one with --skeleton first",
            )


def _refuse_results(datasets: list[Dataset], names: list[str]) -> None:
    for dataset, name in zip(datasets, names, strict=True):
        if isinstance(dataset.source, RowSource) and dataset.source.variant == "results":
            raise UsageError(
                "a result list cannot be merged with anything",
                code="KP-MERGE-RESULTS",
                place=name,
                expected="ground truth",
                got="detections, whose image ids belong to a ground truth",
                help="convert the files one by one",
            )


def merge_images(
    tables: list[ImageTable], names: list[str], collector: Collector
) -> tuple[ImageTable, NDArray[np.int64], list[int]]:
    """The merged table, the merged row of every input row (inputs one after the other), and where inputs start."""
    offsets = np.cumsum([0, *[len(table) for table in tables]]).tolist()
    seen: dict[tuple[str, int, int, int], int] = {}
    row_of = np.zeros(offsets[-1], np.int64)
    keep: list[int] = []
    at = 0
    for table in tables:
        # Two images of one input stay two, even under one name: the n-th of one is the n-th of the other.
        times: Counter[tuple[str, int, int]] = Counter()
        for path, width, height in zip(table.path.tolist(), table.width.tolist(), table.height.tolist(), strict=True):
            times[path, width, height] += 1
            key = (path or f"\0{at}", width, height, times[path, width, height])
            if key in seen:
                collector.note(
                    "KP-MERGE-IMAGE", "images that stand in several inputs; one each in the output", place=path
                )
            if key not in seen:
                seen[key] = len(keep)
                keep.append(at)
            row_of[at] = seen[key]
            at += 1
    merged = _concat_images(tables).take(np.array(keep, np.int64))
    ids = unique_ids(merged.id, "images", "KP-MERGE-IMAGE-ID", collector)
    return replace(merged, id=ids), row_of, offsets[:-1]


def _concat_images(tables: list[ImageTable]) -> ImageTable:
    sizes = [len(table) for table in tables]
    return ImageTable(
        **{
            name: _concat([getattr(table, name) for table in tables])
            for name in ("id", "path", "width", "height", "split")
        },
        extras=_merge_extras([table.extras for table in tables], sizes),
    )


def _concat(columns: list[Column]) -> Column:
    if any(column.dtype == object for column in columns):
        return as_column([value for column in columns for value in column.tolist()])
    return np.concatenate(columns)


def _merge_extras(extras: list[Any], sizes: list[int]) -> dict[str, Column]:
    names = dict.fromkeys(name for one in extras for name in one)
    return {
        name: as_column(
            [
                value
                for one, n in zip(extras, sizes, strict=True)
                for value in (one[name] if name in one else [None] * n)
            ]
        )
        for name in names
    }


def unique_ids(ids: Column, what: str, code: str, collector: Collector) -> Column:
    """The ids, the later of two equal ones replaced by the next free integer."""
    if ids.dtype == object:
        values, changed = _next_free(ids.tolist())
        new = as_ids(values) if changed else ids
    else:
        first = np.zeros(len(ids), bool)
        first[np.unique(ids, return_index=True)[1]] = True
        changed = int(np.count_nonzero(~first))
        new = ids
        if changed:
            new, free = ids.copy(), max(int(ids.max()), 0)
            if free > 2**63 - 1 - changed:
                return unique_ids(ids.astype(object), what, code, collector)
            new[~first] = np.arange(free + 1, free + 1 + changed)
    collector.issue(
        code, f"{what} whose id stands in several inputs; the later ones got new ids", count=changed, severity="note"
    )
    return new


def _next_free(values: list[Any]) -> tuple[list[Any], int]:
    """The values, and how many of them are new."""
    free = max((value for value in values if isinstance(value, int)), default=0)
    seen: set[Any] = set()
    changed = 0
    for i, value in enumerate(values):
        if value in seen:
            free += 1
            values[i] = free
            changed += 1
        seen.add(values[i])
    return values, changed


def merge_meta(metas: Sequence[Mapping[str, Any]], collector: Collector) -> dict[str, Any]:
    """Fields of the datasets as a whole; the first of two that differ is kept, and that is reported."""
    meta: dict[str, Any] = {}
    for one in metas:
        for name, value in one.items():
            if meta.setdefault(name, value) != value:
                collector.issue("KP-MERGE-META", f"'{name}' differs between the inputs; the first is kept")
    return meta
