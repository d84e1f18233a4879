"""The kernels in numpy: separable, a few samples at a time so that what is worked on stays near the processor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.targets.kernels_rules import SHORTEST, axis_windows, limb_window

Array = NDArray[Any]

# About what a processor's second cache holds.
CHUNK_VALUES = 200_000


def gaussians(out: Array, mu: Array, sigma: Array, starts: Array, rule: int, gain: float) -> None:
    """As the compiled kernel; `kpkit.targets.kernels.gaussians` says what the arguments are."""
    samples, joints, height, width = out.shape
    if (np.diff(starts) != 1).any():
        _several(out, mu, sigma, starts, rule, gain)
        return
    chunk = max(1, CHUNK_VALUES // max(1, joints * height * width))
    scratch = np.empty((chunk * joints, height, width), np.float32)
    for first in range(0, samples, chunk):
        rows = slice(first, min(first + chunk, samples))
        down, across = _profiles(mu[rows].reshape(-1, 2), sigma[rows].reshape(-1), rule, height, width)
        down *= np.float32(gain)
        into = out[rows].reshape(-1, height, width)
        values = into if out.dtype == np.float32 else scratch[: len(into)]
        np.multiply(down[:, :, None], across[:, None, :], out=values)
        if values is not into:
            into[:] = stored(values, out.dtype)


def limbs(out: Array, mu: Array, starts: Array, pairs: Array, thickness: float, truncated: bool) -> None:
    """As the compiled kernel; `kpkit.targets.kernels.limbs` says what the arguments are. `out` holds zeros."""
    height, width = out.shape[2:]
    for sample in range(len(out)):
        for limb, (first, second) in enumerate(pairs):
            count = np.zeros((height, width), np.float32)
            total = out[sample, 2 * limb : 2 * limb + 2]
            for person in range(starts[sample], starts[sample + 1]):
                _limb(total, count, mu[person, first], mu[person, second], thickness, truncated)
            np.divide(total, count, out=total, where=count > 1)


def _limb(total: Array, count: Array, first: Array, second: Array, thickness: float, truncated: bool) -> None:
    """Adds one limb's vectors to `total` [2,H,W] and 1 to `count` [H,W] where it is."""
    (ax, ay), (bx, by) = first.astype(np.float64), second.astype(np.float64)
    dx, dy = bx - ax, by - ay
    length = np.sqrt(dx * dx + dy * dy)
    if not length >= SHORTEST:
        return
    left, right = limb_window(ax, bx, thickness, truncated, count.shape[1])
    top, bottom = limb_window(ay, by, thickness, truncated, count.shape[0])
    if right <= left or bottom <= top:
        return
    x, y = np.arange(left, right) - ax, np.arange(top, bottom)[:, None] - ay
    # float32 joints: float64 holds the products whole, so that it does not matter which end is counted from.
    near = np.abs(x * dy - y * dx) <= thickness * length
    window = (slice(top, bottom), slice(left, right))
    total[0][window] += near * np.float32(dx / length)
    total[1][window] += near * np.float32(dy / length)
    count[window] += near


def stored(values: Array, dtype: Any) -> Array:
    """Values as they are stored: whole numbers rounded half up, as the compiled kernel does. Changes `values`."""
    if np.issubdtype(dtype, np.integer):
        values += values.dtype.type(0.5)
    return values.astype(dtype)


def _profiles(mu: Array, sigma: Array, rule: int, height: int, width: int) -> tuple[Array, Array]:
    """Values along y [m,H] and x [m,W] for each joint, 0 outside its window."""
    down, across = np.zeros((len(mu), height), np.float32), np.zeros((len(mu), width), np.float32)
    (drawn,) = np.nonzero(~np.isnan(mu[:, 0]))
    if len(drawn):
        across[drawn] = _profile(rule, mu[drawn, 0], sigma[drawn], width)
        down[drawn] = _profile(rule, mu[drawn, 1], sigma[drawn], height)
    return down, across


def _profile(rule: int, mu: Array, sigma: Array, size: int) -> Array:
    """Values along one axis.  [m,size] float32"""
    peak, low, high = axis_windows(rule, mu, sigma, size)
    cells = np.arange(size, dtype=np.float32)
    # float32 peaks: their distances from whole numbers are as exact as the peaks are.
    distance = cells - peak.astype(np.float32)[:, None]
    distance *= distance
    distance *= (-0.5 / np.square(sigma.astype(np.float64))).astype(np.float32)[:, None]
    whole = np.arange(size)
    distance[(whole < low[:, None]) | (whole >= high[:, None])] = -np.inf
    values: Array = np.exp(distance, out=distance)
    return values


def _several(out: Array, mu: Array, sigma: Array, starts: Array, rule: int, gain: float) -> None:
    """Several persons a sample: where they overlap, the larger value stays."""
    joints, height, width = out.shape[1:]
    out[:] = 0
    for sample in range(len(out)):
        for person in range(starts[sample], starts[sample + 1]):
            down, across = _profiles(mu[person], sigma[person], rule, height, width)
            down *= np.float32(gain)
            for joint in range(joints):
                (y,), (x,) = np.nonzero(down[joint]), np.nonzero(across[joint])
                if len(y) == 0 or len(x) == 0:
                    continue
                window = (sample, joint, slice(y[0], y[-1] + 1), slice(x[0], x[-1] + 1))
                patch = np.outer(down[joint, y[0] : y[-1] + 1], across[joint, x[0] : x[-1] + 1])
                np.maximum(out[window], stored(patch, out.dtype), out=out[window])
