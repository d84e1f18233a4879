from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpkit.augment import geometry as geo
from tests.augment.strategies import coordinates, floats, matrices, points, sizes, steps

NAN = np.nan


@given(matrices(), points)
def test_matrix_then_inverse_is_the_identity(matrix: geo.Matrix, xy: geo.Points) -> None:
    back = geo.apply_points(geo.invert(matrix), geo.apply_points(matrix, xy))
    assert np.abs(back - xy).max() < 1e-9


@given(steps(), steps(), steps(), points)
def test_composing_does_not_depend_on_the_grouping(a: geo.Matrix, b: geo.Matrix, c: geo.Matrix, xy: geo.Points) -> None:
    one = geo.apply_points(geo.compose(geo.compose(a, b), c), xy)
    other = geo.apply_points(geo.compose(a, geo.compose(b, c)), xy)
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-6)


@given(steps(), steps(), points)
def test_composed_matrix_does_what_its_parts_do_from_left_to_right(
    a: geo.Matrix, b: geo.Matrix, xy: geo.Points
) -> None:
    apart = geo.apply_points(b, geo.apply_points(a, xy))
    np.testing.assert_allclose(geo.apply_points(geo.compose(a, b), xy), apart, rtol=1e-9, atol=1e-6)


@given(sizes, st.integers(-(10**4), 10**4), st.integers(-(10**4), 10**4))
def test_flipping_twice_moves_no_point(wh: tuple[int, int], x: int, y: int) -> None:
    xy = np.array([x / 8, y / 8])
    for flip in (geo.flip_horizontal(wh[0]), geo.flip_vertical(wh[1])):
        np.testing.assert_array_equal(geo.apply_points(flip, geo.apply_points(flip, xy)), xy)
        np.testing.assert_array_equal(geo.compose(flip, flip), geo.identity())


def test_positive_angle_turns_clockwise_on_the_screen() -> None:
    right_of_centre = np.array([15.0, 10.0])
    turned = geo.apply_points(geo.scale_rotate((10, 10), 1.0, 90), right_of_centre)
    np.testing.assert_allclose(turned, [10.0, 15.0], atol=1e-12)


def test_resize_meets_pixel_edges_with_pixel_edges() -> None:
    matrix = geo.resize((4, 2), (8, 6))
    edges = np.array([[-0.5, -0.5], [3.5, 1.5]])
    np.testing.assert_allclose(geo.apply_points(matrix, edges), [[-0.5, -0.5], [7.5, 5.5]])


def test_mirrors_are_told_from_turns() -> None:
    flip, upside_down = geo.flip_horizontal(64), geo.flip_vertical(48)
    transpose = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    half_turn = geo.scale_rotate((3, 4), 1.0, 180)
    assert [geo.is_mirror(m) for m in (flip, upside_down, transpose, half_turn)] == [True, True, True, False]
    assert not geo.is_mirror(geo.compose(flip, upside_down))
    assert geo.is_mirror(geo.compose(flip, half_turn, geo.scale_rotate((0, 0), 0.3, 77)))


@pytest.mark.parametrize("shape", [(2,), (5, 2), (3, 5, 2), (0, 2), (0, 17, 2)])
def test_points_keep_their_shape(shape: tuple[int, ...]) -> None:
    assert geo.apply_points(geo.translate(1, 2), np.zeros(shape)).shape == shape


def test_unlabelled_points_stay_unlabelled_under_every_matrix() -> None:
    xy = np.array([[NAN, NAN], [1.0, 2.0]])
    for matrix in (geo.identity(), geo.flip_horizontal(10), np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])):
        moved = geo.apply_points(matrix, xy)
        assert np.isnan(moved[0]).all()
        assert np.isfinite(moved[1]).all()


@given(matrices(), coordinates, coordinates, floats(0.1, 500), floats(0.1, 500), st.integers(0, 2**32 - 1))
def test_moved_box_holds_every_point_of_the_box_and_touches_its_corners(
    matrix: geo.Matrix, x: float, y: float, w: float, h: float, seed: int
) -> None:
    inner = np.random.default_rng(seed).uniform((x, y), (x + w, y + h), (50, 2))
    corners = np.array([[x, y], [x + w, y], [x, y + h], [x + w, y + h]])
    moved = geo.apply_boxes(matrix, np.array([x, y, w, h]))
    low, high = moved[:2], moved[:2] + moved[2:]
    every = geo.apply_points(matrix, np.concatenate([inner, corners]))
    slack = 1e-6
    assert (every >= low - slack).all()
    assert (every <= high + slack).all()
    np.testing.assert_allclose(geo.apply_points(matrix, corners).min(axis=0), low, atol=1e-6)
    np.testing.assert_allclose(geo.apply_points(matrix, corners).max(axis=0), high, atol=1e-6)


def test_unknown_box_stays_unknown() -> None:
    assert np.isnan(geo.apply_boxes(geo.flip_horizontal(9), np.full((2, 4), NAN))).all()
    assert np.isnan(geo.clip_boxes(np.full((2, 4), NAN), 9, 9)).all()


def test_hull_passes_unlabelled_points_over() -> None:
    points = np.array([[NAN, NAN], [2.0, 3.0], [5.0, 1.0]])
    np.testing.assert_array_equal(geo.hull(points), [2.0, 1.0, 3.0, 2.0])
    assert np.isnan(geo.hull(np.full((3, 2), NAN))).all()


@given(sizes)
def test_box_of_the_whole_frame_survives_identity_and_mirrors(wh: tuple[int, int]) -> None:
    width, height = wh
    box = np.array([0.0, 0.0, width, height])
    flip, upside_down = geo.flip_horizontal(width), geo.flip_vertical(height)
    for matrix in (geo.identity(), flip, upside_down, geo.compose(flip, upside_down)):
        kept = geo.clip_boxes(geo.apply_boxes(matrix, box), width, height)
        np.testing.assert_array_equal(kept[2:], box[2:])
        again = geo.clip_boxes(geo.apply_boxes(matrix, kept), width, height)
        np.testing.assert_array_equal(again, box)


@given(coordinates, coordinates, floats(0.5, 900), floats(0.5, 900), sizes)
def test_clipped_box_lies_in_the_frame_or_is_gone(x: float, y: float, w: float, h: float, wh: tuple[int, int]) -> None:
    clipped = geo.clip_boxes(np.array([x, y, w, h]), *wh)
    overlaps = x < wh[0] - 0.5 and y < wh[1] - 0.5 and x + w > -0.5 and y + h > -0.5
    if np.isnan(clipped).all():
        assert not overlaps
        return
    low, high = clipped[:2], clipped[:2] + clipped[2:]
    assert (low >= -1).all()
    assert (high <= wh).all()
    assert (low >= np.array([x, y]) - 1e-9).all()
    assert (high <= np.array([x + w, y + h]) + 1e-9).all()


def test_part_of_a_box_beyond_the_frame_is_cut_off() -> None:
    clipped = geo.clip_boxes(np.array([-10.0, 5.0, 30.0, 100.0]), 100, 50)
    np.testing.assert_array_equal(clipped, [-0.5, 5.0, 20.5, 44.5])


def test_box_of_a_single_joint_stays_inside_and_goes_outside() -> None:
    np.testing.assert_array_equal(geo.clip_boxes(np.array([3.0, 4.0, 0.0, 0.0]), 10, 10), [3.0, 4.0, 0.0, 0.0])
    np.testing.assert_array_equal(geo.clip_boxes(np.array([3.0, 4.0, 0.0, 2.0]), 10, 10), [3.0, 4.0, 0.0, 2.0])
    for box in ([-8.0, 4.0, 0.0, 0.0], [3.0, 14.0, 0.0, 0.0]):
        assert np.isnan(geo.clip_boxes(np.array(box), 10, 10)).all()


def test_joint_is_outside_exactly_where_its_pixel_does_not_exist() -> None:
    xy = np.array([[-0.51, 2], [-0.5, 2], [9.49, 2], [9.5, 2], [2, -0.51], [2, 4.49], [2, 4.5], [NAN, NAN]])
    np.testing.assert_array_equal(geo.outside(xy, 10, 5), [True, False, False, True, True, False, True, False])


@given(matrices())
def test_areas_grow_by_the_determinant(matrix: geo.Matrix) -> None:
    assert geo.scale_of(matrix) == pytest.approx(abs(np.linalg.det(matrix[:, :2])), rel=1e-9)
