"""Picture files built byte by byte: kinds that no encoder at hand writes."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np

ORIENTATIONS = range(1, 9)


def jpeg(image: np.ndarray, quality: int = 95) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def exif(orientation: int, order: str = "<", thumbnail: bytes = b"") -> bytes:
    """An APP1 segment with the orientation in IFD0, and a thumbnail behind it."""
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    body = b"Exif\0\0" + tiff + struct.pack(order + "H", 1) + entry + struct.pack(order + "I", 0) + thumbnail
    return segment(0xE1, body)


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def with_segment(data: bytes, extra: bytes) -> bytes:
    """A JPEG with a segment behind its first marker."""
    return data[:2] + extra + data[2:]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(width: int, height: int, depth: int, colour: int, rows: bytes, *more: bytes) -> bytes:
    """A PNG from raw scan lines (each with its filter byte), and chunks before them."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"".join([b"\x89PNG\r\n\x1a\n", header, *more, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")])


def cmyk_jpeg(inks: tuple[int, int, int, int]) -> bytes:
    """An 8 x 8 baseline JPEG of one colour in four components, stored inverted, as Adobe's programs write them.

    inks  cyan, magenta, yellow, black, 0 to 255

    One block a component: its mean, and an end of block. Codes: twelve lengths in four bits, and one bit for the end.
    """
    quantisation = segment(0xDB, b"\0" + bytes([8] * 64))
    frame = struct.pack(">BHHB", 8, 8, 8, 4) + b"".join(bytes([number, 0x11, 0]) for number in range(1, 5))
    means = segment(0xC4, b"\x00" + bytes([0, 0, 0, 12] + [0] * 12) + bytes(range(12)))
    ends = segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\0")
    bits = "".join(_mean_bits(255 - ink - 128) + "0" for ink in inks)
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    adobe = segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, 0))
    start = segment(0xDA, b"\x04" + b"".join(bytes([number, 0]) for number in range(1, 5)) + b"\0\x3f\0")
    return b"\xff\xd8" + adobe + quantisation + segment(0xC0, frame) + means + ends + start + scan + b"\xff\xd9"


def _mean_bits(value: int) -> str:
    length = abs(value).bit_length()
    extra = value if value >= 0 else value + (1 << length) - 1
    return f"{length:04b}" + (f"{extra:0{length}b}" if length else "")


def tiff(rows: np.ndarray, orientation: int) -> bytes:
    """An uncompressed RGB TIFF with an orientation tag.  rows [H,W,3] uint8 RGB"""
    height, width = rows.shape[:2]
    data = rows.tobytes()
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, 8 + len(data)), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, 8), (274, 3, 1, orientation), (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(data)),
    ]  # fmt: skip
    depth = struct.pack("<HHH", 8, 8, 8)
    start = 8 + len(data) + len(depth)
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return struct.pack("<2sHI", b"II", 42, start) + data + depth + struct.pack("<H", len(tags)) + entries + b"\0" * 4
