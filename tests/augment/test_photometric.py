"""Pipelines of one's own: what is checked here is the picture against the labels, never the library against itself."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kpkit.augment import geometry as geo
from kpkit.augment.photometric import Pipeline, Result, load_pipeline
from kpkit.errors import RecordError, UsageError

pytest.importorskip("albumentations", reason="needs the extra 'albumentations'")

import albumentations as A  # noqa: N812  # its own name for itself

RUNS = 200
W, H = 110, 90
# Three spots, not in one line, each of one colour: the way around them tells a picture from its mirror image.
SPOTS = np.array([[42.0, 35.0], [70.0, 40.0], [50.0, 58.0]])


def _spots(width: int = W, height: int = H) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return (
        np.stack([255 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 18.0) for cx, cy in SPOTS], axis=-1)
        .round()
        .astype(np.uint8)
    )


def _found(image: np.ndarray) -> np.ndarray | None:
    """Where the three spots are in a picture; None where one of them is not wholly there."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    found = []
    for channel in range(3):
        bright = image[..., channel].astype(float)
        bright[bright < 4] = 0
        edge = bright[[0, -1]].sum() + bright[:, [0, -1]].sum()
        if bright.sum() < 600 or edge:
            return None
        found.append([(bright * x).sum() / bright.sum(), (bright * y).sum() / bright.sum()])
    return np.array(found)


def _way_around(points: np.ndarray) -> float:
    (ax, ay), (bx, by) = points[1] - points[0], points[2] - points[0]
    return float(np.sign(ax * by - ay * bx))


def _saved(folder: Path, *transforms: Any, name: str = "pipeline.yaml") -> Path:
    path = folder / name
    A.save(A.Compose(list(transforms)), path, data_format="json" if name.endswith("json") else "yaml")
    return path


def _load(folder: Path, *transforms: Any) -> Pipeline:
    return load_pipeline(_saved(folder, *transforms))


GEOMETRY: dict[str, Callable[[], Any]] = {
    "HorizontalFlip": lambda: A.HorizontalFlip(p=0.5),
    "VerticalFlip": lambda: A.VerticalFlip(p=0.5),
    "Transpose": lambda: A.Transpose(p=0.5),
    "D4": lambda: A.D4(p=1),
    "Affine, negative scale": lambda: A.Affine(scale={"x": (-1.2, -0.8), "y": (0.8, 1.2)}, rotate=(-40, 40), p=0.7),
    "Affine, both scales negative": lambda: A.Affine(scale=(-1.2, -0.8), p=0.7),
    "Rotate": lambda: A.Rotate(limit=180, p=1),
    "Perspective": lambda: A.Perspective(scale=(0.02, 0.08), p=1),
    "ElasticTransform": lambda: A.ElasticTransform(alpha=40, sigma=6, p=1),
    "GridDistortion": lambda: A.GridDistortion(distort_limit=(-0.3, 0.3), p=1),
    "OneOf of mirrors": lambda: A.OneOf([A.HorizontalFlip(p=1), A.Transpose(p=1), A.RandomRotate90(p=1)], p=0.8),
    "nests": lambda: A.OneOf(
        [
            A.Sequential([A.HorizontalFlip(p=0.5), A.ElasticTransform(alpha=20, sigma=6, p=0.5)], p=1),
            A.SomeOf([A.VerticalFlip(p=1), A.D4(p=1), A.Rotate(limit=30, p=1)], n=2, p=1),
            A.OneOrOther(A.Transpose(p=1), A.GridDistortion(p=1), p=0.5),
        ],
        p=1,
    ),
    "mirrors one after the other": lambda: A.Sequential([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)], p=1),
    "sizes": lambda: A.Sequential([A.RandomScale((-0.3, 0.5), p=1), A.D4(p=1), A.Resize(70, 130, p=1)], p=1),
}
MIRRORS = {
    "HorizontalFlip", "VerticalFlip", "Transpose", "D4", "Affine, negative scale", "OneOf of mirrors", "nests",
    "mirrors one after the other", "sizes",
}  # fmt: skip


# A distortion bends the spots themselves, and their centroids with them; elsewhere there is nothing but rounding.
BEND = {"Perspective": 0.3, "ElasticTransform": 3.0, "GridDistortion": 3.0, "nests": 3.0}


@pytest.mark.parametrize("name", GEOMETRY)
def test_mirrors_are_told_and_points_are_on_their_pixels(tmp_path: Path, name: str) -> None:
    """In 200 of 200 runs: what the picture shows decides, by the way around its three spots and by where they are."""
    pipeline, image = _load(tmp_path, GEOMETRY[name]()), _spots()
    seen = {True: 0, False: 0}
    for seed in range(RUNS):
        result = pipeline.apply(image, SPOTS[None], seed)
        shown = _found(result.image)
        if shown is None:
            continue
        mirrored = _way_around(shown) != _way_around(SPOTS)
        assert result.mirrored == mirrored, f"seed {seed}"
        assert _way_around(result.xy[0]) == _way_around(shown)
        assert np.abs(result.xy[0] - shown).max() < BEND.get(name, 0.1), f"seed {seed}"
        assert result.lost == 0
        seen[mirrored] += 1
    assert sum(seen.values()) > 0.9 * RUNS
    assert (seen[True] > RUNS / 10) == (name in MIRRORS)
    assert seen[False] > RUNS / 20


def test_dice_of_different_transforms_fall_apart(tmp_path: Path) -> None:
    """Two coins fall four ways; with one seed for each transform they would always fall alike."""
    pipeline = _load(tmp_path, A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5))
    image = _spots()
    ways = [pipeline.apply(image, SPOTS[:1], seed).xy[0].tolist() for seed in range(100)]
    assert len({tuple(way) for way in ways}) == 4
    assert min(ways.count(way) for way in ways) > 10


def test_same_seed_gives_the_same_result_whatever_ran_before(tmp_path: Path) -> None:
    transforms = [A.D4(p=1), A.Affine(rotate=(-30, 30), p=1), A.GaussNoise(p=1), A.CoarseDropout(fill="random", p=1)]
    one = _load(tmp_path, *transforms, A.ElasticTransform(p=0.5))
    other = _load(tmp_path, *transforms, A.ElasticTransform(p=0.5))
    for seed in range(20):
        other.apply(_spots(64, 48), SPOTS, seed)
        np.random.default_rng().uniform()
    for seed in (3, 4):
        a, b = one.apply(_spots(), SPOTS, seed), other.apply(_spots(), SPOTS, seed)
        for field in ("image", "xy", "matrix", "mask"):
            np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
    assert one.apply(_spots(), SPOTS, 3).image.tobytes() != one.apply(_spots(), SPOTS, 5).image.tobytes()


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_photometric_change_moves_no_point_by_a_bit(tmp_path: Path, seed: int) -> None:
    pipeline = _load(tmp_path, A.RandomBrightnessContrast(p=1), A.GaussNoise(p=1), A.HueSaturationValue(p=1))
    xy = np.array([[620.7, 0.1], [1 / 3, -5.3], [np.nan, np.nan]])
    result = pipeline.apply(_spots(), xy, seed)
    np.testing.assert_array_equal(result.xy, xy)
    np.testing.assert_array_equal(result.matrix, geo.identity())
    assert result.affine
    assert not result.mask.any()


def test_mirror_of_a_pipeline_is_the_mirror_of_the_recipe_to_the_last_bit(tmp_path: Path) -> None:
    xy = np.array([[20.7, 10.1], [1 / 3, 5.3]])
    result = _load(tmp_path, A.HorizontalFlip(p=1)).apply(_spots(), xy, 0)
    np.testing.assert_array_equal(result.matrix, geo.flip_horizontal(W))
    np.testing.assert_array_equal(result.xy, geo.apply_points(geo.flip_horizontal(W), xy))
    np.testing.assert_array_equal(result.image, _spots()[:, ::-1])


def test_colours_are_read_in_the_order_that_the_file_has_them(tmp_path: Path) -> None:
    """Pictures are BGR here and RGB in Albumentations: its red shift has to change the last channel."""
    image = np.full((10, 10, 3), 100, np.uint8)
    shifted = _load(tmp_path, A.RGBShift((50, 50), (0, 0), (0, 0), p=1)).apply(image, np.zeros((0, 2)), 0).image
    np.testing.assert_array_equal(shifted[0, 0], [100, 100, 150])


def test_unlabelled_points_stay_unlabelled_and_points_outside_move_on(tmp_path: Path) -> None:
    xy = np.array([[np.nan, np.nan], [-30.0, 40.0], [500.0, 40.0], [50.0, 40.0]])
    for transform in (A.HorizontalFlip(p=1), A.Resize(H, W, p=1)):
        moved = _load(tmp_path, transform).apply(_spots(), xy, 0)
        expected = xy if isinstance(transform, A.Resize) else geo.apply_points(geo.flip_horizontal(W), xy)
        np.testing.assert_allclose(moved.xy, expected, atol=1e-3)
        assert moved.lost == 0


LOSING: dict[str, Callable[[], Any]] = {
    "crop": lambda: A.RandomCrop(30, 40, p=1),
    "shift": lambda: A.Affine(translate_percent=(0.5, 0.9), p=1),
    "elastic": lambda: A.ElasticTransform(alpha=80, sigma=6, p=1),
    "grid": lambda: A.GridDistortion(p=1),
    "optical": lambda: A.OpticalDistortion(distort_limit=(-0.5, 0.5), p=1),
    "crop and resize": lambda: A.RandomResizedCrop((40, 50), scale=(0.1, 0.4), p=1),
    "dropout": lambda: A.CoarseDropout(num_holes_range=(5, 9), hole_height_range=(0.3, 0.5), p=1),
    "dropout after elastic": lambda: A.Sequential(
        [A.ElasticTransform(p=1), A.GridDropout(ratio=0.7, random_offset=True, p=1)], p=1
    ),
}


@pytest.mark.parametrize("name", LOSING)
def test_no_point_is_lost(tmp_path: Path, name: str) -> None:
    """Coincident points, points under holes, at the border, and out of the frame: all come back, in order."""
    xy = np.random.default_rng(0).uniform(0, (W - 1, H - 1), (3, 17, 2))
    xy[1, 3:6] = xy[1, 3]
    xy[2, 0], xy[2, 1], xy[2, 2] = (0, 0), (W - 1, H - 1), (np.nan, np.nan)
    pipeline = _load(tmp_path, LOSING[name]())
    for seed in range(10):
        result = pipeline.apply(_spots(), xy, seed)
        assert result.xy.shape == xy.shape
        assert result.lost == 0
        np.testing.assert_array_equal(np.isnan(result.xy), np.isnan(xy))
        np.testing.assert_allclose(result.xy[1, 4:6], result.xy[1, [3, 3]])


BENT: dict[str, Callable[[], Any]] = {
    "ElasticTransform": lambda: A.ElasticTransform(alpha=60, sigma=8, p=1),
    "OpticalDistortion": lambda: A.OpticalDistortion(distort_limit=(-0.3, 0.3), p=1),
    "GridDistortion": lambda: A.GridDistortion(p=1),
    "Perspective": lambda: A.Perspective(p=1),
    "Resize, larger": lambda: A.Resize(167, 191, p=1),
    "Resize, smaller": lambda: A.Resize(59, 77, p=1),
    "RandomResizedCrop": lambda: A.RandomResizedCrop((96, 96), scale=(0.6, 1.0), p=1),
    "CropAndPad": lambda: A.CropAndPad(percent=(-0.1, 0.1), p=1),
    "distorted under holes": lambda: A.Sequential(
        [A.ElasticTransform(alpha=60, sigma=8, p=1), A.GridDropout(ratio=0.2, p=1)], p=1
    ),
}


@pytest.mark.parametrize("name", BENT)
def test_pixel_under_a_point_stays_the_pixel_under_it(tmp_path: Path, name: str) -> None:
    """A picture whose colours say where each pixel was: read at the moved points it gives the points back."""
    y, x = np.mgrid[:H, :W].astype(float)
    ramp = np.stack([x * 2, y * 2, 0 * x], axis=-1).round().astype(np.uint8)
    rng = np.random.default_rng(1)
    pipeline = _load(tmp_path, BENT[name]())
    off = []
    for seed in range(10):
        xy = rng.uniform((25, 20), (W - 25, H - 20), (30, 2))
        result = pipeline.apply(ramp, xy, seed)
        height, width = result.image.shape[:2]
        cell = np.floor(result.xy).astype(int)
        inside = (cell >= 0).all(axis=1) & (cell < (width - 1, height - 1)).all(axis=1)
        around = [cell[inside] + step for step in ((0, 0), (1, 0), (0, 1), (1, 1))]
        seen = np.all([result.mask[corner[:, 1], corner[:, 0]] == 0 for corner in around], axis=0)
        off.append((_bilinear(result.image, result.xy[inside]) / 2 - xy[inside])[seen])
    every = np.concatenate(off)
    assert len(every) > 100
    # Colours are whole numbers, two a pixel: a quarter of a pixel is their rounding, no systematic shift is left.
    assert np.quantile(np.abs(every), 0.95) < 0.5
    assert np.abs(every.mean(axis=0)).max() < 0.1


def _bilinear(image: np.ndarray, xy: np.ndarray) -> np.ndarray:
    x, y = np.floor(xy).astype(int).T
    u, v = (xy - np.floor(xy)).T[..., None]
    value = image[..., :2].astype(float)
    top, bottom = (1 - u) * value[y, x] + u * value[y, x + 1], (1 - u) * value[y + 1, x] + u * value[y + 1, x + 1]
    return np.asarray((1 - v) * top + v * bottom)


HOLES: dict[str, Callable[[], Any]] = {
    "CoarseDropout": lambda: A.CoarseDropout(num_holes_range=(2, 4), fill=7, p=1),
    "GridDropout": lambda: A.GridDropout(ratio=0.4, fill=7, p=1),
    "XYMasking": lambda: A.XYMasking((1, 3), (1, 3), (5, 9), (5, 9), fill=7, p=1),
    "Erasing": lambda: A.Erasing(fill=7, p=1),
}


@pytest.mark.parametrize("name", HOLES)
def test_holes_mark_the_mask_and_nothing_else_does(tmp_path: Path, name: str) -> None:
    image = np.random.default_rng(2).integers(50, 200, (H, W, 3), np.uint8)
    pipeline = _load(tmp_path, HOLES[name]())
    for seed in range(10):
        result = pipeline.apply(image, np.zeros((0, 2)), seed)
        changed = (result.image == 7).all(axis=-1)
        np.testing.assert_array_equal(result.mask, changed * 255)
        np.testing.assert_array_equal(result.image[~changed], image[~changed])


@pytest.mark.parametrize(
    "transform",
    [
        lambda: A.Rotate(limit=(30, 30), p=1),
        lambda: A.Affine(translate_percent=0.3, p=1),
        lambda: A.PadIfNeeded(200, 200, p=1),
        lambda: A.Perspective(fit_output=True, p=1),
        lambda: A.ElasticTransform(alpha=100, p=1),
        lambda: A.PixelDropout(dropout_prob=0.2, p=1),
        lambda: A.GaussNoise(p=1),
    ],
)
def test_empty_corners_and_noise_are_no_occlusion(tmp_path: Path, transform: Callable[[], Any]) -> None:
    image = np.full((H, W, 3), 200, np.uint8)
    result = _load(tmp_path, transform()).apply(image, np.zeros((0, 2)), 0)
    assert (result.image != 200).any()
    assert not result.mask.any()


def test_holes_move_with_what_comes_after_them(tmp_path: Path) -> None:
    image = np.full((H, W, 3), 200, np.uint8)
    result = _load(tmp_path, A.CoarseDropout(fill=7, p=1), A.D4(p=1)).apply(image, np.zeros((0, 2)), 3)
    np.testing.assert_array_equal(result.mask > 0, (result.image == 7).all(axis=-1))
    assert result.mask.any()


def test_what_is_occluded_already_moves_along(tmp_path: Path) -> None:
    mask = np.zeros((H, W), np.uint8)
    mask[10:20, 15:40] = 255
    result = _load(tmp_path, A.HorizontalFlip(p=1)).apply(_spots(), SPOTS, 0, mask)
    np.testing.assert_array_equal(result.mask, mask[:, ::-1])
    resized = _load(tmp_path, A.Resize(2 * H, 2 * W, p=1)).apply(_spots(), SPOTS, 0, mask)
    assert (resized.mask > 0).sum() == pytest.approx(4 * (mask > 0).sum(), rel=0.05)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 40), (40, 1), (3, 2), (7, 7)])
def test_tiny_picture_is_flipped(tmp_path: Path, width: int, height: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    result = _load(tmp_path, A.HorizontalFlip(p=1)).apply(image, np.array([[0.0, 0.0]]), 0)
    assert result.mirrored
    np.testing.assert_array_equal(result.xy, [[width - 1.0, 0.0]])


@pytest.mark.parametrize("name", ["pipeline.yaml", "pipeline.json"])
def test_what_albumentations_saves_is_loaded_in_both_forms(tmp_path: Path, name: str) -> None:
    path = _saved(tmp_path, A.HorizontalFlip(p=1), A.OneOf([A.D4(p=1), A.Affine(p=1)], p=0.5), name=name)
    assert isinstance(load_pipeline(path).apply(_spots(), SPOTS, 0), Result)


def test_inner_compose_without_a_probability_always_runs(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "transform: {__class_fullname__: Compose, transforms: [{__class_fullname__: HorizontalFlip, p: 1}]}"
    )
    assert all(load_pipeline(path).apply(_spots(), SPOTS, seed).mirrored for seed in range(20))


def test_picture_on_which_the_pipeline_fails_is_one_failed_item(tmp_path: Path) -> None:
    pipeline = _load(tmp_path, A.RandomCrop(1000, 1000, p=1))
    with pytest.raises(RecordError, match="failed on this picture") as caught:
        pipeline.apply(_spots(), SPOTS, 0)
    assert caught.value.code == "KP-PIPELINE-RUN"


@pytest.mark.parametrize("transform", [lambda: A.ToFloat(p=1), lambda: A.ToGray(num_output_channels=1, p=1)])
def test_pipeline_that_ends_in_no_picture_is_refused(tmp_path: Path, transform: Callable[[], Any]) -> None:
    with pytest.raises(UsageError, match="does not end in a picture"):
        _load(tmp_path, transform()).apply(_spots(), SPOTS, 0)


def test_missing_library_is_an_error_that_says_what_to_install(tmp_path: Path) -> None:
    code = """
        import sys
        class Blocked:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] == "albumentations":
                    raise ImportError(name)
        sys.meta_path.insert(0, Blocked())
        from pathlib import Path
        from kpkit.augment.photometric import load_pipeline
        from kpkit.errors import MissingExtraError
        try:
            load_pipeline(Path("a.yaml"))
        except MissingExtraError as error:
            print(error.code, error.help)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "KP-EXTRA-ALBUMENTATIONS pip install 'kpkit[albumentations]'"
