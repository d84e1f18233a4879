from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kpkit.augment import geometry as geo
from kpkit.augment.draw import draw_image, draw_person, stream
from kpkit.augment.recipe import Recipe, preset

RUNS = 3000
BOX = np.array([100.0, 80.0, 60.0, 200.0])
UPPER = np.arange(17) < 11


def test_streams_do_not_depend_on_the_order_in_which_they_are_taken() -> None:
    keys = [(seed, key, copy, purpose) for seed in (0, 1) for key in "ab" for copy in (1, 2) for purpose in ("x", "y")]
    forward = {key: stream(*key).integers(2**62) for key in keys}
    backward = {key: stream(*key).integers(2**62) for key in reversed(keys)}
    assert forward == backward
    assert len(set(forward.values())) == len(keys)


def test_streams_stay_what_they_are_from_release_to_release() -> None:
    raw = stream(0, "a.jpg", 1, "geometry").bit_generator.random_raw(3)
    assert raw.tolist() == [13142281418501914790, 9977376007713545693, 12072987707590388971]


def test_file_name_that_is_no_utf8_has_a_stream() -> None:
    assert stream(0, "caf\udce9.jpg", 1, "geometry").uniform() != stream(0, "cafe.jpg", 1, "geometry").uniform()


def test_occlusion_in_a_recipe_does_not_change_its_rotations() -> None:
    plain = preset("six2")
    for key in "abc":
        one, other = (draw_image(r, 7, key, 1, (640, 480)) for r in (plain, plain.with_changes(occlusion=0.3)))
        np.testing.assert_array_equal(one.matrix, other.matrix)


def _parts(recipe: Recipe, name: str) -> np.ndarray:
    return np.array([draw_image(recipe, 3, f"{i}.jpg", 1, (640, 480)).parts[name] for i in range(RUNS)])


def test_uniform_draws_fill_their_ranges_evenly() -> None:
    recipe = Recipe(rotation=(-30.0, 50.0), scale=(0.8, 1.2), shift=(-0.1, 0.3))
    for name, low, high in (("rotation", -30, 50), ("scale", 0.8, 1.2)):
        assert stats.kstest(_parts(recipe, name), stats.uniform(low, high - low).cdf).pvalue > 1e-3, name
    shift = _parts(recipe, "shift")
    for axis in (0, 1):
        assert stats.kstest(shift[:, axis], stats.uniform(-0.1, 0.4).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(shift.T)[0, 1]) < 0.1


def test_normal_draws_are_those_of_hrnet() -> None:
    """Scale: clip(1 + 0.35 N) at both ends; rotation: clip(45 N) at twice 45, and none in four cases of ten."""
    recipe = Recipe(distribution="normal", rotation=(-45.0, 45.0), rotation_probability=0.6, scale=(0.65, 1.35))
    scale, rotation = _parts(recipe, "scale"), _parts(recipe, "rotation")
    assert (scale.min(), scale.max()) == (0.65, 1.35)
    between = scale[(scale > 0.65) & (scale < 1.35)]
    assert stats.kstest(between, stats.truncnorm(-1, 1, 1.0, 0.35).cdf).pvalue > 1e-3
    # A standard normal draw is beyond one sigma in 15.87 % of all cases, on each side.
    for end in (0.65, 1.35):
        assert (scale == end).mean() == pytest.approx(0.1587, abs=0.025)
    assert (rotation == 0).mean() == pytest.approx(0.4, abs=0.035)
    turned = rotation[rotation != 0]
    assert (turned.min(), turned.max()) == (-90.0, 90.0)
    between = turned[np.abs(turned) < 90]
    assert stats.kstest(between, stats.truncnorm(-2, 2, 0.0, 45.0).cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", ["flip", "flip_vertical", "transpose"])
def test_mirrors_come_as_often_as_asked(name: str) -> None:
    drawn = _parts(Recipe().with_changes(**{name: 0.3}), name)
    assert drawn.mean() == pytest.approx(0.3, abs=0.035)


def test_probability_zero_never_happens_and_one_always() -> None:
    assert not _parts(Recipe(), "flip").any()
    assert _parts(Recipe(flip=1.0), "flip").all()


def test_half_body_takes_the_upper_half_as_often_as_hrnet_does() -> None:
    recipe = preset("hrnet").with_changes(half_body=1.0, scale=1.0, rotation=0.0, flip=0.0)
    xy = np.stack([np.linspace(120, 140, 17), np.linspace(90, 270, 17)], axis=-1)
    rows = []
    for i in range(1000):
        drawn = draw_person(recipe, 1, f"{i}#1", 1, BOX, xy, UPPER)
        rows.append(geo.apply_points(geo.invert(drawn.matrix), np.array([96.0, 128.0]))[1])
    upper, lower = xy[UPPER].mean(axis=0)[1], xy[~UPPER].mean(axis=0)[1]
    near_upper = np.isclose(rows, upper)
    assert (near_upper | np.isclose(rows, lower)).all()
    # HRNet: np.random.randn() < 0.5
    assert near_upper.mean() == pytest.approx(0.69, abs=0.045)


def test_half_body_needs_more_labelled_joints_than_the_recipe_says() -> None:
    recipe = preset("hrnet").with_changes(half_body=1.0)
    xy = np.full((17, 2), np.nan)
    xy[:8] = np.linspace([110, 90], [150, 200], 8)
    assert not draw_person(recipe, 1, "a#1", 1, BOX, xy, UPPER).parts["half_body"]
    xy[8] = [130, 210]
    assert draw_person(recipe, 1, "a#1", 1, BOX, xy, UPPER).parts["half_body"]


def _corner_span(matrix: np.ndarray, wh: tuple[int, int]) -> np.ndarray:
    return geo.hull(geo.apply_points(matrix, np.array([[-0.5, -0.5], [wh[0] - 0.5, wh[1] - 0.5]])))


@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(1, 600), st.integers(1, 600))
def test_letterboxed_picture_touches_two_sides_and_is_centred(width: int, height: int, h: int, w: int) -> None:
    drawn = draw_image(Recipe(input_size=(h, w)), 0, "a", 1, (width, height))
    assert drawn.out_wh == (w, h)
    x, y, shown_w, shown_h = _corner_span(drawn.matrix, (width, height))
    np.testing.assert_allclose([x + shown_w / 2, y + shown_h / 2], [(w - 1) / 2, (h - 1) / 2], atol=1e-6)
    assert math.isclose(shown_w / width, shown_h / height, rel_tol=1e-6)
    assert math.isclose(shown_w, w, rel_tol=1e-6) or math.isclose(shown_h, h, rel_tol=1e-6)
    assert shown_w <= w + 1e-6
    assert shown_h <= h + 1e-6


@given(st.integers(0, 10**6), st.integers(1, 900), st.integers(1, 900))
def test_crop_keeps_whole_pixels_inside_the_picture(seed: int, width: int, height: int) -> None:
    drawn = draw_image(Recipe(crop=(0.3, 0.9)), seed, "a", 1, (width, height))
    left, top, w, h = drawn.parts["crop"]
    assert 0 <= left <= width - w
    assert 0 <= top <= height - h
    assert drawn.out_wh == (w, h)
    np.testing.assert_array_equal(drawn.matrix, geo.translate(-left, -top))


def test_transposed_picture_has_its_sides_exchanged() -> None:
    drawn = draw_image(Recipe(transpose=1.0), 0, "a", 1, (640, 480))
    assert drawn.out_wh == (480, 640)
    assert drawn.mirrored
    np.testing.assert_array_equal(geo.apply_points(drawn.matrix, np.array([3.0, 5.0])), [5.0, 3.0])


def test_two_mirrors_make_no_mirror() -> None:
    assert not draw_image(Recipe(flip=1.0, flip_vertical=1.0), 0, "a", 1, (640, 480)).mirrored
    assert draw_image(Recipe(flip=1.0, flip_vertical=1.0, transpose=1.0), 0, "a", 1, (640, 480)).mirrored


@pytest.mark.parametrize("warp", ["hrnet", "udp"])
@pytest.mark.parametrize("mirrors", [{}, {"flip": 1.0}, {"flip_vertical": 1.0}, {"transpose": 1.0}])
def test_crop_shows_the_box_in_its_middle_whatever_is_mirrored(warp: str, mirrors: dict[str, float]) -> None:
    recipe = Recipe(mode="topdown", input_size=(256, 192), warp=warp).with_changes(**mirrors)
    drawn = draw_person(recipe, 0, "a#1", 1, BOX, np.full((17, 2), np.nan), UPPER)
    assert drawn.out_wh == (192, 256)
    assert drawn.mirrored == bool(mirrors)
    middle = (96.0, 128.0) if warp == "hrnet" else (95.5, 127.5)
    np.testing.assert_allclose(geo.apply_points(drawn.matrix, BOX[:2] + BOX[2:] / 2), middle, atol=1e-9)
    shown = geo.apply_boxes(drawn.matrix, BOX)
    longest = 256 if not mirrors.get("transpose") else 192
    side = 1 if longest == 256 else 0
    assert shown[2 + side] == pytest.approx((longest - (warp == "udp")) / 1.25)


def test_flipped_crop_is_the_crop_of_the_flipped_picture_as_hrnet_takes_it() -> None:
    """HRNet flips picture, joints and centre (W - 1 - x), then crops."""
    recipe = preset("hrnet").with_changes(rotation=0.0, scale=1.0, half_body=0.0)
    plain = draw_person(recipe.with_changes(flip=0.0), 5, "a#1", 1, BOX, np.full((17, 2), np.nan), UPPER)
    flipped = draw_person(recipe.with_changes(flip=1.0), 5, "a#1", 1, BOX, np.full((17, 2), np.nan), UPPER)
    width = 640
    other = BOX.copy()
    center = width - (BOX[0] + BOX[2] / 2) - 1
    other[0] = center - BOX[2] / 2
    of_flipped = draw_person(recipe.with_changes(flip=0.0), 5, "a#1", 1, other, np.full((17, 2), np.nan), UPPER)
    expected = geo.compose(geo.flip_horizontal(width), of_flipped.matrix)
    np.testing.assert_allclose(flipped.matrix, expected, atol=1e-9)
    assert not plain.mirrored


@pytest.mark.parametrize("warp", ["hrnet", "udp"])
def test_positive_rotation_turns_crops_clockwise_under_both_warps(warp: str) -> None:
    recipe = Recipe(mode="topdown", input_size=(256, 192), warp=warp, rotation=(90.0, 90.0))
    drawn = draw_person(recipe, 0, "a#1", 1, BOX, np.full((17, 2), np.nan), UPPER)
    center = BOX[:2] + BOX[2:] / 2
    way = geo.apply_points(drawn.matrix, center + np.array([10, 0])) - geo.apply_points(drawn.matrix, center)
    assert way[1] > 0
    assert abs(way[0]) < 1e-9


@given(st.integers(0, 2**31))
def test_matrix_of_a_recipe_says_itself_whether_it_mirrors(seed: int) -> None:
    recipe = preset("six2").with_changes(flip=0.5, flip_vertical=0.5, transpose=0.5, input_size=(128, 96))
    drawn = draw_image(recipe, seed, "a", 1, (640, 480))
    odd = drawn.parts["flip"] + drawn.parts["flip_vertical"] + drawn.parts["transpose"]
    assert drawn.mirrored == bool(odd % 2)
    assert drawn.mirrored == geo.is_mirror(drawn.matrix)
