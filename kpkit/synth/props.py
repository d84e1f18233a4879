"""Things that stand in front of people: a crate, a bench, a plant in a pot, a pole, a bollard."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kpkit.synth.body import rotate
from kpkit.synth.mesh import Mesh, capsule, cuboid, ellipsoid, join, make, tube

Array = NDArray[np.float64]
Rng = np.random.Generator
PROP_PART = 1


def _tone(rng: Rng, *palette: tuple[float, float, float]) -> Array:
    colour = np.asarray(palette[int(rng.integers(0, len(palette)))], dtype=np.float64)
    return np.clip(colour + rng.uniform(-12, 12, 3), 10, 245)


def _crate(rng: Rng) -> Mesh:
    wide, tall, deep = rng.uniform(0.12, 0.24), rng.uniform(0.12, 0.26), rng.uniform(0.12, 0.2)
    colour = _tone(rng, (96, 148, 196), (70, 110, 160), (120, 120, 126), (170, 110, 70))
    frame, pieces = np.eye(3), []
    for level in range(3):
        half = np.array([wide, tall / 3 - 0.006, deep])
        pieces.append(make(cuboid(np.array([0, tall / 3 * (2 * level + 1), 0]), frame, half), colour, PROP_PART))
    pieces.append(
        make(
            cuboid(np.array([0, tall, 0]), frame, (wide * 0.97, tall * 0.97, deep * 0.97)),
            colour * 0.6,
            PROP_PART,
            -0.02,
        )
    )
    return join(pieces)


def _bench(rng: Rng) -> Mesh:
    colour, half = _tone(rng, (70, 110, 156), (60, 90, 120), (80, 110, 70)), rng.uniform(0.35, 0.6)
    frame, steel = np.eye(3), np.array([70.0, 68, 66])
    pieces = [
        make(cuboid(np.array([0, 0.26, f]), frame, (half, 0.012, 0.035)), colour, PROP_PART) for f in (-0.09, 0, 0.09)
    ]
    for x in (-0.8 * half, 0.8 * half):
        for f in (-0.09, 0.09):
            pieces.append(make(cuboid(np.array([x, 0.125, f]), frame, (0.014, 0.125, 0.014)), steel, PROP_PART))
    return join(pieces)


def _plant(rng: Rng) -> Mesh:
    pot = _tone(rng, (60, 96, 176), (190, 190, 186), (90, 90, 96))
    tall, radius = rng.uniform(0.12, 0.18), rng.uniform(0.08, 0.11)
    up = np.array([0.0, 0.001, 0.002, 1, 1.001]) * tall
    centres = np.stack([np.zeros(5), up, np.zeros(5)], 1)
    size = np.array([0.001, 0.7, 0.7, 1.0, 0.001]) * radius
    axes = np.eye(3)
    pieces = [make(tube(centres, axes[0], axes[2], size, size, 14), pot, PROP_PART)]
    green = _tone(rng, (60, 140, 76), (80, 160, 110), (52, 104, 60))
    for _ in range(int(rng.integers(10, 17))):
        turn, droop = rotate("u", float(rng.uniform(0, 360))), rotate("a", float(rng.uniform(8, 62)))
        frame, length = turn @ droop, rng.uniform(0.10, 0.2)
        leaf = ellipsoid(np.array([0, tall, 0]) + frame[:, 1] * length, frame, (0.028, length, 0.008), 8, 6)
        pieces.append(make(leaf, green * rng.uniform(0.75, 1.2), PROP_PART))
    return join(pieces)


def _pole(rng: Rng) -> Mesh:
    radius = rng.uniform(0.022, 0.04)
    colour = _tone(rng, (110, 110, 112), (70, 90, 100), (80, 120, 150))
    quads, along = capsule(np.zeros(3), np.array([0, 1.9, 0]), np.full(12, radius), 14, 1)
    bands = np.where((np.floor(along * 9) % 2 == 0)[:, None], colour, np.array([225.0, 225, 225]))
    return make(quads, bands if rng.uniform() < 0.3 else colour, PROP_PART)


def _bollard(rng: Rng) -> Mesh:
    tall, radius = rng.uniform(0.24, 0.42), rng.uniform(0.05, 0.08)
    colour = _tone(rng, (60, 170, 235), (70, 70, 200), (120, 120, 120))
    quads, along = capsule(np.zeros(3), np.array([0, tall, 0]), np.full(9, radius), 16)
    return make(quads, np.where((along > 0.6)[:, None] & (along < 0.8)[:, None], 235.0, colour), PROP_PART)


PROPS: dict[str, Callable[[Rng], Mesh]] = {
    "crate": _crate,
    "bench": _bench,
    "plant": _plant,
    "pole": _pole,
    "bollard": _bollard,
}


def sample_prop(rng: Rng) -> Mesh:
    """Draw one thing, standing on the origin, lengths in standing heights."""
    names = list(PROPS)
    return PROPS[names[int(rng.integers(0, len(names)))]](rng)
