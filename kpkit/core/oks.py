"""Object keypoint similarity, as COCO defines it, for any skeleton with sigmas."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# pycocotools adds this to areas, so that an area of 0 does not divide.
_EPSILON = np.spacing(1.0)


def oks(
    xy: NDArray[np.float64],
    labelled: NDArray[np.bool_],
    area: NDArray[np.float64],
    other_xy: NDArray[np.float64],
    sigmas: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Similarity of pairs of persons, over the joints that the first of each pair has.

    xy        [..., K, 2]  float64  pixels; any value where not labelled
    labelled  [..., K]     bool     joints that count
    area      [...]        float64  pixels^2, of the first person
    other_xy  [..., K, 2]  float64  pixels; a NaN joint of the other person adds 0
    sigmas    [K]          float64

    returns   [...]        float64  0 to 1; NaN where no joint counts

    Source: pycocotools/cocoeval.py computeOks: mean over labelled joints of exp(-d^2 / (2 area (2 sigma)^2)).
    """
    variances = (2.0 * sigmas) ** 2
    squared = np.square(xy - other_xy).sum(axis=-1)
    exponent = squared / (2.0 * variances * (area[..., None] + _EPSILON))
    near = np.where(labelled & np.isfinite(exponent), np.exp(-np.where(np.isfinite(exponent), exponent, 0.0)), 0.0)
    count = labelled.sum(axis=-1)
    return np.where(count > 0, near.sum(axis=-1) / np.maximum(count, 1), np.nan)
