"""Outlines in raw rows of COCO: segmentations, their areas (shoelace formula, run lengths), regions without labels."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kpkit.core.polygons import polygon_area
from kpkit.formats.jsonrows import RowSource, iterate


class _Row(msgspec.Struct, gc=False):
    segmentation: list[list[float]] | dict[str, Any] | None = None


class _ImageRow(msgspec.Struct, gc=False):
    ignore_regions_x: Any = None
    ignore_regions_y: Any = None


def ignored_regions(source: RowSource) -> dict[int, tuple[Any, Any]]:
    """PoseTrack's regions where nobody is labelled: image -> corners' x and y, as its row has them."""
    found: dict[int, tuple[Any, Any]] = {}
    if not len(source.image_rows):
        return found
    known = np.flatnonzero(source.image_row_of >= 0)
    decode = msgspec.json.Decoder(_ImageRow).decode
    for i, raw in zip(known.tolist(), iterate(source.image_rows, source.image_row_of[known]), strict=True):
        row = decode(raw)
        if row.ignore_regions_x and row.ignore_regions_y:
            found[i] = row.ignore_regions_x, row.ignore_regions_y
    return found


def segmentations(source: RowSource, instances: NDArray[np.int64]) -> list[list[list[float]] | dict[str, Any] | None]:
    """The segmentations of the selected instances as their rows have them, None where there is none."""
    found: list[list[list[float]] | dict[str, Any] | None] = [None] * len(instances)
    rows = source.row_of[instances]
    known = np.flatnonzero(rows >= 0)
    decode = msgspec.json.Decoder(_Row).decode
    for i, raw in zip(known.tolist(), iterate(source.rows, rows[known]), strict=True):
        with contextlib.suppress(msgspec.ValidationError):  # a shape of its own
            found[i] = decode(raw).segmentation
    return found


def segmentation_areas(source: RowSource, instances: NDArray[np.int64]) -> NDArray[np.float64]:
    """[n] float64: area in pixels^2 of the segmentation of the selected instances, NaN where there is none.

    Overlapping polygons of one person are added, as COCO's own annotation tool does.
    """
    areas = np.full(len(instances), np.nan)
    for i, segmentation in enumerate(segmentations(source, instances)):
        if isinstance(segmentation, dict):
            areas[i] = _run_length_area(segmentation)
        elif segmentation:
            polygons = [np.reshape(p, (-1, 2)) for p in segmentation if len(p) >= 6 and len(p) % 2 == 0]
            areas[i] = sum(map(polygon_area, polygons))
    return areas


def _run_length_area(segmentation: dict[str, Any]) -> float:
    counts = segmentation.get("counts")
    if isinstance(counts, list) and all(isinstance(n, int) for n in counts):
        return float(sum(counts[1::2]))
    if isinstance(counts, str) and isinstance(segmentation.get("size"), list):
        from pycocotools import mask

        return float(mask.area({"size": segmentation["size"], "counts": counts.encode("ascii")}))
    return float("nan")
