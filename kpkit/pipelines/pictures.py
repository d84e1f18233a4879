"""What rules want to know of picture files: whether they are there, their size, and what they look like."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import ImageTable
from kpkit.errors import KpkitError
from kpkit.guard import resolve_inside
from kpkit.pipelines.images import header_size
from kpkit.qa.rules import PictureFacts

SIDE = 16
# Levels of grey (of 256) by which a field must be brighter than its neighbour: less is noise of compression.
BRIGHTER = 2
# Fields of 256 that must be so: the hash of an even surface tells nothing.
TELLING = 24
# Pictures of at least this many pixels a side are decoded at a quarter of their size, which JPEG does quickly.
LARGE = 256

Progress = Callable[[str, int, int], None]


def look_at(images: ImageTable, folder: Path, *, prints: bool, progress: Progress | None = None) -> PictureFacts:
    """Look for the files of all images.

    folder  what their paths are relative to        prints  decode them and take their perceptual hash, too
    """
    count = len(images)
    there = np.zeros(count, bool)
    width, height = np.full(count, -1, np.int32), np.full(count, -1, np.int32)
    hashes = np.zeros((count, SIDE * SIDE // 64), np.uint64)
    problem: dict[int, str] = {}
    for row, name in enumerate(images.path.tolist()):
        if progress is not None and row % 64 == 0:
            progress("pictures", row, count)
        try:
            path = resolve_inside(folder, str(name), place=f"image {name}")
            there[row] = bool(name) and os.path.isfile(path)
            if not there[row]:
                continue
            width[row], height[row] = header_size(path)
        except KpkitError as error:
            there[row] = True
            problem[row] = error.message
            continue
        if prints:
            grey = _decoded(path, min(width[row], height[row]) >= LARGE)
            if grey is None:
                problem[row] = "the picture cannot be decoded"
            else:
                hashes[row] = perceptual_hash(grey)
    flat = np.bitwise_count(hashes).sum(axis=1) < TELLING
    return PictureFacts(there, width, height, problem, hashes if prints else None, flat if prints else None)


def _decoded(path: Path, large: bool) -> NDArray[np.uint8] | None:
    how = cv2.IMREAD_REDUCED_GRAYSCALE_4 if large else cv2.IMREAD_GRAYSCALE
    grey = cv2.imdecode(np.fromfile(path, np.uint8), how | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if grey is None else np.asarray(grey, np.uint8)


def perceptual_hash(grey: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """[4] uint64: for 16 x 16 fields, whether each is brighter than the one to its left ("dHash").

    grey  [H,W]  uint8

    Source of the idea: N. Krawetz, "Kind of Like That" (2013); imagehash, imagehash/__init__.py dhash.
    """
    small = cv2.resize(grey, (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA).astype(np.int16)
    bits = np.packbits(small[:, 1:] > small[:, :-1] + BRIGHTER)
    return bits.view(np.uint64)
