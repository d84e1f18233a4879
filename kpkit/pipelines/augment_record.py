"""The provenance rows of one output picture."""

from __future__ import annotations

from dataclasses import replace
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
    return [
        replace(
            common,
            source_instance_id=task.ids[person],
            occluded_by=covered.by[i],
            left_frame=_left(skeleton, gone[i]),
            lost=_lost(task.labels.xy[person], result, i),
            **_shares(covered.occlusion, i),
        )
        for i, person in enumerate(persons)
    ]


def _shares(occlusion: Occlusion | None, person: int) -> dict[str, Any]:
    if occlusion is None or not np.isfinite(occlusion.own[person]):
        return {}
    return {
        "occluders": occlusion.occluders[person],
        "asked": float(occlusion.asked[person]),
        "own": float(occlusion.own[person]),
        "neighbour": float(occlusion.neighbour[person]),
    }


def _left(skeleton: Skeleton, gone: NDArray[np.float64]) -> dict[str, list[float]]:
    found = np.flatnonzero(np.isfinite(gone).all(axis=-1))
    return {skeleton.keypoints[k]: [round(float(v), 3) for v in gone[k]] for k in found}


def _lost(before: NDArray[np.float64], result: Result | None, person: int) -> int:
    if result is None:
        return 0
    known = np.isfinite(before).all(axis=-1)
    return int((known & ~np.isfinite(result.xy[person]).all(axis=-1)).sum())
