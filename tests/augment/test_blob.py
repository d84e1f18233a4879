"""A blob drawn at a joint is found where the joint went: pixels and points agree, whatever the recipe.

The blob is a Gaussian of sigma 2 rendered at a fractional position as 8-bit numbers, and is found again as the centroid
of what is brighter than a floor. Rounding to 8 bits and to the warp's 1/32 pixel moves the centroid by some hundredths;
anything systematic (half a pixel of a wrong convention, a mirror that is one column off) is far above a tenth.

Left out, since no centroid can show them: blobs within 4 sigma of a border, and output smaller than half the source,
where sampling without a filter sees less than one pixel a sigma. "nearest" moves pixels by up to half of one by its
nature; it has a test of its own with that bound.
"""

from __future__ import annotations

import numpy as np
import pytest

from kpkit.augment import geometry as geo
from kpkit.augment.draw import Drawn, draw_image, draw_person
from kpkit.augment.recipe import Recipe, preset, preset_names
from kpkit.augment.spatial import Labels, move
from kpkit.augment.warp import warp_image
from kpkit.core import visibility as vis
from tests.augment.strategies import SKELETON, K

W, H = 200, 150
SIGMA = 2.0
WITHIN = 0.1
BOX = np.array([60.0, 30.0, 70.0, 90.0])


def _blob(center: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[:H, :W]
    bright = 255 * np.exp(-((x - center[0]) ** 2 + (y - center[1]) ** 2) / (2 * SIGMA**2))
    return np.repeat(np.rint(bright).astype(np.uint8)[..., None], 3, axis=2)


def _centroid(image: np.ndarray, near: np.ndarray, radius: float) -> np.ndarray:
    """Of the brightness within `radius` of the brightest pixel around the joint (reflections show it twice)."""
    bright = image[..., 0].astype(float)
    y, x = np.mgrid[: bright.shape[0], : bright.shape[1]]
    around = bright * (np.hypot(x - near[0], y - near[1]) < 8)
    peak = np.array(np.unravel_index(around.argmax(), bright.shape))[::-1]
    assert bright[peak[1], peak[0]] > 200, "there is no blob at the joint"
    weight = bright * ((x - peak[0]) ** 2 + (y - peak[1]) ** 2 <= radius**2)
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


def _labels(center: np.ndarray) -> Labels:
    xy = np.full((1, K, 2), np.nan)
    xy[0, 0] = center
    return Labels(
        xy=xy,
        visibility=np.where(np.isfinite(xy[..., 0]), vis.VISIBLE, vis.UNLABELLED).astype(np.uint8),
        truncated=np.zeros((1, K), bool),
        bbox_xywh=BOX[None],
        head_box=np.full((1, 4), np.nan),
        area=np.array([1.0]),
        polygons=[[]],
        lateral={},
    )


def _error(recipe: Recipe, seed: int) -> float | None:
    """Distance between blob and joint in pixels; None where the blob is not wholly in the picture."""
    rng = np.random.default_rng(seed)
    center = rng.uniform((70, 40), (120, 110))
    drawn = _draw(recipe, seed, center)
    grown = np.linalg.svd(drawn.matrix[:, :2], compute_uv=False)
    radius = 4 * SIGMA * grown.max()
    expected = geo.apply_points(drawn.matrix, center)
    edge = min(*expected, *(np.array(drawn.out_wh) - 1 - expected))
    if edge < radius + 2 or grown.min() < 0.5:
        return None
    moved = move(_labels(center), drawn.matrix, drawn.out_wh, SKELETON).labels.xy[0, 0]
    image = warp_image(_blob(center), drawn.matrix, drawn.out_wh, recipe)
    return float(np.abs(_centroid(image, moved, radius) - moved).max())


def _draw(recipe: Recipe, seed: int, center: np.ndarray) -> Drawn:
    if recipe.mode == "image":
        return draw_image(recipe, seed, "a.png", 1, (W, H))
    xy = np.full((K, 2), np.nan)
    xy[0] = center
    return draw_person(recipe, seed, "a.png#1", 1, BOX, xy, np.ones(K, bool))


def _check(recipe: Recipe, seeds: range, within: float = WITHIN) -> None:
    errors = [error for seed in seeds if (error := _error(recipe, seed)) is not None]
    assert len(errors) >= len(seeds) // 4, "too few blobs stayed in the picture to say anything"
    assert max(errors) < within


CROPS = {"mode": "topdown", "input_size": (256, 192)}
MOVEMENTS = {
    "rotation": {"rotation": (-180.0, 180.0)},
    "scale": {"scale": (0.5, 2.0)},
    "shift": {"shift": (-0.2, 0.2)},
    "crop": {"crop": (0.5, 1.0)},
    "flip": {"flip": 1.0},
    "vertical flip": {"flip_vertical": 1.0},
    "transpose": {"transpose": 1.0},
    "half turn": {"flip": 1.0, "flip_vertical": 1.0},
    "letterbox, smaller": {"input_size": (96, 128)},
    "letterbox, larger": {"input_size": (301, 299)},
    "crops": CROPS,
    "crops, udp": {**CROPS, "warp": "udp"},
    "crops, flipped": {**CROPS, "flip": 1.0},
    "crops, transposed": {**CROPS, "transpose": 1.0, "flip_vertical": 0.5},
    "crops, turned and shifted": {**CROPS, "rotation": (-180.0, 180.0), "shift": (-0.1, 0.1), "flip": 0.5},
    "crops, udp, turned": {**CROPS, "warp": "udp", "rotation": (-180.0, 180.0), "flip": 0.5},
    "everything": {
        "rotation": (-180.0, 180.0),
        "scale": (0.7, 1.5),
        "shift": (-0.1, 0.1),
        "crop": (0.8, 1.0),
        "flip": 0.5,
        "flip_vertical": 0.5,
        "transpose": 0.5,
        "input_size": (256, 256),
    },
}


@pytest.mark.parametrize("name", preset_names())
def test_blob_is_found_at_its_joint_after_every_preset(name: str) -> None:
    _check(preset(name), range(25))


@pytest.mark.parametrize("name", MOVEMENTS)
def test_blob_is_found_at_its_joint_after_every_movement(name: str) -> None:
    _check(Recipe().with_changes(**MOVEMENTS[name]), range(25))


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
@pytest.mark.parametrize("border", ["constant", "reflect", "replicate"])
def test_blob_is_found_at_its_joint_with_every_interpolation_and_border(interpolation: str, border: str) -> None:
    recipe = preset("six2").with_changes(interpolation=interpolation, border=border, shift=(-0.05, 0.05))
    _check(recipe, range(25))


def test_nearest_pixel_is_off_by_no_more_than_half_of_one() -> None:
    _check(preset("six2").with_changes(interpolation="nearest"), range(25), within=0.5)


def _random_recipe(rng: np.random.Generator) -> Recipe:
    low, high = np.sort(rng.uniform(0.5, 2.0, 2))
    fields = {
        "rotation": tuple(np.sort(rng.uniform(-180, 180, 2)).tolist()),
        "scale": (low, high),
        "shift": tuple(np.sort(rng.uniform(-0.2, 0.2, 2)).tolist()),
        "flip": rng.uniform(),
        "flip_vertical": rng.uniform(),
        "transpose": rng.uniform(),
        "interpolation": str(rng.choice(["linear", "cubic"])),
        "border": str(rng.choice(["constant", "reflect", "replicate"])),
    }
    if rng.uniform() < 0.5:
        fields |= {"mode": "topdown", "warp": str(rng.choice(["hrnet", "udp"])), "padding": rng.uniform(1.0, 1.5)}
        fields["input_size"] = (256, 192)
    elif rng.uniform() < 0.7:
        fields["input_size"] = tuple(rng.integers(128, 320, 2).tolist())
        fields["crop"] = (0.7, 1.0)
    return Recipe(**fields)


def test_blob_is_found_at_its_joint_after_random_recipes() -> None:
    rng = np.random.default_rng(11)
    errors = [_error(_random_recipe(rng), seed) for seed in range(400)]
    found = [error for error in errors if error is not None]
    assert len(found) > 100
    assert max(found) < WITHIN


def test_mark_painted_on_a_wrong_pixel_would_be_noticed() -> None:
    """The test itself: half a pixel of a wrong convention is above the bound."""
    center = np.array([100.0, 75.0])
    image = warp_image(_blob(center), geo.flip_horizontal(W), (W, H), Recipe())
    wrong = np.array([W - center[0] - 0.5, center[1]])
    assert np.abs(_centroid(image, wrong, 8.0) - wrong).max() > 4 * WITHIN
