"""Where a Gaussian's window lies: the rules that both kernels follow.

ROUNDED    floor(mu + 0.5) +- R, R = ceil(3 sigma): kpkit's own msra
SYMMETRIC  |cell - mu| <= R + 0.5: as ROUNDED, but a tie takes both sides, so that a mirror changes nothing
TRUNCATED  the references' trunc, with what it does to fractional 3 sigma and left of the map
FULL       the whole map (in fact 9.2 sigma, beyond which float32 targets show nothing)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROUNDED, SYMMETRIC, TRUNCATED, POINTED, FULL = range(5)

# float32 sigmas times 3 are not whole where sigma was 7 / 3.
SLACK = 1e-4

# In sigmas: further off a Gaussian is below 5e-19, and products of two such values are slow numbers (denormal).
FAR = 9.2

# In cells: a limb between equal joints has no direction (lightweight-openpose's limit).
SHORTEST = 1e-7

Array = NDArray[Any]


def reach(sigma: Array) -> Array:
    """3 sigma, to four decimals (float32 sigmas carry no more).  [...] float64 cells"""
    found: Array = np.floor(3.0 * sigma.astype(np.float64) / SLACK + 0.5) * SLACK
    return found


def radius(sigma: Array) -> Array:
    """R = ceil(3 sigma).  [...] float64 cells"""
    found: Array = np.ceil(3.0 * sigma.astype(np.float64) - SLACK)
    return found


def axis_windows(rule: int, mu: Array, sigma: Array, size: int | Array) -> tuple[Array, Array, Array]:
    """Peak, first and last + 1 cell along one axis.

    mu, sigma  [m]  float32  cells, none of them NaN
    size       cells of the axis, or [m] where each has its own

    returns    peak [m] float64, low [m] and high [m] int64; nothing is rendered where high <= low
    """
    mu = mu.astype(np.float64)
    if rule == FULL:
        far = FAR * sigma.astype(np.float64)
        return mu, *_clipped(np.ceil(mu - far), np.floor(mu + far) + 1.0, size)
    peak = mu
    if rule in (TRUNCATED, POINTED):
        cell, wide = np.trunc(mu + 0.5) if rule == POINTED else mu, reach(sigma)
        low, high = np.trunc(cell - wide), np.trunc(cell + wide + 1.0)
        peak = low + np.floor((2.0 * wide + 1.0) * 0.5) + (mu - cell)
    elif rule == ROUNDED:
        cell = np.floor(mu + 0.5)
        low, high = cell - radius(sigma), cell + radius(sigma) + 1.0
    else:
        wide = radius(sigma)
        low, high = np.ceil(mu - wide - 0.5), np.floor(mu + wide + 0.5) + 1.0
    return peak, *_clipped(low, high, size)


def _clipped(low: Array, high: Array, size: int | Array) -> tuple[Array, Array]:
    return np.maximum(low, 0.0).astype(np.int64), np.minimum(high, size).astype(np.int64)


def limb_window(a: float, b: float, thickness: float, truncated: bool, size: int) -> tuple[int, int]:
    """First and last + 1 cell of a limb's box along one axis.

    a, b  float64  cells, not NaN
    """
    low, high = min(a, b) - thickness, max(a, b) + thickness
    if truncated:
        return int(max(low, 0.0)), int(min(high, float(size)))
    return max(0, math.ceil(max(low, -1.0))), min(size, math.floor(min(high, float(size))) + 1)
