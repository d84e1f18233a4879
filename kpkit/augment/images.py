"""Reading and writing image files, with the traps of real ones.

truncated JPEG          refused: the decoder would fill the rest with grey
text named .jpg         refused
16-bit PNG              scaled to 8 bit        greyscale, palette, alpha   to three channels
CMYK JPEG               converted to BGR       animation                   the first frame
EXIF orientation        applied or ignored, as the labels mean it (see `read_image`)
very large pictures     refused above MAX_PIXELS, before anything is decoded
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kpkit.augment.headers import Header, has_all_chunks, read_header
from kpkit.errors import RecordError, UsageError
from kpkit.guard import read_bytes

Image = NDArray[np.uint8]

MAX_PIXELS = 100_000_000
MAX_BYTES = 1 << 30
JPEG_END = b"\xff\xd9"
PADDING = 4096
EXIF = ("auto", "apply", "ignore")


@dataclass(frozen=True)
class Read:
    """image  [H,W,3] uint8 BGR    notes  what had to be done to it, as stable codes"""

    image: Image
    notes: tuple[str, ...] = ()


def read_image(
    path: Path, *, labelled_wh: tuple[int, int] | None = None, exif: str = "auto", max_pixels: int = MAX_PIXELS
) -> Read:
    """Decode one image file.

    labelled_wh  (width, height) that the labels state; None where they state none
    exif         "apply" turns the picture as its EXIF tag says, "ignore" does not, "auto" does what gives the labels'
                 size (a square picture, or labels without a size: ignored, noted "exif-undecided")
    max_pixels   larger pictures are refused by their header

    Raises InputError or RecordError that names the file; also where the size is not that of the labels.
    """
    _check_rule(exif)
    return decode_image(read_encoded(path), path, labelled_wh=labelled_wh, exif=exif, max_pixels=max_pixels)


def _check_rule(exif: str) -> None:
    if exif not in EXIF:
        raise UsageError(f"there is no EXIF rule '{exif}'", code="KP-EXIF", expected=", ".join(EXIF))


def read_encoded(path: Path) -> bytes:
    """The file as it is. Raises InputError where it cannot be read, RecordError above MAX_BYTES."""
    data = read_bytes(path, limit=MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise RecordError(
            "the file is too large", code="KP-IMAGE-BOMB", place=str(path), expected=f"at most {MAX_BYTES:,} bytes"
        )
    return data


def decode_image(data: bytes, path: Path, *, labelled_wh: tuple[int, int] | None, exif: str, max_pixels: int) -> Read:
    """What `read_image` makes of a file's bytes; `path` is for its errors."""
    _check_rule(exif)
    header = read_header(data, path)
    if header.width * header.height > max_pixels:
        raise RecordError(
            "the picture is too large",
            code="KP-IMAGE-BOMB",
            place=str(path),
            expected=f"at most {max_pixels:,} pixels",
            got=f"{header.width} x {header.height}",
            help="raise the limit with --max-pixels, if you trust the file",
        )
    _check_complete(data, header, path)
    turn, notes = _turn(header, path, labelled_wh, exif)
    image = _decode(data, header, path, notes)
    if turn:
        image = _apply_orientation(image, header.orientation)
    height, width = image.shape[:2]
    if labelled_wh is not None and (width, height) != labelled_wh:
        raise RecordError(
            "the picture has another size than its labels say",
            code="KP-IMAGE-SIZE",
            place=str(path),
            expected=f"{labelled_wh[0]} x {labelled_wh[1]} (width x height)",
            got=f"{width} x {height}",
            help="correct the labels, or give the right folder with --images",
        )
    return Read(image, tuple(notes))


def _check_complete(data: bytes, header: Header, path: Path) -> None:
    """A JPEG must hold its end marker behind the picture (a thumbnail has one, too); phones append films after it.

    The chunks of a PNG must be there: its decoder takes as much memory as a chunk claims. Of other kinds the decoder
    knows by itself when they are cut short.
    """
    if header.kind == "jpeg":
        whole = data.find(JPEG_END, max(header.scan, len(data) - PADDING)) >= 0 or data.find(JPEG_END, header.scan) >= 0
    else:
        whole = header.kind != "png" or has_all_chunks(data)
    if not whole:
        raise RecordError(
            f"the {header.kind.upper()} ends too early",
            code="KP-IMAGE-TRUNCATED",
            place=str(path),
            expected="everything up to its end marker",
            got=f"{len(data)} bytes",
            help="fetch or copy the file again",
        )


def _turn(header: Header, path: Path, labelled_wh: tuple[int, int] | None, exif: str) -> tuple[bool, list[str]]:
    """Whether to apply the orientation tag, and notes."""
    if header.orientation in (0, 1):
        return False, []
    if header.kind == "tiff":
        raise RecordError(
            "the TIFF says that it is to be turned",
            code="KP-IMAGE-TIFF",
            place=str(path),
            expected="orientation 1; decoders turn the others, whatever the labels mean",
            got=f"orientation {header.orientation}",
            help="save it again without the tag, as PNG for example",
        )
    if exif != "auto":
        return exif == "apply", ["exif-applied" if exif == "apply" else "exif-ignored"]
    swaps = header.orientation in (5, 6, 7, 8)
    if not swaps or labelled_wh is None or header.width == header.height:
        return False, ["exif-undecided"]
    turned = labelled_wh == (header.height, header.width)
    return turned, ["exif-applied" if turned else "exif-ignored"]


def _decode(data: bytes, header: Header, path: Path, notes: list[str]) -> Image:
    quick = _decode_quickly(data) if header.kind == "jpeg" else None
    if quick is not None and quick.shape[:2] == (header.height, header.width):
        return quick
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise RecordError(
            "the picture cannot be decoded", code="KP-IMAGE-DECODE", place=str(path), got=str(error)[:120]
        ) from error
    if decoded is None:
        raise RecordError(
            "the picture cannot be decoded",
            code="KP-IMAGE-DECODE",
            place=str(path),
            help="open it in a viewer; fetch or copy it again",
        )
    if decoded.shape[:2] != (header.height, header.width):
        raise RecordError(
            "the picture's header is damaged",
            code="KP-IMAGE-HEADER",
            place=str(path),
            expected=f"{header.width} x {header.height} (width x height), as it says",
            got=f"{decoded.shape[1]} x {decoded.shape[0]}",
        )
    if decoded.dtype == np.uint16:
        notes.append("16-bit")
        decoded = (decoded.astype(np.uint16) >> 8).astype(np.uint8)
    elif decoded.dtype != np.uint8:
        raise RecordError(
            "the picture has an unusual depth",
            code="KP-IMAGE-DEPTH",
            place=str(path),
            expected="8 or 16 bits a channel",
            got=str(decoded.dtype),
        )
    return decoded.astype(np.uint8, copy=False)


def _decode_quickly(data: bytes) -> Image | None:
    """An ordinary JPEG by libjpeg-turbo itself (extra `fast`), a fifth quicker; its pixels are those of OpenCV.

    None where that is not installed, and for all that is not ordinary: OpenCV decides what becomes of it.
    """
    library = _jpeg_library()
    if library is None:
        return None
    try:
        _, _, colours, _ = library.decode_jpeg_header(data)
        return library.decode_jpeg(data, "BGR", strict=True) if colours == "YCbCr" else None
    except ValueError:
        return None


def decoder_name() -> str:
    """Which libraries decode pictures, with their versions: others may give other pixels."""
    library = _jpeg_library()
    return f"opencv {cv2.__version__}" + (f", simplejpeg {library.__version__}" if library is not None else "")


@cache
def _jpeg_library() -> Any:
    try:
        import simplejpeg
    except ImportError:
        return None
    return simplejpeg


def _apply_orientation(image: Image, orientation: int) -> Image:
    """Turn as EXIF tag 0x0112 says (TIFF 6.0: 2 mirrored, 3 half turn, 6 quarter turn clockwise, ...)."""
    if orientation in (2, 4, 5, 7):
        axis = {2: 1, 4: 0, 5: 1, 7: 1}[orientation]
        image = cv2.flip(image, axis).astype(np.uint8, copy=False)
    turns = {3: cv2.ROTATE_180, 5: cv2.ROTATE_90_COUNTERCLOCKWISE, 6: cv2.ROTATE_90_CLOCKWISE}
    turns |= {7: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}
    if orientation in turns:
        image = cv2.rotate(image, turns[orientation]).astype(np.uint8, copy=False)
    return image


def encode_jpeg(image: Image, quality: int) -> bytes:
    """The image as JPEG.

    image  [H,W,3]  uint8 BGR    quality  1 to 100
    """
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RecordError("the picture cannot be encoded", code="KP-IMAGE-ENCODE", got=str(image.shape))
    return data.tobytes()


def encode_png(image: Image) -> bytes:
    """The image or mask as PNG, lossless.

    image  [H,W] or [H,W,3]  uint8
    """
    # Without a compression level OpenCV chooses filters that are several times faster, for a mask at the same size.
    done, data = cv2.imencode(".png", image)
    if not done:
        raise RecordError("the picture cannot be encoded", code="KP-IMAGE-ENCODE", got=str(image.shape))
    return data.tobytes()
