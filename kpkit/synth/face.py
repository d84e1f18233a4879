"""The head: skull, hair by cut, a cap, ears, nose, eyes and mouth; only its front has a face."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kpkit.synth.body import Body, rotate
from kpkit.synth.look import Colour, Look
from kpkit.synth.mesh import Mesh, capsule, ellipsoid, join, make, patch, sphere

Array = NDArray[np.float64]

_WIDTH, _DEPTH = 0.40, 0.47  # semi-axes of the skull in head heights; the height's own is a half
_HAIRLINE_LAT, _FACE_LON, _NAPE_LAT = 34.0, 74.0, -34.0
_HAIR, _CAP, _CAP_LAT = 1.10, 1.14, 20.0


def skull_outline(body: Body) -> Array:
    """Points all over the bare head, for the head box.

    returns  Sx3  float64  body frame
    """
    quads, _, _ = sphere(np.linspace(-90, 90, 13), np.arange(24) * 15.0)
    return _place(body, quads.reshape(-1, 3))


def _place(body: Body, unit: Array) -> Array:
    """Unit-sphere directions to the skull's surface, the jaw narrower than the temples."""
    head = body.proportions.head
    frame = body.frames["head"]
    centre = body.joint("upper_neck") + frame[:, 1] * head * 0.5
    jaw = 1.0 - 0.20 * np.clip(-unit[..., 1:2], 0.0, 1.0)
    local = unit * np.array([_WIDTH, 0.5, _DEPTH]) * head
    local = local * np.concatenate([jaw, np.ones_like(jaw), 0.5 + 0.5 * jaw], axis=-1)
    return np.asarray(centre + local @ frame.T)


def head_mesh(body: Body, look: Look, scale: float, part: int) -> list[Mesh]:
    """Everything from the neck up.

    scale  pixels to one standing height; a face of a few pixels gets eyes and mouth only
    """
    fine = scale > 150
    lat = np.array([-90, -66, -50, _NAPE_LAT, -18, 0, 18, _HAIRLINE_LAT, 50, 66, 78, 90], dtype=np.float64)
    step = 10.0 if fine else 18.5
    front = np.linspace(-_FACE_LON, _FACE_LON, int(2 * _FACE_LON / step) + 1)
    back = np.linspace(_FACE_LON, 360.0 - _FACE_LON, int((360 - 2 * _FACE_LON) / step) + 1)[1:-1]
    unit, mid_lat, mid_lon = sphere(lat, np.concatenate([front, back]))
    is_face = (np.abs((mid_lon + 180) % 360 - 180) < _FACE_LON) & (mid_lat < _HAIRLINE_LAT)
    is_hair = ~is_face & (mid_lat > _NAPE_LAT)
    bald = look.haircut == "bald"
    under = np.where(is_hair[:, None] & (not bald), np.asarray(look.hair), np.asarray(look.skin))
    pieces = [make(_place(body, unit), under, part)]
    if not bald:
        is_cap = is_hair & (mid_lat > _CAP_LAT) & (look.haircut == "cap")
        shell = unit[is_hair] * _swell(unit[is_hair], np.where(is_cap[is_hair], _CAP, _HAIR))
        colour = np.where(is_cap[is_hair, None], np.asarray(look.hat), np.asarray(look.hair))
        pieces.append(make(_place(body, shell), colour, part))
    return [*pieces, *_extras(body, look, part), *_features(body, look, scale, part)]


def _swell(unit: Array, full: Array) -> Array:
    """How far hair stands off the skull: less where it ends, or one would look in between.

    unit     Fx4x3  float64  corners on the unit sphere
    full     F      float64
    returns  Fx4x1  float64
    """
    lat, lon = np.rad2deg(np.arcsin(np.clip(unit[..., 1], -1, 1))), np.rad2deg(np.arctan2(unit[..., 0], unit[..., 2]))
    ends = ((np.abs(lon) < _FACE_LON + 1) & (lat < _HAIRLINE_LAT + 1)) | (lat < _NAPE_LAT + 1)
    swell: Array = np.where(ends, 1.02, full[:, None])[..., None]
    return swell


def _extras(body: Body, look: Look, part: int) -> list[Mesh]:
    head, frame = body.proportions.head, body.frames["head"]
    centre = body.joint("upper_neck") + frame[:, 1] * head * 0.5

    def at(a: float, u: float, f: float) -> Array:
        return np.asarray(centre + frame @ (np.array([a, u, f]) * head))

    pieces: list[Mesh] = []
    if look.haircut in ("long", "bob"):
        drop = 0.66 if look.haircut == "long" else 0.30
        size = np.array([0.43, drop, 0.24]) * head
        pieces.append(make(ellipsoid(at(0, -0.10 - 0.5 * drop, -0.26), frame, size, 16, 8), look.hair, part))
    elif look.haircut == "ponytail":
        quads, _ = capsule(at(0, 0.16, -0.52), at(0, -0.55, -0.72), np.array([0.10, 0.13, 0.11, 0.05]) * head, 10)
        pieces.append(make(quads, look.hair, part))
    elif look.haircut == "bun":
        size = np.full(3, 0.20 * head)
        pieces.append(make(ellipsoid(at(0, 0.38, -0.46), frame, size, 12, 8), look.hair, part))
    elif look.haircut == "cap":
        tilted = frame @ rotate("a", 10.0)
        brim = ellipsoid(at(0, 0.30, 0.56), tilted, np.array([0.36, 0.035, 0.32]) * head, 14, 4)
        pieces.append(make(brim, np.asarray(look.hat) * 0.85, part))
    if look.haircut not in ("long", "bob"):
        for sign in (-1.0, 1.0):
            ear = ellipsoid(at(sign * 0.41, -0.02, -0.02), frame, np.array([0.05, 0.11, 0.075]) * head, 8, 6)
            pieces.append(make(ear, np.asarray(look.skin) * 0.93, part, 0.012))
    return pieces


def _dab(body: Body, lat: float, lon: float, tall: float, wide: float, start: float = 0.0) -> Array:
    """An ellipse painted on the skull, sizes in degrees from the head's middle; from `start` = 0.5 its lower half."""
    turn = np.linspace(start, 1.0, 12, endpoint=start > 0) * (2 * np.pi)
    a, b = np.deg2rad(lat + tall * np.sin(turn)), np.deg2rad(lon + wide * np.cos(turn))
    unit = np.stack([np.cos(a) * np.sin(b), np.sin(a), np.cos(a) * np.cos(b)], axis=-1)
    return patch(_place(body, unit * 1.01))


def _features(body: Body, look: Look, scale: float, part: int) -> list[Mesh]:
    skin = np.asarray(look.skin)
    dark: Colour = (34.0, 30.0, 36.0)
    pieces: list[Mesh] = []
    for sign in (-1.0, 1.0):
        if scale > 130:
            pieces.append(make(_dab(body, 3, 24 * sign, 7.0, 9.5), (238, 240, 242), part, 0.020))
        size = 4.8 if scale > 130 else 8.0
        pieces.append(make(_dab(body, 3, 24 * sign, size, size), dark, part, 0.022))
        if scale > 130:
            brow = np.asarray(look.hair) * 0.8 if look.haircut != "bald" else skin * 0.5
            pieces.append(make(_dab(body, 18, 24 * sign, 2.6, 11), brow, part, 0.022))
            pieces.append(make(_dab(body, -18, 38 * sign, 7, 9), skin * (0.88, 0.90, 1.0) + (0, 0, 8), part, 0.018))
    lips = skin * np.array([0.62, 0.58, 0.80])
    pieces.append(make(_dab(body, -33, 0, 12, 22, start=0.5), lips, part, 0.021))
    frame, head = body.frames["head"], body.proportions.head
    tip = body.joint("upper_neck") + frame @ (np.array([0.0, 0.43, _DEPTH]) * head)
    nose = ellipsoid(tip, frame, np.array([0.055, 0.085, 0.085]) * head, 8, 6)
    pieces.append(make(nose, skin * 0.94, part, 0.016))
    return [join(pieces)]
