from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpkit.core.skeleton import Skeleton
from kpkit.errors import UsageError
from kpkit.qa.draw import contact_sheet, draw_persons, legend_strip, letterbox
from kpkit.qa.ink import SIDE_COLOURS, edge_side, joint_sides, shorten, text_size

PAIR = Skeleton("pair", ("left_hip", "right_hip", "pelvis"), ((0, 1),), ((0, 2), (2, 1)))
GREY = np.full((120, 160, 3), 128, dtype=np.uint8)


def _at(image: np.ndarray, x: float, y: float) -> tuple[int, ...]:
    return tuple(int(v) for v in image[round(y), round(x)])


def _near(colour: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return max(abs(a - b) for a, b in zip(colour, other, strict=True)) <= 12


def test_no_person_leaves_the_picture_as_it_is() -> None:
    drawn = draw_persons(GREY, PAIR, np.zeros((0, 3, 2)), np.zeros((0, 3)))
    np.testing.assert_array_equal(drawn, GREY)


def test_the_picture_given_is_never_drawn_on() -> None:
    image = GREY.copy()
    drawn = draw_persons(
        image, PAIR, np.full((1, 3, 2), 50.0), np.full((1, 3), 2), bbox_xywh=[[10, 10, 60, 60]], ids=[7]
    )
    np.testing.assert_array_equal(image, GREY)
    assert (drawn != GREY).any()


def test_a_skeleton_of_no_joints_draws_its_boxes_only() -> None:
    empty = Skeleton("empty", ())
    drawn = draw_persons(GREY, empty, np.zeros((1, 0, 2)), np.zeros((1, 0)), bbox_xywh=[[20, 30, 40, 50]])
    changed = (drawn != GREY).any(axis=2)
    assert changed[30, 20:60].all()
    assert not changed[45:65, 35:45].any()


def test_unlabelled_joints_and_their_limbs_are_not_drawn() -> None:
    xy = np.array([[[20.0, 20], [np.nan, np.nan], [100, 80]]])
    drawn = draw_persons(GREY, PAIR, xy, [[0, 2, 0]])
    np.testing.assert_array_equal(drawn, GREY)


def test_a_limb_needs_both_its_ends() -> None:
    xy = np.array([[[20.0, 60], [140, 60], [80, 60]]])
    drawn = draw_persons(GREY, PAIR, xy, [[2, 0, 2]], line_width=4)
    assert _near(_at(drawn, 50, 60), SIDE_COLOURS["left"])
    assert _at(drawn, 110, 60) == (128, 128, 128)


def test_joints_and_limbs_have_the_hue_of_their_side() -> None:
    xy = np.array([[[20.0, 60], [140, 60], [80, 60]]])
    drawn = draw_persons(GREY, PAIR, xy, [[2, 2, 2]], line_width=4)
    for x, side in ((20, "left"), (50, "left"), (140, "right"), (110, "right"), (80, "centre")):
        assert _near(_at(drawn, x, 60), SIDE_COLOURS[side])


def test_a_visible_joint_is_filled_an_occluded_one_hollow() -> None:
    one = Skeleton("one", ("nose",))
    for flag, middle in ((2, SIDE_COLOURS["centre"]), (1, (128, 128, 128))):
        drawn = draw_persons(GREY, one, [[[80.0, 60.0]]], [[flag]], line_width=6)
        assert _near(_at(drawn, 80, 60), middle)
        assert (drawn != GREY).any()


def test_a_limb_does_not_fill_a_hollow_joint() -> None:
    xy = np.array([[[20.0, 60], [140, 60], [80, 60]]])
    drawn = draw_persons(GREY, PAIR, xy, [[2, 2, 1]], line_width=5)
    assert _at(drawn, 80, 60) == (128, 128, 128)


def test_a_truncated_joint_is_crossed_not_filled() -> None:
    one = Skeleton("one", ("nose",))
    drawn = draw_persons(GREY, one, [[[80.0, 60.0]]], [[1]], [[True]], line_width=8)
    assert _near(_at(drawn, 80, 60), SIDE_COLOURS["centre"])
    assert _near(_at(drawn, 84, 64), SIDE_COLOURS["centre"])
    assert _at(drawn, 87, 60) == (128, 128, 128)


def test_a_truncated_joint_outside_is_crossed_at_the_frames_edge() -> None:
    one = Skeleton("one", ("nose",))
    drawn = draw_persons(GREY, one, [[[500.0, 60.0]]], [[1]], [[True]], line_width=4)
    changed = np.nonzero((drawn != GREY).any(axis=2))
    assert changed[1].min() > 140
    assert abs(changed[0].mean() - 60) < 1


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.25, 0.5), (0.5, -0.25), (0.75, 0.125)])
def test_a_joint_is_drawn_to_a_fraction_of_a_pixel(shift: tuple[float, float]) -> None:
    black = np.zeros((120, 160, 3), dtype=np.uint8)
    one = Skeleton("one", ("nose",))
    xy = np.array([80.0, 60.0]) + shift
    drawn = draw_persons(black, one, xy[None, None], [[2]], line_width=6)[..., 2].astype(float)
    y, x = np.mgrid[:120, :160]
    assert np.hypot((x * drawn).sum() / drawn.sum() - xy[0], (y * drawn).sum() / drawn.sum() - xy[1]) < 0.1


def test_a_larger_person_gets_thicker_strokes() -> None:
    small = draw_persons(GREY, PAIR, [[[20.0, 20], [40, 20], [30, 20]]], [[2, 2, 2]], bbox_xywh=[[10, 10, 40, 40]])
    wide = np.full((900, 900, 3), 128, dtype=np.uint8)
    large = draw_persons(
        wide, PAIR, [[[200.0, 200], [600, 200], [400, 200]]], [[2, 2, 2]], bbox_xywh=[[100, 100, 700, 700]]
    )
    thickness = [int((_column != 128).any(axis=1).sum()) for _column in (small[14:30, 25], large[150:250, 300])]
    assert thickness[1] > 2 * thickness[0]


def test_a_person_far_outside_the_picture_is_no_error() -> None:
    draw_persons(
        GREY, PAIR, [[[1e7, 1e7], [-1e7, 5], [3, -1e7]]], [[2, 1, 2]], bbox_xywh=[[-1e6, -1e6, 3e6, 3e6]], ids=["a"]
    )


def test_an_unlabelled_person_without_a_box_gets_no_id() -> None:
    drawn = draw_persons(GREY, PAIR, np.full((1, 3, 2), np.nan), np.zeros((1, 3)), ids=[3])
    np.testing.assert_array_equal(drawn, GREY)


def test_a_grey_picture_is_drawn_on_in_colour() -> None:
    drawn = draw_persons(GREY[..., 0], PAIR, [[[20.0, 60], [140, 60], [80, 60]]], [[2, 2, 2]])
    assert drawn.shape == GREY.shape


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"xy": np.zeros((1, 2, 2)), "visibility": np.zeros((1, 3))}, "xy"),
        ({"xy": np.zeros((1, 3, 2)), "visibility": np.zeros((2, 3))}, "visibility"),
        ({"xy": np.zeros((1, 3, 2)), "visibility": np.zeros((1, 3)), "truncated": np.zeros((1, 2))}, "truncated"),
        ({"xy": np.zeros((1, 3, 2)), "visibility": np.zeros((1, 3)), "bbox_xywh": np.zeros((2, 4))}, "bbox_xywh"),
        ({"xy": np.zeros((1, 3, 2)), "visibility": np.zeros((1, 3)), "ids": [1, 2]}, "ids"),
    ],
)
def test_arrays_of_another_shape_are_refused_by_name(arguments: dict[str, np.ndarray], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        draw_persons(GREY, PAIR, **arguments)


def test_a_picture_of_floats_is_refused() -> None:
    with pytest.raises(UsageError, match="picture"):
        draw_persons(GREY.astype(float), PAIR, np.zeros((0, 3, 2)), np.zeros((0, 3)))  # type: ignore[arg-type]  # on purpose


@given(
    st.lists(
        st.tuples(
            st.one_of(st.floats(-300, 300), st.just(float("nan"))),
            st.floats(-300, 300),
            st.integers(0, 2),
            st.booleans(),
        ),
        min_size=3,
        max_size=3,
    )
)
def test_any_labels_can_be_drawn(joints: list[tuple[float, float, int, bool]]) -> None:
    x, y, flag, cut = (np.array([column]) for column in zip(*joints, strict=True))
    drawn = draw_persons(GREY, PAIR, np.stack([x, y], axis=-1), flag, cut)
    assert drawn.shape == GREY.shape
    if not (flag[np.isfinite(x)] > 0).any():
        np.testing.assert_array_equal(drawn, GREY)


def test_sides_are_told_by_name_and_else_by_flip_pair() -> None:
    odd = Skeleton("odd", ("RWrist", "tail", "feeler_a", "feeler_b", "wrist_left"), ((2, 3),))
    assert joint_sides(odd) == ["right", "centre", "left", "right", "left"]


@pytest.mark.parametrize(
    ("ends", "side"),
    [
        (("left", "left"), "left"),
        (("centre", "right"), "right"),
        (("left", "right"), "centre"),
        (("centre",) * 2, "centre"),
    ],
)
def test_a_limb_across_the_body_is_central(ends: tuple[str, str], side: str) -> None:
    assert edge_side(*ends) == side


def test_the_three_hues_differ_in_grey_too() -> None:
    grey = sorted(0.114 * b + 0.587 * g + 0.299 * r for b, g, r in SIDE_COLOURS.values())
    assert min(np.diff(grey)) > 20


def test_a_picture_is_fitted_into_its_tile_undistorted() -> None:
    white = np.full((100, 50, 3), 255, dtype=np.uint8)
    tile = letterbox(white, (200, 100))
    assert tile.shape == (100, 200, 3)
    shown = (tile == 255).all(axis=2)
    assert shown.any(axis=1).sum() == 100
    assert shown.any(axis=0).sum() == 50


def test_a_sheet_shows_every_tile_in_order() -> None:
    tiles = [np.full((30, 40, 3), 10 * n, dtype=np.uint8) for n in range(1, 6)]
    sheet = contact_sheet(tiles, [f"tile {n}" for n in range(5)], columns=2, tile_size=(80, 60), legend=False)
    found = [np.argwhere((sheet == 10 * n).all(axis=2)) for n in range(1, 6)]
    assert all(len(places) >= 80 * 60 for places in found)
    corners = [tuple(places.min(axis=0)) for places in found]
    assert corners == sorted(corners)
    assert corners[0][0] == corners[1][0] < corners[2][0]
    assert corners[0][1] == corners[2][1] == corners[4][1] < corners[1][1]


def test_title_and_legend_add_to_the_sheet_only() -> None:
    tiles, captions = [GREY], ["one"]
    plain = contact_sheet(tiles, captions, tile_size=(160, 120), legend=False)
    full = contact_sheet(tiles, captions, tile_size=(160, 120), title="A title")
    assert full.shape[0] > plain.shape[0]
    assert full.shape[1] == plain.shape[1]


def test_a_narrow_legend_takes_more_lines() -> None:
    assert legend_strip(200).shape[0] > legend_strip(900).shape[0]
    for side in SIDE_COLOURS.values():
        assert any(_near(tuple(int(v) for v in pixel), side) for pixel in legend_strip(200).reshape(-1, 3))


def test_an_empty_sheet_is_a_sheet() -> None:
    assert contact_sheet([], [], title="nothing").ndim == 3


def test_captions_and_tiles_must_match_in_number() -> None:
    with pytest.raises(UsageError, match="caption"):
        contact_sheet([GREY], [])


@pytest.mark.parametrize("text", ["short", "a/very/long/path/to/an/image/000000001234.jpg" * 3])
def test_a_shortened_text_fits(text: str) -> None:
    cut = shorten(text, 0.4, 150)
    assert text_size(cut, 0.4)[0] <= 150
    assert cut == text or "..." in cut
