"""Throws the dice of a recipe. Every draw comes from (seed, image key, copy, purpose) alone, never from order.

Purposes have streams of their own, so that adding occlusion to a recipe does not change its rotations.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray

from kpkit.augment import geometry as geo
from kpkit.augment.recipe import Recipe
from kpkit.augment.topdown import box_to_center_scale, hrnet_warp, udp_warp

Rng = np.random.Generator

TRANSPOSE = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
# HRNet asks whether a normal draw is below 0.5.
UPPER_HALF = 0.6914624612740131


def stream(seed: int, key: str, copy: int, purpose: str) -> Rng:
    """The random stream of one purpose for one copy of one image (or person)."""
    # File names that are no UTF-8 reach here as lone surrogates.
    text = f"kpkit\0{seed}\0{key}\0{copy}\0{purpose}".encode("utf-8", "surrogatepass")
    words = np.frombuffer(hashlib.sha256(text).digest()[:16], "<u8")
    # The stubs know SeedSequence alone; numpy itself asks for an ISeedSequence.
    return np.random.Generator(np.random.Philox(_Key(words)))  # type: ignore[arg-type]


class _Key(ISeedSequence):
    """Hands Philox its key as it is: the hash has mixed the bits already.

    The same stream as `Philox(key=words)`, which collects randomness from the system first and throws it away.
    """

    def __init__(self, words: NDArray[np.uint64]) -> None:
        self._words = words

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> NDArray[np.uint64]:
        return self._words


@dataclass(frozen=True)
class Drawn:
    """What was drawn for one output image.

    matrix    [2,3]  float64  source -> output pixels      out_wh  (width, height) of the output
    mirrored  left and right are exchanged                 parts   the single draws, for the provenance row
    """

    matrix: NDArray[np.float64]
    out_wh: tuple[int, int]
    mirrored: bool
    parts: dict[str, Any] = field(default_factory=dict)


def draw_image(recipe: Recipe, seed: int, key: str, copy: int, size_wh: tuple[int, int]) -> Drawn:
    """One matrix for a whole image: crop, scale and rotation about the centre, shift, mirrors, fit into the output.

    key      the image's relative path    size_wh  (width, height) of the source
    """
    rng = stream(seed, key, copy, "geometry")
    width, height = size_wh
    scale, angle = _scale_and_angle(recipe, rng)
    # One call for all, and plain floats from here on: numpy takes longer to be called than to draw.
    draws = rng.random(9).tolist()
    shift, keep = _between(recipe.shift, draws[0:2]), _between(recipe.crop, draws[2:4])
    corner, coins = draws[4:6], draws[6:9]
    center = ((width - 1) / 2, (height - 1) / 2)
    steps = [geo.scale_rotate(center, scale, angle), geo.translate(shift[0] * width, shift[1] * height)]
    # Whole pixels, so that a crop alone resamples nothing.
    crop_w, crop_h = max(1, round(keep[0] * width)), max(1, round(keep[1] * height))
    left, top = round(corner[0] * (width - crop_w)), round(corner[1] * (height - crop_h))
    steps.append(geo.translate(-left, -top))
    frame = (crop_w, crop_h)
    parts: dict[str, Any] = {"scale": scale, "rotation": angle, "shift": shift, "crop": [left, top, *frame]}
    frame = _mirrors(recipe, coins, frame, steps, parts)
    if recipe.input_size is not None:
        frame = _letterbox(recipe.input_size, frame, steps)
    matrix = geo.compose(*steps)
    return Drawn(matrix, frame, geo.is_mirror(matrix), parts)


def _scale_and_angle(recipe: Recipe, rng: Rng) -> tuple[float, float]:
    """Uniform over the ranges, or HRNet's clipped normal draws (JointsDataset.__getitem__)."""
    if recipe.distribution == "uniform":
        coin, first, second = rng.random(3).tolist()
        (scale,), (angle,) = _between(recipe.scale, [first]), _between(recipe.rotation, [second])
    else:
        coin = rng.random()
        factor, spread = recipe.scale[1] - 1.0, recipe.rotation[1]
        scale = float(np.clip(rng.standard_normal() * factor + 1.0, *recipe.scale))
        angle = float(np.clip(rng.standard_normal() * spread, -2 * spread, 2 * spread))
    return float(scale), float(angle) if coin < recipe.rotation_probability else 0.0


def _mirrors(
    recipe: Recipe, coins: list[float], frame: tuple[int, int], steps: list[geo.Matrix], parts: dict[str, Any]
) -> tuple[int, int]:
    width, height = frame
    parts |= _coins(recipe, coins)
    if parts["flip"]:
        steps.append(geo.flip_horizontal(width))
    if parts["flip_vertical"]:
        steps.append(geo.flip_vertical(height))
    if parts["transpose"]:
        steps.append(TRANSPOSE)
        return height, width
    return frame


def _between(ends: tuple[float, float], draws: list[float]) -> list[float]:
    """Draws from [0, 1) brought into a range, as `Generator.uniform` does it."""
    low, high = ends
    return [low + (high - low) * one for one in draws]


def _coins(recipe: Recipe, coins: list[float]) -> dict[str, bool]:
    names = ("flip", "flip_vertical", "transpose")
    return {name: coin < getattr(recipe, name) for name, coin in zip(names, coins, strict=True)}


def _letterbox(input_size: tuple[int, int], frame: tuple[int, int], steps: list[geo.Matrix]) -> tuple[int, int]:
    """Fit the frame into the output, aspect kept, centred."""
    height, width = input_size
    factor = min(width / frame[0], height / frame[1])
    fitted = (frame[0] * factor, frame[1] * factor)
    steps += [geo.resize(frame, fitted), geo.translate((width - fitted[0]) / 2, (height - fitted[1]) / 2)]
    return width, height


def draw_person(
    recipe: Recipe,
    seed: int,
    key: str,
    copy: int,
    box_xywh: NDArray[np.float64],
    xy: NDArray[np.float64],
    upper_body: NDArray[np.bool_],
) -> Drawn:
    """One matrix for a person's crop, as HRNet's loader draws it: the picture is mirrored first, then cropped.

    key         image key and instance id              box_xywh    [4]    float64  pixels
    xy          [K,2]  float64  NaN where unlabelled   upper_body  [K]    bool     joints above the hips
    """
    height, width = recipe.input_size or (256, 192)
    rng = stream(seed, key, copy, "geometry")
    mirrors = _coins(recipe, rng.random(3).tolist())
    steps: list[geo.Matrix] = []
    if mirrors["transpose"]:
        steps, box_xywh, xy = [TRANSPOSE], box_xywh[[1, 0, 3, 2]], xy[:, ::-1]
    half = _half_body(recipe, rng, xy, upper_body, width / height)
    center, size = half or box_to_center_scale(box_xywh, (width, height), recipe.padding)
    # About the crop's centre, so that it keeps its place: x' = 2c - x.
    steps += [geo.flip_horizontal(2 * center[0] + 1)] if mirrors["flip"] else []
    steps += [geo.flip_vertical(2 * center[1] + 1)] if mirrors["flip_vertical"] else []
    scale, angle = _scale_and_angle(recipe, rng)
    shift = rng.uniform(*recipe.shift, size=2)
    center, size = center + shift * size, size * scale
    warp = hrnet_warp if recipe.warp == "hrnet" else udp_warp
    # hrnet_warp turns counter-clockwise for a positive angle; rows and recipes say clockwise.
    turn = -angle if recipe.warp == "hrnet" else angle
    matrix = geo.compose(*steps, warp(center.tolist(), size.tolist(), turn, (width, height)))
    parts = {"scale": scale, "rotation": angle, "shift": shift.tolist(), "half_body": half is not None, **mirrors}
    return Drawn(matrix, (width, height), geo.is_mirror(matrix), parts)


def _half_body(
    recipe: Recipe, rng: Rng, xy: NDArray[np.float64], upper: NDArray[np.bool_], aspect: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Centre and size of the upper or lower half (JointsDataset.half_body_transform), or None."""
    chance, which = rng.uniform(), rng.uniform()
    labelled = np.isfinite(xy).all(axis=-1)
    if chance >= recipe.half_body or labelled.sum() <= recipe.half_body_joints:
        return None
    above, below = xy[labelled & upper], xy[labelled & ~upper]
    chosen = above if which < UPPER_HALF and len(above) > 2 else (below if len(below) > 2 else above)
    if len(chosen) < 2:
        return None
    span = chosen.max(axis=0) - chosen.min(axis=0)
    size = np.array([max(span[0], span[1] * aspect), max(span[1], span[0] / aspect)]) * 1.5
    return (chosen.mean(axis=0), size) if (size > 0).all() else None
