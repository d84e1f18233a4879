"""Occlusion masks that a dataset already has, for a whole image or for one person."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.augment.images import MAX_PIXELS, read_image
from kpkit.augment.shapes import decode_rle
from kpkit.errors import RecordError
from kpkit.guard import resolve_inside

# Where labels may name a mask: our own outputs, and a plain field of a COCO row.
IMAGE_FIELDS = ("augment.occlusion_mask", "coco.image.occlusion_mask", "occlusion_mask")
PERSON_FIELDS = ("augment.occlusion_mask", "coco.occlusion_mask", "occlusion_mask")

Mask = NDArray[np.uint8]
MaskRef = Path | dict[str, Any]


def mask_of(row: Mapping[str, Any], names: tuple[str, ...], root: Path, place: str) -> MaskRef | None:
    """The mask that a row of labels names: a picture file, or COCO run lengths; None where it names none.

    A file is named relative to the images' folder, or to the one above it. Raises RecordError where the name leads
    outside, or is no name.
    """
    value = next((row[name] for name in names if row.get(name) is not None), None)
    if value is None or isinstance(value, dict):
        return value
    if not isinstance(value, str):
        raise RecordError(
            "not a mask", code="KP-MASK", place=place, expected="a PNG path or run lengths", got=str(value)[:60]
        )
    folder = next((one for one in (root, root.parent) if os.path.isfile(one / value)), root)
    return resolve_inside(folder, value, place=place)


def read_mask(ref: MaskRef | None, size_wh: tuple[int, int], max_pixels: int = MAX_PIXELS) -> Mask | None:
    """The mask itself.  [H,W] uint8, 255 where anything is; None for None

    ref  as `mask_of` gives it; also a crowd's or a person's segmentation

    Raises InputError or RecordError where it cannot be read, or is not of the picture's size.
    """
    if ref is None:
        return None
    if isinstance(ref, Path):
        picture = read_image(ref, labelled_wh=size_wh, exif="ignore", max_pixels=max_pixels).image
        mask: Mask = np.where(picture.any(axis=2), 255, 0).astype(np.uint8)
        return mask
    if ref.get("size") != [size_wh[1], size_wh[0]]:
        raise RecordError(
            "a mask has another size than the picture",
            code="KP-MASK-SIZE",
            expected=f"size [{size_wh[1]}, {size_wh[0]}] (height, width)",
            got=str(ref.get("size"))[:60],
        )
    return decode_rle(ref, "mask")
