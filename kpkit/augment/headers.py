"""Size, kind and EXIF orientation of a picture from its first bytes, without decoding it."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import imagesize

from kpkit.errors import RecordError

_MAGIC = {
    b"\xff\xd8\xff": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"BM": "bmp",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"GIF8": "gif",
}
ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class Header:
    """kind  "jpeg", "png", ...    width, height  pixels as stored    orientation  EXIF 1..8, 0 where there is none"""

    kind: str
    width: int
    height: int
    orientation: int


def read_header(data: bytes, path: Path) -> Header:
    """Parse the header; RecordError where the bytes are no picture."""
    kind = next((name for magic, name in _MAGIC.items() if data.startswith(magic)), "")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind = "webp"
    try:
        width, height = stored_size(io.BytesIO(data)) if kind else (-1, -1)
    except (ValueError, struct.error, OSError):
        width, height = -1, -1
    if not kind or width <= 0 or height <= 0:
        raise RecordError(
            "this is not a picture, or its header is damaged",
            code="KP-IMAGE-HEADER",
            place=str(path),
            expected="JPEG, PNG, WebP, BMP, TIFF or GIF",
            got=f"bytes {data[:8]!r}" if data else "an empty file",
        )
    return Header(kind, int(width), int(height), _orientation(data) if kind == "jpeg" else 0)


def stored_size(picture: Path | BinaryIO) -> tuple[int, int]:
    """(width, height) of the pixels as stored, whatever an EXIF tag says about turning them; -1 where unknown."""
    try:
        size = imagesize.get(picture, exif_rotation=False)
    except TypeError:  # before version 2 it knew nothing of EXIF
        size = imagesize.get(picture)
    return int(size[0]), int(size[1])


def _orientation(data: bytes) -> int:
    """The EXIF orientation of a JPEG: segments up to the first scan are walked for an APP1 'Exif' one."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            return _tiff_orientation(data[at + 10 : at + 2 + length])
        at += 2 + max(length, 2)
    return 0


def _tiff_orientation(tiff: bytes) -> int:
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 0
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    if start + 2 > len(tiff):
        return 0
    (entries,) = struct.unpack_from(order + "H", tiff, start)
    for entry in range(entries):
        at = start + 2 + 12 * entry
        if at + 12 > len(tiff):
            return 0
        tag, kind = struct.unpack_from(order + "HH", tiff, at)
        if tag == ORIENTATION_TAG and kind == 3:
            (value,) = struct.unpack_from(order + "H", tiff, at + 8)
            return int(value) if 1 <= value <= 8 else 0
    return 0
