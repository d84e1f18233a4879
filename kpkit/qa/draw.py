"""Labels drawn over pictures, and sheets of such pictures.

Limbs and joints are coloured by side: left blue, right vermilion, centre yellow. A visible joint is filled, an occluded
one hollow, a truncated one crossed. Sizes follow the person's size in the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from kpkit.core.skeleton import Skeleton
from kpkit.errors import UsageError
from kpkit.qa.body import known_place
from kpkit.qa.ink import (
    DARK,
    GREY,
    PANEL,
    PAPER,
    SIDE_COLOURS,
    Image,
    capsule,
    cross,
    disc,
    edge_side,
    joint_sides,
    ring,
    shorten,
    text_size,
    write,
)

Array = npt.NDArray[np.float64]

# Skeletons of more have faces and hands, whose points are drawn smaller.
FEW_JOINTS = 40


def draw_persons(
    image_bgr: npt.NDArray[np.uint8],
    skeleton: Skeleton,
    xy: npt.ArrayLike,
    visibility: npt.ArrayLike,
    truncated: npt.ArrayLike | None = None,
    bbox_xywh: npt.ArrayLike | None = None,
    ids: Sequence[object] | None = None,
    *,
    line_width: float | None = None,
) -> Image:
    """Draw the labels of N persons over a copy of an image.

    image_bgr   HxWx3 or HxW  uint8
    xy          NxKx2  float  pixels; NaN where unlabelled
    visibility  NxK    int    0 unlabelled (not drawn), 1 occluded (hollow), 2 visible (filled)
    truncated   NxK    bool   drawn as a cross, at the frame's edge where the joint lies outside
    bbox_xywh   Nx4    float  pixels; NaN for none
    ids         N      written at each person's box
    line_width  pixels; by each person's size if left out
    returns     HxWx3  uint8  BGR

    Raises UsageError where the shapes do not agree.
    """
    image = _canvas(image_bgr)
    points, flags, cut, boxes = _checked(skeleton, xy, visibility, truncated, bbox_xywh, ids)
    sides = joint_sides(skeleton)
    for n in range(len(points)):
        width = _line_width(points[n], flags[n], boxes[n]) if line_width is None else float(line_width)
        if np.isfinite(boxes[n]).all():
            _draw_box(image, boxes[n], width)
        widths = _joint_widths(skeleton, points[n], flags[n], width)
        _draw_limbs(image, skeleton, sides, points[n], flags[n], widths)
        _draw_joints(image, sides, points[n], flags[n], cut[n], widths)
        if ids is not None:
            _draw_id(image, str(ids[n]), points[n], boxes[n], width)
    return image


def _canvas(image: npt.NDArray[np.uint8]) -> Image:
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise UsageError(
            "the picture to draw on has another form",
            expected="uint8, HxWx3 or HxW",
            got=f"{image.dtype}, {'x'.join(map(str, image.shape))}",
        )
    if image.ndim == 2:
        return np.ascontiguousarray(np.repeat(image[..., None], 3, axis=2))
    return np.array(image, order="C")


def _checked(
    skeleton: Skeleton,
    xy: npt.ArrayLike,
    visibility: npt.ArrayLike,
    truncated: npt.ArrayLike | None,
    bbox_xywh: npt.ArrayLike | None,
    ids: Sequence[object] | None,
) -> tuple[Array, npt.NDArray[np.int64], npt.NDArray[np.bool_], Array]:
    k = len(skeleton.keypoints)
    points = np.asarray(xy, dtype=np.float64)
    if points.ndim != 3 or points.shape[1:] != (k, 2):
        raise UsageError("xy does not fit the skeleton", expected=f"N x {k} x 2", got=str(points.shape))
    n = len(points)
    flags = np.array(visibility, dtype=np.int64)
    cut = np.zeros((n, k), dtype=bool) if truncated is None else np.asarray(truncated, dtype=bool)
    boxes = np.full((n, 4), np.nan) if bbox_xywh is None else np.asarray(bbox_xywh, dtype=np.float64)
    shapes = (("visibility", flags.shape, (n, k)), ("truncated", cut.shape, (n, k)), ("bbox_xywh", boxes.shape, (n, 4)))
    for name, got, expected in shapes:
        if got != expected:
            raise UsageError(f"{name} does not fit xy", expected=str(expected), got=str(got))
    if ids is not None and len(ids) != n:
        raise UsageError("ids do not fit xy", expected=str(n), got=str(len(ids)))
    flags[~np.isfinite(points).all(axis=2)] = 0
    return points, flags, cut, boxes


def _line_width(points: Array, flags: npt.NDArray[np.int64], box: Array) -> float:
    """About a hundredth of the person's size, so that near and far persons read alike."""
    if np.isfinite(box).all():
        size = math.hypot(max(box[2], 0.0), max(box[3], 0.0))
    elif (flags > 0).any():
        size = float(np.hypot(*np.ptp(points[flags > 0], axis=0)))
    else:
        size = 0.0
    return float(np.clip(size * 0.011, 1.2, 9.0))


def _draw_box(image: Image, box: Array, width: float) -> None:
    x, y, w, h = (float(v) for v in box)
    corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
    thin = max(1.0, 0.4 * width)
    for thick, ink in ((thin + 1.6, DARK), (thin, PAPER)):
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
            capsule(image, a, b, thick, ink)


def _radius(width: float) -> float:
    return 1.35 * width + min(0.9, width)


def _joint_widths(skeleton: Skeleton, points: Array, flags: npt.NDArray[np.int64], width: float) -> Array:
    """[K] the width at each joint: the points of a face or a hand lie too close for the body's."""
    widths = np.full(len(skeleton), width)
    if len(skeleton) <= FEW_JOINTS:
        return widths
    fine = np.array([k for k in np.flatnonzero(flags) if known_place(skeleton.keypoints[k]) is None], np.int64)
    if len(fine) > 1:
        between = np.hypot(*np.moveaxis(points[fine, None] - points[fine], 2, 0))
        np.fill_diagonal(between, np.inf)
        widths[fine] = np.clip(0.2 * between.min(axis=1), 0.1 * width, width)
    return widths


def _draw_limbs(
    image: Image, skeleton: Skeleton, sides: list[str], points: Array, flags: npt.NDArray[np.int64], widths: Array
) -> None:
    lines = []
    for a, b in skeleton.edges:
        if not (flags[a] and flags[b]):
            continue
        start, end = points[a].copy(), points[b].copy()
        along = end - start
        length = float(np.hypot(*along))
        width = float(min(widths[a], widths[b]))
        # A limb stops at the rim of a hollow joint, or the hollow would be filled by it.
        trim = _radius(width)
        if length > 2.5 * trim:
            start += along / length * trim * (flags[a] == 1)
            end -= along / length * trim * (flags[b] == 1)
        thick = width if flags[a] == 2 and flags[b] == 2 else 0.62 * width
        lines.append((start, end, thick, SIDE_COLOURS[edge_side(sides[a], sides[b])]))
    for start, end, thick, _ in lines:
        capsule(image, start, end, thick + 1.6, DARK)
    for start, end, thick, colour in lines:
        capsule(image, start, end, thick, colour)


def _draw_joints(
    image: Image,
    sides: list[str],
    points: Array,
    flags: npt.NDArray[np.int64],
    cut: npt.NDArray[np.bool_],
    widths: Array,
) -> None:
    height, wide = image.shape[:2]
    for k in np.flatnonzero(flags):
        colour, width = SIDE_COLOURS[sides[k]], float(widths[k])
        radius = _radius(width)
        if cut[k]:
            edge = np.clip(points[k], radius, np.maximum((wide - 1 - radius, height - 1 - radius), radius))
            cross(image, edge, 1.25 * radius, max(1.2, 0.6 * width), colour, DARK)
        elif flags[k] == 1:
            ring(image, points[k], radius + 0.4, max(1.1, 0.55 * width), colour, DARK)
        else:
            disc(image, points[k], radius + min(0.8, 0.3 * radius), DARK)
            disc(image, points[k], radius, colour)


def _draw_id(image: Image, text: str, points: Array, box: Array, width: float) -> None:
    labelled = points[np.isfinite(points).all(axis=1)]
    if np.isfinite(box).all():
        corner = box[:2]
    elif len(labelled):
        corner = labelled.min(axis=0) - _radius(width)
    else:
        return
    scale = float(np.clip(0.20 + 0.06 * width, 0.32, 0.8))
    wide, tall, _ = text_size(text, scale)
    x = int(np.clip(corner[0], 0, max(image.shape[1] - wide - 6, 0)))
    bottom = int(np.clip(corner[1] - 1, tall + 6, image.shape[0] - 1))
    cv2.rectangle(image, (x, bottom - tall - 6), (x + wide + 6, bottom), DARK, -1)
    write(image, text, x + 3, bottom - 3, scale, PAPER)


_MARGIN, _GAP, _CAPTION, _LINE = 16, 12, 22, 26
_CAPTION_SCALE, _TITLE_SCALE = 0.40, 0.62


def contact_sheet(
    tiles: Sequence[npt.NDArray[np.uint8]],
    captions: Sequence[str],
    columns: int | None = None,
    tile_size: tuple[int, int] = (320, 240),
    title: str = "",
    legend: bool = True,
    cut_off: bool = True,
) -> Image:
    """Lay pictures out on one sheet, each fitted into its tile with a caption below, and explain the marks.

    tiles      pictures of any size  HxWx3 or HxW  uint8  BGR
    captions   one a tile
    columns    chosen for a sheet somewhat wider than high if left out
    tile_size  width, height in pixels
    cut_off    the legend explains the cross of truncated joints, too
    returns    HxWx3  uint8  BGR

    Raises UsageError where captions and tiles differ in number.
    """
    if len(tiles) != len(captions):
        raise UsageError("every tile needs one caption", expected=str(len(tiles)), got=str(len(captions)))
    wide, tall = tile_size
    if wide < 1 or tall < 1 or (columns is not None and columns < 1):
        raise UsageError("a sheet needs tiles and columns of at least 1", got=f"{tile_size}, columns={columns}")
    columns = min(columns or _columns(len(tiles), wide, tall + _CAPTION), max(len(tiles), 1))
    rows = math.ceil(len(tiles) / columns)
    width = 2 * _MARGIN + columns * wide + (columns - 1) * _GAP
    strip = legend_strip(width, cut_off=cut_off) if legend else np.empty((0, width, 3), dtype=np.uint8)
    top = _MARGIN + (32 if title else 0)
    height = top + rows * (tall + _CAPTION + _GAP) + max(_MARGIN - _GAP, 0) + len(strip)
    sheet = np.full((height, width, 3), PAPER, dtype=np.uint8)
    if title:
        write(sheet, shorten(title, _TITLE_SCALE, width - 2 * _MARGIN), _MARGIN, _MARGIN + 16, _TITLE_SCALE, DARK)
    for number, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        x = _MARGIN + number % columns * (wide + _GAP)
        y = top + number // columns * (tall + _CAPTION + _GAP)
        sheet[y : y + tall, x : x + wide] = letterbox(tile, (wide, tall))
        write(sheet, shorten(caption, _CAPTION_SCALE, wide - 2), x + 1, y + tall + 15, _CAPTION_SCALE, GREY)
    if len(strip):
        sheet[-len(strip) :] = strip
    return sheet


def letterbox(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> Image:
    """Fit a picture into a tile of `size` (width, height) without distorting it, bars on two sides."""
    picture = _canvas(image)
    tile = np.full((size[1], size[0], 3), PANEL, dtype=np.uint8)
    height, width = picture.shape[:2]
    if not height or not width:
        return tile
    scale = min(size[0] / width, size[1] / height)
    w, h = max(1, min(size[0], round(width * scale))), max(1, min(size[1], round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    x, y = (size[0] - w) // 2, (size[1] - h) // 2
    tile[y : y + h, x : x + w] = cv2.resize(picture, (w, h), interpolation=how)
    return tile


def _columns(count: int, wide: int, tall: int) -> int:
    return max(1, round(math.sqrt(max(count, 1) * 1.5 * tall / wide)))


def legend_strip(width: int, marks: bool = True, cut_off: bool = True) -> Image:
    """The key to the hues of the sides and, with `marks`, to the marks of joints, on as many lines as the width needs.

    cut_off  explain the cross of truncated joints among the marks

    returns  Hxwidthx3  uint8  BGR
    """
    items = [("left", "left"), ("right", "right"), ("centre", "centre")]
    if marks:
        items += [("visible", "visible"), ("occluded", "occluded")]
        items += [("truncated", "cut off by the frame")] if cut_off else []
    places, x, line = [], _MARGIN, 0
    for kind, label in items:
        room = 34 + text_size(label, _CAPTION_SCALE)[0] + 20
        if x + room - 20 > width - _MARGIN and x > _MARGIN:
            x, line = _MARGIN, line + 1
        places.append((kind, label, x, line))
        x += room
    strip = np.full(((line + 1) * _LINE + 10, width, 3), PANEL, dtype=np.uint8)
    for kind, label, x, line in places:
        y = 5 + line * _LINE + _LINE // 2
        if kind in SIDE_COLOURS:
            capsule(strip, (x + 3, y), (x + 23, y), 5.6, DARK)
            capsule(strip, (x + 3, y), (x + 23, y), 4.0, SIDE_COLOURS[kind])
        elif kind == "visible":
            disc(strip, (x + 14, y), 6.3, DARK)
            disc(strip, (x + 14, y), 5.5, PAPER)
        elif kind == "occluded":
            ring(strip, (x + 14, y), 5.9, 2.2, PAPER, DARK)
        else:
            cross(strip, (x + 14, y), 6.6, 2.4, PAPER, DARK)
        write(strip, label, x + 32, y + 5, _CAPTION_SCALE, DARK)
    return strip
