"""Two datasets side by side: a source and what a conversion or an augmentation made of it."""

from __future__ import annotations

from typing import Any

from kpkit.qa.stats import FLAGS, Stats

SHARES = ("labelled_share", "occluded_share", "truncated_share")


def differences(first: Stats, second: Stats) -> dict[str, Any]:
    """What the second has more than the first, as plain data; joints are matched by name.

    Shares are differences of shares; null where one side has nothing to measure.
    """
    rows = {row["joint"]: row for row in second.rows()}
    before = first.rows()
    return {
        "counts": {name: second.counts[name] - count for name, count in first.counts.items()},
        "joints": [_joint(row, rows[row["joint"]]) for row in before if row["joint"] in rows],
        "joints_only_in_input": [row["joint"] for row in before if row["joint"] not in rows],
        "joints_only_in_other": [name for name in rows if name not in first.skeleton.keypoints],
        "persons_per_image": _minus(second.per_image.mean, first.per_image.mean),
        "labelled_joints_per_person": _minus(second.labelled.mean, first.labelled.mean),
        "box_side": _minus(second.sizes.spreads["box_side"].median, first.sizes.spreads["box_side"].median),
    }


def _joint(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"joint": first["joint"]}
    found |= {flag: second[flag] - first[flag] for flag in FLAGS}
    found |= {share: _minus(second[share], first[share]) for share in (*SHARES, "x_mean", "y_mean")}
    return found


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other
