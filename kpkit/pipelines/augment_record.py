"""The provenance rows of one output picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.augment.occlusion import Occlusion
from kpkit.augment.photometric import Result
from kpkit.augment.rows import Row
from kpkit.core.skeleton import Skeleton
from kpkit.pipelines.augment_cover import Covered
from kpkit.pipelines.augment_plan import ImageTask


def rows_of(
    common: Row,
    task: ImageTask,
    persons: list[int],
    skeleton: Skeleton,
    covered: Covered,
    gone: NDArray[np.float64],
    result: Result | None,
) -> list[Row]:
    """One row a person.

    common  what is the same for all of them      persons  the picture's persons, rows of the task's labels
    gone    [P,K,2] float64: where joints went that left the frame, NaN elsewhere
    result  of the user's pipeline, None without one
    """
    # Made from a dict: `dataclasses.replace` looks at every field of every row.
    shared = dict(vars(common))
    found = [
        {
            **shared,
            "source_instance_id": task.ids[person],
            "occluded_by": covered.by[i],
            "left_frame": {},
            "lost": _lost(task.labels.xy[person], result, i),
            **_shares(covered.occlusion, i),
        }
        for i, person in enumerate(persons)
    ]
    for i, k in np.argwhere(np.isfinite(gone).all(axis=-1)).tolist():
        found[i]["left_frame"][skeleton.keypoints[k]] = [round(value, 3) for value in gone[i, k].tolist()]
    return [Row(**row) for row in found]


def _shares(occlusion: Occlusion | None, person: int) -> dict[str, Any]:
    if occlusion is None or not np.isfinite(occlusion.own[person]):
        return {}
    return {
        "occluders": occlusion.occluders[person],
        "asked": float(occlusion.asked[person]),
        "own": float(occlusion.own[person]),
        "neighbour": float(occlusion.neighbour[person]),
    }


def _lost(before: NDArray[np.float64], result: Result | None, person: int) -> int:
    if result is None:
        return 0
    known = np.isfinite(before).all(axis=-1)
    return int((known & ~np.isfinite(result.xy[person]).all(axis=-1)).sum())
