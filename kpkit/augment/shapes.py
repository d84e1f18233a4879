"""Polygons and masks through a matrix."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kpkit.augment import geometry as geo
from kpkit.errors import RecordError

Polygon = NDArray[np.float64]
Mask = NDArray[np.uint8]

MAX_MASK = 100_000_000


def move_polygon(matrix: NDArray[np.float64], polygon: Polygon) -> Polygon:
    """A polygon through the matrix.  [n,2] float64 pixels"""
    return geo.apply_points(matrix, polygon)


def clip_polygon(polygon: Polygon, width: int, height: int) -> Polygon:
    """The part of a polygon inside the frame (Sutherland and Hodgman 1974), empty where nothing is left.

    polygon  [n,2]  float64  pixels; the frame's edges are at -0.5 and width - 0.5, height - 0.5

    returns the polygon itself where all of it is inside
    """
    if len(polygon) >= 3 and not geo.outside(polygon, width, height).any():
        return polygon
    for axis, limit, keep_low in ((0, -0.5, False), (0, width - 0.5, True), (1, -0.5, False), (1, height - 0.5, True)):
        if len(polygon) == 0:
            return polygon
        polygon = _clip_side(polygon, axis, limit, keep_low)
    return polygon if len(polygon) >= 3 else np.zeros((0, 2))


def _clip_side(polygon: Polygon, axis: int, limit: float, keep_low: bool) -> Polygon:
    inside = polygon[:, axis] <= limit if keep_low else polygon[:, axis] >= limit
    if inside.all():
        return polygon
    before = np.roll(polygon, 1, axis=0)
    crosses = inside != np.roll(inside, 1)
    # Each corner may be preceded by the point where the line to it crosses the limit.
    chosen = np.stack([crosses, inside], axis=1)
    points = np.stack([polygon, polygon], axis=1)
    step = (polygon - before)[crosses]
    points[crosses, 0] = before[crosses] + ((limit - before[crosses, axis]) / step[:, axis])[:, None] * step
    kept: Polygon = points[chosen]
    return kept


def move_mask(matrix: NDArray[np.float64], mask: Mask, out_wh: tuple[int, int]) -> Mask:
    """A mask through the matrix, nearest pixel, 0 outside.

    mask  [H,W]  uint8    returns  [h,w]  uint8
    """
    moved = cv2.warpAffine(mask, matrix, out_wh, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    return moved.astype(np.uint8, copy=False)


def decode_rle(segmentation: dict[str, Any], place: str) -> Mask:
    """COCO run lengths (a list of counts, or the compressed string) as a mask of 0 and 255.  [H,W] uint8

    Raises RecordError where the counts do not fill the stated size, or the size is beyond MAX_MASK.
    """
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
        raise RecordError("not a run-length mask", code="KP-RLE", place=place, expected="'size': [height, width]")
    height, width = size
    if height * width > MAX_MASK:
        raise RecordError(
            "the run-length mask is too large",
            code="KP-RLE",
            place=place,
            expected=f"at most {MAX_MASK:,} pixels",
            got=f"{width} x {height}",
        )
    runs = _runs(counts) if isinstance(counts, str | bytes) else counts
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        raise RecordError("not a run-length mask", code="KP-RLE", place=place, expected="'counts': lengths of runs")
    if sum(runs) != height * width:
        raise RecordError(
            "the run lengths do not fill the mask",
            code="KP-RLE",
            place=place,
            expected=f"{height * width} pixels",
            got=str(sum(runs)),
        )
    values = np.zeros(len(runs), np.uint8)
    values[1::2] = 255
    return np.ascontiguousarray(np.repeat(values, runs).reshape(width, height).T)


def _runs(text: str | bytes) -> list[int] | None:
    """The run lengths of a compressed string; None where it is none.

    Six bits a character from "0" on: five of the number, lowest first, and one that says whether more follow; the last
    one's fifth bit is the sign. From the fourth run on, the number is the difference to the run two before.

    Source: cocoapi common/maskApi.c rleFrString, which reads past what a damaged string holds.
    """
    runs: list[int] = []
    value = shift = 0
    for byte in text.encode("utf-8", "replace") if isinstance(text, str) else text:
        digit = byte - 48
        if not 0 <= digit < 64 or shift > 60:
            return None
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    return runs if shift == 0 else None


def encode_rle(mask: Mask) -> dict[str, Any]:
    """A mask as COCO's uncompressed run lengths, column by column, starting with the zeros."""
    flat = (mask.T.reshape(-1) > 0).astype(np.int8)
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate(([0], edges, [len(flat)]))).tolist()
    if len(flat) and flat[0]:
        counts = [0, *counts]
    return {"size": [int(side) for side in mask.shape], "counts": counts}
