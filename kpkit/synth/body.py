"""The articulated body: proportions, joint angles, forward kinematics and the camera that looks at it.

Body frame, right-handed, lengths in units of the standing height: a = towards the person's left, u = up,
f = forward; the ground is u = 0 and the origin lies on the ground below the pelvis.

Camera frame, right-handed, the same unit: x = image right, up, t = towards the viewer. At yaw 0 the person faces
the viewer, so that the person's left is on the image's right; at yaw 90 the person faces the image's right.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

JOINT_NAMES: tuple[str, ...] = (
    "right_ankle",
    "right_knee",
    "right_hip",
    "left_hip",
    "left_knee",
    "left_ankle",
    "pelvis",
    "thorax",
    "upper_neck",
    "head_top",
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
)
JOINT: dict[str, int] = {name: index for index, name in enumerate(JOINT_NAMES)}
SIDES: tuple[tuple[str, float], ...] = (("left", 1.0), ("right", -1.0))


@dataclass(frozen=True)
class Proportions:
    """Segment lengths and girths of one body, in units of its standing height (adult averages, head a little large)."""

    foot_height: float = 0.042
    foot_length: float = 0.150
    shin: float = 0.238
    thigh: float = 0.240
    hip_half: float = 0.056
    trunk: float = 0.290
    shoulder_half: float = 0.108
    neck: float = 0.045
    head: float = 0.145
    upper_arm: float = 0.165
    forearm: float = 0.148
    girth: float = 1.0


@dataclass(frozen=True)
class Arm:
    """Angles of one arm in degrees: abduction from the trunk, forward flexion, inward twist, elbow flexion."""

    abduct: float = 12.0
    flex: float = 0.0
    twist: float = 0.0
    elbow: float = 12.0


@dataclass(frozen=True)
class Leg:
    """Angles of one leg in degrees: hip flexion (forward), abduction, knee flexion, pitch of the foot (toes down)."""

    flex: float = 0.0
    abduct: float = 4.0
    knee: float = 2.0
    toes_down: float = 0.0


@dataclass(frozen=True)
class Pose:
    """Joint angles of a whole body in degrees; `lift` is the height of the lowest sole in standing heights."""

    name: str = "standing"
    lean: float = 0.0
    roll: float = 0.0
    bend: float = 0.0
    side_bend: float = 0.0
    twist: float = 0.0
    head_pitch: float = 0.0
    head_roll: float = 0.0
    head_yaw: float = 0.0
    left_arm: Arm = field(default_factory=Arm)
    right_arm: Arm = field(default_factory=Arm)
    left_leg: Leg = field(default_factory=Leg)
    right_leg: Leg = field(default_factory=Leg)
    lift: float = 0.0
    seated: bool = False


def rotate(axis: str, angle_deg: float) -> Array:
    """The rotation about body axis `a`, `u` or `f` by `angle_deg` (right-handed).

    returns  3x3  float64
    """
    c, s = float(np.cos(np.deg2rad(angle_deg))), float(np.sin(np.deg2rad(angle_deg)))
    if axis == "a":
        return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
    if axis == "u":
        return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class Camera:
    """A weak-perspective view of one body.

    yaw_deg    which way the body faces: 0 the viewer, 90 the image's right, 180 away
    pitch_deg  how far the camera looks down
    scale      pixels to one standing height
    origin     x, y in pixels of the ground point below the pelvis
    """

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    scale: float = 300.0
    origin: tuple[float, float] = (0.0, 0.0)

    def matrix(self) -> Array:
        """Body frame to camera frame, rows x, up, towards the viewer.

        returns  3x3  float64  a proper rotation
        """
        view: Array = rotate("a", self.pitch_deg) @ rotate("u", self.yaw_deg)
        return view

    def project(self, points: Array) -> tuple[Array, Array]:
        """Project body points to the image.

        points   ...x3  float64  body frame
        returns  ...x2  float64  pixels, (0, 0) the centre of the top-left pixel
                 ...    float64  depth towards the viewer, in pixels
        """
        cam = points @ self.matrix().T
        xy = np.stack([self.origin[0] + self.scale * cam[..., 0], self.origin[1] - self.scale * cam[..., 1]], axis=-1)
        return xy, self.scale * cam[..., 2]


@dataclass(frozen=True)
class Body:
    """A posed body: joints and the frames of its segments.

    joints  16x3  float64  body frame, order of JOINT_NAMES
    frames  name -> 3x3 float64, columns a, u, f of the segment: pelvis, trunk, head, and for each side
            `left_upper_arm`, `left_forearm`, `left_thigh`, `left_shin`, `left_foot` (likewise right)
    """

    proportions: Proportions
    pose: Pose
    joints: Array
    frames: dict[str, Array]

    def joint(self, name: str) -> Array:
        """One joint by name.

        returns  3  float64  body frame
        """
        xyz: Array = self.joints[JOINT[name]]
        return xyz


def _spine(p: Proportions, pose: Pose, joints: dict[str, Array], frames: dict[str, Array]) -> None:
    pelvis = rotate("a", pose.lean) @ rotate("f", -pose.roll)
    half = rotate("u", pose.twist / 2) @ rotate("a", pose.bend / 2) @ rotate("f", -pose.side_bend / 2)
    trunk = pelvis @ half @ half
    frames["pelvis"], frames["trunk"] = pelvis, trunk
    waist = (pelvis @ half)[:, 1] * p.trunk * 0.45
    joints["pelvis"] = np.zeros(3)
    joints["thorax"] = waist + trunk[:, 1] * p.trunk * 0.55
    frames["head"] = trunk @ rotate("u", pose.head_yaw) @ rotate("a", pose.head_pitch) @ rotate("f", -pose.head_roll)
    neck = 0.5 * (trunk[:, 1] + frames["head"][:, 1])
    joints["upper_neck"] = joints["thorax"] + neck / np.linalg.norm(neck) * p.neck
    joints["head_top"] = joints["upper_neck"] + frames["head"][:, 1] * p.head


def _arm(p: Proportions, arm: Arm, side: str, sign: float, joints: dict[str, Array], frames: dict[str, Array]) -> None:
    upper = frames["trunk"] @ rotate("f", sign * arm.abduct) @ rotate("a", -arm.flex) @ rotate("u", -sign * arm.twist)
    fore = upper @ rotate("a", -arm.elbow)
    # A raised arm lifts the shoulder girdle; without it overhead arms look dislocated.
    lift = 0.022 * max(0.0, float(upper[:, 1] @ -frames["trunk"][:, 1]))
    shoulder = joints["thorax"] + frames["trunk"] @ np.array([sign * p.shoulder_half, -0.020 + lift, 0.0])
    joints[f"{side}_shoulder"] = shoulder
    joints[f"{side}_elbow"] = shoulder - upper[:, 1] * p.upper_arm
    joints[f"{side}_wrist"] = joints[f"{side}_elbow"] - fore[:, 1] * p.forearm
    frames[f"{side}_upper_arm"], frames[f"{side}_forearm"] = upper, fore


def _leg(p: Proportions, leg: Leg, side: str, sign: float, joints: dict[str, Array], frames: dict[str, Array]) -> None:
    thigh = frames["pelvis"] @ rotate("f", sign * leg.abduct) @ rotate("a", -leg.flex)
    shin = thigh @ rotate("a", leg.knee)
    hip = frames["pelvis"] @ np.array([sign * p.hip_half, 0.0, 0.0])
    joints[f"{side}_hip"] = hip
    joints[f"{side}_knee"] = hip - thigh[:, 1] * p.thigh
    joints[f"{side}_ankle"] = joints[f"{side}_knee"] - shin[:, 1] * p.shin
    # The foot keeps the heading of the leg but stays level, as on the ground, pitched by its own angle only.
    heading = np.array([thigh[0, 2] + shin[0, 2], 0.0, thigh[2, 2] + shin[2, 2]]) + np.array([0.25 * sign, 0.0, 1e-3])
    toe_out = float(np.rad2deg(np.arctan2(heading[0], heading[2])))
    toe_out = float(np.clip(toe_out, -45.0, 45.0))
    frames[f"{side}_thigh"], frames[f"{side}_shin"] = thigh, shin
    frames[f"{side}_foot"] = rotate("u", toe_out) @ rotate("a", leg.toes_down)


def pose_body(pose: Pose, proportions: Proportions | None = None) -> Body:
    """Forward kinematics: joint angles to joint positions, the lowest sole on the ground (plus `pose.lift`).

    pose         joint angles in degrees
    proportions  lengths of the body; average ones if left out
    """
    p = proportions or Proportions()
    joints: dict[str, Array] = {}
    frames: dict[str, Array] = {}
    _spine(p, pose, joints, frames)
    for (side, sign), arm, leg in zip(
        SIDES, (pose.left_arm, pose.right_arm), (pose.left_leg, pose.right_leg), strict=True
    ):
        _arm(p, arm, side, sign, joints, frames)
        _leg(p, leg, side, sign, joints, frames)
    xyz = np.stack([joints[name] for name in JOINT_NAMES])
    xyz[:, 1] += pose.lift - min(_sole(joints, frames, side, p) for side, _ in SIDES)
    return Body(proportions=p, pose=pose, joints=xyz, frames=frames)


def _sole(joints: dict[str, Array], frames: dict[str, Array], side: str, p: Proportions) -> float:
    foot = frames[f"{side}_foot"]
    heel = foot @ np.array([0.0, -p.foot_height, -0.25 * p.foot_length])
    toe = foot @ np.array([0.0, -p.foot_height, 0.75 * p.foot_length])
    return float(joints[f"{side}_ankle"][1] + min(heel[1], toe[1]))


def facing_of(yaw_deg: float) -> str:
    """The name of the side a body shows at `yaw_deg`: front, back, left (profile facing image left) or right."""
    yaw = (yaw_deg + 180.0) % 360.0 - 180.0
    if abs(yaw) <= 45.0:
        return "front"
    if abs(yaw) >= 135.0:
        return "back"
    return "right" if yaw > 0 else "left"
