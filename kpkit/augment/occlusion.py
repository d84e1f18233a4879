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

from kpkit.augment.recipe import Recipe
from kpkit.core.polygons import polygon_area

Mask = NDArray[np.uint8]
Rng = np.random.Generator

SUBPIXEL_BITS = 4
POLYGON_CORNERS = (5, 9)
TRIES = 24
STEPS = 8
NEAR = 0.01


@dataclass(frozen=True)
class Occlusion:
    """What covers the persons of one output image.

    mask       [H,W]  uint8    255 where any occluder is
    own        [P]    float64  share of each person's box under own occluders; NaN without a box inside the frame
    neighbour  [P]    float64  share that only neighbours' occluders cover
    asked      [P]    float64  share that was asked for; 0 where the dice said none
    occluders  P lists of {"shape", ...} with the geometry in output pixels
    private    P pairs (left, top) and [h,w] uint8: what the person's own occluders cover of its box; None for nobody
    """

    mask: Mask
    own: NDArray[np.float64]
    neighbour: NDArray[np.float64]
    asked: NDArray[np.float64]
    occluders: list[list[dict[str, Any]]]
    private: list[tuple[int, int, Mask] | None]

    def covers_own(self, person: int, xy: NDArray[np.float64]) -> NDArray[np.bool_]:
        """[K] bool: the joint's pixel lies under the person's own occluders.  xy [K,2] float64 output pixels"""
        found = self.private[person]
        if found is None:
            return np.zeros(len(xy), bool)
        left, top, mask = found
        return covered(xy - (left, top), mask)


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
    windows = [_window(box, width, height) for box in boxes_xywh]
    private: list[Mask | None] = [None] * persons
    for person, window in enumerate(windows):
        if window is None or recipe.occlusion is None:
            continue
        rng = stream(person)
        chance, share = rng.uniform(), rng.uniform(*recipe.occlusion)
        if chance >= recipe.occlusion_probability:
            continue
        asked[person] = share
        mask, occluders[person] = _cover_person(window, share, recipe, rng)
        private[person] = mask
        x, y, w, h = window
        union[y : y + h, x : x + w] |= mask
    for person, window in enumerate(windows):
        if window is not None:
            own[person], neighbour[person] = _shares(union, private[person], window)
    return Occlusion(union, own, neighbour, asked, occluders, _placed(windows, private))


def _placed(
    windows: list[tuple[int, int, int, int] | None], private: list[Mask | None]
) -> list[tuple[int, int, Mask] | None]:
    return [
        (window[0], window[1], mask) if window is not None and mask is not None else None
        for window, mask in zip(windows, private, strict=True)
    ]


def _window(box: NDArray[np.float64], width: int, height: int) -> tuple[int, int, int, int] | None:
    """The pixels of a box inside the frame, as x, y, w, h in whole pixels; None where there are none."""
    if not np.isfinite(box).all():
        return None
    left, top = max(0, math.floor(box[0] + 0.5)), max(0, math.floor(box[1] + 0.5))
    right, bottom = min(width, math.floor(box[0] + box[2] + 0.5)), min(height, math.floor(box[1] + box[3] + 0.5))
    return (left, top, right - left, bottom - top) if right > left and bottom > top else None


def _shares(union: Mask, private: Mask | None, window: tuple[int, int, int, int]) -> tuple[float, float]:
    x, y, w, h = window
    inside = union[y : y + h, x : x + w] > 0
    if private is None:
        return 0.0, float(inside.mean())
    mine = private > 0
    return float(mine.mean()), float((inside & ~mine).mean())


def _cover_person(
    window: tuple[int, int, int, int], share: float, recipe: Recipe, rng: Rng
) -> tuple[Mask, list[dict[str, Any]]]:
    """Occluders within one box, one after the other until `share` of its pixels is covered; the last one is fitted."""
    x, y, w, h = window
    wanted = round(share * w * h)
    mask = np.zeros((h, w), np.uint8)
    made: list[dict[str, Any]] = []
    count = int(rng.integers(1, recipe.occluders + 1)) if recipe.occluders > 1 else 1
    for number in range(TRIES):
        missing = wanted - cv2.countNonZero(mask)
        if missing <= _slack(w, h):
            return mask, made
        # An even share for each of the occluders drawn; whatever is missing for the last and any after it.
        part = missing if number >= count - 1 else max(1, round(missing / (count - number) * rng.uniform(0.6, 1.4)))
        part = min(part, missing)
        shape = recipe.occlusion_shape[int(rng.integers(len(recipe.occlusion_shape)))]
        if shape == "rectangle" and number == 0:
            made.append(_first_rectangle(mask, part, (x, y), rng))
            continue
        outline = _outline(shape, w, h, rng)
        center = (rng.uniform(0.15, 0.85) * w, rng.uniform(0.15, 0.85) * h)
        size = _fit(outline, center, mask, part)
        _add(outline, center, size, mask)
        made.append(_describe(shape, outline, center, size, (x, y)))
    _finish(mask, wanted, made, (x, y), rng)
    return mask, made


def _first_rectangle(mask: Mask, pixels: int, corner: tuple[int, int], rng: Rng) -> dict[str, Any]:
    """Put a rectangle of nearly `pixels` pixels anywhere inside an empty mask; nothing needs fitting."""
    height, width = mask.shape
    wide = math.sqrt(pixels * width / height * math.exp(rng.uniform(-0.7, 0.7)))
    w = min(width, max(1, math.ceil(pixels / height), round(wide)))
    h = min(height, max(1, pixels // w))
    left, top = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
    mask[top : top + h, left : left + w] = 255
    # Pixel edges: the box of pixels 3..5 runs from 2.5 to 5.5.
    return {"shape": "rectangle", "box": [corner[0] + left - 0.5, corner[1] + top - 0.5, float(w), float(h)]}


def _slack(w: int, h: int) -> int:
    """Pixels that may be missing: a two-hundredth of the box; none in a small one."""
    return w * h // 200


def _outline(shape: str, w: int, h: int, rng: Rng) -> NDArray[np.float64]:
    """A shape of about unit size around (0, 0), in the box's proportions.  [n,2] float64"""
    aspect = math.exp(rng.uniform(-0.7, 0.7))
    stretch = np.array([w * math.sqrt(aspect), h / math.sqrt(aspect)]) / 2
    if shape == "rectangle":
        corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    elif shape == "ellipse":
        angles = np.linspace(0, 2 * math.pi, 64, endpoint=False)
        corners = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    else:
        count = int(rng.integers(*POLYGON_CORNERS, endpoint=True))
        angles = np.sort(rng.uniform(0, 2 * math.pi, count))
        radii = rng.uniform(0.5, 1.0, count)
        corners = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * radii[:, None]
    scaled: NDArray[np.float64] = corners * stretch
    return scaled


def _add(outline: NDArray[np.float64], center: tuple[float, float], size: float, mask: Mask) -> None:
    points = np.rint((outline * size + center) * (1 << SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(mask, [points], 255, shift=SUBPIXEL_BITS)


def _fit(outline: NDArray[np.float64], center: tuple[float, float], mask: Mask, pixels: int) -> float:
    """A size at which the shape adds nearly `pixels` to the mask, and not more.

    The first guess is exact for a shape that lies freely inside the box; what overlaps or sticks out needs a few steps.
    """
    before = cv2.countNonZero(mask)
    area = max(polygon_area(outline), 1e-9)
    size, best = math.sqrt(pixels / area), 0.0
    low, high = 0.0, math.inf
    for _ in range(STEPS):
        trial = mask.copy()
        _add(outline, center, size, trial)
        added = cv2.countNonZero(trial) - before
        if added <= pixels:
            low = best = max(best, size)
            if pixels - added <= NEAR * pixels:
                break
        else:
            high = size
        guess = size * math.sqrt(pixels / added) if added else size * 2
        size = guess if low < guess < high else (low + min(high, 4 * low + 1)) / 2
    return best


def _finish(mask: Mask, wanted: int, made: list[dict[str, Any]], corner: tuple[int, int], rng: Rng) -> None:
    """Add single pixels along the covered region's edge until exactly `wanted` are covered.

    Shapes grow in steps of many pixels in small boxes; this makes up the rest so that any share can be met.
    """
    missing = wanted - cv2.countNonZero(mask)
    added = 0
    while missing > 0:
        grown = cv2.dilate(mask, np.ones((3, 3), np.uint8)) if mask.any() else np.full_like(mask, 255)
        edge = np.flatnonzero((grown > 0) & (mask == 0))
        chosen = edge if len(edge) <= missing else rng.choice(edge, missing, replace=False)
        mask.reshape(-1)[chosen] = 255
        missing -= len(chosen)
        added += len(chosen)
    if added:
        made.append({"shape": "rim", "pixels": added, "corner": list(corner)})


def _describe(
    shape: str, outline: NDArray[np.float64], center: tuple[float, float], size: float, corner: tuple[int, int]
) -> dict[str, Any]:
    """The occluder as it stands in the provenance row: output pixels, rounded to a hundredth."""
    points = outline * size + center + np.array(corner)
    if shape == "polygon":
        return {"shape": shape, "points": np.round(points, 2).tolist()}
    low, high = points.min(axis=0), points.max(axis=0)
    return {"shape": shape, "box": np.round([*low, *(high - low)], 2).tolist()}


def covered(xy: NDArray[np.float64], mask: Mask) -> NDArray[np.bool_]:
    """Whether the pixel of each joint is in the mask; False for unlabelled joints and those outside.

    xy    [..., 2]  float64  pixels, NaN where unlabelled
    mask  [H,W]     uint8    0 or 255
    """
    height, width = mask.shape
    good: NDArray[np.bool_] = np.all(np.isfinite(xy), axis=-1)
    pixel = np.floor(np.where(good[..., None], xy, 0.0) + 0.5).astype(np.int64)
    inside = good & (pixel >= 0).all(axis=-1) & (pixel[..., 0] < width) & (pixel[..., 1] < height)
    pixel = np.where(inside[..., None], pixel, 0)
    hit: NDArray[np.bool_] = inside & (mask[pixel[..., 1], pixel[..., 0]] > 0)
    return hit


def paint(
    image: NDArray[np.uint8], mask: Mask, recipe: Recipe, rng: Rng, patch: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """The image with the masked pixels filled as the recipe says.

    image  [H,W,3]  uint8    mask  [H,W]  uint8    patch  another image, for fill "patch"

    returns a new [H,W,3] uint8; the image itself where nothing is masked
    """
    if not mask.any():
        return image
    painted = image.copy()
    if recipe.occlusion_fill == "noise":
        fill = rng.integers(0, 256, image.shape, np.uint8)
    elif recipe.occlusion_fill == "patch" and patch is not None:
        fill = np.ascontiguousarray(_patch(patch, mask.shape, rng))
    elif recipe.occlusion_fill == "constant":
        fill = np.full_like(image, recipe.occlusion_value)
    else:
        mean = [round(value) for value in cv2.mean(image)[: image.shape[2]]]
        fill = np.empty_like(image)
        # Much faster than broadcasting three values over the array.
        cv2.rectangle(fill, (0, 0), (image.shape[1], image.shape[0]), mean, cv2.FILLED)
    cv2.copyTo(fill, mask, painted)
    return painted


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
