"""The demo's contact sheet: a scene a column, a format a row, every label as read back from its file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset
from kpkit.errors import InputError
from kpkit.qa.draw import contact_sheet, draw_persons

TILE = (320, 240)
# Width of a limb as a share of the person's height, so that all formats draw a person alike.
LIMB = 0.014

Array = NDArray[np.float64]
Picture = NDArray[np.uint8]


def draw_sheet(truth: Dataset, shown: Mapping[str, Dataset], images: Path) -> Picture:
    """Up to four scenes of `truth`, chosen for what they show, with the labels of each dataset in `shown` over them.

    The datasets in `shown` have the persons of `truth` in the same order.
    """
    chosen = pick(truth)
    heights = _heights(truth)
    tiles, captions = [], []
    for title, dataset in shown.items():
        for row in chosen:
            path = str(truth.images.path[row])
            persons = np.flatnonzero(truth.image_index == row)
            tiles.append(_tile(dataset, persons, heights, images / path))
            captions.append(f"{title}: {path}")
    return contact_sheet(tiles, captions, columns=max(1, len(chosen)), tile_size=TILE, cut_off=False)


def pick(truth: Dataset) -> list[int]:
    """Rows of the images with the most persons, occluded joints and persons cut off, and with the largest person.

    Persons count by the square of their height, so that there is something to see. No image is picked twice.
    """
    m = len(truth.images)
    height = _heights(truth)
    largest = np.zeros(m)
    np.maximum.at(largest, truth.image_index, height)
    merits = [
        np.bincount(truth.image_index, height**2 * shown, minlength=m)
        for shown in (1, (truth.visibility == 1).sum(axis=1), truth.truncated.any(axis=1))
    ]
    chosen: list[int] = []
    for merit in (*merits, largest):
        left = [row for row in np.argsort(-merit, kind="stable").tolist() if row not in chosen]
        chosen += left[:1]
    return sorted(chosen)


def _heights(truth: Dataset) -> Array:
    """[N] pixels from the highest to the lowest labelled joint."""
    y = truth.xy[..., 1]
    high: Array = np.fmax.reduce(y, axis=1, initial=0.0) - np.fmin.reduce(y, axis=1, initial=np.inf)
    return np.maximum(high, 0.0)


def _tile(dataset: Dataset, persons: NDArray[np.int64], heights: Array, file: Path) -> Picture:
    decoded = cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if decoded is None:
        raise InputError("the picture cannot be decoded", code="KP-DEMO-PICTURE", place=str(file))
    picture: Picture = decoded.astype(np.uint8)
    for row in persons.tolist():
        picture = draw_persons(
            picture,
            dataset.skeleton,
            dataset.xy[[row]],
            dataset.visibility[[row]],
            bbox_xywh=dataset.bbox_xywh[[row]],
            line_width=float(np.clip(LIMB * heights[row], 1.8, 9.0)),
        )
    return picture
