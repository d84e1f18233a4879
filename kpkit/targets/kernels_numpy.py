"""The kernels in numpy: separable, a few samples at a time so that what is worked on stays near the processor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.targets.kernels_rules import SHORTEST, axis_windows, limb_window

Array = NDArray[Any]

# In float32 about what a processor's second cache holds.
CHUNK_VALUES = 500_000


def gaussians(out: Array, mu: Array, sigma: Array, starts: Array, rule: int, gain: float) -> None:
    """As the compiled kernel; `kpkit.targets.kernels.gaussians` says what the arguments are."""
    samples, joints, height, width = out.shape
    if (np.diff(starts) != 1).any():
        _several(out, mu, sigma, starts, rule, gain)
        return
    chunk = max(1, CHUNK_VALUES // max(1, joints * height * width))
    for first in range(0, samples, chunk):
        rows = slice(first, min(first + chunk, samples))
        _single(out[rows].reshape(-1, height, width), mu[rows].reshape(-1, 2), sigma[rows].reshape(-1), rule, gain)


def _single(out: Array, mu: Array, sigma: Array, rule: int, gain: float) -> None:
    """One Gaussian a map: out [m,H,W] in one piece, mu [m,2], sigma [m]."""
    # As bytes, zeros are written by the C library, in two thirds of the time.
    out.reshape(-1).view(np.uint8).fill(0)
    (drawn,) = np.nonzero(~np.isnan(mu[:, 0]))
    if len(drawn) == 0:
        return
    if len(drawn) < len(mu):
        mu, sigma = mu[drawn], sigma[drawn]
    height, width = out.shape[1:]
    (left, across), (top, down) = _profiles(rule, mu, sigma, width, height)
    if gain != 1.0:
        down *= np.float32(gain)
    patches = stored(np.einsum("ij,ik->ijk", down, across), out.dtype)
    rows, columns = patches.shape[1:]
    # All places of a patch, as sliding_window_view gives them in ten times the time.
    shape = (len(out), height - rows + 1, width - columns + 1, rows, columns)
    places: Array = np.ndarray(shape, out.dtype, out, 0, out.strides + out.strides[1:])
    places[drawn, top, left] = patches


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
    return values.astype(dtype, copy=False)


def _profiles(
    rule: int, mu: Array, sigma: Array, width: int, height: int
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """`_profile` along x and along y. mu [m,2], sigma [m]."""
    both, sizes = np.concatenate((sigma, sigma)), np.repeat((width, height), len(mu))
    peak, low, high = axis_windows(rule, mu.T.reshape(-1), both, sizes)
    x, y = slice(0, len(mu)), slice(len(mu), None)
    if (high - low).max() <= min(width, height):
        # Both at once: a batch is small, and calling costs more than counting.
        first, values = _profile(peak, low, high, both, sizes)
        return (first[x], values[x]), (first[y], values[y])
    across = _profile(peak[x], low[x], high[x], sigma, width)
    return across, _profile(peak[y], low[y], high[y], sigma, height)


def _profile(peak: Array, low: Array, high: Array, sigma: Array, size: Array | int) -> tuple[Array, Array]:
    """Values along one axis: m pieces of the length of the longest window, each inside the axis, 0 outside its window.

    peak, low, high  [m]  as `axis_windows` gives them     sigma  [m]     size  cells of the axis, or [m]

    returns  first cells [m] int64, values [m,length] float32
    """
    wide = high - low
    length = max(1, int(wide.max()))
    first = np.minimum(low, size - length)
    # float32 peaks: their distances from whole numbers are as exact as the peaks are.
    values = (first[:, None] + np.arange(length)).astype(np.float32)
    values -= peak.astype(np.float32)[:, None]
    values *= values
    values *= (-0.5 / np.square(sigma.astype(np.float64))).astype(np.float32)[:, None]
    np.exp(values, out=values)
    (short,) = np.nonzero(wide < length)
    if len(short):
        cells = first[short, None] + np.arange(length)
        values[short] *= (cells >= low[short, None]) & (cells < high[short, None])
    return first, values


def _several(out: Array, mu: Array, sigma: Array, starts: Array, rule: int, gain: float) -> None:
    """Several persons a sample: where they overlap, the larger value stays."""
    joints, height, width = out.shape[1:]
    single = np.empty((joints, height, width), out.dtype)
    out[:] = 0
    for sample in range(len(out)):
        for person in range(starts[sample], starts[sample + 1]):
            _single(single, mu[person], sigma[person], rule, gain)
            np.maximum(out[sample], single, out=out[sample])
