"""Occluders: shapes that cover a stated share of each person's box, and the mask that says where they are.

The share counts pixels: those of the person's box (clipped to the frame) that the person's own occluders cover, over
all pixels of that box. What neighbours' occluders add to a box is counted apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kpkit.augment.occluders import Piece, cover_box
from kpkit.augment.recipe import Recipe

Mask = NDArray[np.uint8]
Rng = np.random.Generator
# Pixels of a fill that are written at once.
STRIP = 20_000


@dataclass(frozen=True)
class Occlusion:
    """What covers the persons of one output image.

    mask       [H,W]  uint8    255 where any occluder is
    own        [P]    float64  share of each person's box under own occluders; NaN without a box inside the frame
    neighbour  [P]    float64  share that only neighbours' occluders cover
    asked      [P]    float64  share that was asked for; 0 where the dice said none
    occluders  P lists of {"shape", ...} with the geometry in output pixels; "rim": single pixels along the others' edge
    private    P: what the person's own occluders cover; None where that is nothing
    """

    mask: Mask
    own: NDArray[np.float64]
    neighbour: NDArray[np.float64]
    asked: NDArray[np.float64]
    occluders: list[list[dict[str, Any]]]
    private: list[Piece | None]

    def covers_own(self, xy: NDArray[np.float64], hidden: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """[P,K] bool: the joint's pixel lies under the person's own occluders.

        xy      [P,K,2]  float64  output pixels
        hidden  [P,K]    bool     what `mask` covers, as `covered` finds it: where else nobody's own can be
        """
        own = np.zeros_like(hidden)
        persons, joints = np.nonzero(hidden)
        pixels = (xy[hidden] + 0.5).astype(np.int64).tolist()
        # A few joints: plain numbers are quicker than arrays for every person.
        for i, k, (x, y) in zip(persons.tolist(), joints.tolist(), pixels, strict=True):
            if (piece := self.private[i]) is not None:
                rows, columns = piece.mask.shape
                row, column = y - piece.top, x - piece.left
                own[i, k] = 0 <= row < rows and 0 <= column < columns and piece.mask[row, column] > 0
        return own

    @property
    def pieces(self) -> list[Piece]:
        """All that is covered, person by person."""
        return [piece for piece in self.private if piece is not None]


def cover(
    boxes_xywh: NDArray[np.float64], out_wh: tuple[int, int], recipe: Recipe, stream: Callable[[int], Rng]
) -> Occlusion:
    """Draw occluders for every person of an image.

    boxes_xywh  [P,4]  float64  pixels of the output, NaN for persons without a box
    out_wh      (width, height)
    stream      person's row -> random stream of that person
    """
    persons, (width, height) = len(boxes_xywh), out_wh
    union = np.zeros((height, width), np.uint8)
    own, neighbour, asked = np.full(persons, np.nan), np.full(persons, np.nan), np.zeros(persons)
    occluders: list[list[dict[str, Any]]] = [[] for _ in range(persons)]
    windows = [_window(box, width, height) for box in boxes_xywh.tolist()]
    private: list[Piece | None] = [None] * persons
    for person, window in enumerate(windows):
        if window is None or recipe.occlusion is None:
            continue
        rng = stream(person)
        (chance, draw), (low, high) = rng.random(2).tolist(), recipe.occlusion
        if chance >= recipe.occlusion_probability:
            continue
        asked[person] = share = low + (high - low) * draw
        piece, occluders[person] = cover_box(window, share, recipe, rng)
        if piece.pixels:
            private[person] = piece
            _unite(union, piece)
    for person, window in enumerate(windows):
        if window is not None:
            own[person], neighbour[person] = _shares(union, private, person, window)
    return Occlusion(union, own, neighbour, asked, occluders, private)


def _unite(union: Mask, piece: Piece) -> None:
    rows, columns = piece.mask.shape
    part = union[piece.top : piece.top + rows, piece.left : piece.left + columns]
    if piece.pixels == piece.mask.size:
        part[:] = 255
    else:
        part |= piece.mask


def _window(box: list[float], width: int, height: int) -> tuple[int, int, int, int] | None:
    """The pixels of a box inside the frame, as x, y, w, h in whole pixels; None where there are none."""
    if not all(map(math.isfinite, box)):
        return None
    left, top = max(0, math.floor(box[0] + 0.5)), max(0, math.floor(box[1] + 0.5))
    right, bottom = min(width, math.floor(box[0] + box[2] + 0.5)), min(height, math.floor(box[1] + box[3] + 0.5))
    return (left, top, right - left, bottom - top) if right > left and bottom > top else None


def _shares(
    union: Mask, private: list[Piece | None], person: int, window: tuple[int, int, int, int]
) -> tuple[float, float]:
    x, y, w, h = window
    piece = private[person]
    mine = 0 if piece is None else piece.pixels
    if not any(_touches(other, window) for other in private if other is not None and other is not piece):
        return mine / (w * h), 0.0
    # The union holds all that is the person's own: what is left is the neighbours'.
    inside = cv2.countNonZero(union[y : y + h, x : x + w])
    return mine / (w * h), (inside - mine) / (w * h)


def _touches(piece: Piece, window: tuple[int, int, int, int]) -> bool:
    """Whether the piece's rectangle and the window have a pixel in common."""
    x, y, w, h = window
    rows, columns = piece.mask.shape
    return piece.left < x + w and x < piece.left + columns and piece.top < y + h and y < piece.top + rows


def covered(xy: NDArray[np.float64], mask: Mask) -> NDArray[np.bool_]:
    """Whether the pixel of each joint is in the mask; False for unlabelled joints and those outside.

    xy    [..., 2]  float64  pixels, NaN where unlabelled
    mask  [H,W]     uint8    0 or 255
    """
    height, width = mask.shape
    from_edge = xy + 0.5
    x, y = from_edge[..., 0], from_edge[..., 1]
    # NaN is neither; what is inside is not negative, where cutting off digits is rounding down.
    hit: NDArray[np.bool_] = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    hit[hit] = mask[y[hit].astype(np.int64), x[hit].astype(np.int64)] > 0
    return hit


def paint(
    image: NDArray[np.uint8],
    mask: Mask,
    recipe: Recipe,
    rng: Rng | None,
    patch: NDArray[np.uint8] | None = None,
    *,
    pieces: list[Piece] | None = None,
    in_place: bool = False,
) -> NDArray[np.uint8]:
    """The image with the masked pixels filled as the recipe says.

    image     [H,W,3]  uint8    mask  [H,W]  uint8
    rng       for the fills "noise" and "patch", None for the others    patch  another image; the mean without one
    pieces    what the mask is made of, where that is known: a fill of one color looks nowhere else
    in_place  nobody needs the image as it was

    returns a new [H,W,3] uint8; the image itself where nothing is masked
    """
    patched = recipe.occlusion_fill == "patch" and patch is not None
    if rng is None or not (patched or recipe.occlusion_fill == "noise"):
        return _paint_color(image, mask, recipe, pieces, in_place=in_place)
    left, top, width, height = cv2.boundingRect(mask)
    if width == 0:
        return image
    if patch is not None and patched:
        fill = _patch(patch, (height, width), rng)
    else:
        fill = rng.integers(0, 256, (height, width, image.shape[2]), np.uint8)
    painted = image if in_place else image.copy()
    window = (slice(top, top + height), slice(left, left + width))
    cv2.copyTo(fill, mask[window], painted[window])
    return painted


def _paint_color(
    image: NDArray[np.uint8], mask: Mask, recipe: Recipe, pieces: list[Piece] | None, *, in_place: bool
) -> NDArray[np.uint8]:
    """The image with the masked pixels in one color: the recipe's, or the image's mean."""
    if pieces is None:
        left, top, width, height = cv2.boundingRect(mask)
        inside = mask[top : top + height, left : left + width]
        pieces = [Piece(left, top, inside, cv2.countNonZero(inside))] if width else []
    if not pieces:
        return image
    color = [recipe.occlusion_value] * image.shape[2] if recipe.occlusion_fill == "constant" else _mean_color(image)
    painted = image if in_place else image.copy()
    for left, top, one, pixels in pieces:
        height, width = one.shape
        if pixels == one.size:
            cv2.rectangle(painted, (left, top), (left + width - 1, top + height - 1), color, cv2.FILLED)
            continue
        # In strips, whose color stays in the processor's cache; much faster than broadcasting three values.
        strip = np.empty((min(height, max(1, STRIP // width)), width, image.shape[2]), np.uint8)
        cv2.rectangle(strip, (0, 0), (width, len(strip)), color, cv2.FILLED)
        for row in range(0, height, len(strip)):
            part = one[row : row + len(strip)]
            window = painted[top + row : top + row + len(part), left : left + width]
            cv2.copyTo(strip[: len(part)], part, window)
    return painted


def _mean_color(image: NDArray[np.uint8]) -> list[int]:
    """The mean of each channel, rounded; the sums are exact, and come much faster than from cv2.mean."""
    sums = cv2.sumElems(image)[: image.shape[2]]
    return [round(value / (image.shape[0] * image.shape[1])) for value in sums]


def _patch(patch: NDArray[np.uint8], shape: tuple[int, ...], rng: Rng) -> NDArray[np.uint8]:
    """A random part of another image at the size of this one; small images are enlarged first."""
    height, width = shape[:2]
    factor = max(height / patch.shape[0], width / patch.shape[1], 1.0)
    if factor > 1.0:
        size = (math.ceil(patch.shape[1] * factor), math.ceil(patch.shape[0] * factor))
        patch = cv2.resize(patch, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
    top = int(rng.integers(0, patch.shape[0] - height + 1))
    left = int(rng.integers(0, patch.shape[1] - width + 1))
    return patch[top : top + height, left : left + width]
