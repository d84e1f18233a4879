"""The provenance rows of one output picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.augment.occlusion import Occlusion
from kpkit.augment.photometric import Result
from kpkit.augment.rows import Row
from kpkit.pipelines.augment_cover import Cover
from kpkit.pipelines.augment_place import Draft, Pose
from kpkit.pipelines.augment_plan import ImageTask, Plan


def rows_of(plan: Plan, task: ImageTask, draft: Draft, pose: Pose, cover: Cover, names: tuple[str, str]) -> list[Row]:
    """One row a person of an output picture.  names  of its file and of its mask, "" where it has none"""
    common = Row(
        image=names[0],
        mask=names[1],
        source_image=task.key,
        instance_id=0,
        source_instance_id=0,
        copy=draft.copy,
        seed=plan.seed,
        recipe=plan.recipe.name,
        recipe_hash=plan.recipe_hash,
        matrix=pose.matrix.reshape(-1).tolist(),
        mirrored=pose.mirrored,
        warped_beyond=pose.beyond,
        drawn=draft.drawn.parts,
    )
    # Made from a dict: `dataclasses.replace` looks at every field of every row.
    shared = dict(vars(common))
    found = [
        {
            **shared,
            "source_instance_id": task.ids[person],
            "occluded_by": cover.by[i],
            "left_frame": {},
            "lost": _lost(task.labels.xy[person], pose.result, i),
            **_shares(cover.occlusion, i),
        }
        for i, person in enumerate(draft.persons)
    ]
    gone = pose.moved.gone
    for i, k in np.argwhere(np.isfinite(gone).all(axis=-1)).tolist():
        found[i]["left_frame"][plan.skeleton.keypoints[k]] = [round(value, 3) for value in gone[i, k].tolist()]
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
