"""One row an output person: where it came from and what was done, enough to go back.

The rows are written beside the labels as `augment.parquet`; the columns are documented in docs/guide/augment.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.augment import geometry as geo

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Row:
    """What happened to one person in one copy of one image.

    image, source_image        paths as the labels name them, here and in the source
    mask                       path of the occlusion mask in the output, "" where nothing is covered
    instance_id, source_instance_id   ids here and in the source
    copy                       0 is the unchanged original, from 1 on augmented
    seed, recipe, recipe_hash  what the dice were thrown with
    matrix                     six numbers, row by row: source pixels -> output pixels
    mirrored                   left and right were exchanged (the joints' names, not their pixels)
    warped_beyond              a pipeline of the user's moved points in a way that the matrix does not describe
    drawn                      the single draws (scale, rotation, ...)
    occluders                  shapes of the person's own occluders, output pixels
    asked, own, neighbour      shares of the box: asked for, covered by own occluders, covered by neighbours' alone
    occluded_by                joint -> what covers it in the output: "own" or "neighbour" (occluders), "dataset" (a
                               mask that the source had), "pipeline" (a dropout of the user's pipeline)
    left_frame                 joint -> [x, y], output pixels, where a joint went that is not in the frame any more
    lost                       points that a pipeline of the user's made impossible (not finite)
    """

    image: str
    source_image: str
    instance_id: int | str
    source_instance_id: int | str
    copy: int
    seed: int
    recipe: str
    recipe_hash: str
    matrix: list[float]
    mirrored: bool
    warped_beyond: bool = False
    drawn: dict[str, Any] = field(default_factory=dict)
    mask: str = ""
    occluders: list[dict[str, Any]] = field(default_factory=list)
    asked: float = 0.0
    own: float = 0.0
    neighbour: float = 0.0
    occluded_by: dict[str, str] = field(default_factory=dict)
    left_frame: dict[str, list[float]] = field(default_factory=dict)
    lost: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain data; nested values are the row's own, not copies."""
        return dict(vars(self))


def back(points: NDArray[np.float64], row: Row | Mapping[str, Any]) -> NDArray[np.float64]:
    """Map output pixels back to the source image.

    points  [..., 2]  float64  pixels of the augmented image; NaN stays NaN
    row     a Row, or a mapping with the key "matrix" (a row of augment.parquet)

    returns [..., 2]  float64  pixels of the source image

    The joints of a mirrored person carry the other side's name; which pixel is which does not depend on that.
    Exact for everything that the matrix describes; see `warped_beyond`.
    """
    values = row.matrix if isinstance(row, Row) else row["matrix"]
    matrix = np.asarray(values, np.float64).reshape(2, 3)
    return geo.apply_points(geo.invert(matrix), np.asarray(points, np.float64))
