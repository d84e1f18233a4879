"""Outlines of those who have no targets on a whole picture: crowds, and persons without joints.

As labels are read part by part, outlines go into a file without a name, found by their person's row. A run that is
killed leaves nothing behind.
"""

from __future__ import annotations

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
from kpkit.formats.segmentation import segmentations
from kpkit.guard import output_error
from kpkit.pipelines.augment_fields import SEGMENTATION
from kpkit.pipelines.augment_masks import read_mask
from kpkit.pipelines.heatmaps_columns import HELD, Rows

# Run lengths (COCO's dict), or polygons: x and y in turn.
Shape = dict[str, Any] | list[list[float]]
SUBPIXEL_BITS = 4


class Shapes:
    """The outlines of N persons; most have none."""

    def __init__(self, n: int) -> None:
        self._offset, self._size = np.zeros(n, np.int64), np.zeros(n, np.int32)
        self._end = 0
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(HELD, prefix="kpkit-")  # noqa: SIM115
        # It lives as long as these shapes do.
        weakref.finalize(self, self._file.close)

    def put(self, rows: Rows, shapes: list[Shape | None]) -> None:
        """Write those of persons that have one. Raises OutputError where the folder of temporary files is full."""
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
        """Those of the persons of these rows, None where there is none."""
        return [self._read(row) if self._size[row] else None for row in rows.tolist()]

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


def _usable(value: Any) -> Shape | None:
    if isinstance(value, dict):
        return value
    polygons = [one for one in value if _is_polygon(one)] if isinstance(value, list) else []
    return polygons or None


def _is_polygon(values: Any) -> bool:
    if not isinstance(values, list) or len(values) < 6 or len(values) % 2:
        return False
    return all(isinstance(one, int | float) and np.isfinite(one) for one in values)


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


__all__ = ["Shape", "Shapes", "fill_shape", "shapes_of"]
