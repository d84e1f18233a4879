"""Plausible poses, sampled: standing, walking, running, waving, arms up, reaching, sitting, crouching, jumping, ..."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from kpkit.synth.body import Arm, Leg, Pose, Proportions

Rng = np.random.Generator


def _u(rng: Rng, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _rest_arm(rng: Rng) -> Arm:
    kind = int(rng.integers(0, 5))
    if kind == 0:  # hand on hip
        return Arm(_u(rng, 42, 56), _u(rng, -22, -8), _u(rng, 78, 95), _u(rng, 88, 104))
    if kind == 1:  # forearm raised before the body
        return Arm(_u(rng, 10, 20), _u(rng, 10, 30), _u(rng, 0, 50), _u(rng, 70, 120))
    return Arm(_u(rng, 10, 22), _u(rng, -14, 16), _u(rng, 0, 25), _u(rng, 6, 40))


def _standing(rng: Rng) -> Pose:
    spread = _u(rng, 2, 10)
    return Pose(
        name="standing",
        left_arm=_rest_arm(rng),
        right_arm=_rest_arm(rng),
        left_leg=Leg(_u(rng, -3, 8), spread, _u(rng, 0, 8)),
        right_leg=Leg(_u(rng, -3, 8), spread, _u(rng, 0, 8)),
        bend=_u(rng, -3, 6),
        twist=_u(rng, -12, 12),
    )


def _gait(rng: Rng, name: str, stride: float, back_knee: float, elbow: float, lean: float) -> Pose:
    swing = stride * _u(rng, 0.8, 1.2)
    lead, trail = (
        Leg(stride, 3, _u(rng, 4, 14), -10),
        Leg(-0.7 * stride, 3, back_knee, min(45.0, 12 + 0.4 * back_knee)),
    )
    forward, back = Arm(10, swing, 10, elbow), Arm(12, -swing, 5, elbow * 0.7)
    left_leads = bool(rng.integers(0, 2))
    return Pose(
        name=name,
        lean=lean,
        bend=_u(rng, 0, 6),
        twist=_u(rng, 4, 12) * (-1 if left_leads else 1),
        left_leg=lead if left_leads else trail,
        right_leg=trail if left_leads else lead,
        left_arm=back if left_leads else forward,
        right_arm=forward if left_leads else back,
    )


def _walking(rng: Rng) -> Pose:
    return _gait(rng, "walking", _u(rng, 16, 30), _u(rng, 10, 30), _u(rng, 15, 45), _u(rng, 0, 4))


def _running(rng: Rng) -> Pose:
    pose = _gait(rng, "running", _u(rng, 40, 58), _u(rng, 60, 95), _u(rng, 80, 105), _u(rng, 6, 14))
    lead = Leg(_u(rng, 45, 65), 2, _u(rng, 50, 85), 0)
    if pose.left_leg.flex > 0:
        return replace(pose, left_leg=lead, lift=_u(rng, 0, 0.04))
    return replace(pose, right_leg=lead, lift=_u(rng, 0, 0.04))


def _arms_up(rng: Rng) -> Pose:
    raised = [Arm(_u(rng, 135, 170), _u(rng, -5, 15), _u(rng, -20, 40), _u(rng, 5, 60)) for _ in range(2)]
    return replace(_standing(rng), name="arms_up", left_arm=raised[0], right_arm=raised[1], bend=_u(rng, -8, 2))


def _waving(rng: Rng) -> Pose:
    wave = Arm(_u(rng, 85, 120), _u(rng, 0, 20), _u(rng, -12, 12), 0)
    # Twisted outwards by a right angle the forearm points up beside the head.
    wave = replace(wave, twist=_u(rng, -100, -80), elbow=_u(rng, 55, 95))
    left = bool(rng.integers(0, 2))
    pose = replace(_standing(rng), name="waving")
    return replace(pose, left_arm=wave) if left else replace(pose, right_arm=wave)


def _reaching(rng: Rng) -> Pose:
    reach = Arm(_u(rng, 0, 40), _u(rng, 65, 115), _u(rng, -10, 20), _u(rng, 0, 25))
    pose = replace(_standing(rng), name="reaching", bend=_u(rng, 4, 26))
    if rng.integers(0, 3) == 0:
        return replace(pose, left_arm=reach, right_arm=replace(reach, flex=reach.flex - 8))
    return replace(pose, left_arm=reach) if rng.integers(0, 2) else replace(pose, right_arm=reach)


def _sitting(rng: Rng) -> Pose:
    legs = [Leg(_u(rng, 80, 95), _u(rng, 4, 18), _u(rng, 68, 100)) for _ in range(2)]
    arms = [Arm(_u(rng, 8, 18), _u(rng, 18, 36), _u(rng, 5, 25), _u(rng, 35, 65)) for _ in range(2)]
    return Pose(
        name="sitting",
        left_arm=arms[0],
        right_arm=arms[1] if rng.integers(0, 3) else _rest_arm(rng),
        left_leg=legs[0],
        right_leg=replace(legs[1], flex=legs[0].flex, knee=legs[0].knee + _u(rng, -6, 6)),
        bend=_u(rng, -6, 16),
        seated=True,
    )


def _crouching(rng: Rng) -> Pose:
    hip, knee = _u(rng, 75, 110), _u(rng, 95, 128)
    arms = [Arm(_u(rng, 10, 30), _u(rng, 30, 75), _u(rng, 0, 35), _u(rng, 25, 85)) for _ in range(2)]
    return Pose(
        name="crouching",
        lean=_u(rng, 12, 28),
        bend=_u(rng, 10, 28),
        head_pitch=_u(rng, -30, -10),
        left_arm=arms[0],
        right_arm=arms[1],
        left_leg=Leg(hip + 14, _u(rng, 10, 24), knee),
        right_leg=Leg(hip + 14, _u(rng, 10, 24), knee + _u(rng, -5, 5)),
    )


def _jumping(rng: Rng) -> Pose:
    spread = _u(rng, 8, 34)
    arms = [Arm(_u(rng, 75, 160), _u(rng, -5, 20), _u(rng, -20, 20), _u(rng, 5, 45)) for _ in range(2)]
    flex, knee = _u(rng, 0, 45), _u(rng, 10, 85)
    return Pose(
        name="jumping",
        left_arm=arms[0],
        right_arm=arms[1],
        left_leg=Leg(flex, spread, knee, 35),
        right_leg=Leg(flex + _u(rng, -18, 18), spread, knee + _u(rng, -18, 18), 35),
        bend=_u(rng, -6, 8),
        lift=_u(rng, 0.04, 0.16),
    )


def _side_bend(rng: Rng) -> Pose:
    sign = 1.0 if rng.integers(0, 2) else -1.0
    pose = replace(
        _standing(rng),
        name="side_bend",
        side_bend=sign * _u(rng, 18, 36),
        roll=sign * _u(rng, -6, 2),
        head_roll=sign * _u(rng, 0, 14),
        left_leg=Leg(2, _u(rng, 8, 16), 2),
        right_leg=Leg(2, _u(rng, 8, 16), 2),
    )
    over = Arm(_u(rng, 140, 165), _u(rng, 0, 10), 0, _u(rng, 5, 35))
    return replace(pose, left_arm=over) if sign < 0 else replace(pose, right_arm=over)


def _kicking(rng: Rng) -> Pose:
    kick, stand = Leg(_u(rng, 40, 80), _u(rng, 2, 14), _u(rng, 0, 30), 20), Leg(-4, 4, 8)
    left = bool(rng.integers(0, 2))
    arms = [Arm(_u(rng, 35, 80), _u(rng, -20, 25), 0, _u(rng, 10, 50)) for _ in range(2)]
    return Pose(
        name="kicking",
        lean=_u(rng, -8, 0),
        left_leg=kick if left else stand,
        right_leg=stand if left else kick,
        left_arm=arms[0],
        right_arm=arms[1],
    )


POSES: dict[str, tuple[float, Callable[[Rng], Pose]]] = {
    "standing": (0.20, _standing),
    "walking": (0.18, _walking),
    "running": (0.08, _running),
    "arms_up": (0.08, _arms_up),
    "waving": (0.09, _waving),
    "reaching": (0.10, _reaching),
    "sitting": (0.09, _sitting),
    "crouching": (0.05, _crouching),
    "jumping": (0.05, _jumping),
    "side_bend": (0.04, _side_bend),
    "kicking": (0.04, _kicking),
}


def sample_pose(rng: Rng, name: str | None = None) -> Pose:
    """Draw a pose: its kind by weight unless `name` is given, its angles around that kind's own.

    rng   the stream every choice is drawn from
    name  a key of POSES
    """
    if name is None:
        names = list(POSES)
        weights = np.array([POSES[key][0] for key in names])
        name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    pose = POSES[name][1](rng)
    return replace(
        pose,
        head_pitch=pose.head_pitch + _u(rng, -10, 12),
        head_roll=pose.head_roll + _u(rng, -7, 7),
        head_yaw=pose.head_yaw + _u(rng, -30, 30),
        roll=pose.roll + _u(rng, -2, 2),
    )


def sample_proportions(rng: Rng) -> Proportions:
    """Draw a build: adults of several girths, and children with a larger head and shorter legs."""
    child = rng.uniform() < 0.18
    base = Proportions()
    girth = _u(rng, 0.88, 1.22)
    head = _u(rng, 0.172, 0.195) if child else _u(rng, 0.138, 0.152)
    # What the head takes, the trunk and the legs give, so that the sum stays one standing height.
    rest = (1.0 - base.foot_height - base.neck - head) / (base.shin + base.thigh + base.trunk)
    legs = rest * (0.975 if child else _u(rng, 0.97, 1.02))
    trunk = 1.0 - base.foot_height - base.neck - head - legs * (base.shin + base.thigh)
    return replace(
        base,
        head=head,
        shin=base.shin * legs,
        thigh=base.thigh * legs,
        trunk=trunk,
        shoulder_half=base.shoulder_half * _u(rng, 0.92, 1.08) * (0.94 if child else 1.0),
        upper_arm=base.upper_arm * (0.9 if child else _u(rng, 0.96, 1.04)),
        forearm=base.forearm * (0.9 if child else _u(rng, 0.96, 1.04)),
        girth=girth,
    )
