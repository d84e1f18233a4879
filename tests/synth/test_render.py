from __future__ import annotations

import numpy as np
import pytest

from kpkit.synth.body import JOINT_NAMES, Camera, pose_body
from kpkit.synth.figure import PART, dress
from kpkit.synth.look import sample_look
from kpkit.synth.mesh import capsule, cuboid, ellipsoid, make, sphere
from kpkit.synth.poses import sample_pose, sample_proportions
from kpkit.synth.render import (
    SUPER,
    Light,
    blend,
    clip,
    coverage,
    from_painted,
    paint,
    painted_box,
    to_painted,
)


def _centroid(weight: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: weight.shape[0], : weight.shape[1]]
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


def test_the_two_grids_share_pixel_edges_not_centres() -> None:
    np.testing.assert_allclose(to_painted(np.array([-0.5, 9.5])), [-0.5, 10 * SUPER - 0.5])
    xy = np.array([[3.3, -2.0], [0.0, 0.0]])
    np.testing.assert_allclose(from_painted(to_painted(xy)), xy)


@pytest.mark.parametrize("seed", range(6))
def test_a_ball_painted_at_a_joint_has_its_centroid_at_the_joints_pixel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    body = pose_body(sample_pose(rng), sample_proportions(rng))
    scale = float(rng.uniform(80, 400))
    camera = Camera(float(rng.uniform(-180, 180)), 8.0, scale, (260 + float(rng.uniform()), 450 + float(rng.uniform())))
    xy, _ = camera.project(body.joints)
    for joint in range(len(JOINT_NAMES)):
        ball = make(ellipsoid(body.joints[joint], np.eye(3), np.full(3, 0.03), 32, 16), (255, 255, 255), 1)
        piece = clip(paint(ball, camera, Light()), 520, 520)
        assert piece is not None
        alpha = coverage(piece.part > 0).astype(np.float64)
        corner = np.array([piece.x, piece.y]) / SUPER
        assert np.abs(_centroid(alpha) + corner - xy[joint]).max() < 0.1


def test_a_blended_ball_lies_where_the_camera_projects_it() -> None:
    camera = Camera(scale=100, origin=(40.3, 61.8))
    ball = make(ellipsoid(np.array([0.0, 0.2, 0.0]), np.eye(3), np.full(3, 0.1), 32, 16), (255, 255, 255), 1)
    image = np.zeros((90, 90, 3), dtype=np.uint8)
    piece = clip(paint(ball, camera, Light(ambient=1.12)), 90, 90)
    assert piece is not None
    blend(image, piece)
    solid = (image[..., 0] > 60).astype(float)
    np.testing.assert_allclose(_centroid(solid), [40.3, 41.8], atol=0.35)
    assert solid.sum() == pytest.approx(np.pi * 100, rel=0.08)


def test_nearer_surfaces_hide_farther_ones() -> None:
    far = make(cuboid(np.array([0.0, 0.5, -0.3]), np.eye(3), (0.3, 0.3, 0.01)), (0, 0, 255), 1)
    near = make(cuboid(np.array([0.0, 0.5, 0.3]), np.eye(3), (0.1, 0.1, 0.01)), (0, 255, 0), 2)
    for pieces in ((far, near), (near, far)):
        joined = type(far)(
            *(np.concatenate([getattr(m, f) for m in pieces]) for f in ("quads", "colour", "part", "raised"))
        )
        sprite = paint(joined, Camera(scale=100, origin=(50, 100)), Light())
        x, y = (to_painted(np.array([50.0, 50.0])) - (sprite.x, sprite.y)).round().astype(int)
        assert sprite.part[y, x] == 2


def test_the_hull_of_a_painted_box_is_that_box() -> None:
    box = make(cuboid(np.array([0.0, 0.5, 0.0]), np.eye(3), (0.2, 0.3, 0.01)), (9, 9, 9), 1)
    sprite = paint(box, Camera(scale=100, origin=(50.0, 100.0)), Light())
    np.testing.assert_allclose(painted_box(sprite, without=99), [30, 20, 40, 60], atol=0.6)


def test_blending_nothing_changes_nothing() -> None:
    sprite = paint(make(cuboid(np.zeros(3), np.eye(3), (0.1, 0.1, 0.1)), (9, 9, 9), 1), Camera(scale=50), Light())
    assert clip(sprite, 1, 1) is not None
    away = paint(
        make(cuboid(np.zeros(3), np.eye(3), (0.1, 0.1, 0.1)), (9, 9, 9), 1), Camera(scale=50, origin=(-80, 0)), Light()
    )
    assert clip(away, 40, 40) is None


def test_surfaces_face_outwards() -> None:
    quads, _ = capsule(np.array([0.1, 0.2, 0.3]), np.array([0.5, -0.4, 0.9]), [0.1, 0.08], 12)
    shapes = [
        quads,
        cuboid(np.zeros(3), np.eye(3), (1, 2, 3)),
        sphere(np.linspace(-90, 90, 9), np.arange(12) * 30.0)[0],
    ]
    for shape in shapes:
        normal = np.cross(shape[:, 2] - shape[:, 0], shape[:, 3] - shape[:, 1])
        flux = np.einsum("fi,fi->f", shape.mean(axis=1), normal).sum() / 6
        assert flux > 0  # the volume enclosed, positive where normals point outwards


@pytest.mark.parametrize(("yaw", "face_seen"), [(0.0, True), (180.0, False)])
def test_only_a_head_that_faces_the_viewer_shows_white_of_the_eyes(yaw: float, face_seen: bool) -> None:
    rng = np.random.default_rng(2)
    figure = dress(pose_body(sample_pose(rng, "walking")), sample_look(rng), 400)
    white = (figure.mesh.part == PART["head"]) & (figure.mesh.colour == (238, 240, 242)).all(axis=1)
    head = type(figure.mesh)(
        figure.mesh.quads[figure.mesh.part == PART["head"]],
        np.where(white[:, None], 255.0, 1.0)[figure.mesh.part == PART["head"]] * np.ones(3),
        figure.mesh.part[figure.mesh.part == PART["head"]],
        figure.mesh.raised[figure.mesh.part == PART["head"]],
    )
    sprite = paint(head, Camera(yaw, 0, 400), Light())
    assert bool((sprite.bgr > 90).any()) == face_seen
