"""Occlusion masks that a dataset already has, for a whole image or for one person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kpkit.augment.shapes import decode_rle
from kpkit.errors import RecordError
from kpkit.guard import read_bytes, resolve_inside
from kpkit.pipelines.augment_labels import Fields

# Where labels may name a mask: our own outputs, and a plain field of a COCO row.
IMAGE_FIELDS = ("augment.occlusion_mask", "coco.image.occlusion_mask", "occlusion_mask")
PERSON_FIELDS = ("augment.occlusion_mask", "coco.occlusion_mask", "occlusion_mask")

Mask = NDArray[np.uint8]


def existing_masks(fields: Fields, image: int, persons: list[int], root: Path) -> tuple[Mask | None, list[Mask | None]]:
    """The mask of an image and those of its persons, each [H,W] uint8 with 255 where occluded, or None.

    A mask is a PNG path (relative to the images' folder or the one above it) or COCO run lengths.

    Raises RecordError where a mask cannot be read.
    """
    whole = _mask(_first(fields.images[image], IMAGE_FIELDS), root, f"image row {image}: occlusion mask")
    own = [
        _mask(_first(fields.persons[row], PERSON_FIELDS), root, f"instance row {row}: occlusion mask")
        for row in persons
    ]
    return whole, own if any(mask is not None for mask in own) else []


def _first(row: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _mask(value: Any, root: Path, place: str) -> Mask | None:
    if value is None:
        return None
    if isinstance(value, dict):
        return decode_rle(value, place)
    if not isinstance(value, str):
        raise RecordError(
            "not a mask", code="KP-MASK", place=place, expected="a PNG path or run lengths", got=str(value)[:60]
        )
    folder = next((one for one in (root, root.parent) if (one / value).is_file()), root)
    path = resolve_inside(folder, value, place=place)
    decoded = cv2.imdecode(np.frombuffer(read_bytes(path), np.uint8), cv2.IMREAD_GRAYSCALE)
    if decoded is None:
        raise RecordError("the mask is no picture", code="KP-MASK", place=f"{place} ({path})")
    return (decoded > 127).astype(np.uint8) * np.uint8(255)
