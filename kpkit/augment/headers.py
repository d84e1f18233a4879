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
    """What the first bytes say.

    kind  "jpeg", "png", ...    width, height  pixels as stored    orientation  EXIF 1..8, 0 where there is none
    scan  where a JPEG's compressed picture begins, behind its thumbnail; 0 for other kinds
    """

    kind: str
    width: int
    height: int
    orientation: int
    scan: int


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
    orientation, scan = _walk(data) if kind == "jpeg" else (0, 0)
    if kind == "tiff":
        orientation = _tiff_orientation(data)
    return Header(kind, int(width), int(height), orientation, scan)


def stored_size(picture: Path | BinaryIO) -> tuple[int, int]:
    """(width, height) of the pixels as stored, whatever an EXIF tag says about turning them; -1 where unknown."""
    try:
        size = imagesize.get(picture, exif_rotation=False)
    except TypeError:  # before version 2 it knew nothing of EXIF
        size = imagesize.get(picture)
    return int(size[0]), int(size[1])


def _walk(data: bytes) -> tuple[int, int]:
    """The EXIF orientation of a JPEG, and where its segments end: at the first scan, or where they are damaged."""
    at, orientation = 2, 0
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        if data[at + 1] == 0xFF:  # a fill byte
            at += 1
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if not orientation and data[at + 1] == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            orientation = _tiff_orientation(data[at + 10 : at + 2 + length])
        at += 2 + max(length, 2)
    return orientation, at


def has_all_chunks(data: bytes) -> bool:
    """Whether a PNG's chunks follow each other up to the last one, each as long as it says."""
    at = 8
    while at + 12 <= len(data):
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return False


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
