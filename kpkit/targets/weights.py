"""Weights beside the targets: by joint, and by place in the heatmap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.skeleton import Skeleton
from kpkit.errors import UsageError, did_you_mean
from kpkit.targets.options import CODE, choice, positive

JointWeights = str | Sequence[float] | None
# Names of the rules for weights by place -> what they say.
SPATIAL_RULES = {"center": "1 + 0.5 * exp(-0.1 * distance to (W/2, H/2) in cells)"}

# HRNet lib/dataset/coco.py and mpii.py, `joints_weight`: both lists follow this rule.
_HRNET = {"elbow": 1.2, "knee": 1.2, "wrist": 1.5, "ankle": 1.5}


def check_joint_weights(value: Any, skeleton: Skeleton) -> str | list[float] | None:
    """`value` if it can be a codec's joint weights: None, "hrnet", or one number above 0 a joint.

    Raises UsageError where it cannot.
    """
    if value is None or isinstance(value, str):
        checked: str | None = choice("joint_weights", value, (None, "hrnet"))
        return checked
    numbers = [positive("joint_weights", one) for one in value]
    if len(numbers) != len(skeleton):
        raise UsageError(
            "one weight a joint is needed",
            code=CODE,
            expected=f"{len(skeleton)} numbers ({skeleton.name})",
            got=str(len(numbers)),
        )
    return numbers


def joint_weights(value: str | list[float] | None, skeleton: Skeleton) -> NDArray[np.float32]:
    """One factor a joint.  [K] float32

    "hrnet" is HRNet's `joints_weight` by joint name: elbows and knees 1.2, wrists and ankles 1.5, all others 1.
    """
    if value is None:
        return np.ones(len(skeleton), np.float32)
    if isinstance(value, str):
        parts = (name.rsplit("_", 1)[-1] for name in skeleton.keypoints)
        return np.array([_HRNET.get(part, 1.0) for part in parts], np.float32)
    return np.asarray(value, np.float32)


def center_weights(heatmap_size: tuple[int, int]) -> NDArray[np.float32]:
    """The centre-weighted map of the 6-2 recipe: 1 + 0.5 * exp(-0.1 * distance), distance to (W/2, H/2) in cells.

    heatmap_size  (height, width)
    returns       [H,W]  float32  factors for a loss

    (W/2, H/2) is half a cell right of and below the middle of the cells: the map is not its own mirror. It belongs to
    the network's output and not to the person, so a mirrored sample has the same one.
    """
    height, width = heatmap_size
    y, x = np.mgrid[:height, :width]
    factors: NDArray[np.float64] = 1.0 + 0.5 * np.exp(-0.1 * np.hypot(x - width / 2, y - height / 2))
    return factors.astype(np.float32)


def spatial_map(rule: str, heatmap_size: tuple[int, int]) -> NDArray[np.float32]:
    """The weights by place of a rule's name, one of SPATIAL_RULES.  [H,W] float32

    Raises UsageError for another name.
    """
    if rule != "center":
        raise UsageError(f"there are no spatial weights '{rule}'", code=CODE, help=did_you_mean(rule, SPATIAL_RULES))
    return center_weights(heatmap_size)
