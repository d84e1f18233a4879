"""Backgrounds, each with a floor below a horizon: a meadow, a street, a beach, a room, a tiled hall, a hedge."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
U8 = NDArray[np.uint8]
Rng = np.random.Generator


def _ink(colour: Array | tuple[float, ...]) -> list[float]:
    return [float(c) for c in np.clip(np.asarray(colour, dtype=np.float64), 0, 255)]


def _near(rng: Rng, colour: tuple[float, float, float], spread: float = 14.0) -> Array:
    return np.clip(np.asarray(colour) + rng.uniform(-spread, spread) + rng.uniform(-spread / 2, spread / 2, 3), 0, 255)


def _gradient(image: U8, y0: int, y1: int, top: Array, bottom: Array) -> None:
    steps = np.linspace(0.0, 1.0, max(y1 - y0, 1))[:, None, None]
    image[y0:y1] = np.clip(np.rint(top + (bottom - top) * steps), 0, 255).astype(np.uint8)[: y1 - y0]


def _speckle(rng: Rng, image: U8, y0: int, y1: int, cell: float, strength: float) -> None:
    """Soft grey noise over a band of rows; a cell is the size of its spots in pixels."""
    if y1 <= y0:
        return
    width = image.shape[1]
    small = rng.integers(0, 256, (max(2, int((y1 - y0) / cell)), max(2, int(width / cell))), dtype=np.uint8)
    noise = cv2.resize(small, (width, y1 - y0), interpolation=cv2.INTER_CUBIC)
    image[y0:y1] = cv2.addWeighted(image[y0:y1], 1.0, cv2.merge([noise] * 3), strength, -127.5 * strength)


def _blob(rng: Rng, image: U8, centre: tuple[float, float], radius: float, colour: Array, leaves: int) -> None:
    for _ in range(leaves):
        angle, reach = rng.uniform(0, 2 * np.pi), radius * rng.uniform(0, 0.8)
        x, y = centre[0] + reach * np.cos(angle), centre[1] + reach * np.sin(angle) * 0.85
        tone = colour + rng.uniform(-16, 16) - 22.0 * np.sin(angle) * reach / radius
        cv2.circle(
            image, (int(x * 16), int(y * 16)), int(radius * rng.uniform(0.25, 0.5) * 16), _ink(tone), -1, cv2.LINE_AA, 4
        )


def _tree(rng: Rng, image: U8, x: float, foot: float, tall: float) -> None:
    trunk = _near(rng, (54, 78, 104))
    half = tall * 0.045
    cv2.rectangle(
        image, (int(x - half), int(foot - tall * 0.55)), (int(x + half), int(foot)), _ink(trunk), -1, cv2.LINE_AA
    )
    crown = _near(rng, (62, 124, 84), 24)
    _blob(rng, image, (x, foot - tall * 0.72), tall * 0.34, crown, 14)


def _clouds(rng: Rng, image: U8, horizon: int) -> None:
    for _ in range(int(rng.integers(0, 5))):
        x, y, size = rng.uniform(0, image.shape[1]), rng.uniform(0.1, 0.6) * horizon, rng.uniform(12, 34)
        for _ in range(5):
            dx, dy = rng.uniform(-1.6, 1.6) * size, rng.uniform(-0.25, 0.25) * size
            axes = (int(size * rng.uniform(0.6, 1.2)), int(size * rng.uniform(0.3, 0.5)))
            cv2.ellipse(image, (int(x + dx), int(y + dy)), axes, 0, 0, 360, _ink((250, 247, 244)), -1, cv2.LINE_AA)


def _hills(rng: Rng, image: U8, horizon: int, colour: Array, height: float) -> None:
    xs = np.linspace(0, image.shape[1], 40)
    wave = sum(rng.uniform(0.3, 1) * np.sin(xs / rng.uniform(40, 140) + rng.uniform(0, 6)) for _ in range(3))
    ys = horizon - height * (0.55 + 0.25 * np.asarray(wave))
    outline = np.concatenate([np.stack([xs, ys], 1), [[image.shape[1], horizon + 2], [0, horizon + 2]]])
    cv2.fillPoly(image, [np.rint(outline * 16).astype(np.int32)], _ink(colour), cv2.LINE_AA, 4)


def _sky(rng: Rng, image: U8, horizon: int) -> None:
    tops = ((222, 166, 98), (205, 186, 160), (190, 150, 120), (120, 150, 235))
    top = _near(rng, tops[int(rng.integers(0, len(tops)))])
    _gradient(image, 0, horizon, top, top * 0.35 + np.array([236, 232, 228]) * 0.65)
    _clouds(rng, image, horizon)


def _meadow(rng: Rng, image: U8, horizon: int) -> None:
    _sky(rng, image, horizon)
    _hills(rng, image, horizon, _near(rng, (140, 150, 112)), horizon * rng.uniform(0.15, 0.4))
    _hills(rng, image, horizon, _near(rng, (96, 140, 96)), horizon * rng.uniform(0.05, 0.2))
    grass = _near(rng, (70, 150, 104), 20)
    _gradient(image, horizon, image.shape[0], grass * 0.85 + 30, grass * 0.85)
    for _ in range(int(rng.integers(2, 7))):
        tall = rng.uniform(0.2, 0.5) * horizon
        _tree(rng, image, rng.uniform(0, image.shape[1]), horizon + tall * 0.08, tall)
    _speckle(rng, image, horizon, image.shape[0], 4, 0.09)


def _beach(rng: Rng, image: U8, horizon: int) -> None:
    _sky(rng, image, horizon)
    water = _near(rng, (170, 140, 66))
    shore = horizon + int(0.12 * (image.shape[0] - horizon))
    _gradient(image, horizon, shore, water, water * 0.7 + 70)
    sand = _near(rng, (160, 205, 228))
    _gradient(image, shore, image.shape[0], sand, sand * 0.86)
    cv2.line(image, (0, shore), (image.shape[1], shore + int(rng.integers(-4, 5))), (245, 245, 240), 3, cv2.LINE_AA)
    _speckle(rng, image, shore, image.shape[0], 3, 0.08)


def _street(rng: Rng, image: U8, horizon: int) -> None:
    _sky(rng, image, horizon)
    x = -int(rng.integers(0, 40))
    while x < image.shape[1]:
        width, tall = int(rng.integers(60, 150)), int(horizon * rng.uniform(0.45, 0.98))
        wall = _near(rng, ((150, 170, 190), (120, 140, 176), (170, 176, 182), (130, 150, 150))[int(rng.integers(0, 4))])
        cv2.rectangle(image, (x, horizon - tall), (x + width, horizon), _ink(wall), -1)
        glass = wall * 0.55 if rng.uniform() < 0.7 else np.array([170.0, 220.0, 240.0])
        step = int(rng.integers(18, 28))
        for wy in range(horizon - tall + 10, horizon - 24, step):
            for wx in range(x + 8, x + width - 12, step - 2):
                cv2.rectangle(image, (wx, wy), (wx + step // 2 - 2, wy + step // 2 + 2), _ink(glass), -1)
        x += width + int(rng.integers(0, 6))
    road = _near(rng, (140, 140, 142))
    _gradient(image, horizon, image.shape[0], road * 1.05, road * 0.85)
    kerb = horizon + int(0.14 * (image.shape[0] - horizon))
    image[horizon:kerb] = cv2.convertScaleAbs(image[horizon:kerb], alpha=1.0, beta=26.0)
    cv2.line(image, (0, kerb), (image.shape[1], kerb), _ink(road * 0.6), 2, cv2.LINE_AA)
    _speckle(rng, image, horizon, image.shape[0], 3, 0.06)


def _floor_lines(image: U8, horizon: int, colour: Array, centre: float, gap: float, rows: bool) -> None:
    height, width = image.shape[:2]
    drop = height - horizon
    for k in range(-40, 41):
        x = centre + k * gap
        cv2.line(image, (int(centre + k * gap * 0.30), horizon), (int(x), height + 1), _ink(colour), 1, cv2.LINE_AA)
    if rows:
        for k in range(1, 24):
            y = horizon + drop * ((k / 24) ** 1.7)
            cv2.line(image, (0, int(y)), (width, int(y)), _ink(colour), 1, cv2.LINE_AA)


def _room(rng: Rng, image: U8, horizon: int) -> None:
    height, width = image.shape[:2]
    wall = _near(
        rng,
        ((196, 214, 226), (206, 204, 196), (176, 196, 176), (196, 176, 172), (160, 190, 222))[int(rng.integers(0, 5))],
    )
    _gradient(image, 0, horizon, wall, wall * 0.93)
    if rng.uniform() < 0.4:
        for x in range(int(rng.integers(0, 30)), width, int(rng.integers(26, 50))):
            cv2.line(image, (x, 0), (x, horizon), _ink(wall * 0.95), int(rng.integers(2, 10)), cv2.LINE_AA)
    third = width // 3
    for slot in rng.permutation(3)[: int(rng.integers(1, 4))]:
        _frame(rng, image[:horizon, slot * third : (slot + 1) * third])
    wood = _near(rng, ((96, 140, 186), (70, 104, 148), (150, 160, 168), (120, 150, 176))[int(rng.integers(0, 4))])
    _gradient(image, horizon, height, wood * 0.92, wood * 1.04)
    _floor_lines(image, horizon, wood * 0.82, rng.uniform(0.3, 0.7) * width, rng.uniform(60, 130), False)
    cv2.rectangle(image, (0, horizon - 9), (width, horizon), _ink(np.minimum(wall + 26, 250)), -1)
    cv2.line(image, (0, horizon), (width, horizon), _ink(wood * 0.55), 2)


def _frame(rng: Rng, image: U8) -> None:
    """A window or a picture on the wall."""
    height, width = image.shape[:2]
    w, h = int(rng.uniform(0.3, 0.6) * width), int(rng.uniform(0.3, 0.55) * height)
    x, y = int(rng.uniform(0.05, 0.3) * width), int(rng.uniform(0.08, 0.3) * height)
    cv2.rectangle(image, (x - 5, y - 5), (x + w + 5, y + h + 5), _ink(_near(rng, (90, 120, 150), 60)), -1, cv2.LINE_AA)
    if rng.uniform() < 0.5:
        _gradient(image[:, x : x + w], y, y + h, np.array([230.0, 190, 140]), np.array([245.0, 235, 225]))
        cv2.line(image, (x + w // 2, y), (x + w // 2, y + h), (240, 240, 240), 4)
        cv2.line(image, (x, y + h // 2), (x + w, y + h // 2), (240, 240, 240), 4)
        return
    cv2.rectangle(image, (x, y), (x + w, y + h), _ink(_near(rng, (200, 205, 210), 30)), -1)
    view = image[y : y + h, x : x + w]
    for _ in range(3):
        spot = (int(rng.uniform(0.2, 0.8) * w), int(rng.uniform(0.2, 0.8) * h))
        cv2.circle(view, spot, int(rng.uniform(6, 24)), _ink(rng.uniform(40, 230, 3)), -1, cv2.LINE_AA)


def _hall(rng: Rng, image: U8, horizon: int) -> None:
    height, width = image.shape[:2]
    tile = _near(rng, ((214, 208, 190), (190, 190, 196), (206, 190, 150), (200, 214, 224))[int(rng.integers(0, 4))])
    _gradient(image, 0, horizon, tile * 0.96, tile)
    side = int(rng.integers(18, 44))
    for x in range(int(rng.integers(0, side)), width, side):
        cv2.line(image, (x, 0), (x, horizon), _ink(tile * 0.88), 1)
    for y in range(horizon, 0, -side):
        cv2.line(image, (0, y), (width, y), _ink(tile * 0.88), 1)
    band = horizon - side * int(rng.integers(1, 4))
    cv2.rectangle(image, (0, band - side // 2), (width, band), _ink(_near(rng, (150, 120, 90), 60)), -1)
    floor = _near(rng, (150, 152, 156), 30)
    _gradient(image, horizon, height, floor * 0.9, floor * 1.08)
    _floor_lines(image, horizon, floor * 0.84, rng.uniform(0.3, 0.7) * width, rng.uniform(50, 110), True)


def _leaves(rng: Rng, image: U8, horizon: int) -> None:
    green = _near(rng, (58, 104, 76), 22)
    _gradient(image, 0, horizon, green * 1.1, green * 0.8)
    _speckle(rng, image, 0, horizon, 22, 0.20)
    for _ in range(70):
        spot = (rng.uniform(0, image.shape[1]), rng.uniform(0, horizon))
        tone = green * rng.uniform(0.7, 1.4) + rng.uniform(-8, 8, 3)
        axes = (int(rng.uniform(6, 22)), int(rng.uniform(4, 9)))
        cv2.ellipse(image, (int(spot[0]), int(spot[1])), axes, rng.uniform(0, 180), 0, 360, _ink(tone), -1, cv2.LINE_AA)
    earth = _near(rng, (104, 146, 170), 20)
    _gradient(image, horizon, image.shape[0], earth * 0.9, earth * 1.05)
    _speckle(rng, image, horizon, image.shape[0], 5, 0.10)


BACKDROPS: dict[str, Callable[[Rng, U8, int], None]] = {
    "meadow": _meadow,
    "beach": _beach,
    "street": _street,
    "room": _room,
    "hall": _hall,
    "leaves": _leaves,
}


def paint_backdrop(rng: Rng, width: int, height: int, horizon: int) -> U8:
    """Draw one background.

    horizon  the row where the floor begins
    returns  height x width x 3  uint8  BGR
    """
    image = np.empty((height, width, 3), dtype=np.uint8)
    names = list(BACKDROPS)
    BACKDROPS[names[int(rng.integers(0, len(names)))]](rng, image, horizon)
    return image
