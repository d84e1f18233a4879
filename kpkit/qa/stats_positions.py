"""Where the joints lie, measured in each person's box: (0, 0) is its top-left corner, (1, 1) its bottom-right one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.qa.stats_tally import HUGE

Array = NDArray[np.float64]

# The heat maps reach a quarter of the box beyond it on every side.
LOW, HIGH, CELLS = -0.25, 1.25, 48
QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class Positions:
    """Places of K joints in their persons' boxes; NaN for a joint that no person with a box has.

    count      [K]                  int64    persons measured
    mean, sd   [K,2]                float64  box sides
    quantiles  [K,3,2]              float64  at QUANTILES, box sides
    outside    [K]                  int64    labelled joints outside their person's box
    heat       [K,CELLS,CELLS]      int64    persons by cell, rows from LOW to HIGH in y, columns in x
    """

    count: NDArray[np.int64]
    mean: Array
    sd: Array
    quantiles: Array
    outside: NDArray[np.int64]
    heat: NDArray[np.int64]

    def of_joint(self, joint: int) -> dict[str, Any]:
        """Plain data of one joint; null where nothing was measured."""
        found: dict[str, Any] = {"persons": int(self.count[joint]), "outside_box": int(self.outside[joint])}
        for axis, name in enumerate("xy"):
            found[f"{name}_mean"] = _plain(self.mean[joint, axis])
            found[f"{name}_sd"] = _plain(self.sd[joint, axis])
            for number, share in enumerate(QUANTILES):
                found[f"{name}_p{share * 100:g}"] = _plain(self.quantiles[joint, number, axis])
        return found


def measure_positions(k: int, joint_of: Callable[[int], Array], boxes: Array) -> Positions:
    """Measure K joints.

    joint_of  joint -> [N,2] float64, pixels, NaN where unlabelled; asked for one after the other
    boxes     [N,4]  float64  pixels, x y w h; persons whose box is unknown or empty are left out
    """
    usable = np.isfinite(boxes).all(axis=1) & (boxes[:, 2] > 0) & (boxes[:, 3] > 0)
    found = Positions(
        np.zeros(k, np.int64),
        np.full((k, 2), np.nan),
        np.full((k, 2), np.nan),
        np.full((k, len(QUANTILES), 2), np.nan),
        np.zeros(k, np.int64),
        np.zeros((k, CELLS, CELLS), np.int64),
    )
    for joint in range(k):
        xy = joint_of(joint)
        rows = np.flatnonzero(~np.isnan(xy[:, 0]) & usable)
        if len(rows):
            # A box may be narrower than any pixel; beyond this a place is nowhere, and its square no number.
            with np.errstate(over="ignore"):
                places = (xy[rows] - boxes[rows, :2]) / boxes[rows, 2:]
            places = np.clip(places, -HUGE, HUGE)
            _fill(found, joint, places)
    return found


def _fill(found: Positions, joint: int, places: Array) -> None:
    found.count[joint] = len(places)
    found.mean[joint], found.sd[joint] = places.mean(axis=0), places.std(axis=0)
    found.quantiles[joint] = np.quantile(places, QUANTILES, axis=0)
    found.outside[joint] = np.count_nonzero(((places < 0) | (places > 1)).any(axis=1))
    # Far outside a box a cell number would not fit an integer.
    cells = np.floor(np.clip((places - LOW) * (CELLS / (HIGH - LOW)), -1, CELLS)).astype(np.int64)
    cells = cells[((cells >= 0) & (cells < CELLS)).all(axis=1)]
    heat = np.bincount(cells[:, 1] * CELLS + cells[:, 0], minlength=CELLS * CELLS)
    found.heat[joint] = heat.reshape(CELLS, CELLS)


def _plain(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None
