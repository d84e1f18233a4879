"""Polygons of pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def polygon_area(polygon: NDArray[np.float64]) -> float:
    """Area by the shoelace formula, 0 for fewer than three corners.  pixels^2

    polygon  [n,2]  float64  pixels; parts that are run around the other way count against the rest
    """
    if len(polygon) < 3:
        return 0.0
    x, y = polygon[:, 0], polygon[:, 1]
    twice = np.dot(x[:-1], y[1:]) - np.dot(y[:-1], x[1:]) + x[-1] * y[0] - y[-1] * x[0]
    return float(abs(twice) / 2)
