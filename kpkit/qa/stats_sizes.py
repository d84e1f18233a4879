"""Sizes of images and persons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import ImageTable
from kpkit.qa.stats_tally import Bins, Spread

# Half powers of two, so that any two datasets are counted in the same bins.
SIDE_EDGES = np.concatenate([[0.0], 2.0 ** np.arange(1, 13.5, 0.5), [np.inf]])
HEIGHT_EDGES = np.concatenate([np.linspace(0, 1, 21), [np.inf]])
# COCO's evaluation splits objects by their area at 32^2 and 96^2 pixels (cocoapi, PythonAPI/pycocotools/cocoeval.py).
SMALL, MEDIUM = 32.0**2, 96.0**2


@dataclass(frozen=True)
class Sizes:
    """How large images and persons are.

    images       [width, height, images], most frequent first; -1 unknown
    spreads      name -> Spread: box_width, box_height, box_side (root of w * h, pixels), area (pixels^2), height_share
                 (of the image's), aspect (w / h), image_width, image_height
    sides        box_side in bins        heights  height_share in bins
    classes      persons by COCO's classes of area
    """

    images: list[tuple[int, int, int]]
    spreads: dict[str, Spread]
    sides: Bins
    heights: Bins
    classes: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "images": [list(one) for one in self.images],
            **{name: vars(spread) for name, spread in self.spreads.items()},
            "box_side_histogram": self.sides.as_dict(),
            "height_share_histogram": self.heights.as_dict(),
            "persons_by_area": self.classes,
        }


def measure_sizes(
    table: ImageTable,
    images: NDArray[np.int64],
    index: NDArray[np.int64],
    boxes: NDArray[np.float64],
    area: NDArray[np.float64],
) -> Sizes:
    """Measure persons and images.

    images  [m]    int64    rows of the table to measure      index  [N]  int64    row of each person's image
    boxes   [N,4]  float64  pixels, NaN unknown               area   [N]  float64  pixels^2, NaN unknown
    """
    box = np.where(boxes[:, 2:] > 0, boxes[:, 2:], np.nan)
    width, height = table.width[images], table.height[images]
    tall = table.height[index].astype(np.float64)
    side = np.sqrt(box[:, 0] * box[:, 1])
    share = box[:, 1] / np.where(tall > 0, tall, np.nan)
    measured = {
        "box_width": box[:, 0],
        "box_height": box[:, 1],
        "box_side": side,
        "area": area,
        "height_share": share,
        "aspect": box[:, 0] / box[:, 1],
        "image_width": np.where(width > 0, width, np.nan),
        "image_height": np.where(height > 0, height, np.nan),
    }
    known = np.isfinite(area)
    return Sizes(
        _distinct(width, height),
        {name: Spread.of(np.asarray(values, np.float64)) for name, values in measured.items()},
        Bins.of(side, SIDE_EDGES),
        Bins.of(share, HEIGHT_EDGES),
        {
            "small": int(np.count_nonzero(known & (area < SMALL))),
            "medium": int(np.count_nonzero(known & (area >= SMALL) & (area < MEDIUM))),
            "large": int(np.count_nonzero(known & (area >= MEDIUM))),
            "unknown": int(np.count_nonzero(~known)),
        },
    )


def _distinct(width: NDArray[np.int32], height: NDArray[np.int32]) -> list[tuple[int, int, int]]:
    if not len(width):
        return []
    sizes, counts = np.unique(np.stack([width, height], axis=1), axis=0, return_counts=True)
    order = np.lexsort((sizes[:, 1], sizes[:, 0], -counts))
    return [(int(sizes[i, 0]), int(sizes[i, 1]), int(counts[i])) for i in order]
