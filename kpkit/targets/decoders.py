"""From heatmaps back to cells: maxima, and how they are refined.

    argmax   the cell of the maximum
    quarter  a quarter of a cell toward the higher neighbour, per axis (HRNet lib/core/inference.py get_final_preds)
    dark     one Newton step on the logarithm of the blurred map (Zhang et al. 2020, "Distribution-Aware Coordinate
             Representation"), neighbours two cells apart (ilovepose/DarkPose lib/core/inference.py)
    dark-udp the same with neighbours one cell apart (Huang et al. 2020, "The Devil is in the Details"; mmpose
             refine_keypoints_dark_udp)

Maps without a value above 0 give score 0 and cell (0, 0). Nothing here gives NaN.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kpkit.errors import FormatError

Array = NDArray[Any]
Cells = NDArray[np.float64]


def to_source(points: Cells, affine: NDArray[np.float64]) -> Cells:
    """Points of the input as points of the source image, by the inverse of the crop's matrix.

    points  [...,K,2]  float64  input pixels
    affine  [...,2,3]  float64  source -> input

    returns [...,K,2]  float64  source pixels

    Raises FormatError as `inverse_linear` does.
    """
    moved: Cells = np.einsum("...ij,...kj->...ki", inverse_linear(affine), points - affine[..., None, :, 2])
    return moved


def inverse_linear(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of the linear part of matrices.  affine  [...,2,3] float64    returns  [...,2,2] float64

    Raises FormatError where one has none: no crop is written with such a matrix.
    """
    try:
        return np.asarray(np.linalg.inv(affine[..., :2]), np.float64)
    except np.linalg.LinAlgError as error:
        raise FormatError(
            "a sample's `affine` has no inverse",
            code="KP-SHARD-DAMAGED",
            expected="matrices from the source to the input",
            help="`kpkit shards verify` says which shard is damaged; make it again",
        ) from error


def maxima(maps: Array) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Cell of each map's maximum (the first of equal ones) and its value, (0, 0) and 0 where nothing is above 0.

    maps     [..., H, W]  float32
    returns  [..., 2] int64 x and y, [...] float64
    """
    height, width = maps.shape[-2:]
    flat = np.nan_to_num(maps.reshape(*maps.shape[:-2], height * width), nan=0.0)
    at = flat.argmax(axis=-1)
    values = np.take_along_axis(flat, at[..., None], axis=-1)[..., 0].astype(np.float64)
    some = values > 0
    cells = np.stack([at % width, at // width], axis=-1)
    return np.where(some[..., None], cells, 0), np.where(some, values, 0.0)


def decode_maps(maps: Array, decoder: str, kernel: int | None = 11) -> tuple[Cells, NDArray[np.float64]]:
    """Cells and scores of maps by the decoder of a name.

    maps     [n,K,H,W]  float32
    kernel   odd cells, of the blur before "dark" and "dark-udp"; None: no blur
    returns  [n,K,2] float64 cells, [n,K] float64: the maxima's values
    """
    maps = np.asarray(maps, np.float32)
    at, scores = maxima(maps)
    return np.where((scores > 0)[..., None], refined(maps, at, decoder, kernel), 0.0), scores


def refined(maps: Array, at: NDArray[np.int64], decoder: str, kernel: int | None) -> Cells:
    """Cells refined by the decoder of a name; arguments as in `decode_maps`, `at` [n,K,2].  [n,K,2] float64"""
    cells = at.astype(np.float64)
    if decoder == "quarter":
        cells += quarter(maps, at)
    elif decoder == "dark":
        cells += _newton(logarithms(maps, kernel, 1e-10, None), at, 2)
    elif decoder == "dark-udp":
        cells += _newton(logarithms(maps, kernel, 1e-3, 50.0), at, 1)
    return cells


def quarter(maps: Array, at: NDArray[np.int64]) -> Cells:
    """Steps of 0.25 toward the higher neighbour; none within two cells of the left and top edge or one of the others.

    maps  [..., H, W]  float32     at  [..., 2]  int64 cells     returns  [..., 2]  float64
    """
    height, width = maps.shape[-2:]
    x, y = at[..., 0], at[..., 1]
    inside = (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1)
    take = _taker(maps, at)
    steps = np.stack([take(1, 0) - take(-1, 0), take(0, 1) - take(0, -1)], axis=-1)
    return np.where(inside[..., None], 0.25 * np.sign(steps), 0.0)


def _taker(maps: Array, at: NDArray[np.int64]) -> Any:
    """Values of every map beside a cell of it: f(dx, dy) -> [...] float64; the nearest cell's outside the map."""
    height, width = maps.shape[-2:]
    flat = maps.reshape(*maps.shape[:-2], height * width)

    def take(dx: int, dy: int) -> NDArray[np.float64]:
        x, y = np.clip(at[..., 0] + dx, 0, width - 1), np.clip(at[..., 1] + dy, 0, height - 1)
        return np.take_along_axis(flat, (y * width + x)[..., None], axis=-1)[..., 0].astype(np.float64)

    return take


def logarithms(maps: Array, kernel: int | None, low: float, high: float | None) -> NDArray[np.float32]:
    """Logarithm of the blurred maps, each clipped to [low, high].  [n,K,H,W] float32"""
    found: NDArray[np.float32] = np.log(np.clip(maps if kernel is None else blurred(maps, kernel), low, high))
    return found


def blurred(maps: Array, kernel: int) -> NDArray[np.float32]:
    """Each map blurred by a Gaussian of `kernel` cells, zeros outside, and scaled to the maximum it had.

    maps  [n,K,H,W]  float32     returns  [n,K,H,W]  float32

    Source: mmpose codecs/utils/post_processing.py gaussian_blur, without its division by the maximum of empty maps.
    """
    smooth = np.empty(maps.shape, np.float32)
    for index in np.ndindex(maps.shape[:2]):
        cv2.GaussianBlur(maps[index], (kernel, kernel), 0, dst=smooth[index], borderType=cv2.BORDER_CONSTANT)
    before, after = maps.max(axis=(2, 3)), smooth.max(axis=(2, 3))
    some = (after > 0) & (before > 0)
    factors = np.where(some, before / np.where(some, after, np.float32(1.0)), np.float32(1.0))
    smooth *= factors[..., None, None]
    return smooth


def _newton(logs: Array, at: NDArray[np.int64], reach: int) -> Cells:
    """The step from each cell to the top of the paraboloid through its neighbours; none where there is no top.

    reach  2: second differences over two cells, none near the edges (DARK); 1: over one, the edge repeated (UDP)

    A step of more than a window's width comes from noise, not from a peak, and is left out.
    """
    height, width = logs.shape[-2:]
    take = _taker(logs, at)
    here, right, left, below, above = take(0, 0), take(1, 0), take(-1, 0), take(0, 1), take(0, -1)
    dx, dy = 0.5 * (right - left), 0.5 * (below - above)
    if reach == 2:
        dxx = 0.25 * (take(2, 0) - 2.0 * here + take(-2, 0))
        dyy = 0.25 * (take(0, 2) - 2.0 * here + take(0, -2))
        dxy = 0.25 * (take(1, 1) - take(1, -1) - take(-1, 1) + take(-1, -1))
        x, y = at[..., 0], at[..., 1]
        usable = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
    else:
        tiny = float(np.finfo(np.float32).eps)
        dxx, dyy = right - 2.0 * here + left + tiny, below - 2.0 * here + above + tiny
        dxy = 0.5 * (take(1, 1) - right - below + 2.0 * here - left - above + take(-1, -1))
        usable = np.ones(here.shape, bool)
    determinant = dxx * dyy - dxy * dxy
    usable &= determinant != 0
    safe = np.where(usable, determinant, 1.0)
    steps = np.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], axis=-1) / safe[..., None]
    return np.where(usable[..., None], steps, 0.0)
