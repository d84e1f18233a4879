"""Finds where points went from a picture of coordinates that went through the same movement.

Each pixel of that picture holds its own source position. After any movement it says for every output pixel where it
came from; a point's place in the output is where the picture says the point's own coordinates.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Map = NDArray[np.float32]

# Added to the coordinates, so that the zeros that a movement fills in are told from every position.
OFFSET = 16384.0
STEPS = 15
DAMPING = 1e-6
# Neighbours further apart than this were mixed with what was filled in.
TORN = 64.0
NEAR = 0.01
# About so many pixels are looked at for the place to begin.
LOOKED_AT = 2_000


def coordinate_map(width: int, height: int) -> Map:
    """The picture to move along.  [H,W,2] float32: each pixel's x and y, plus OFFSET"""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.stack([x, y], axis=-1) + np.float32(OFFSET)


def locate(moved: Map, source: Points) -> tuple[Points, NDArray[np.bool_]]:
    """Where points of the source are in the output, by damped Newton steps on the bilinear picture of coordinates.

    moved   [h,w,2]  float32  what became of `coordinate_map`
    source  [P,2]    float64  source pixels

    returns [P,2]    float64  output pixels; a point that is not in the picture goes on from the nearest pixel that is;
                              NaN where there is none
            [P]      bool     found in the picture, to a hundredth of a source pixel
    """
    start = _nearest(moved, source)
    at, found = _follow(moved, source, start)
    onward = _step(moved, source, start)
    # Where the picture is folded or torn, every pixel is looked at; not for points that are far outside.
    near = np.abs(onward).max(axis=-1, initial=0.0) < 4 * _stride(moved)
    for lost in np.flatnonzero(~found & near):
        start[lost] = _nearest(moved, source[[lost]], every=True)[0]
        at[[lost]], found[[lost]] = _follow(moved, source[[lost]], start[[lost]])
        onward[[lost]] = _step(moved, source[[lost]], start[[lost]])
    return np.where(found[:, None], at, _beyond(moved, source, start, start + onward)), found


def _beyond(moved: Map, source: Points, start: Points, end: Points) -> Points:
    """Where points are that are not in the picture: at `end`, unless the picture shows another place there.

    Then a pixel beyond the border where `start` is on it, else at `start`.
    """
    value, _ = _sample(moved, end)
    with np.errstate(invalid="ignore"):
        another = np.abs(value - source).max(axis=-1, initial=0.0) > 1.0
    last = np.array(moved.shape[1::-1]) - 1
    return np.where(another[:, None], start - (start == 0) + (start == last), end)


def _follow(moved: Map, source: Points, start: Points) -> tuple[Points, NDArray[np.bool_]]:
    at = start.copy()
    for _ in range(STEPS):
        step = _step(moved, source, at)
        at += np.clip(step, -8.0, 8.0)
        if np.abs(step).max(initial=0.0) < NEAR / 10:
            break
    value, _ = _sample(moved, at)
    with np.errstate(invalid="ignore"):
        found: NDArray[np.bool_] = np.abs(source - value).max(axis=-1, initial=0.0) < NEAR
    return at, found


def _nearest(moved: Map, source: Points, *, every: bool = False) -> Points:
    """The output pixel, of a coarse grid and the border or of all, that came from nearest to each point."""
    height, width = moved.shape[:2]
    stride = 1 if every else _stride(moved)
    x, y = (
        np.append(np.arange(0, width - 1, stride), width - 1),
        np.append(np.arange(0, height - 1, stride), height - 1),
    )
    origin = moved[np.ix_(y, x)].reshape(-1, 2)
    real = np.flatnonzero((origin > OFFSET / 2).all(axis=-1))
    if not len(real):
        return np.full(source.shape, np.nan)
    origin = origin[real] - np.float32(OFFSET)
    index = real[[((origin - one) ** 2).sum(axis=-1).argmin() for one in source.astype(np.float32)]]
    return np.stack([x[index % len(x)], y[index // len(x)]], axis=-1).astype(np.float64)


def _stride(moved: Map) -> int:
    return max(1, round(math.sqrt(moved.shape[0] * moved.shape[1] / LOOKED_AT)))


def _step(moved: Map, source: Points, at: Points) -> Points:
    """How far to go from `at` for the picture's slope to lead to the point; 0 where there is no slope.  [P,2]"""
    value, slope = _sample(moved, at)
    missing = np.where(np.isfinite(value), source - value, 0.0)
    # Levenberg: the damping keeps the step finite where a row or column was doubled.
    turned = np.nan_to_num(slope).transpose(0, 2, 1)
    normal = turned @ turned.transpose(0, 2, 1) + DAMPING * np.eye(2)
    return np.asarray(np.linalg.solve(normal, turned @ missing[..., None])[..., 0], np.float64)


def _sample(moved: Map, at: Points) -> tuple[Points, NDArray[np.float64]]:
    """Position and its derivatives by the four pixels around; NaN where they are not all there.

    returns [P,2] and [P,2,2] (row: x or y of the position, column: along x or y of the output)
    """
    height, width = moved.shape[:2]
    good: NDArray[np.bool_] = np.all(np.isfinite(at), axis=-1)
    place = np.where(good[:, None], at, 0.0)
    # The cell at the border goes on for a pixel, so that the outer half of the border's pixels is covered, too.
    good &= ((place > -1) & (place < (width, height))).all(axis=-1) & (min(width, height) > 1)
    cell = np.clip(np.floor(place), 0, np.maximum([width - 2, height - 2], 0)).astype(np.int64)
    u, v = (place - cell).T[..., None]
    (x, y), (right, below) = cell.T, np.minimum(cell + 1, [width - 1, height - 1]).T
    corners = np.stack([moved[y, x], moved[y, right], moved[below, x], moved[below, right]]).astype(np.float64)
    good &= (corners > OFFSET / 2).all(axis=(0, 2)) & (np.ptp(corners, axis=0) < TORN).all(axis=-1)
    a, b, c, d = corners - OFFSET
    value = (1 - v) * ((1 - u) * a + u * b) + v * ((1 - u) * c + u * d)
    slope = np.stack([(1 - v) * (b - a) + v * (d - c), (1 - u) * (c - a) + u * (d - b)], axis=-1)
    return np.where(good[:, None], value, np.nan), np.where(good[:, None, None], slope, np.nan)
