"""The kernels, compiled. Needs the extra `fast`; `kpkit.targets.kernels` chooses.

Targets are zeros but for small windows, so what costs is writing zeros. One pass writes each map in the type it is
stored in: float16 as its bits, since processors count in float32 at best.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from kpkit.targets.kernels_rules import FAR, FULL, POINTED, ROUNDED, SHORTEST, SLACK, TRUNCATED, limb_window

Array = NDArray[Any]

# Below this float16 counts in steps of 2^-24.
HALF_LEAST = 2.0**-14


@numba.njit(nogil=True)
def axis_window(rule: int, mu: float, sigma: float, size: int) -> tuple[float, int, int]:
    """Peak, first and last + 1 cell along one axis, as `kernels_rules.axis_windows` says for arrays; a window that is
    not wider than the map is not clipped."""
    if rule == FULL:
        peak, low, high = mu, math.ceil(mu - FAR * sigma), math.floor(mu + FAR * sigma) + 1
    elif rule in (TRUNCATED, POINTED):
        reach = math.floor(3.0 * sigma / SLACK + 0.5) * SLACK
        cell = float(math.trunc(mu + 0.5)) if rule == POINTED else mu
        low, high = math.trunc(cell - reach), math.trunc(cell + reach + 1.0)
        peak = low + math.floor((2.0 * reach + 1.0) * 0.5) + (mu - cell)
    else:
        radius = math.ceil(3.0 * sigma - SLACK)
        peak = mu
        low, high = math.ceil(mu - radius - 0.5), math.floor(mu + radius + 0.5) + 1
        if rule == ROUNDED:
            low, high = math.floor(mu + 0.5) - radius, math.floor(mu + 0.5) + radius + 1
    if high - low > size:
        low, high = max(0, low), min(size, high)
    return peak, low, high


_limb_window = numba.njit(nogil=True)(limb_window)


@numba.njit(nogil=True)
def _profile(first: float, sigma: float, count: int, row: Array) -> None:
    factor = -0.5 / (sigma * sigma)
    for i in range(count):
        distance = first + i
        row[i] = math.exp(distance * distance * factor)


def _fill(
    patch: Array, left: int, rows: int, columns: int, gain: float, down: Array, across: Array, bits: Array
) -> None:
    """gain * down * across into the patch from column `left` on, in its type: one of the following."""


def _fill_float32(
    patch: Array, left: int, rows: int, columns: int, gain: float, down: Array, across: Array, bits: Array
) -> None:
    for y in range(rows):
        height = np.float32(gain * down[y])
        for x in range(columns):
            patch[y, left + x] = height * across[x]


def _fill_uint8(
    patch: Array, left: int, rows: int, columns: int, gain: float, down: Array, across: Array, bits: Array
) -> None:
    for y in range(rows):
        height = np.float32(gain * down[y])
        for x in range(columns):
            patch[y, left + x] = np.uint8(np.int32(height * across[x] + np.float32(0.5)))


def _fill_float16(
    patch: Array, left: int, rows: int, columns: int, gain: float, down: Array, across: Array, bits: Array
) -> None:
    # Rounds to nearest, ties to even, in integers: times 2^-112 a float32 has the exponent of its float16.
    real = bits.view(np.float32)
    least = min(down[0], down[rows - 1]) * min(across[0], across[columns - 1]) * gain
    shift = np.float32(2.0**-112)
    for y in range(rows):
        height = np.float32(gain * down[y])
        if least >= HALF_LEAST:
            shifted = np.float32(height * shift)
            for x in range(columns):
                real[x] = shifted * across[x]
            for x in range(columns):
                even = (bits[x] >> np.uint32(13)) & np.uint32(1)
                patch[y, left + x] = np.uint16(np.uint32(bits[x] + np.uint32(0xFFF) + even) >> np.uint32(13))
        else:
            for x in range(columns):
                value = np.float32(height * across[x])
                if value >= HALF_LEAST:
                    real[x] = value * shift
                    even = (bits[x] >> np.uint32(13)) & np.uint32(1)
                    patch[y, left + x] = np.uint16(np.uint32(bits[x] + np.uint32(0xFFF) + even) >> np.uint32(13))
                else:
                    patch[y, left + x] = np.uint16(np.rint(value * np.float32(16777216.0)))


@overload(_fill, strict=False)
def _fill_by_type(patch: Any, left: Any, rows: Any, columns: Any, gain: Any, down: Any, across: Any, bits: Any) -> Any:
    return {"float32": _fill_float32, "uint8": _fill_uint8, "uint16": _fill_float16}[str(patch.dtype)]


@numba.njit(nogil=True)
def _cover(target: Array, patch: Array, low_x: int, low_y: int, high_y: int) -> None:
    """The patch into a map that holds anything: every cell is written, once."""
    height, width = target.shape
    top, bottom = max(0, low_y), min(height, high_y)
    target[:top] = 0
    target[bottom:] = 0
    # Beside the window there are zeros: whole rows are copied.
    first = width - low_x
    for y in range(top, bottom):
        into, values = target[y], patch[y - low_y, first : first + width]
        for x in range(width):
            into[x] = values[x]


@numba.njit(nogil=True)
def _unite(target: Array, patch: Array, low_x: int, high_x: int, low_y: int, high_y: int) -> None:
    """The patch over what is there already: the larger value stays (float16's bits are ordered, too)."""
    height, width = target.shape
    for y in range(max(0, low_y), min(height, high_y)):
        for x in range(max(0, low_x), min(width, high_x)):
            value = patch[y - low_y, width + x - low_x]
            if value > target[y, x]:
                target[y, x] = value


def _gaussians(out: Array, mu: Array, sigma: Array, starts: Array, rule: int, gain: float) -> None:
    samples, joints, height, width = out.shape
    across, down = np.empty(width, np.float32), np.empty(height, np.float32)
    bits = np.empty(width, np.uint32)
    # The window, with a map's width of zeros on either side.
    patch = np.zeros((height, 3 * width), out.dtype)
    # What the patch shows: whole-number peaks of one sigma share theirs.
    known_x = known_y = known_sigma = math.nan
    columns = rows = 0
    for sample in range(samples):
        for joint in range(joints):
            target = out[sample, joint]
            fresh = True
            for person in range(starts[sample], starts[sample + 1]):
                if math.isnan(mu[person, joint, 0]):
                    continue
                wide = float(sigma[person, joint])
                peak_x, low_x, high_x = axis_window(rule, float(mu[person, joint, 0]), wide, width)
                peak_y, low_y, high_y = axis_window(rule, float(mu[person, joint, 1]), wide, height)
                if min(high_x, width) <= max(low_x, 0) or min(high_y, height) <= max(low_y, 0):
                    continue
                first_x, first_y = low_x - peak_x, low_y - peak_y
                same = first_x == known_x and first_y == known_y and wide == known_sigma
                if not same or columns != high_x - low_x or rows != high_y - low_y:
                    patch[:rows, width : width + columns] = 0
                    known_x, known_y, known_sigma = first_x, first_y, wide
                    columns, rows = high_x - low_x, high_y - low_y
                    _profile(first_x, wide, columns, across)
                    _profile(first_y, wide, rows, down)
                    _fill(patch, width, rows, columns, gain, down, across, bits)
                if fresh:
                    _cover(target, patch, low_x, low_y, high_y)
                else:
                    _unite(target, patch, low_x, high_x, low_y, high_y)
                fresh = False
            if fresh:
                target[:] = 0


def _limbs(out: Array, mu: Array, starts: Array, pairs: Array, thickness: float, truncated: bool) -> None:
    samples, _, height, width = out.shape
    count = np.empty((height, width), np.float32)
    for sample in range(samples):
        for limb in range(len(pairs)):
            count[:] = 0
            several = False
            for person in range(starts[sample], starts[sample + 1]):
                ax, ay = float(mu[person, pairs[limb, 0], 0]), float(mu[person, pairs[limb, 0], 1])
                bx, by = float(mu[person, pairs[limb, 1], 0]), float(mu[person, pairs[limb, 1], 1])
                dx, dy = bx - ax, by - ay
                length = math.sqrt(dx * dx + dy * dy)
                if not length >= SHORTEST:
                    continue
                ux, uy = np.float32(dx / length), np.float32(dy / length)
                left, right = _limb_window(ax, bx, thickness, truncated, width)
                top, bottom = _limb_window(ay, by, thickness, truncated, height)
                for y in range(top, bottom):
                    for x in range(left, right):
                        if abs((x - ax) * dy - (y - ay) * dx) <= thickness * length:
                            out[sample, 2 * limb, y, x] += ux
                            out[sample, 2 * limb + 1, y, x] += uy
                            count[y, x] += 1
                            several = several or count[y, x] > 1
            if several:
                for y in range(height):
                    for x in range(width):
                        if count[y, x] > 1:
                            out[sample, 2 * limb, y, x] /= count[y, x]
                            out[sample, 2 * limb + 1, y, x] /= count[y, x]


class Kernel:
    """A function that is compiled when it is first called, and kept on the disk where that is possible."""

    def __init__(self, function: Callable[..., None]) -> None:
        self._function = function
        self._compiled: Any = None

    def __call__(self, *arguments: Any) -> None:
        """Run; the first time, compile."""
        if self._compiled is None:
            self._compiled = self._first()
        try:
            self._compiled(*arguments)
        except (OSError, EOFError, pickle.UnpicklingError):
            # The folder of compiled code is full, was closed meanwhile, or holds a damaged file.
            self._compiled = numba.njit(nogil=True)(self._function)
            self._compiled(*arguments)

    def _first(self) -> Any:
        try:
            return numba.njit(nogil=True, cache=True)(self._function)
        except RuntimeError:  # no folder to keep compiled code in can be written to
            return numba.njit(nogil=True)(self._function)


gaussians = Kernel(_gaussians)
limbs = Kernel(_limbs)
