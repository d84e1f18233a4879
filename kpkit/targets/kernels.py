"""What renders targets: compiled kernels where numba is there (extra `fast`), numpy where it is not.

Both follow the same rules; float32 values agree within 1e-6, float16 within one step, uint8 within one level.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.errors import MissingExtraError, UsageError
from kpkit.targets.base import ArraySpec, Points, StoredType

Array = NDArray[Any]

BACKENDS = ("numba", "numpy")
_chosen: list[str] = []

# Products made at once: few enough to stay near the processor.
CHUNK_VALUES = 200_000


@cache
def available() -> str:
    """The faster backend that works here: "numba" or "numpy"."""
    try:
        from numba.core import config
    except ImportError:
        return "numpy"
    # Then numba only passes functions through, and they would run in plain Python.
    return "numpy" if getattr(config, "DISABLE_JIT", False) else "numba"


@contextmanager
def use(backend: str) -> Iterator[None]:
    """Render with this backend inside the `with` block, in this process.

    Raises UsageError for another name, MissingExtraError for "numba" where it is not installed.
    """
    if backend not in BACKENDS:
        raise UsageError(f"there is no backend '{backend}'", expected=" or ".join(BACKENDS))
    if backend == "numba" and available() != "numba":
        raise MissingExtraError("compiled kernels need numba", code="KP-EXTRA-FAST", help="pip install 'kpkit[fast]'")
    _chosen.append(backend)
    try:
        yield
    finally:
        _chosen.pop()


def backend() -> str:
    """The backend that renders now."""
    return _chosen[-1] if _chosen else available()


def module() -> ModuleType:
    """The module of that backend."""
    if backend() == "numba":
        from kpkit.targets import kernels_numba

        return kernels_numba
    from kpkit.targets import kernels_numpy

    return kernels_numpy


def gaussians(points: Points, spec: ArraySpec, rule: int, dtype: StoredType, peak: float = 1.0) -> Array:
    """Gaussian maps of all joints, max-combined over the persons of a sample.

    points  mu in cells, sigma > 0 in cells
    spec    of shape (K, H, W), values from 0 on
    rule    where windows lie, see `kernels_rules`
    peak    value of the peaks

    returns [n,K,H,W] in `dtype`
    """
    starts = sample_starts(points)
    out = np.empty((len(starts) - 1, *spec.shape), dtype)
    scale = spec.scale_offset(dtype)[0]
    mu, sigma = np.ascontiguousarray(points.mu, np.float32), np.ascontiguousarray(points.sigma, np.float32)
    compiled = backend() == "numba"
    # numba knows no float16; its bits are whole numbers.
    target = out.view(np.uint16) if compiled and dtype == "float16" else out
    module().gaussians(target, mu, sigma, starts, rule, peak / scale)
    return out


def outer(down: Array, across: Array, spec: ArraySpec, dtype: StoredType) -> Array:
    """Maps that are products of a profile along y and one along x.

    down    [n*K,H]  float32     across  [n*K,W]  float32     spec  of shape (K, H, W)

    returns [n,K,H,W] in `dtype`
    """
    out = np.empty((len(down), *spec.shape[1:]), dtype)
    step = max(1, CHUNK_VALUES // (spec.shape[1] * spec.shape[2]))
    for first in range(0, len(down), step):
        rows = slice(first, first + step)
        out[rows] = store(down[rows, :, None] * across[rows, None, :], spec, dtype)
    return out.reshape(-1, *spec.shape)


def limbs(
    points: Points,
    spec: ArraySpec,
    pairs: NDArray[np.int64],
    thickness: float,
    truncated: bool,
    dtype: StoredType = "float32",
) -> Array:
    """Unit vectors along limbs, at cells whose distance to the limb's line is at most `thickness`; persons' averaged.

    points     mu in cells
    pairs      [L,2]  int64  joints at the ends of each limb
    thickness  cells; the box around both ends is wider by it
    truncated  the box is cut to whole cells toward zero, its far edge left out, as the reference does; else it holds
               every cell in it

    returns    [n,2L,H,W] in `dtype`, x and y of each limb in turn
    """
    starts = sample_starts(points)
    out = np.zeros((len(starts) - 1, *spec.shape), np.float32)
    mu = np.ascontiguousarray(points.mu, np.float32)
    module().limbs(out, mu, starts, np.ascontiguousarray(pairs), float(thickness), truncated)
    return store(out, spec, dtype)


def sample_starts(points: Points) -> NDArray[np.int64]:
    """`points.starts`, or that each row is a sample.  [n+1] int64

    Raises UsageError where starts do not divide the rows.
    """
    rows = len(points.mu)
    if points.starts is None:
        return np.arange(rows + 1, dtype=np.int64)
    starts = np.ascontiguousarray(points.starts, np.int64)
    if len(starts) == 0 or starts[0] != 0 or starts[-1] != rows or (np.diff(starts) < 0).any():
        raise UsageError(
            "'starts' does not divide the persons into samples",
            code="KP-TARGET-STARTS",
            expected=f"rising numbers from 0 to {rows}",
            got=str(starts.tolist()[:8]),
        )
    return starts


def store(values: Array, spec: ArraySpec, dtype: StoredType) -> Array:
    """Values in the type they are stored in: stored = (value - offset) / scale, rounded half up for whole numbers."""
    if dtype == "float32":
        return values.astype(np.float32, copy=False)
    if dtype == "float16":
        return values.astype(np.float16)
    scale, offset = spec.scale_offset(dtype)
    levels: Array = (values.astype(np.float32) - np.float32(offset)) / np.float32(scale) + np.float32(0.5)
    return levels.astype(np.uint8)
