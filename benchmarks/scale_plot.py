"""A picture of time over persons, both as logarithms, with a line of slope one to compare with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 1160, 640
LEFT, RIGHT, TOP, BOTTOM = 80, 420, 30, 70
COLOURS = ((180, 90, 20), (30, 120, 220), (60, 150, 60), (160, 60, 160), (40, 40, 200))
INK, GRID, FONT = (40, 40, 40), (225, 225, 225), cv2.FONT_HERSHEY_SIMPLEX

Point = tuple[str, int, int, float]


class Axes:
    """Whole decades around the points, and where a value stands in the picture."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        self.x, self.y = _decades(xs), _decades(ys)

    def at(self, x: float, y: float) -> tuple[int, int]:
        """The pixel of a pair of values."""
        across = (math.log10(x) - self.x[0]) / (self.x[1] - self.x[0])
        up = (math.log10(y) - self.y[0]) / (self.y[1] - self.y[0])
        return round(LEFT + across * (WIDTH - LEFT - RIGHT)), round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM))


def _decades(values: Sequence[float]) -> tuple[int, int]:
    first = math.floor(math.log10(min(values)))
    return first, max(math.ceil(math.log10(max(values))), first + 1)


def draw(points: Sequence[Point], path: Path) -> None:
    """Write a PNG.

    points  job, persons, workers, seconds
    """
    picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    axes = Axes([persons for _, persons, _, _ in points], [seconds for *_, seconds in points])
    _grid(picture, axes)
    jobs = list(dict.fromkeys(job for job, *_ in points))
    workers = sorted({count for _, _, count, _ in points})
    line = 0
    for job, colour in zip(jobs, COLOURS, strict=False):
        for count in workers:
            some = sorted((p, s) for j, p, w, s in points if (j, w) == (job, count))
            if some:
                _curve(picture, [axes.at(*one) for one in some], colour, workers.index(count))
                _legend(picture, line, f"{job}, {count}", colour, workers.index(count))
                line += 1
    _slope_one(picture, axes)
    cv2.imwrite(str(path), picture)


def _grid(picture: NDArray[np.uint8], axes: Axes) -> None:
    for decade in range(axes.x[0], axes.x[1] + 1):
        x, y = axes.at(10.0**decade, 10.0 ** axes.y[0])
        cv2.line(picture, (x, y), (x, TOP), GRID, 1)
        _text(picture, f"{10**decade:,}", (x - 25, y + 22))
    for decade in range(axes.y[0], axes.y[1] + 1):
        x, y = axes.at(10.0 ** axes.x[0], 10.0**decade)
        cv2.line(picture, (x, y), (WIDTH - RIGHT, y), GRID, 1)
        _text(picture, f"{10.0**decade:g} s", (8, y + 5))
    _text(picture, "persons", ((LEFT + WIDTH - RIGHT) // 2 - 30, HEIGHT - 18))


def _curve(picture: NDArray[np.uint8], places: Sequence[tuple[int, int]], colour: tuple[int, ...], marker: int) -> None:
    cv2.polylines(picture, [np.array(places, np.int32)], False, colour, 2, cv2.LINE_AA)
    for place in places:
        _mark(picture, place, colour, marker)


def _mark(picture: NDArray[np.uint8], place: tuple[int, int], colour: tuple[int, ...], marker: int) -> None:
    if marker == 0:
        cv2.circle(picture, place, 5, colour, -1, cv2.LINE_AA)
    else:
        kind = (cv2.MARKER_SQUARE, cv2.MARKER_TRIANGLE_UP, cv2.MARKER_DIAMOND)[(marker - 1) % 3]
        cv2.drawMarker(picture, place, colour, kind, 12, 2, cv2.LINE_AA)


def _legend(picture: NDArray[np.uint8], line: int, text: str, colour: tuple[int, ...], marker: int) -> None:
    y = TOP + 20 + 24 * line
    cv2.line(picture, (WIDTH - RIGHT + 20, y), (WIDTH - RIGHT + 50, y), colour, 2, cv2.LINE_AA)
    _mark(picture, (WIDTH - RIGHT + 35, y), colour, marker)
    _text(picture, text + (" worker" if text.endswith(" 1") else " workers"), (WIDTH - RIGHT + 60, y + 5))


def _slope_one(picture: NDArray[np.uint8], axes: Axes) -> None:
    """A grey line along which ten times the persons take ten times the time."""
    decades = min(axes.x[1] - axes.x[0], axes.y[1] - axes.y[0])
    ends = (
        axes.at(10.0 ** (axes.x[1] - decades), 10.0 ** axes.y[0]),
        axes.at(10.0 ** axes.x[1], 10.0 ** (axes.y[0] + decades)),
    )
    cv2.line(picture, *ends, (150, 150, 150), 1, cv2.LINE_AA)
    _text(picture, "slope 1", (ends[1][0] - 60, ends[1][1] + 40))


def _text(picture: NDArray[np.uint8], text: str, place: tuple[int, int]) -> None:
    cv2.putText(picture, text, place, FONT, 0.42, INK, 1, cv2.LINE_AA)
