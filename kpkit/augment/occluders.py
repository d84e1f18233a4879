"""Rectangles, ellipses and polygons that cover a stated share of one box, to the pixel where it is small."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from kpkit.augment.recipe import Recipe
from kpkit.core.polygons import polygon_area

Mask = NDArray[np.uint8]
Rng = np.random.Generator

SUBPIXEL_BITS = 4
POLYGON_CORNERS = (5, 9)
STEPS = 16
GUESSES = 5
NEAR = 0.005
NEARBY = 3
# Boxes with a side below this many pixels get the wanted number of pixels exactly.
SMALL = 16


class Piece(NamedTuple):
    """What a person's own occluders cover, in as small a rectangle of the output as is known without searching.

    left, top  its corner, pixels    mask  [h,w] uint8 of 0 and 255    pixels  how many of them are 255
    """

    left: int
    top: int
    mask: Mask
    pixels: int


def cover_box(
    window: tuple[int, int, int, int], share: float, recipe: Recipe, rng: Rng
) -> tuple[Piece, list[dict[str, Any]]]:
    """Occluders within one box, one after the other; the last one is fitted.

    window  x, y, w, h of the box in whole pixels of the output    share  of its pixels that shall be covered

    returns what is covered, and what was put there, in output pixels
    """
    x, y, w, h = window
    wanted = round(share * w * h)
    mask: Mask | None = None
    made: list[dict[str, Any]] = []
    count = int(rng.integers(1, recipe.occluders + 1)) if recipe.occluders > 1 else 1
    missing = wanted
    for number in range(count):
        if missing <= _slack(w, h):
            break
        # An even share for each of the occluders drawn; whatever is missing for the last.
        even = missing / (count - number)
        part = missing if number == count - 1 else min(missing, max(1, round(even * rng.uniform(0.6, 1.4))))
        shape = recipe.occlusion_shape[int(rng.integers(len(recipe.occlusion_shape)))]
        if shape == "rectangle" and number == 0:
            left, top, wide, high = _first_rectangle(w, h, part, rng)
            # Pixel edges: the box of pixels 3..5 runs from 2.5 to 5.5.
            made.append({"shape": shape, "box": [x + left - 0.5, y + top - 0.5, float(wide), float(high)]})
            missing = wanted - wide * high
            if count == 1 and missing <= _slack(w, h):
                return Piece(x + left, y + top, np.full((high, wide), 255, np.uint8), wide * high), made
            mask = np.zeros((h, w), np.uint8)
            mask[top : top + high, left : left + wide] = 255
        else:
            mask = np.zeros((h, w), np.uint8) if mask is None else mask
            made += _put(shape, mask, part, (x, y), rng)
            missing = wanted - cv2.countNonZero(mask)
    mask = np.zeros((h, w), np.uint8) if mask is None else mask
    if missing > _slack(w, h):
        _finish(mask, missing, made, (x, y), rng)
    return Piece(x, y, mask, cv2.countNonZero(mask)), made


def _put(shape: str, mask: Mask, pixels: int, corner: tuple[int, int], rng: Rng) -> list[dict[str, Any]]:
    """Add a shape of nearly `pixels` further pixels to the mask; its description, or nothing where it does not fit."""
    h, w = mask.shape
    outline = _outline(shape, w, h, rng)
    center = (rng.uniform(0.15, 0.85) * w, rng.uniform(0.15, 0.85) * h)
    if (size := _fit(outline, center, mask, pixels)) <= 0:
        return []
    _add(outline, center, size, mask)
    return [_describe(shape, outline, center, size, corner)]


def _first_rectangle(width: int, height: int, pixels: int, rng: Rng) -> tuple[int, int, int, int]:
    """Left, top, width and height of a rectangle of nearly `pixels` pixels anywhere inside an empty box."""
    wide = math.sqrt(pixels * width / height * math.exp(rng.uniform(-0.7, 0.7)))
    fewest, most = math.ceil(pixels / height), min(width, pixels)
    first = min(most, max(fewest, round(wide)))
    # Of the widths near the one drawn, that which leaves the fewest pixels over.
    widths = range(max(fewest, first - NEARBY), min(most, first + NEARBY) + 1)
    w = min(widths, key=lambda one: (pixels % one, abs(one - first)))
    h = pixels // w
    left, top = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
    return left, top, w, h


def _slack(w: int, h: int) -> int:
    """Pixels that may be missing: a two-hundredth of the box; none in a small one."""
    return w * h // 200 if min(w, h) >= SMALL else 0


def _outline(shape: str, w: int, h: int, rng: Rng) -> NDArray[np.float64]:
    """A shape of about unit size around (0, 0), in the box's proportions.  [n,2] float64

    (0, 0) is always inside, so that a shape large enough covers everything.
    """
    aspect = math.exp(rng.uniform(-0.7, 0.7))
    stretch = np.array([w * math.sqrt(aspect), h / math.sqrt(aspect)]) / 2
    if shape == "rectangle":
        corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    elif shape == "ellipse":
        angles = np.linspace(0, 2 * math.pi, 64, endpoint=False)
        corners = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    else:
        count = int(rng.integers(*POLYGON_CORNERS, endpoint=True))
        angles = (np.arange(count) + rng.uniform(-0.4, 0.4, count)) * (2 * math.pi / count) + rng.uniform(0, math.pi)
        radii = rng.uniform(0.5, 1.0, count)
        corners = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * radii[:, None]
    scaled: NDArray[np.float64] = corners * stretch
    return scaled


def _add(outline: NDArray[np.float64], center: tuple[float, float], size: float, mask: Mask) -> None:
    points = np.rint((outline * size + center) * (1 << SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(mask, [points], 255, shift=SUBPIXEL_BITS)


def _fit(outline: NDArray[np.float64], center: tuple[float, float], mask: Mask, pixels: int) -> float:
    """A size at which the shape adds nearly `pixels` to the mask, and not more; 0 where even the smallest adds more.

    The first guess is exact for a shape that lies freely inside the box; what overlaps or sticks out needs a few steps.
    """
    before = cv2.countNonZero(mask)
    aim = pixels * (1 - NEAR / 2)
    size, best = math.sqrt(aim / max(polygon_area(outline), 1e-9)), 0.0
    low, high = 0.0, math.inf
    for step in range(STEPS):
        trial = mask.copy()
        _add(outline, center, size, trial)
        added = cv2.countNonZero(trial) - before
        if added <= pixels:
            low = best = size
            if pixels - added <= NEAR * pixels:
                break
        else:
            high = size
        size *= math.sqrt(aim / added) if added else 2.0
        # Guesses from areas stop helping where the shape sticks out, or where a step is less than a pixel.
        if step >= GUESSES or not low < size < high:
            size = (low + high) / 2 if high < math.inf else low * 2
    return best


def _finish(mask: Mask, missing: int, made: list[dict[str, Any]], corner: tuple[int, int], rng: Rng) -> None:
    """Cover `missing` single pixels more along the covered region's edge.

    Shapes grow in steps of many pixels in small boxes; this makes up the rest so that any share can be met.
    """
    made.append({"shape": "rim", "pixels": missing, "corner": list(corner)})
    if not mask.any():
        mask.reshape(-1)[rng.integers(mask.size)] = 255
        missing -= 1
    while missing > 0:
        grown = cv2.dilate(mask, np.ones((3, 3), np.uint8))
        edge = np.flatnonzero((grown > 0) & (mask == 0))
        chosen = edge if len(edge) <= missing else rng.choice(edge, missing, replace=False)
        mask.reshape(-1)[chosen] = 255
        missing -= len(chosen)


def _describe(
    shape: str, outline: NDArray[np.float64], center: tuple[float, float], size: float, corner: tuple[int, int]
) -> dict[str, Any]:
    """The occluder as it stands in the provenance row: output pixels, rounded to a hundredth."""
    points = outline * size + center + np.array(corner)
    if shape == "polygon":
        return {"shape": shape, "points": np.round(points, 2).tolist()}
    low, high = points.min(axis=0), points.max(axis=0)
    return {"shape": shape, "box": np.round([*low, *(high - low)], 2).tolist()}
