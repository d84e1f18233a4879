"""Puts the peaks of heatmaps together to persons, along part affinity fields (Cao et al. 2017, section 2.4)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kpkit.targets import decoders

Array = NDArray[Any]

# Points along a limb at which the field is read, the least agreement there, and the least share of points that agree.
SAMPLES, AGREES, SHARE = 10, 0.05, 0.8


def persons(
    maps: Array, fields: Array, limbs: list[list[int]], decoder: str, threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The persons of one image.

    maps    [K,H,W]   float32     fields  [2L,H,W]  float32     limbs  L pairs of joints

    returns [P,K,2] float64 cells, [P,K] float64 scores; 0 for joints that were not found
    """
    found = [peaks(one, decoder, threshold) for one in maps]
    people: list[dict[int, int]] = []
    owner: dict[tuple[int, int], dict[int, int]] = {}
    for joint, (cells, _) in enumerate(found):
        for peak in range(len(cells)):
            person = {joint: peak}
            people.append(person)
            owner[joint, peak] = person
    for number, (first, second) in enumerate(limbs):
        agreement = _agreement(found[first][0], found[second][0], fields[2 * number : 2 * number + 2])
        for a, b in _matches(agreement):
            _join(owner, people, (first, a), (second, b))
    xy, scores = np.zeros((len(people), len(maps), 2)), np.zeros((len(people), len(maps)))
    for row, person in enumerate(people):
        for joint, peak in person.items():
            xy[row, joint], scores[row, joint] = found[joint][0][peak], found[joint][1][peak]
    order = np.argsort(-scores.sum(axis=1), kind="stable")
    return xy[order], scores[order]


def peaks(one: Array, decoder: str, threshold: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cells that are higher than the eight around them, refined within 7 x 7 cells.  [P,2] and [P] float64"""
    around = cv2.dilate(one, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    y, x = np.nonzero((one == around) & (one > threshold))
    cells, kept = [], list[tuple[int, int]]()
    padded = np.pad(one, 3, mode="edge")
    for row, column in zip(y.tolist(), x.tolist(), strict=True):
        if any(abs(row - r) <= 1 and abs(column - c) <= 1 for r, c in kept):
            continue  # one of several equal cells side by side
        kept.append((row, column))
        window = padded[row : row + 7, column : column + 7]
        at = np.full((1, 1, 2), 3)
        shift = decoders.refined(window[None, None], at, decoder, None)[0, 0] - 3.0
        cells.append(np.array([column, row]) + np.clip(shift, -1.0, 1.0))
    scores = np.array([one[row, column] for row, column in kept], np.float64)
    return np.array(cells, np.float64).reshape(-1, 2), scores


def _agreement(first: Array, second: Array, field: Array) -> NDArray[np.float64]:
    """Mean of field . direction between each pair of peaks, 0 where too few points agree.  [A,B] float64"""
    if len(first) == 0 or len(second) == 0:
        return np.zeros((len(first), len(second)))
    along = second[None] - first[:, None]
    lengths = np.linalg.norm(along, axis=-1)
    directions = along / np.maximum(lengths, 1e-9)[..., None]
    points = first[:, None, None] + along[:, :, None] * np.linspace(0.0, 1.0, SAMPLES)[:, None]
    height, width = field.shape[1:]
    x = np.clip(np.rint(points[..., 0]), 0, width - 1).astype(np.int64)
    y = np.clip(np.rint(points[..., 1]), 0, height - 1).astype(np.int64)
    values = field[0, y, x] * directions[..., None, 0] + field[1, y, x] * directions[..., None, 1]
    enough = (values > AGREES).mean(axis=-1) >= SHARE
    return np.where(enough & (lengths > 0), values.mean(axis=-1), 0.0)


def _matches(agreement: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs from the best on, each peak once."""
    order = np.argsort(-agreement, axis=None, kind="stable")
    used_a, used_b, pairs = set[int](), set[int](), []
    for index in order.tolist():
        a, b = divmod(index, agreement.shape[1])
        if agreement[a, b] <= 0:
            break
        if a not in used_a and b not in used_b:
            used_a.add(a)
            used_b.add(b)
            pairs.append((a, b))
    return pairs


def _join(
    owner: dict[tuple[int, int], dict[int, int]],
    people: list[dict[int, int]],
    first: tuple[int, int],
    second: tuple[int, int],
) -> None:
    """Two peaks' persons become one, unless both have the same joint already."""
    one, other = owner[first], owner[second]
    if one is other or one.keys() & other.keys():
        return
    one.update(other)
    people[:] = [person for person in people if person is not other]
    for joint, peak in other.items():
        owner[joint, peak] = one
