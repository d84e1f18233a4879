"""Affine geometry in float64: one 2x3 matrix an image, and everything that goes through it.

Pixels are 0-based and (0, 0) is the centre of the top-left pixel, so a frame of W x H pixels covers
[-0.5, W - 0.5) x [-0.5, H - 0.5). A matrix maps source pixels to output pixels: [x', y'] = M[:, :2] @ [x, y] + M[:, 2].
y points down; a positive angle turns the content clockwise on the screen. NaN points stay NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Points = NDArray[np.float64]

Box = tuple[float, float, float, float]

NOWHERE: Box = (math.nan, math.nan, math.nan, math.nan)


def identity() -> Matrix:
    """The matrix that moves nothing.  [2,3] float64"""
    return np.eye(2, 3)


def translate(dx: float, dy: float) -> Matrix:
    """A shift by (dx, dy) pixels.  [2,3] float64"""
    return np.array([[1.0, 0.0, dx], [0.0, 1.0, dy]])


def scale_rotate(center: Sequence[float], scale: float, angle_deg: float) -> Matrix:
    """Scaling by `scale` and turning by `angle_deg` (clockwise on the screen) about `center` (x, y).  [2,3] float64"""
    angle = math.radians(angle_deg)
    a, b = scale * math.cos(angle), scale * math.sin(angle)
    x, y = center
    return np.array([[a, -b, x - a * x + b * y], [b, a, y - b * x - a * y]])


def flip_horizontal(width: float) -> Matrix:
    """Mirror left and right: x' = width - 1 - x.  [2,3] float64"""
    return np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0]])


def flip_vertical(height: float) -> Matrix:
    """Mirror top and bottom: y' = height - 1 - y.  [2,3] float64"""
    return np.array([[1.0, 0.0, 0.0], [0.0, -1.0, height - 1.0]])


def resize(source_wh: Sequence[float], output_wh: Sequence[float]) -> Matrix:
    """Stretch a frame onto another, edge to edge: x' = (x + 0.5) * s - 0.5.  [2,3] float64

    source_wh, output_wh  (width, height) pixels
    """
    sx, sy = output_wh[0] / source_wh[0], output_wh[1] / source_wh[1]
    return np.array([[sx, 0.0, (sx - 1) / 2], [0.0, sy, (sy - 1) / 2]])


def crop_resize(box_xywh: Sequence[float], output_wh: Sequence[float]) -> Matrix:
    """Show the box in an output frame: edges of the box, counted as pixel edges, meet the frame's edges.  [2,3] float64

    box_xywh  x, y, w, h in pixels; x = 0 is the centre of the first column, as boxes have it
    """
    x, y, w, h = box_xywh
    return compose(translate(-x, -y), resize((w, h), output_wh))


def compose(*matrices: Matrix) -> Matrix:
    """One matrix for several, applied from left to right.  [2,3] float64"""
    # Six floats a matrix: plain arithmetic is several times faster than numpy on arrays this small.
    a, b, c, d, e, f = 1.0, 0.0, 0.0, 0.0, 1.0, 0.0
    for matrix in matrices:
        (p, q, r), (s, t, u) = matrix.tolist()
        a, b, c, d, e, f = (
            p * a + q * d,
            p * b + q * e,
            p * c + q * f + r,
            s * a + t * d,
            s * b + t * e,
            s * c + t * f + u,
        )
    return np.array([[a, b, c], [d, e, f]])


def invert(matrix: Matrix) -> Matrix:
    """The matrix that undoes `matrix`.  [2,3] float64

    Raises numpy.linalg.LinAlgError where the matrix has no inverse.
    """
    linear = np.linalg.inv(matrix[:, :2])
    return np.concatenate([linear, -(linear @ matrix[:, 2:])], axis=1)


def determinant(matrix: Matrix) -> float:
    """Of the linear part: by how much areas grow, negative for a mirror."""
    (a, b, _), (c, d, _) = matrix.tolist()
    return float(a * d - b * c)


def is_mirror(matrix: Matrix) -> bool:
    """Whether the matrix exchanges left and right: its determinant is negative. A half turn does not."""
    return determinant(matrix) < 0


def apply_points(matrix: Matrix, xy: Points) -> Points:
    """Move points.

    matrix  [2,3]      float64
    xy      [..., 2]   float64  source pixels; NaN stays NaN

    returns [..., 2]   float64  output pixels

    Left and right mirrored and nothing else (`flip_horizontal`) is rounded as the reference rounds it, to the last bit:
    (width - x) - 1.

    Source: HRNet lib/utils/transforms.py fliplr_joints.
    """
    (a, b, c), (d, e, f) = matrix.tolist()
    if (a, b, d, e, f) == (-1.0, 0.0, 0.0, 1.0, 0.0):
        mirrored = np.array(xy, np.float64)
        mirrored[..., 0] = (c + 1.0 - mirrored[..., 0]) - 1.0
        mirrored[np.isnan(mirrored).any(axis=-1)] = np.nan
        return mirrored
    # NaN in either coordinate reaches both, even where the matrix holds a zero: 0 * NaN is NaN.
    moved: Points = xy @ matrix[:, :2].T + matrix[:, 2]
    return moved


def apply_boxes(matrix: Matrix, xywh: Points) -> Points:
    """Move boxes: the hull of the four moved corners.

    xywh    [..., 4]  float64  x, y, w, h; NaN stays NaN

    returns [..., 4]  float64
    """
    numbers = matrix.tolist()
    return np.array([move_box(numbers, box) for box in xywh.reshape(-1, 4).tolist()]).reshape(xywh.shape)


def move_box(matrix: Sequence[Sequence[float]], box: Sequence[float]) -> Box:
    """`apply_boxes` of one box, in plain numbers: a picture has few, and numpy takes longer to be called for them.

    matrix  two rows of three    box  x, y, w, h
    """
    (a, b, c), (d, e, f) = matrix
    x, y, right, bottom = box[0], box[1], box[0] + box[2], box[1] + box[3]
    if not (right == right and bottom == bottom):
        return NOWHERE
    # Each sum is least where both of its parts are.
    left, top = min(a * x, a * right) + min(b * y, b * bottom) + c, min(d * x, d * right) + min(e * y, e * bottom) + f
    return (
        left,
        top,
        max(a * x, a * right) + max(b * y, b * bottom) + c - left,
        max(d * x, d * right) + max(e * y, e * bottom) + f - top,
    )


def hull(points: Points) -> Points:
    """The smallest upright box around points, NaN points aside.

    points  [..., P, 2]  float64

    returns [..., 4]     float64  x, y, w, h; NaN where every point is NaN
    """
    low = np.fmin.reduce(points, axis=-2)
    high = np.fmax.reduce(points, axis=-2)
    return np.concatenate([low, high - low], axis=-1)


def clip_boxes(xywh: Points, width: int, height: int) -> Points:
    """The part of each box inside the frame; NaN where nothing is left.

    A side that leaves the frame by at most a pixel stays: labels count edges from 0 to W, pixels from -0.5 to W - 0.5,
    and a mirror (x' = W - 1 - x) moves the one convention onto the other side. A box without width or height, as the
    hull of a single joint is, stays where it is.

    xywh    [..., 4]  float64
    """
    boxes = [clip_box(box, width, height) for box in xywh.reshape(-1, 4).tolist()]
    return np.array(boxes).reshape(xywh.shape)


def clip_box(box: Sequence[float], width: int, height: int) -> Box:
    """`clip_boxes` of one box, in plain numbers.  box  x, y, w, h"""
    x, w = _clip(box[0], box[2], width)
    y, h = _clip(box[1], box[3], height)
    return (x, y, w, h) if w == w and h == h else NOWHERE


def _clip(start: float, length: float, frame: int) -> tuple[float, float]:
    low = -0.5 if start < -1.0 else start
    high = frame - 0.5 if start + length > frame else start + length
    inside = high > low or (high == low and length == 0)
    return low, high - low if inside else math.nan


def outside(xy: Points, width: int, height: int) -> NDArray[np.bool_]:
    """[...] bool: the point's pixel does not exist in a frame of width x height; False for NaN.

    xy  [..., 2]  float64
    """
    x, y = xy[..., 0], xy[..., 1]
    return (x < -0.5) | (x >= width - 0.5) | (y < -0.5) | (y >= height - 0.5)


def scale_of(matrix: Matrix) -> float:
    """By how much areas grow: the absolute determinant."""
    return abs(determinant(matrix))
