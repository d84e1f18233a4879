"""What a worker does with one image: read it, draw what is known of its persons, write or return the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.augment.images import encode_jpeg, encode_png, read_image
from kpkit.augment.shapes import Polygon
from kpkit.core.skeleton import Skeleton
from kpkit.errors import KpkitError, RecordError
from kpkit.pipelines.augment_masks import MaskRef, read_mask
from kpkit.qa.draw import draw_persons, letterbox
from kpkit.qa.overlay import HIDDEN, LINE, REGIONS, canvas, mark_joints, polygon_mask, tint, with_lines, wrap

Picture = NDArray[np.uint8]
# A quarter of what the labels span is added around them where nobody knows the picture's size.
MARGIN, SMALLEST = 0.25, 64


@dataclass(frozen=True)
class Look:
    """How pictures are drawn, for all images.

    folder  where overlays are written; None: they are returned, fitted into `tile` (width, height)
    """

    skeleton: Skeleton
    folder: Path | None
    tile: tuple[int, int]
    boxes: bool = True
    ids: bool = False
    quality: int = 92
    exif: str = "auto"
    max_pixels: int = 100_000_000


@dataclass(frozen=True)
class DrawTask:
    """One image.

    key      as the labels name it            name    of the overlay, below the folder
    file     of the picture; None: a plain canvas       size_wh  width, height by the labels, None unknown
    xy, visibility, truncated, boxes, ids     of its persons
    polygons of its persons                   regions masks of its persons     hidden  masks of what hides somebody
    marks    [n,2] pixels, joints that a rule complains about                  lines   what it says
    """

    key: str
    name: str
    file: Path | None
    size_wh: tuple[int, int] | None
    xy: NDArray[np.float64]
    visibility: NDArray[np.uint8]
    truncated: NDArray[np.bool_]
    boxes: NDArray[np.float64]
    ids: Sequence[Any]
    polygons: Sequence[list[Polygon]] = ()
    regions: Sequence[MaskRef | None] = ()
    hidden: Sequence[MaskRef | None] = ()
    marks: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))
    lines: Sequence[str] = ()


@dataclass
class Drawn:
    """tile  the picture, where it is returned    notes  what could not be drawn, or was done to the picture"""

    tile: Picture | None = None
    notes: list[str] = field(default_factory=list)


def draw_image(look: Look, task: DrawTask) -> Drawn:
    """Draw one image.

    Raises InputError or RecordError where the picture is missing or broken.
    """
    done = Drawn()
    picture = _picture(look, task, done)
    picture = _masked(picture, look, task, done)
    picture = draw_persons(
        picture,
        look.skeleton,
        task.xy,
        task.visibility,
        task.truncated,
        task.boxes if look.boxes else None,
        task.ids if look.ids else None,
    )
    mark_joints(picture, task.marks)
    if look.folder is None:
        done.tile = _tile(picture, look.tile, task.lines)
        return done
    picture = with_lines(picture, task.lines)
    path = look.folder / task.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(picture) if path.suffix == ".png" else encode_jpeg(picture, look.quality))
    return done


def _picture(look: Look, task: DrawTask, done: Drawn) -> Picture:
    if task.file is not None:
        read = read_image(task.file, labelled_wh=task.size_wh, exif=look.exif, max_pixels=look.max_pixels)
        done.notes += read.notes
        return read.image
    width, height = task.size_wh or _span(task)
    if width * height > look.max_pixels:
        raise RecordError(
            "the picture would be too large",
            code="KP-IMAGE-BOMB",
            place=task.key,
            expected=f"at most {look.max_pixels:,} pixels",
            got=f"{width} x {height}",
            help="raise the limit with --max-pixels, or correct the size in the labels",
        )
    return canvas(width, height)


def _span(task: DrawTask) -> tuple[int, int]:
    """A size that holds all joints and boxes."""
    corners = np.concatenate([task.xy.reshape(-1, 2), task.boxes[:, :2], task.boxes[:, :2] + task.boxes[:, 2:]])
    most = np.fmax.reduce(corners, axis=0, initial=0.0)
    width, height = (max(SMALLEST, int(min(side, 1e6) * (1 + MARGIN))) for side in most.tolist())
    return width, height


def _masked(picture: Picture, look: Look, task: DrawTask, done: Drawn) -> Picture:
    height, width = picture.shape[:2]
    for person, polygons in enumerate(task.polygons):
        if polygons:
            picture = tint(picture, polygon_mask(polygons, width, height), REGIONS[person % len(REGIONS)], 0.22)
    refs = [(ref, REGIONS[person % len(REGIONS)]) for person, ref in enumerate(task.regions)]
    for ref, colour in [*refs, *((ref, HIDDEN) for ref in task.hidden)]:
        try:
            mask = read_mask(ref, (width, height), look.max_pixels)
        except KpkitError:
            # The joints are worth seeing without it.
            done.notes.append("mask")
            continue
        if mask is not None:
            picture = tint(picture, mask, colour)
    return picture


def _tile(picture: Picture, size: tuple[int, int], lines: Sequence[str]) -> Picture:
    """The picture as large as fits above its lines of text, which keep their size."""
    if not lines:
        return letterbox(picture, size)
    shown = [part for line in lines for part in wrap(line, size[0] - 2 * 8)]
    room = max(2, (size[1] // 2 - 16) // LINE)
    if len(shown) > room:
        shown = [*shown[: room - 1], "..."]
    tile = with_lines(letterbox(picture, (size[0], size[1] - len(shown) * LINE - 16)), shown)
    return tile[: size[1], : size[0]]
