"""From a person's box to the crop that a top-down network sees.

Box -> centre and scale (aspect fixed, padded by 1.25) -> affine matrix, in the two constructions of the field:

    hrnet  HRNet lib/utils/transforms.py get_affine_transform, mmpose get_warp_matrix: the box centre meets (w/2, h/2)
    udp    mmpose get_udp_warp_matrix (Huang et al. 2020): unit is the distance between pixel centres, (w - 1) / scale

Both references count `rot` in degrees with opposite signs: a positive angle turns the content counter-clockwise under
`hrnet` and clockwise under `udp`. kpkit keeps that, since recipes and published numbers depend on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PADDING = 1.25


def box_to_center_scale(
    xywh: NDArray[np.float64], output_wh: Sequence[int], padding: float = PADDING
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre and size of the region to crop.

    xywh       [..., 4]  float64  pixels
    output_wh  (width, height) of the input

    returns    centre [..., 2] and scale [..., 2], float64 pixels; scale has the aspect of the output and holds the box
    """
    center = xywh[..., :2] + xywh[..., 2:] * 0.5
    w, h = xywh[..., 2] * padding, xywh[..., 3] * padding
    aspect = output_wh[0] / output_wh[1]
    wide = w > h * aspect
    return center, np.stack([np.where(wide, w, h * aspect), np.where(wide, w / aspect, h)], axis=-1)


def hrnet_warp(
    center: Sequence[float], scale: Sequence[float], rot_deg: float, output_wh: Sequence[int]
) -> NDArray[np.float64]:
    """The affine matrix of HRNet and SimpleBaseline, in closed form.

    center  (x, y) pixels    scale  (w, h) pixels; only w counts, as in the reference    output_wh  (width, height)

    returns [2,3] float64
    """
    factor = output_wh[0] / scale[0]
    cos, sin = factor * math.cos(math.radians(rot_deg)), factor * math.sin(math.radians(rot_deg))
    x, y = center
    return np.array(
        [
            [cos, sin, output_wh[0] * 0.5 - cos * x - sin * y],
            [-sin, cos, output_wh[1] * 0.5 + sin * x - cos * y],
        ]
    )


def udp_warp(
    center: Sequence[float], scale: Sequence[float], rot_deg: float, output_wh: Sequence[int]
) -> NDArray[np.float64]:
    """The affine matrix of UDP.

    center  (x, y) pixels    scale  (w, h) pixels    output_wh  (width, height)

    returns [2,3] float64
    """
    cos, sin = math.cos(math.radians(rot_deg)), math.sin(math.radians(rot_deg))
    sx, sy = (output_wh[0] - 1) / scale[0], (output_wh[1] - 1) / scale[1]
    x, y = center
    return np.array(
        [
            [cos * sx, -sin * sx, sx * (-x * cos + y * sin + 0.5 * scale[0])],
            [sin * sy, cos * sy, sy * (-x * sin - y * cos + 0.5 * scale[1])],
        ]
    )
