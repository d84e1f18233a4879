"""Heat maps as small pictures inside the page; they show on light and on dark paper."""

from __future__ import annotations

import base64

import cv2
import numpy as np
from numpy.typing import NDArray

from kpkit.qa.markup import Markup, tag

# From sparse to dense, BGR; the rest is told by how much of the paper shows through.
RAMP = np.array([(190, 130, 60), (120, 90, 150), (60, 90, 225), (30, 150, 250)], np.float64)
STEPS = 24


def heat_image(counts: NDArray[np.int64], x: float, y: float, width: float, height: float) -> Markup | None:
    """Counts by cell as an SVG image element, the fullest cell the strongest; None where all are 0.

    counts  [h,w]  int64
    """
    if not counts.any():
        return None
    address = data_address(coloured(np.sqrt(counts / counts.max())))
    place = {"x": x, "y": y, "width": width, "height": height}
    return tag("image", href=address, preserve_aspect_ratio="none", aria_hidden="true", **place)


def share_image(shares: NDArray[np.float64], side: float) -> Markup:
    """A matrix of shares as a square SVG image element with sharp cells.

    shares  [K,K]  float64  0 to 1, NaN where there is nothing to measure
    """
    address = data_address(coloured(np.nan_to_num(shares)))
    return tag("image", href=address, x=0, y=0, width=side, height=side, class_="cells", aria_hidden="true")


def coloured(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Values as colours on clear ground.

    values   [h,w]    float64  0 to 1
    returns  [h,w,4]  uint8    BGRA
    """
    # Few steps, so that the picture takes few bytes.
    level = np.rint(np.clip(values, 0, 1) * STEPS) / STEPS
    at = level * (len(RAMP) - 1)
    low = np.minimum(at.astype(int), len(RAMP) - 2)
    colour = RAMP[low] + (RAMP[low + 1] - RAMP[low]) * (at - low)[..., None]
    alpha = 255 * np.where(level > 0, 0.15 + 0.85 * level, 0)
    picture: NDArray[np.uint8] = np.rint(np.concatenate([colour, alpha[..., None]], axis=2)).astype(np.uint8)
    return picture


def data_address(picture: NDArray[np.uint8]) -> str:
    """The picture as PNG in a data: address."""
    _, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode("ascii")
