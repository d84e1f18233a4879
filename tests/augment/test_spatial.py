from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpkit.augment import geometry as geo
from kpkit.augment.spatial import Labels, flip_channels, flip_limbs, move, swap_sides
from kpkit.core import catalog
from kpkit.core.skeleton import Skeleton
from tests.augment.strategies import SKELETON, K, labels, matrices

NAN = np.nan
W, H = 640, 480
TRANSPOSE = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
HALF_TURN = geo.compose(geo.flip_horizontal(W), geo.flip_vertical(H))
MIRRORS = {"flip": geo.flip_horizontal(W), "vertical flip": geo.flip_vertical(H), "transpose": TRANSPOSE}


def person(**columns: object) -> Labels:
    """One person with every joint in the middle of the frame."""
    spread = np.arange(K)[:, None] * 2.0
    whole = Labels(
        xy=(np.array([200.0, 150.0]) + spread)[None],
        visibility=np.full((1, K), 2, np.uint8),
        truncated=np.zeros((1, K), bool),
        bbox_xywh=np.array([[180.0, 130.0, 80.0, 60.0]]),
        head_box=np.array([[190.0, 140.0, 10.0, 12.0]]),
        area=np.array([2000.0]),
        polygons=[[]],
        lateral={},
    )
    return replace(whole, **columns)


def _side(name: str) -> str:
    return name.split("_")[0] if name.split("_")[0] in {"left", "right"} else ""


@given(labels(), matrices(), st.tuples(st.integers(1, 700), st.integers(1, 700)))
def test_no_joint_and_no_person_is_ever_dropped(before: Labels, matrix: geo.Matrix, out_wh: tuple[int, int]) -> None:
    after = move(before, matrix, out_wh, SKELETON).labels
    assert after.xy.shape == before.xy.shape
    assert after.visibility.shape == before.visibility.shape
    assert after.bbox_xywh.shape == before.bbox_xywh.shape
    assert len(after.polygons) == len(before.polygons)


@given(labels(), matrices(), st.tuples(st.integers(1, 700), st.integers(1, 700)))
def test_visibility_only_ever_goes_down_and_is_zero_exactly_where_points_are_unlabelled(
    before: Labels, matrix: geo.Matrix, out_wh: tuple[int, int]
) -> None:
    after = move(before, matrix, out_wh, SKELETON).labels
    order = SKELETON.flip_index if geo.is_mirror(matrix) else np.arange(K)
    assert (after.visibility <= before.visibility[:, order]).all()
    np.testing.assert_array_equal(after.visibility == 0, np.isnan(after.xy).any(axis=-1))
    assert (after.truncated >= before.truncated[:, order]).all()
    assert not (after.truncated & (after.visibility == 2) & ~before.truncated[:, order]).any()


@given(labels(), matrices(), st.tuples(st.integers(1, 700), st.integers(1, 700)))
def test_joints_that_leave_the_frame_are_truncated_and_told_where_they_went(
    before: Labels, matrix: geo.Matrix, out_wh: tuple[int, int]
) -> None:
    moved = move(before, matrix, out_wh, SKELETON)
    left = np.isfinite(moved.gone).all(axis=-1)
    assert (moved.labels.visibility[left] == 0).all()
    assert moved.labels.truncated[left].all()
    assert geo.outside(moved.gone[left], *out_wh).all()
    order = SKELETON.flip_index if geo.is_mirror(matrix) else np.arange(K)
    assert ((before.visibility[:, order] > 0) == (left | (moved.labels.visibility > 0))).all()
    source = geo.apply_points(geo.invert(matrix), moved.gone[left])
    np.testing.assert_allclose(source, before.xy[:, order][left], atol=1e-6)


@given(labels(integral=True))
@pytest.mark.parametrize("name", ["flip", "vertical flip", "half turn"])
def test_moving_twice_there_and_back_is_the_identity_inside_the_frame(name: str, before: Labels) -> None:
    matrix = {**MIRRORS, "half turn": HALF_TURN}[name]
    once = move(before, matrix, (W, H), SKELETON)
    twice = move(once.labels, matrix, (W, H), SKELETON).labels
    inside = ~geo.outside(before.xy, W, H) & (before.visibility > 0)
    np.testing.assert_array_equal(twice.xy[inside], before.xy[inside])
    np.testing.assert_array_equal(twice.visibility[inside], before.visibility[inside])
    np.testing.assert_array_equal(twice.truncated[inside], before.truncated[inside])
    np.testing.assert_array_equal(twice.head_box, before.head_box)


@pytest.mark.parametrize("name", MIRRORS)
def test_every_mirror_changes_names_so_that_each_pixel_keeps_its_anatomical_side(name: str) -> None:
    """The person stays the same in the picture: what was a left wrist shows as a right one, at the moved pixel."""
    before = person()
    after = move(before, MIRRORS[name], (W, H), SKELETON).labels
    moved = geo.apply_points(MIRRORS[name], before.xy[0])
    for joint, joint_name in enumerate(SKELETON.keypoints):
        found = int(np.flatnonzero((after.xy[0] == moved[joint]).all(axis=-1))[0])
        now = SKELETON.keypoints[found]
        other = {"left": "right", "right": "left", "": ""}
        assert _side(now) == other[_side(joint_name)]
        assert now.removeprefix(_side(now)) == joint_name.removeprefix(_side(joint_name))


def test_half_turn_changes_no_name() -> None:
    before = person()
    after = move(before, HALF_TURN, (W, H), SKELETON).labels
    np.testing.assert_array_equal(after.xy, geo.apply_points(HALF_TURN, before.xy))


def test_two_mirrors_cancel() -> None:
    before = person()
    both = geo.compose(TRANSPOSE, geo.flip_horizontal(H))
    after = move(before, both, (H, W), SKELETON).labels
    np.testing.assert_array_equal(after.xy, geo.apply_points(both, before.xy))


@given(st.integers(0, 2**32 - 1), st.floats(0, 360), st.booleans(), st.floats(0.5, 2))
def test_person_seen_from_the_front_stays_seen_from_the_front(
    seed: int, angle: float, flip: bool, scale: float
) -> None:
    """Chirality: a person facing the camera has the left shoulder to the right of the way from hips to head.

    Names are read off the moved labels, so a mirror without a swap, or a swap without a mirror, turns the sign over.
    """
    rng = np.random.default_rng(seed)
    before = person(xy=rng.uniform(200, 280, (1, K, 2)))
    left, right = SKELETON.index("left_shoulder"), SKELETON.index("right_shoulder")
    nose, hip = SKELETON.index("nose"), SKELETON.index("left_hip")
    before.xy[0, [left, right, nose, hip]] = [[260, 220], [220, 222], [240, 200], [250, 270]]
    before.xy[0, SKELETON.index("right_hip")] = [230, 271]
    matrix = geo.compose(geo.scale_rotate((240, 240), scale, angle), geo.flip_horizontal(W) if flip else geo.identity())
    after = move(before, matrix, (4000, 4000), SKELETON).labels.xy[0]

    def sign(xy: np.ndarray) -> float:
        across, up = xy[left] - xy[right], xy[nose] - (xy[hip] + xy[SKELETON.index("right_hip")]) / 2
        return float(np.sign(across[0] * up[1] - across[1] * up[0]))

    if np.isfinite(after[[left, right, nose, hip]]).all():
        assert sign(after) == sign(before.xy[0])


def test_occluded_and_truncated_flags_change_sides_with_their_joints() -> None:
    before = person()
    left, right = SKELETON.index("left_wrist"), SKELETON.index("right_wrist")
    before.visibility[0, left] = 1
    before.truncated[0, left] = True
    after = move(before, geo.flip_horizontal(W), (W, H), SKELETON).labels
    assert (after.visibility[0, right], after.visibility[0, left]) == (1, 2)
    assert (after.truncated[0, right], after.truncated[0, left]) == (True, False)


def test_moving_changes_nothing_in_the_labels_it_was_given() -> None:
    before = person()
    copies = {name: getattr(before, name).copy() for name in ("xy", "visibility", "truncated", "bbox_xywh", "area")}
    move(before, geo.compose(geo.flip_horizontal(W), geo.translate(-300, 0)), (100, 100), SKELETON)
    for name, copy in copies.items():
        np.testing.assert_array_equal(getattr(before, name), copy)


def test_identity_leaves_boxes_and_areas_as_they_were_annotated() -> None:
    polygon = np.array([[185.0, 135.0], [250.0, 140.0], [240.0, 180.0]])
    before = person(polygons=[[polygon]], area=np.array([1234.5678]))
    after = move(before, geo.identity(), (W, H), SKELETON).labels
    np.testing.assert_array_equal(after.bbox_xywh, before.bbox_xywh)
    np.testing.assert_array_equal(after.area, before.area)
    np.testing.assert_array_equal(after.head_box, before.head_box)


def test_turned_box_is_the_hull_of_the_polygon_where_there_is_one() -> None:
    polygon = np.array([[190.0, 140.0], [240.0, 150.0], [200.0, 180.0]])
    turn = geo.scale_rotate((220, 160), 1.0, 30)
    with_polygon = move(person(polygons=[[polygon]]), turn, (W, H), SKELETON).labels
    without = move(person(), turn, (W, H), SKELETON).labels
    np.testing.assert_allclose(with_polygon.bbox_xywh[0], geo.hull(geo.apply_points(turn, polygon)))
    assert without.bbox_xywh[0, 2] > with_polygon.bbox_xywh[0, 2]
    np.testing.assert_allclose(with_polygon.area, [2000.0])


def test_area_shrinks_by_the_share_of_the_polygon_that_leaves_the_frame() -> None:
    square = np.array([[100.0, 100.0], [200.0, 100.0], [200.0, 200.0], [100.0, 200.0]])
    before = person(polygons=[[square]], bbox_xywh=np.array([[100.0, 100.0, 100.0, 100.0]]), area=np.array([8000.0]))
    after = move(before, geo.translate(-150.5, 0.0), (W, H), SKELETON).labels
    assert after.area[0] == pytest.approx(4000.0)
    assert after.polygons[0][0][:, 0].min() == -0.5


def test_area_without_a_polygon_shrinks_by_the_share_of_the_box() -> None:
    before = person(bbox_xywh=np.array([[100.0, 100.0, 100.0, 100.0]]), area=np.array([5300.0]))
    after = move(before, geo.translate(-150.5, 0.0), (W, H), SKELETON).labels
    assert after.area[0] == pytest.approx(2650.0)


def test_box_and_area_of_a_person_outside_are_unknown() -> None:
    after = move(person(), geo.translate(5000, 0), (W, H), SKELETON).labels
    assert np.isnan(after.bbox_xywh).all()
    assert np.isnan(after.area).all()
    assert (after.visibility == 0).all()
    assert after.truncated.all()


def test_unknown_box_does_not_take_the_area_with_it() -> None:
    before = person(bbox_xywh=np.full((1, 4), NAN))
    after = move(before, geo.scale_rotate((0, 0), 0.5, 0), (W, H), SKELETON).labels
    assert after.area[0] == pytest.approx(500.0)


def test_head_box_moves_and_is_not_clipped() -> None:
    after = move(person(), geo.translate(-195, 0), (W, H), SKELETON).labels
    np.testing.assert_array_equal(after.head_box, [[-5.0, 140.0, 10.0, 12.0]])


def test_fields_that_name_a_side_swap_in_a_mirror_and_only_there() -> None:
    before = person(lateral={"side": ["left"]})
    assert move(before, geo.flip_vertical(H), (W, H), SKELETON).labels.lateral == {"side": ["right"]}
    assert move(before, HALF_TURN, (W, H), SKELETON).labels.lateral == {"side": ["left"]}
    assert swap_sides(["Left", "r", "RIGHT", "front", None, 3]) == ["Right", "l", "LEFT", "front", None, 3]


@pytest.mark.parametrize("name", ["coco17", "mpii16", "six2_knee"])
def test_flipping_channels_twice_gives_the_heatmaps_back(name: str) -> None:
    skeleton = catalog.skeleton(name)
    maps = np.random.default_rng(0).uniform(size=(2, len(skeleton), 8, 6)).astype(np.float32)
    once = flip_channels(maps, skeleton)
    np.testing.assert_array_equal(flip_channels(once, skeleton), maps)
    pair = skeleton.flip_pairs[0]
    np.testing.assert_array_equal(once[:, pair[0]], maps[:, pair[1], :, ::-1])


@pytest.mark.parametrize("name", ["coco17", "mpii16", "six2_knee", "six2_ankle"])
def test_limb_takes_the_place_of_the_limb_on_the_other_side(name: str) -> None:
    """A limb's vector field in the mirrored picture is the partner's, mirrored, with the sign that is told."""
    skeleton = catalog.skeleton(name)
    order, sign = flip_limbs(skeleton)
    np.testing.assert_array_equal(order[order], np.arange(len(skeleton.edges)))
    xy = np.random.default_rng(1).uniform(0, 99, (len(skeleton), 2))
    flipped = geo.apply_points(geo.flip_horizontal(100), xy)[skeleton.flip_index]
    for limb, (a, b) in enumerate(skeleton.edges):
        c, d = skeleton.edges[order[limb]]
        np.testing.assert_allclose(flipped[b] - flipped[a], sign[limb] * (xy[d] - xy[c]) * [-1, 1])


def test_limb_between_the_sides_changes_its_sign() -> None:
    skeleton = Skeleton("pair", ("left_hip", "right_hip"), flip_pairs=((0, 1),), edges=((0, 1),))
    order, sign = flip_limbs(skeleton)
    assert (order.tolist(), sign.tolist()) == ([0], [-1])


def test_skeleton_without_joints_moves() -> None:
    empty = Skeleton("none", ())
    before = replace(
        person(), xy=np.zeros((1, 0, 2)), visibility=np.zeros((1, 0), np.uint8), truncated=np.zeros((1, 0), bool)
    )
    assert move(before, geo.flip_horizontal(W), (W, H), empty).labels.xy.shape == (1, 0, 2)
