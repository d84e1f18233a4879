"""The strokes that pictures of keypoints are made of: hues by side of the body, capsules, discs, rings, crosses, text.

All coordinates are in pixels, (0, 0) the centre of the top-left pixel, and need not be whole. Every function draws
into the image it is given.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from kpkit.core.joint_names import side_of
from kpkit.core.skeleton import Skeleton

Image = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

# BGR. Blue, vermilion and yellow stay apart under every common colour blindness (after Okabe and Ito), also in grey.
SIDE_COLOURS: dict[str, Colour] = {"left": (250, 168, 40), "right": (16, 72, 222), "centre": (40, 225, 255)}
DARK: Colour = (30, 26, 24)
PAPER: Colour = (250, 249, 248)
PANEL: Colour = (236, 233, 230)
GREY: Colour = (110, 104, 100)

_SHIFT = 4
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def joint_sides(skeleton: Skeleton) -> list[str]:
    """The side of every joint: "left", "right" or "centre"; by its name, else by its place in a flip pair."""
    paired = {joint: side for pair in skeleton.flip_pairs for joint, side in zip(pair, ("left", "right"), strict=True)}
    sides = []
    for index, name in enumerate(skeleton.keypoints):
        named = side_of(name)
        sides.append(named[0] if named is not None else paired.get(index, "centre"))
    return sides


def edge_side(first: str, second: str) -> str:
    """The side of a limb: that of its ends where they agree or one is central, else "centre"."""
    ends = {first, second} - {"centre"}
    return ends.pop() if len(ends) == 1 else "centre"


def _fixed(points: npt.ArrayLike) -> npt.NDArray[np.int32]:
    # Far outside the image OpenCV's fixed-point coordinates would overflow.
    clamped = np.clip(np.asarray(points, dtype=np.float64), -3e4, 3e4)
    return np.rint(clamped * (1 << _SHIFT)).astype(np.int32)


def capsule(image: Image, start: npt.ArrayLike, end: npt.ArrayLike, width: float, colour: Colour) -> None:
    """A line of any width with round ends."""
    a, b = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    along = b - a
    length = float(np.hypot(*along))
    normal = np.array([-along[1], along[0]]) / length if length > 1e-6 else np.array([0.0, 1.0])
    turn = np.linspace(0.0, np.pi, 7)[:, None]
    forward = np.array([normal[1], -normal[0]])
    half = 0.5 * width
    cap_b = b + half * (np.cos(turn) * normal + np.sin(turn) * forward)
    cap_a = a - half * (np.cos(turn) * normal + np.sin(turn) * forward)
    cv2.fillConvexPoly(image, _fixed(np.concatenate([cap_b, cap_a])), colour, cv2.LINE_AA, _SHIFT)


def disc(image: Image, centre: npt.ArrayLike, radius: float, colour: Colour) -> None:
    """A filled circle."""
    x, y = _fixed(centre).tolist()
    cv2.circle(image, (x, y), max(1, round(radius * (1 << _SHIFT))), colour, -1, cv2.LINE_AA, _SHIFT)


def ring(image: Image, centre: npt.ArrayLike, radius: float, width: float, colour: Colour, halo: Colour) -> None:
    """A circle that leaves what it encloses as it was, between two thin lines of `halo`."""
    x0, y0 = np.floor(np.asarray(centre, dtype=np.float64) - radius - 3).astype(int)
    side = int(2 * radius + 8)
    x1, y1 = min(x0 + side, image.shape[1]), min(y0 + side, image.shape[0])
    x0, y0 = max(int(x0), 0), max(int(y0), 0)
    if x0 >= x1 or y0 >= y1:
        return
    inside = image[y0:y1, x0:x1].astype(np.float32)
    patch = image[y0:y1, x0:x1]
    middle = np.asarray(centre, dtype=np.float64) - (x0, y0)
    disc(patch, middle, radius + 0.8, halo)
    disc(patch, middle, radius, colour)
    disc(patch, middle, radius - width, halo)
    hole: Image = np.zeros(patch.shape[:2], dtype=np.uint8)
    cv2.circle(hole, _fixed(middle).tolist(), max(1, round((radius - width - 0.7) * 16)), 255, -1, cv2.LINE_AA, _SHIFT)
    share = (hole.astype(np.float32) / 255.0)[..., None]
    patch[:] = np.rint(patch * (1 - share) + inside * share).astype(np.uint8)


def cross(image: Image, centre: npt.ArrayLike, radius: float, width: float, colour: Colour, halo: Colour) -> None:
    """An X with a thin line of `halo` around it."""
    middle = np.asarray(centre, dtype=np.float64)
    arm = radius * 0.72 * np.array([[1.0, 1.0], [1.0, -1.0]])
    for thick, ink in ((width + 2.0, halo), (width, colour)):
        for diagonal in arm:
            capsule(image, middle - diagonal, middle + diagonal, thick, ink)


def text_size(text: str, scale: float) -> tuple[int, int, int]:
    """Width, height above and depth below the base line of a text in pixels."""
    (width, height), base = cv2.getTextSize(text, _FONT, scale, 1)
    return int(width), int(height), int(base)


def write(
    image: Image, text: str, x: float, y: float, scale: float, colour: Colour, halo: Colour | None = None
) -> None:
    """Text with its base line's left end at (x, y), with an outline of `halo` where one is given."""
    place = (round(x), round(y))
    if halo is not None:
        for dx, dy in ((-1, -1), (-1, 1), (1, -1), (1, 1), (0, 1), (0, -1), (1, 0), (-1, 0)):
            cv2.putText(image, text, (place[0] + dx, place[1] + dy), _FONT, scale, halo, 1, cv2.LINE_AA)
    cv2.putText(image, text, place, _FONT, scale, colour, 1, cv2.LINE_AA)


def shorten(text: str, scale: float, width: float) -> str:
    """The text, cut in its middle where it is wider than `width` pixels."""
    if text_size(text, scale)[0] <= width:
        return text
    for keep in range(len(text) - 1, 1, -1):
        cut = text[: (keep + 1) // 2] + "..." + text[len(text) - keep // 2 :]
        if text_size(cut, scale)[0] <= width:
            return cut
    return text[:1]
