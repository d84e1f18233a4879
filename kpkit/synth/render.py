"""Paint surfaces: one convex polygon a quad, far to near, twice the size, then averaged down.

Two grids meet here. The final grid has (0, 0) at the centre of its top-left pixel; the painted grid is SUPER times
finer, so that x_painted = (x + 0.5) * SUPER - 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from kpkit.synth.body import Camera
from kpkit.synth.mesh import Mesh

Array = NDArray[np.float64]
U8 = NDArray[np.uint8]

SUPER = 2
_SHIFT = 5  # binary digits of a pixel's fraction handed to OpenCV
_FULL = 200.0  # stored brightness that leaves a colour as it is
_SOFTNESS = 0.007  # reach of the blur of shading in standing heights


@dataclass(frozen=True)
class Light:
    """Where the light comes from, in the camera frame, and how much of it comes from everywhere."""

    direction: tuple[float, float, float] = (-0.45, 0.70, 0.55)
    ambient: float = 0.58
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Sprite:
    """Something painted on a transparent piece of the painted grid.

    bgr   hxwx3  uint8  0 where nothing is painted
    part  hxw    uint8  part id of what is seen, 0 where nothing is painted
    x, y         int    place of its top-left pixel on the painted grid, multiples of SUPER
    """

    bgr: U8
    part: U8
    x: int
    y: int


def to_painted(xy: Array) -> Array:
    """Coordinates on the final grid to coordinates on the painted one.

    xy  ...x2  float64  pixels
    """
    return (xy + 0.5) * SUPER - 0.5


def from_painted(xy: Array) -> Array:
    """Coordinates on the painted grid to coordinates on the final one; inverts `to_painted`."""
    return (xy + 0.5) / SUPER - 0.5


def _levels(normal: Array, light: Light) -> Array:
    """How bright surfaces of these normals are, relative to their colour."""
    sun = np.asarray(light.direction) / np.linalg.norm(light.direction)
    lambert: Array = np.clip(normal @ sun, 0.0, None)
    # Surfaces turned away from the viewer darken, which outlines a limb in front of cloth of the same colour.
    rim: Array = 0.62 + 0.38 * np.clip(normal[:, 2], 0.0, 1.0) ** 0.6
    return (light.ambient + (1.12 - light.ambient) * lambert) * rim


def _inks(colour: Array, level: Array, part: U8) -> tuple[Array, Array]:
    """Quads as rows of colour number, brightness, part; and the colours by number (0 is none)."""
    packed = np.rint(colour).astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    unique, number = np.unique(packed, return_inverse=True)
    palette = np.zeros((256, 3))
    palette[1 : len(unique) + 1] = np.stack([unique >> 16, unique >> 8 & 255, unique & 255], axis=1)
    brightness = np.clip(np.rint(level * _FULL), 1, 255)
    return np.stack([number.reshape(-1) + 1, brightness, part], axis=1), palette


def _smooth(brightness: U8, painted: U8, radius: int) -> U8:
    """Brightness with the facets blurred away, nothing taken from where nothing is painted.

    painted  hxw  uint8  255 where something is
    """
    size = (2 * radius + 1, 2 * radius + 1)
    return np.asarray(cv2.divide(cv2.blur(brightness, size), cv2.blur(painted, size), scale=255.0), dtype=np.uint8)


def paint(mesh: Mesh, camera: Camera, light: Light) -> Sprite:
    """Paint a surface as the camera sees it, whole, whether or not it fits the frame.

    returns  a sprite on the painted grid of `camera`'s pixels
    """
    xy, depth = camera.project(mesh.quads)
    flat = np.stack([xy[..., 0], -xy[..., 1], depth], axis=-1)
    normal = np.cross(flat[:, 2] - flat[:, 0], flat[:, 3] - flat[:, 1])
    length = np.linalg.norm(normal, axis=1)
    seen = np.flatnonzero((normal[:, 2] > 1e-12) & (length > 1e-9))
    seen = seen[np.argsort(depth[seen].mean(axis=1) + camera.scale * mesh.raised[seen], kind="stable")]
    inks, palette = _inks(mesh.colour[seen], _levels(normal[seen] / length[seen, None], light), mesh.part[seen])
    corners = to_painted(xy[seen])
    low = np.floor(corners.min(axis=(0, 1))).astype(int) - 2
    low -= low % SUPER
    high = np.ceil(corners.max(axis=(0, 1))).astype(int) + 3
    width, height = (int(v) + (-int(v)) % SUPER for v in high - low)
    canvas = np.zeros((height, width, 3), dtype=np.uint8)
    points = np.rint((corners - low) * (1 << _SHIFT)).astype(np.int32)
    for polygon, ink in zip(points, inks.tolist(), strict=True):
        cv2.fillConvexPoly(canvas, polygon, ink, cv2.LINE_8, _SHIFT)
    number, brightness, part = (np.asarray(plane, dtype=np.uint8) for plane in cv2.split(canvas))
    painted = np.asarray(cv2.threshold(part, 0, 255, cv2.THRESH_BINARY)[1], dtype=np.uint8)
    brightness = _smooth(brightness, painted, max(1, round(_SOFTNESS * camera.scale * SUPER)))
    tinted = np.clip(palette * np.asarray(light.tint), 0, 255).astype(np.uint8)
    bright = np.asarray(cv2.multiply(tinted[number], cv2.merge([brightness] * 3), scale=1.0 / _FULL), dtype=np.uint8)
    return Sprite(bgr=bright, part=part, x=int(low[0]), y=int(low[1]))


def clip(sprite: Sprite, width: int, height: int) -> Sprite | None:
    """The piece of a sprite inside a frame of `width` x `height` final pixels; None where there is none."""
    x0, y0 = max(sprite.x, 0), max(sprite.y, 0)
    x1 = min(sprite.x + sprite.part.shape[1], width * SUPER)
    y1 = min(sprite.y + sprite.part.shape[0], height * SUPER)
    if x0 >= x1 or y0 >= y1:
        return None
    window = np.s_[y0 - sprite.y : y1 - sprite.y, x0 - sprite.x : x1 - sprite.x]
    return Sprite(bgr=sprite.bgr[window], part=sprite.part[window], x=x0, y=y0)


def coverage(painted: NDArray[np.bool_]) -> U8:
    """How much of each final pixel is painted.

    painted  SUPER*h x SUPER*w  bool
    returns  hxw                uint8  0 to 255
    """
    size = (painted.shape[1] // SUPER, painted.shape[0] // SUPER)
    return np.asarray(cv2.resize(painted.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def blend(image: U8, sprite: Sprite) -> None:
    """Lay a sprite over an image in place, anti-aliased by averaging.

    image   HxWx3  uint8  BGR, changed
    sprite  clipped to the frame of `image`
    """
    x, y = sprite.x // SUPER, sprite.y // SUPER
    height, width = sprite.part.shape[0] // SUPER, sprite.part.shape[1] // SUPER
    under = image[y : y + height, x : x + width]
    alpha = coverage(sprite.part > 0)
    ink = cv2.resize(sprite.bgr, (width, height), interpolation=cv2.INTER_AREA)
    keep = cv2.merge([255 - alpha] * 3)
    image[y : y + height, x : x + width] = cv2.add(cv2.multiply(under, keep, scale=1 / 255), ink)


def painted_box(sprite: Sprite, without: int) -> Array:
    """The hull of what a sprite shows, except one part.

    without  part id left out
    returns  4  float64  x, y, w, h in final pixels, from pixel edge to pixel edge
    """
    shown = (sprite.part > 0) & (sprite.part != without)
    columns, rows = np.flatnonzero(shown.any(axis=0)), np.flatnonzero(shown.any(axis=1))
    low = np.array([columns[0] + sprite.x, rows[0] + sprite.y], dtype=np.float64) - 0.5
    high = np.array([columns[-1] + sprite.x, rows[-1] + sprite.y], dtype=np.float64) + 0.5
    low, high = from_painted(low), from_painted(high)
    return np.concatenate([low, high - low])
