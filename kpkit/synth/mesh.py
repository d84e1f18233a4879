"""Small surfaces made of quads: tubes, capsules, ellipsoids, cuboids, patches; what bodies and props are built from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_CORNERS = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))


@dataclass(frozen=True)
class Mesh:
    """F quads with one colour each.

    quads   Fx4x3  float64  corners in the body frame, counter-clockwise seen from outside
    colour  Fx3    float64  BGR, 0 to 255, before shading
    part    F      uint8    which part a quad belongs to
    raised  F      float64  how far a quad is drawn in front of where it is, in standing heights
    """

    quads: Array
    colour: Array
    part: NDArray[np.uint8]
    raised: Array

    def __len__(self) -> int:
        return len(self.quads)


def make(quads: Array, colour: ArrayLike, part: int, raised: float = 0.0) -> Mesh:
    """A mesh of one part.

    quads   Fx4x3  float64  body frame
    colour  3 or Fx3        BGR, 0 to 255
    """
    n = len(quads)
    return Mesh(
        quads=quads,
        colour=np.broadcast_to(np.asarray(colour, dtype=np.float64), (n, 3)),
        part=np.full(n, part, dtype=np.uint8),
        raised=np.full(n, raised),
    )


def join(meshes: list[Mesh]) -> Mesh:
    """One mesh of several."""
    return Mesh(
        quads=np.concatenate([m.quads for m in meshes]),
        colour=np.concatenate([m.colour for m in meshes]),
        part=np.concatenate([m.part for m in meshes]),
        raised=np.concatenate([m.raised for m in meshes]),
    )


def grid_quads(rings: Array) -> Array:
    """The quads between neighbouring rings of a surface that closes around each ring.

    rings    MxNx3  float64  counter-clockwise seen from the end the rings run towards
    returns  (M-1)*N x4x3  float64
    """
    follow = np.roll(rings, -1, axis=1)
    quads = np.stack([rings[:-1], follow[:-1], follow[1:], rings[1:]], axis=2)
    return quads.reshape(-1, 4, 3)


def tube(centres: Array, lateral: Array, forward: Array, wide: Array, deep: Array, sectors: int) -> Array:
    """A surface through elliptic rings.

    centres           Mx3  float64  body frame
    lateral, forward  Mx3 or 3  float64  unit axes of the rings, forward x lateral along the tube
    wide, deep        M    float64  semi-axes along lateral and forward
    returns           Fx4x3  float64
    """
    angle = np.arange(sectors) * (2 * np.pi / sectors)
    sin, cos = np.sin(angle)[None, :, None], np.cos(angle)[None, :, None]
    lateral, forward = np.broadcast_to(lateral, centres.shape), np.broadcast_to(forward, centres.shape)
    rings = (
        centres[:, None] + wide[:, None, None] * sin * lateral[:, None] + deep[:, None, None] * cos * forward[:, None]
    )
    return grid_quads(rings)


def _axes(direction: Array) -> tuple[Array, Array]:
    """Two unit vectors across a direction, the second crossed with the first along it."""
    x, y, z = (float(v) for v in direction)
    if abs(z) < 0.9:
        size = math.hypot(x, y)
        ax, ay, az = y / size, -x / size, 0.0
    else:
        size = math.hypot(y, z)
        ax, ay, az = 0.0, z / size, -y / size
    # numpy's own cross product costs more than all the rest of a capsule.
    return np.array([ax, ay, az]), np.array([ay * z - az * y, az * x - ax * z, ax * y - ay * x])


def capsule(start: Array, end: Array, radii: ArrayLike, sectors: int, caps: int = 3) -> tuple[Array, Array]:
    """A limb with round ends whose radius follows `radii` at equal steps.

    start, end  3  float64  body frame
    radii       M  float64  M >= 2
    returns     Fx4x3  float64
                F      float64  position of each quad along the limb, 0 at start and 1 at end, beyond in the caps
    """
    radius = np.asarray(radii, dtype=np.float64)
    length = float(np.linalg.norm(end - start))
    direction = (end - start) / max(length, 1e-9)
    bend = np.linspace(np.pi / 2, 0.0, caps + 1)[:-1]
    rise, narrow = np.sin(bend), np.cos(bend)
    along = np.concatenate([-radius[0] * rise, np.linspace(0.0, length, len(radius)), length + radius[-1] * rise[::-1]])
    girth = np.concatenate([radius[0] * narrow, radius, radius[-1] * narrow[::-1]])
    lateral, forward = _axes(direction)
    quads = tube(start + along[:, None] * direction, lateral, forward, girth, girth, sectors)
    middle = np.repeat((along[:-1] + along[1:]) / 2 / max(length, 1e-9), sectors)
    return quads, middle


def sphere(lat_deg: ArrayLike, lon_deg: ArrayLike) -> tuple[Array, Array, Array]:
    """The unit sphere along chosen parallels and meridians.

    lat_deg  M  float64  rising from -90 to 90, pole to pole along the second axis
    lon_deg  N  float64  rising, less than one turn, 0 along the third axis and 90 along the first
    returns  Fx4x3 float64, and latitude and longitude in degrees of each quad's middle, F float64 each
    """
    lat, lon = np.asarray(lat_deg, dtype=np.float64), np.asarray(lon_deg, dtype=np.float64)
    a, b = np.deg2rad(lat)[:, None], np.deg2rad(lon)[None, :]
    rings = np.stack(
        [np.cos(a) * np.sin(b), np.broadcast_to(np.sin(a), (len(lat), len(lon))), np.cos(a) * np.cos(b)], -1
    )
    follow = np.append(lon[1:], lon[0] + 360.0)
    mid_lat = np.repeat((lat[:-1] + lat[1:]) / 2, len(lon))
    mid_lon = np.tile((lon + follow) / 2, len(lat) - 1)
    return grid_quads(rings), mid_lat, mid_lon


@cache
def _globe(sectors: int, rings: int) -> Array:
    return sphere(np.linspace(-90.0, 90.0, rings + 1), np.arange(sectors) * (360.0 / sectors))[0]


def ellipsoid(centre: Array, frame: Array, radii: ArrayLike, sectors: int, rings: int) -> Array:
    """An ellipsoid.

    centre   3    float64  body frame
    frame    3x3  float64  its axes as columns
    radii    3    float64  semi-axes along them
    returns  Fx4x3  float64
    """
    quads: Array = centre + (_globe(sectors, rings) * np.asarray(radii)) @ frame.T
    return quads


def cuboid(centre: Array, frame: Array, half: ArrayLike) -> Array:
    """A box.

    centre   3    float64  body frame
    frame    3x3  float64  columns are its axes
    half     3    float64  half its sides along them
    returns  6x4x3  float64
    """
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
    corners = centre + (corners * np.asarray(half)) @ frame.T
    quads: Array = corners[np.array(_CORNERS)]
    return quads


def patch(points: Array) -> Array:
    """A convex outline as quads that share its first point.

    points   Px3  float64  P >= 3
    returns  Fx4x3  float64
    """
    first = np.broadcast_to(points[0], (len(points) - 2, 3))
    return np.stack([first, points[1:-1], points[2:], points[2:]], axis=1)
