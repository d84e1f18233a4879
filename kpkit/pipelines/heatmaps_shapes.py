"""Outlines of what has no targets on a whole picture: crowds, persons without joints, regions where nobody is labelled.

As labels are read part by part, outlines go into a file without a name, found by their person's row. A run that is
killed leaves nothing behind.
"""

from __future__ import annotations

import math
import tempfile
import weakref
from pathlib import Path
from typing import IO, Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from kpkit.augment.images import MAX_PIXELS
from kpkit.core.dataset import Dataset
from kpkit.formats.jsonrows import RowSource
from kpkit.formats.segmentation import ignored_regions, segmentations
from kpkit.guard import output_error
from kpkit.pipelines.augment_fields import SEGMENTATION
from kpkit.pipelines.augment_masks import read_mask
from kpkit.pipelines.heatmaps_columns import HELD, Rows

# Corners of PoseTrack's regions.
REGIONS = ("coco.image.ignore_regions_x", "coco.image.ignore_regions_y")
# Run lengths (COCO's dict), or polygons: x and y in turn.
Shape = dict[str, Any] | list[list[float]]
SUBPIXEL_BITS = 4


class Shapes:
    """The outlines of persons, or of images, by their rows; most have none."""

    def __init__(self, n: int = 0) -> None:
        self._offset, self._size = np.zeros(n, np.int64), np.zeros(n, np.int32)
        self._end = 0
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(HELD, prefix="kpkit-")  # noqa: SIM115
        # It lives as long as these shapes do.
        weakref.finalize(self, self._file.close)

    def put(self, rows: Rows, shapes: list[Shape | None]) -> None:
        """Write those of rows that have one. Raises OutputError where the folder of temporary files is full."""
        self._grow(int(rows.max(initial=-1)) + 1)
        try:
            self._file.seek(self._end)
            for row, shape in zip(rows.tolist(), shapes, strict=True):
                if shape is not None:
                    text = msgspec.json.encode(shape)
                    self._file.write(text)
                    self._offset[row], self._size[row] = self._end, len(text)
                    self._end += len(text)
        except OSError as error:
            folder = Path(tempfile.gettempdir())
            raise output_error(error, folder, None).at(str(folder)) from error

    def take(self, rows: Rows) -> list[Shape | None]:
        """Those of these rows, None where there is none."""
        held = len(self._size)
        return [self._read(row) if row < held and self._size[row] else None for row in rows.tolist()]

    def __bool__(self) -> bool:
        return self._end > 0

    def _grow(self, n: int) -> None:
        more = max(n, len(self._size) * 2) - len(self._size) if n > len(self._size) else 0
        self._offset = np.concatenate([self._offset, np.zeros(more, np.int64)])
        self._size = np.concatenate([self._size, np.zeros(more, np.int32)])

    def _read(self, row: int) -> Shape:
        self._file.seek(int(self._offset[row]))
        shape: Shape = msgspec.json.decode(self._file.read(int(self._size[row])))
        return shape


def shapes_of(dataset: Dataset, rows: Rows) -> list[Shape | None]:
    """The outlines of persons of a dataset that have a usable one.

    rows  [n]  int64  of the dataset
    """
    column = dataset.extras.get(SEGMENTATION)
    if column is not None:
        found = list(column[rows])
    elif isinstance(dataset.source, RowSource):
        found = segmentations(dataset.source, rows)
    else:
        return [None] * len(rows)
    return [_usable(value) for value in found]


def regions_of(dataset: Dataset) -> tuple[Rows, list[Shape | None], int]:
    """Regions of images where nobody is labelled: rows of images, their polygons, and how many regions are none."""
    extras, rows, shapes, bad = dataset.images.extras, [], list[Shape | None](), 0
    if all(name in extras for name in REGIONS):
        pairs = zip(*(extras[name].tolist() for name in REGIONS), strict=True)
        said = {row: pair for row, pair in enumerate(pairs) if all(pair)}
    else:
        said = ignored_regions(dataset.source) if isinstance(dataset.source, RowSource) else {}
    for row, (x, y) in said.items():
        polygons = _paired(x, y)
        good = [one for one in polygons if _is_polygon(one)]
        bad += len(polygons) - len(good)
        if good:
            rows.append(row)
            shapes.append(good)
    return np.array(rows, np.int64), shapes, bad


def _paired(x: Any, y: Any) -> list[Any]:
    """Polygons of lists of x and of y; None for one that is no polygon."""
    if not isinstance(x, list) or not isinstance(y, list):
        return [None]
    if not any(isinstance(one, list) for one in (*x, *y)):  # one region, without a list around it
        x, y = [x], [y]
    found: list[Any] = [None] * abs(len(x) - len(y))
    for across, down in zip(x, y, strict=False):
        lists = isinstance(across, list) and isinstance(down, list) and len(across) == len(down)
        found.append([value for corner in zip(across, down, strict=True) for value in corner] if lists else None)
    return found


def _usable(value: Any) -> Shape | None:
    if isinstance(value, dict):
        return value
    polygons = [one for one in value if _is_polygon(one)] if isinstance(value, list) else []
    return polygons or None


def _is_polygon(values: Any) -> bool:
    if not isinstance(values, list) or len(values) < 6 or len(values) % 2:
        return False
    return all(isinstance(one, int | float) and math.isfinite(one) for one in values)


def fill_shape(mask: NDArray[np.uint8], shape: Shape, max_pixels: int = MAX_PIXELS) -> None:
    """Set what an outline holds to 255.

    mask  [H,W]  uint8  of the picture

    Raises RecordError for run lengths that are damaged, or not of the picture's size.
    """
    height, width = mask.shape
    if isinstance(shape, dict):
        filled = read_mask(shape, (width, height), max_pixels)
        if filled is not None:
            np.maximum(mask, filled, out=mask)
        return
    # Far beyond the picture OpenCV's whole numbers would run over.
    far = np.array([[-width, -height], [2 * width, 2 * height]], np.float64)
    for polygon in shape:
        corners = np.clip(np.reshape(np.asarray(polygon, np.float64), (-1, 2)), far[0], far[1])
        points = np.rint(corners * (1 << SUBPIXEL_BITS)).astype(np.int32)
        cv2.fillPoly(mask, [points], 255, cv2.LINE_8, SUBPIXEL_BITS)


__all__ = ["Shape", "Shapes", "fill_shape", "regions_of", "shapes_of"]
