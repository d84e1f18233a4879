from __future__ import annotations

import numpy as np
import pytest

from kpkit.synth.body import JOINT_NAMES, Arm, Camera, Leg, Pose, facing_of, pose_body, rotate
from kpkit.synth.poses import POSES, sample_pose, sample_proportions

PAIRS = [(JOINT_NAMES.index(n), JOINT_NAMES.index(n.replace("left", "right"))) for n in JOINT_NAMES if "left" in n]


def test_joint_names_are_mpiis_in_mpiis_order() -> None:
    assert JOINT_NAMES[:10] == (
        *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
        *("pelvis", "thorax", "upper_neck", "head_top"),
    )
    assert JOINT_NAMES[10:] == (
        *("right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist"),
    )


@pytest.mark.parametrize(("yaw", "sign"), [(0.0, 1.0), (30.0, 1.0), (180.0, -1.0), (150.0, -1.0)])
def test_left_is_on_the_images_right_only_when_the_person_faces_the_viewer(yaw: float, sign: float) -> None:
    xy, _ = Camera(yaw_deg=yaw, scale=300).project(pose_body(Pose()).joints)
    for left, right in PAIRS:
        assert sign * (xy[left, 0] - xy[right, 0]) > 0


@pytest.mark.parametrize(("yaw", "near"), [(90.0, "right"), (-90.0, "left")])
def test_a_person_walking_to_the_images_right_shows_the_right_side(yaw: float, near: str) -> None:
    _, depth = Camera(yaw_deg=yaw, scale=300).project(pose_body(Pose()).joints)
    for left, right in PAIRS:
        assert (depth[right] > depth[left]) == (near == "right")


def test_a_person_at_yaw_90_reaches_forward_to_the_images_right() -> None:
    pose = Pose(right_arm=Arm(abduct=0, flex=90, elbow=0))
    body = pose_body(pose)
    xy, _ = Camera(yaw_deg=90, scale=300).project(body.joints)
    assert xy[JOINT_NAMES.index("right_wrist"), 0] > xy[JOINT_NAMES.index("right_shoulder"), 0] + 80


def test_a_mirrored_pose_is_the_mirrored_body() -> None:
    arm, leg = Arm(40, 20, 30, 50), Leg(30, 12, 60)
    one = pose_body(Pose(roll=5, side_bend=12, twist=9, head_roll=4, head_yaw=11, left_arm=arm, left_leg=leg)).joints
    other = pose_body(
        Pose(roll=-5, side_bend=-12, twist=-9, head_roll=-4, head_yaw=-11, right_arm=arm, right_leg=leg)
    ).joints
    swapped = other.copy()
    for left, right in PAIRS:
        swapped[[left, right]] = other[[right, left]]
    np.testing.assert_allclose(one, swapped * (-1, 1, 1), atol=1e-12)


@pytest.mark.parametrize("name", list(POSES))
def test_segment_lengths_do_not_depend_on_the_pose(name: str) -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        p = sample_proportions(rng)
        body = pose_body(sample_pose(rng, name), p)
        for side in ("left", "right"):
            for start, end, length in (
                ("shoulder", "elbow", p.upper_arm),
                ("elbow", "wrist", p.forearm),
                ("hip", "knee", p.thigh),
                ("knee", "ankle", p.shin),
            ):
                got = np.linalg.norm(body.joint(f"{side}_{start}") - body.joint(f"{side}_{end}"))
                assert got == pytest.approx(length, abs=1e-9)


@pytest.mark.parametrize("name", sorted(set(POSES) - {"jumping", "running"}))
def test_the_lowest_sole_stands_on_the_ground(name: str) -> None:
    body = pose_body(sample_pose(np.random.default_rng(3), name))
    p = body.proportions
    soles = []
    for side in ("left", "right"):
        foot, ankle = body.frames[f"{side}_foot"], body.joint(f"{side}_ankle")
        soles += [(ankle + foot @ np.array([0, -p.foot_height, f * p.foot_length]))[1] for f in (-0.25, 0.75)]
    assert min(soles) == pytest.approx(0.0, abs=1e-12)


def test_a_standing_body_is_one_standing_height_tall() -> None:
    straight = Leg(0, 0, 0)
    rng = np.random.default_rng(0)
    for _ in range(20):
        body = pose_body(Pose(left_leg=straight, right_leg=straight), sample_proportions(rng))
        assert body.joint("head_top")[1] == pytest.approx(1.0, abs=1e-9)


def test_a_camera_is_a_rotation() -> None:
    view = Camera(yaw_deg=37, pitch_deg=11).matrix()
    np.testing.assert_allclose(view @ view.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(view) == pytest.approx(1.0)


def test_a_camera_that_looks_down_sees_near_things_lower() -> None:
    near_and_far = np.array([[0.0, 0.0, 0.5], [0.0, 0.0, -0.5]])
    xy, _ = Camera(pitch_deg=10, scale=100).project(near_and_far)
    assert xy[0, 1] > xy[1, 1]


@pytest.mark.parametrize(
    ("yaw", "facing"), [(0, "front"), (-40, "front"), (90, "right"), (-90, "left"), (180, "back"), (-170, "back")]
)
def test_facing_is_named_by_yaw(yaw: float, facing: str) -> None:
    assert facing_of(yaw) == facing


@pytest.mark.parametrize("axis", ["a", "u", "f"])
def test_rotations_keep_their_own_axis(axis: str) -> None:
    unit = np.eye(3)["auf".index(axis)]
    np.testing.assert_allclose(rotate(axis, 40.0) @ unit, unit)
    assert np.linalg.det(rotate(axis, 40.0)) == pytest.approx(1.0)
