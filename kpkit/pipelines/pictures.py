"""What rules want to know of picture files: whether they are there, their size, and what they look like."""

from __future__ import annotations

import os
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
# Levels of grey by which a picture must vary: a hash of an even surface is noise.
EVEN = 4.0


def look_at(images: ImageTable, folder: Path, *, prints: bool) -> PictureFacts:
    """Look for the files of all images.

    folder  what their paths are relative to        prints  decode them and take their perceptual hash, too
    """
    count = len(images)
    there = np.zeros(count, bool)
    width, height = np.full(count, -1, np.int32), np.full(count, -1, np.int32)
    hashes, flat = np.zeros((count, SIDE * SIDE // 64), np.uint64), np.zeros(count, bool)
    problem: dict[int, str] = {}
    for row, name in enumerate(images.path.tolist()):
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
            grey = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
            if grey is None:
                problem[row] = "the picture cannot be decoded"
            else:
                hashes[row], flat[row] = perceptual_hash(np.asarray(grey, np.uint8)), float(grey.std()) < EVEN
    return PictureFacts(there, width, height, problem, hashes if prints else None, flat if prints else None)


def perceptual_hash(grey: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """[4] uint64: for 16 x 16 fields, whether each is brighter than the one to its left ("dHash").

    grey  [H,W]  uint8

    Source of the idea: N. Krawetz, "Kind of Like That" (2013); imagehash, imagehash/__init__.py dhash.
    """
    small = cv2.resize(grey, (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA).astype(np.int16)
    bits = np.packbits(small[:, 1:] > small[:, :-1])
    return bits.view(np.uint64)
