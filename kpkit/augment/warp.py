"""One `cv2.warpAffine` an image, with kpkit's names for interpolation and borders."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from kpkit.augment.recipe import Recipe

_INTERPOLATION = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "nearest": cv2.INTER_NEAREST}
_BORDER = {
    "constant": cv2.BORDER_CONSTANT,
    "reflect": cv2.BORDER_REFLECT_101,
    "replicate": cv2.BORDER_REPLICATE,
}


def moves_nothing(matrix: NDArray[np.float64], size_wh: tuple[int, int], out_wh: tuple[int, int]) -> bool:
    """Whether every pixel of a picture of that size stays where it is.  matrix  [2,3]  float64"""
    return out_wh == size_wh and matrix.tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


def warp_image(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], out_wh: tuple[int, int], recipe: Recipe
) -> NDArray[np.uint8]:
    """The image through the matrix; the image itself where nothing moves.

    image   [H,W,3]  uint8    matrix  [2,3]  float64  source -> output pixels    out_wh  (width, height)

    returns [h,w,3]  uint8
    """
    if moves_nothing(matrix, (image.shape[1], image.shape[0]), out_wh):
        return image
    value = recipe.border_value
    return cv2.warpAffine(
        image,
        matrix,
        out_wh,
        flags=_INTERPOLATION[recipe.interpolation],
        borderMode=_BORDER[recipe.border],
        borderValue=(value, value, value),
    ).astype(np.uint8, copy=False)
