from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpkit.augment import geometry as geo
from kpkit.augment.recipe import BORDERS, INTERPOLATIONS, Recipe
from kpkit.augment.warp import warp_image

TRANSPOSE = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])


def _picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


sides = st.integers(1, 130)
every_interpolation = pytest.mark.parametrize("interpolation", INTERPOLATIONS)


@every_interpolation
@given(sides, sides)
def test_mirrors_move_whole_pixels_and_change_no_byte(interpolation: str, width: int, height: int) -> None:
    image, recipe = _picture(width, height), Recipe(interpolation=interpolation)
    flipped = warp_image(image, geo.flip_horizontal(width), (width, height), recipe)
    np.testing.assert_array_equal(flipped, image[:, ::-1])
    np.testing.assert_array_equal(warp_image(image, geo.flip_vertical(height), (width, height), recipe), image[::-1])
    np.testing.assert_array_equal(warp_image(image, TRANSPOSE, (height, width), recipe), image.transpose(1, 0, 2))
    np.testing.assert_array_equal(warp_image(flipped, geo.flip_horizontal(width), (width, height), recipe), image)


@every_interpolation
@given(sides, sides, st.data())
def test_whole_pixel_crop_changes_no_byte(interpolation: str, width: int, height: int, data: st.DataObject) -> None:
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    w, h = data.draw(st.integers(1, width - left)), data.draw(st.integers(1, height - top))
    image = _picture(width, height)
    cropped = warp_image(image, geo.translate(-left, -top), (w, h), Recipe(interpolation=interpolation))
    np.testing.assert_array_equal(cropped, image[top : top + h, left : left + w])


def test_large_picture_is_flipped_without_changing_a_byte() -> None:
    image = _picture(4001, 2003)
    flipped = warp_image(image, geo.flip_horizontal(4001), (4001, 2003), Recipe())
    np.testing.assert_array_equal(flipped, image[:, ::-1])


def test_picture_that_does_not_move_is_the_same_object() -> None:
    image = _picture(9, 7)
    assert warp_image(image, geo.identity(), (9, 7), Recipe()) is image


def test_identity_onto_another_frame_crops_and_pads() -> None:
    image = _picture(9, 7)
    padded = warp_image(image, geo.identity(), (12, 5), Recipe(border_value=77))
    np.testing.assert_array_equal(padded[:, :9], image[:5])
    assert (padded[:, 9:] == 77).all()


@pytest.mark.parametrize("border", BORDERS)
def test_border_is_filled_as_the_recipe_says(border: str) -> None:
    image = _picture(6, 4)
    shifted = warp_image(image, geo.translate(2, 0), (6, 4), Recipe(border=border, border_value=9))
    expected = {"constant": np.full((4, 2, 3), 9), "replicate": image[:, [0, 0]], "reflect": image[:, [2, 1]]}
    np.testing.assert_array_equal(shifted[:, :2], expected[border])
    np.testing.assert_array_equal(shifted[:, 2:], image[:, :4])


def test_warping_changes_nothing_in_the_picture_it_was_given() -> None:
    image = _picture(30, 20)
    before = image.copy()
    warp_image(image, geo.scale_rotate((3, 4), 1.3, 20), (30, 20), Recipe())
    np.testing.assert_array_equal(image, before)
