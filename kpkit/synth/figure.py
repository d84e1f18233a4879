"""A posed body dressed as a surface: clothes, shoes, hair, face; every quad knows the body part it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpkit.synth.body import JOINT_NAMES, SIDES, Body
from kpkit.synth.face import head_mesh, skull_outline
from kpkit.synth.look import Colour, Look
from kpkit.synth.mesh import Mesh, capsule, cuboid, ellipsoid, join, make, tube

Array = NDArray[np.float64]

PARTS: tuple[str, ...] = (
    "nothing",
    "trunk",
    "hips",
    "neck",
    "head",
    "left_upper_arm",
    "left_forearm",
    "left_hand",
    "left_thigh",
    "left_shin",
    "left_foot",
    "right_upper_arm",
    "right_forearm",
    "right_hand",
    "right_thigh",
    "right_shin",
    "right_foot",
)
PART: dict[str, int] = {name: index for index, name in enumerate(PARTS)}
SEAT = 255


def _owners() -> dict[str, tuple[str, ...]]:
    owners: dict[str, tuple[str, ...]] = {
        "pelvis": ("hips", "trunk", "left_thigh", "right_thigh"),
        "thorax": ("trunk", "neck"),
        "upper_neck": ("neck", "head"),
        "head_top": ("head",),
    }
    for side, _ in SIDES:
        arm = tuple(f"{side}_{part}" for part in ("upper_arm", "forearm", "hand"))
        leg = tuple(f"{side}_{part}" for part in ("thigh", "shin", "foot"))
        owners |= {f"{side}_shoulder": (*arm, "trunk"), f"{side}_elbow": arm, f"{side}_wrist": arm}
        owners |= {f"{side}_hip": (*leg, "hips", "trunk"), f"{side}_knee": leg, f"{side}_ankle": leg}
    return owners


_OWNERS = _owners()
# 16 x 256: may this part be what is seen at the pixel of this joint?
OWNS: NDArray[np.bool_] = np.zeros((len(JOINT_NAMES), 256), dtype=bool)
for _row, _name in enumerate(JOINT_NAMES):
    OWNS[_row, [PART[part] for part in _OWNERS[_name]]] = True


@dataclass(frozen=True)
class Figure:
    """A dressed body.

    body   the joints below the clothes
    mesh   the surface, with a stool of part SEAT where the pose is seated
    skull  Sx3  float64  points of the bare head, hair and hat left out, for the head box
    """

    body: Body
    mesh: Mesh
    skull: Array


def dress(body: Body, look: Look, scale: float) -> Figure:
    """Build the surface of a body.

    scale  pixels to one standing height: how fine the surface has to be
    """
    sectors = int(np.clip(scale / 16.0, 8, 20))
    head = head_mesh(body, look, scale, PART["head"])
    meshes = [_trunk(body, look, sectors), *_neck(body, look, sectors), *head]
    for side, sign in SIDES:
        meshes += _arm(body, look, side, sectors)
        meshes += _leg(body, look, side, sectors)
        meshes += _foot(body, look, side, sectors)
        meshes += _hand(body, look, side, sign, sectors)
    if body.pose.seated:
        meshes.append(_stool(body, look))
    return Figure(body=body, mesh=join(meshes), skull=skull_outline(body))


# Height along the spine (pelvis 0, waist 1, thorax 2), offset along it, half width, half depth.
_SPINE_KEYS = np.array(
    [
        [0.0, -0.062, 0.004, 0.004],
        [0.0, -0.055, 0.046, 0.040],
        [0.0, -0.030, 0.094, 0.063],
        [0.0, 0.010, 0.107, 0.067],
        [1.0, -0.030, 0.090, 0.060],
        [1.0, 0.020, 0.082, 0.056],
        [2.0, -0.100, 0.096, 0.066],
        [2.0, -0.050, 0.108, 0.064],
        [2.0, -0.012, 0.108, 0.054],
        [2.0, 0.012, 0.084, 0.046],
        [2.0, 0.026, 0.052, 0.042],
        [2.0, 0.036, 0.041, 0.039],
    ]
)


def _trunk(body: Body, look: Look, sectors: int) -> Mesh:
    keys, p = _SPINE_KEYS, body.proportions
    pelvis, trunk = body.frames["pelvis"], body.frames["trunk"]
    middle = 0.5 * (pelvis + trunk)
    stations = np.stack(
        [body.joint("pelvis"), body.joint("pelvis") + middle[:, 1] * p.trunk * 0.45, body.joint("thorax")]
    )
    frames = np.stack([pelvis, middle, trunk])
    station = keys[:, 0].astype(int)
    centres = stations[station] + frames[station, :, 1] * keys[:, 1:2]
    shoulders = np.where(station == 2, p.shoulder_half / 0.108, 1.0)
    steps = np.linspace(0, len(keys) - 1, max(len(keys), sectors + 8))
    even = np.arange(len(keys))

    def spread(values: Array) -> Array:
        return np.stack([np.interp(steps, even, column) for column in values.T], axis=1)

    lateral, forward = spread(frames[station, :, 0]), spread(frames[station, :, 2])
    sizes = spread(np.stack([keys[:, 2] * shoulders, keys[:, 3]], axis=1)) * p.girth
    quads = tube(spread(centres), lateral, forward, sizes[:, 0], sizes[:, 1], 2 * (sectors // 2) + 4)
    height = np.repeat((steps[:-1] + steps[1:]) / 2, 2 * (sectors // 2) + 4)
    belt = look.belt_key
    colour = np.where(height[:, None] < belt, np.asarray(look.trousers), look.shirt_at(height))
    mesh = make(quads, colour, PART["trunk"])
    mesh.part[height < belt] = PART["hips"]
    return mesh


def _neck(body: Body, look: Look, sectors: int) -> list[Mesh]:
    radius = 0.031 * body.proportions.girth**0.5
    start, top = body.joint("thorax"), body.joint("upper_neck")
    lift = body.frames["head"] @ np.array([0.0, 0.03, -0.008])
    quads, _ = capsule(start + (top - start) * 0.35, top + lift, [radius * 1.05, radius], sectors)
    return [make(quads, look.skin, PART["neck"])]


def _limb(
    ends: tuple[Array, Array],
    girths: list[list[float]],
    reach: float,
    cloth: Colour,
    look: Look,
    sectors: int,
    g: float,
) -> tuple[Array, Array, Array]:
    """A limb dressed as far as `reach` (0 its start, 1 its end), the cloth widening towards its hem.

    girths   places along the limb, and the radii there
    returns  Fx4x3 quads, Fx3 colours, F places along the limb
    """
    at = np.linspace(0.0, 1.0, 9)
    loose = np.where(at < reach, 1.0 + (look.loose - 1.0) * np.clip(2.0 * at, 0.25, 1.0), 1.0)
    quads, along = capsule(*ends, np.interp(at, girths[0], girths[1]) * g * loose, sectors)
    return quads, np.where(along[:, None] < reach, np.asarray(cloth), np.asarray(look.skin)), along


def _arm(body: Body, look: Look, side: str, sectors: int) -> list[Mesh]:
    g = body.proportions.girth
    shoulder, elbow, wrist = (body.joint(f"{side}_{name}") for name in ("shoulder", "elbow", "wrist"))
    girths = [[0, 0.4, 1], [0.037, 0.036, 0.030]]
    upper, colour, _ = _limb((shoulder, elbow), girths, look.sleeve, look.shirt, look, sectors, g)
    girths = [[0, 0.3, 1], [0.030, 0.031, 0.021]]
    fore, colour_fore, _ = _limb((elbow, wrist), girths, look.sleeve - 1.0, look.shirt, look, sectors, g)
    return [make(upper, colour, PART[f"{side}_upper_arm"]), make(fore, colour_fore, PART[f"{side}_forearm"])]


def _hand(body: Body, look: Look, side: str, sign: float, sectors: int) -> list[Mesh]:
    wrist, frame = body.joint(f"{side}_wrist"), body.frames[f"{side}_forearm"]
    centre = wrist - frame[:, 1] * 0.036
    part = PART[f"{side}_hand"]
    palm = ellipsoid(centre, frame, (0.015, 0.044, 0.026), max(8, sectors // 2 + 2), 6)
    tip = wrist + frame @ np.array([-0.012 * sign, -0.044, 0.034])
    thumb, _ = capsule(wrist - frame[:, 1] * 0.012, tip, [0.011, 0.009], 8, 2)
    return [make(palm, look.skin, part), make(thumb, look.skin, part)]


def _leg(body: Body, look: Look, side: str, sectors: int) -> list[Mesh]:
    g = body.proportions.girth
    hip, knee, ankle = (body.joint(f"{side}_{name}") for name in ("hip", "knee", "ankle"))
    girths = [[0, 0.5, 1], [0.055, 0.051, 0.041]]
    thigh, colour, _ = _limb((hip, knee), girths, look.trouser_leg, look.trousers, look, sectors, g)
    girths = [[0, 0.3, 0.85, 1], [0.040, 0.041, 0.026, 0.026]]
    shin, colour_shin, along = _limb((knee, ankle), girths, look.trouser_leg - 1.0, look.trousers, look, sectors, g)
    if look.trouser_leg < 1.9:
        colour_shin = np.where(along[:, None] > 0.78, np.asarray(look.socks), colour_shin)
    return [make(thigh, colour, PART[f"{side}_thigh"]), make(shin, colour_shin, PART[f"{side}_shin"])]


# Position along the foot (in foot lengths from the ankle), height above the sole, half width, half height.
_FOOT_KEYS = np.array(
    [
        [-0.28, 0.022, 0.002, 0.002],
        [-0.26, 0.024, 0.018, 0.018],
        [-0.20, 0.030, 0.027, 0.028],
        [0.00, 0.033, 0.030, 0.032],
        [0.20, 0.027, 0.031, 0.026],
        [0.45, 0.020, 0.033, 0.019],
        [0.62, 0.017, 0.029, 0.016],
        [0.71, 0.015, 0.019, 0.013],
        [0.74, 0.014, 0.002, 0.002],
    ]
)


def _foot(body: Body, look: Look, side: str, sectors: int) -> list[Mesh]:
    p, frame, keys = body.proportions, body.frames[f"{side}_foot"], _FOOT_KEYS
    ankle = body.joint(f"{side}_ankle")
    around = max(10, sectors)
    local = np.stack([np.zeros(len(keys)), keys[:, 1] - p.foot_height, keys[:, 0] * p.foot_length], axis=1)
    quads = tube(ankle + local @ frame.T, frame[:, 0], -frame[:, 1], keys[:, 2], keys[:, 3], around)
    height = (quads.mean(axis=1) - ankle) @ frame[:, 1] + p.foot_height
    colour = np.where(height[:, None] < 0.011, np.asarray(look.sole), np.asarray(look.shoes))
    return [make(quads, colour, PART[f"{side}_foot"])]


def _stool(body: Body, look: Look) -> Mesh:
    pelvis = body.joint("pelvis")
    top = max(float(pelvis[1]) - 0.055, 0.05)
    frame = np.eye(3)
    centre = np.array([pelvis[0], top - 0.015, pelvis[2] - 0.01])
    wood = np.asarray(look.seat)
    pieces = [make(cuboid(centre, frame, (0.12, 0.015, 0.11)), wood, SEAT)]
    for a in (-0.095, 0.095):
        for f in (-0.085, 0.085):
            leg = np.array([centre[0] + a, (top - 0.03) / 2, centre[2] + f])
            pieces.append(make(cuboid(leg, frame, (0.014, (top - 0.03) / 2, 0.014)), wood * 0.8, SEAT))
    return join(pieces)
