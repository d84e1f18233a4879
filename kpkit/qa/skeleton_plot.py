"""A picture of a skeleton: its joints on a person who faces you, each with index and name, edges coloured by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kpkit.core.skeleton import Skeleton
from kpkit.qa.body import known_place
from kpkit.qa.draw import legend_strip
from kpkit.qa.ink import (
    DARK,
    GREY,
    PAPER,
    SIDE_COLOURS,
    Image,
    capsule,
    disc,
    edge_side,
    joint_sides,
    shorten,
    text_size,
    write,
)

Array = npt.NDArray[np.float64]

_BODY, _TOP, _MARGIN = 600.0, 92.0, 18
_WIDTH, _COLUMN, _GAP = 940, 250.0, 23.0  # label columns begin this far from the middle; labels this far apart
_TEXT, _SMALL = 0.45, 0.40
_CELL, _ROWS = 20, 34


@dataclass(frozen=True)
class _Layout:
    """Where the joints go.

    places  index -> x, y in pixels of those drawn on the figure
    others  indices of those only listed
    body    whether the places are those of a body
    """

    places: dict[int, Array]
    others: list[int]
    body: bool


def plot_skeleton(skeleton: Skeleton) -> Image:
    """Draw a skeleton in a neutral pose, facing the viewer, its joints named.

    Joints whose names say where they are go on the figure; a skeleton of none such goes on a ring; what is left over
    (the points of a face, of a hand) is listed beside the figure.

    returns  HxWx3  uint8  BGR
    """
    layout = _arrange(skeleton)
    listed = -(-len(layout.others) // _ROWS)
    width = _WIDTH + listed * _list_width(skeleton, layout.others)
    strip = legend_strip(width, marks=False)
    image = np.full((int(_TOP + _BODY + 56) + len(strip), width, 3), PAPER, dtype=np.uint8)
    _heading(image, skeleton)
    sides = joint_sides(skeleton)
    labels = _labels(skeleton, layout.places)
    for index, (_, _, y, anchor) in labels.items():
        capsule(image, layout.places[index], (anchor, y), 1.0, (205, 200, 196))
    drawn = _edges(image, skeleton, sides, layout.places)
    for index, place in layout.places.items():
        disc(image, place, 7.4, DARK)
        disc(image, place, 6.2, SIDE_COLOURS[sides[index]])
    for text, x, y, _ in labels.values():
        write(image, text, x, y + 5, _TEXT, DARK)
    _list(image, skeleton, sides, layout.others)
    _footnote(image, len(strip), layout.body, len(skeleton.edges) - drawn)
    image[-len(strip) :] = strip
    return image


def _arrange(skeleton: Skeleton) -> _Layout:
    places: dict[int, Array] = {}
    taken: set[tuple[float, float]] = set()
    for index, name in enumerate(skeleton.keypoints):
        place = known_place(name)
        if place is not None and place not in taken:
            taken.add(place)
            places[index] = np.array([_WIDTH / 2 + place[0] * _BODY, _TOP + place[1] * _BODY])
    others = [index for index in range(len(skeleton.keypoints)) if index not in places]
    if places or len(others) > 2 * int(_BODY / _GAP):
        return _Layout(places, others, body=bool(places))
    turn = 2 * np.pi * (np.arange(len(others)) + 0.5) / max(len(others), 1)
    ring = np.stack([_WIDTH / 2 + 200 * np.sin(turn), _TOP + _BODY / 2 - 270 * np.cos(turn)], axis=1)
    return _Layout(dict(zip(others, ring, strict=True)), [], body=False)


def _label(skeleton: Skeleton, index: int) -> str:
    return f"{index}  {skeleton.keypoints[index]}"


def _labels(skeleton: Skeleton, places: dict[int, Array]) -> dict[int, tuple[str, float, float, float]]:
    """Where each label goes: two columns beside the figure, apart enough that no two touch.

    returns  index -> text, x of its left end, y of its middle, x where the line from the joint ends
    """
    columns: dict[str, list[int]] = {"left": [], "right": []}
    middle = _WIDTH / 2
    for index in sorted(places, key=lambda i: (abs(places[i][0] - middle) < 1, places[i][1])):
        offset = places[index][0] - middle
        if abs(offset) < 1:
            column = min(columns, key=lambda key: len(columns[key]))
        else:
            column = "right" if offset > 0 else "left"
        columns[column].append(index)
    found: dict[int, tuple[str, float, float, float]] = {}
    room = _WIDTH / 2 - _COLUMN - _MARGIN
    for column, indices in columns.items():
        indices.sort(key=lambda i: (places[i][1], abs(places[i][0] - middle)))
        heights = _spaced(np.array([places[i][1] for i in indices]))
        for index, y in zip(indices, heights.tolist(), strict=True):
            text = shorten(_label(skeleton, index), _TEXT, room)
            if column == "right":
                found[index] = (text, middle + _COLUMN, y, middle + _COLUMN - 6)
            else:
                found[index] = (text, middle - _COLUMN - text_size(text, _TEXT)[0], y, middle - _COLUMN + 6)
    return found


def _spaced(wanted: Array) -> Array:
    """Heights in the same order, at least _GAP apart and as near the wanted ones as one pass down and one up get."""
    heights = wanted.copy()
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + _GAP)
    lowest = _TOP + _BODY + 8
    for i in range(len(heights) - 1, -1, -1):
        heights[i] = min(heights[i], lowest)
        lowest = heights[i] - _GAP
    # What was pushed down goes back up half-way where there is room, so that a cluster spreads to both sides.
    for i in range(len(heights)):
        above = heights[i - 1] + _GAP if i else _TOP - 24
        heights[i] = max(above, min(heights[i], 0.5 * (heights[i] + wanted[i])))
    return heights


def _edges(image: Image, skeleton: Skeleton, sides: list[str], places: dict[int, Array]) -> int:
    """Draw the edges between joints on the figure; returns how many."""
    lines = [(a, b) for a, b in skeleton.edges if a in places and b in places]
    for a, b in lines:
        capsule(image, places[a], places[b], 7.0, DARK)
    for a, b in lines:
        capsule(image, places[a], places[b], 5.0, SIDE_COLOURS[edge_side(sides[a], sides[b])])
    return len(lines)


def _list_width(skeleton: Skeleton, others: list[int]) -> int:
    return 48 + max((text_size(_label(skeleton, index), _SMALL)[0] for index in others), default=0)


def _list(image: Image, skeleton: Skeleton, sides: list[str], others: list[int]) -> None:
    wide = _list_width(skeleton, others)
    for number, index in enumerate(others):
        x = _WIDTH + number // _ROWS * wide
        y = _TOP - 24 + number % _ROWS * _CELL
        disc(image, (x + 8, y), 5.2, DARK)
        disc(image, (x + 8, y), 4.2, SIDE_COLOURS[sides[index]])
        write(image, _label(skeleton, index), x + 22, y + 5, _SMALL, DARK)


def _heading(image: Image, skeleton: Skeleton) -> None:
    write(image, shorten(skeleton.name, 0.75, image.shape[1] - 2 * _MARGIN), _MARGIN, 34, 0.75, DARK)
    counts = (len(skeleton.keypoints), len(skeleton.flip_pairs), len(skeleton.edges))
    write(image, "{} joints, {} flip pairs, {} edges".format(*counts), _MARGIN, 56, _SMALL, GREY)


def _footnote(image: Image, strip: int, body: bool, undrawn: int) -> None:
    text = "Facing you: the person's left is on the right." if body else ""
    if undrawn:
        text += f" {undrawn} edges between joints that are only listed are not drawn."
    text = shorten(text.strip(), _SMALL, image.shape[1] - 2 * _MARGIN)
    write(image, text, _MARGIN, image.shape[0] - strip - 12, _SMALL, GREY)
