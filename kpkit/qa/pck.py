"""Shares of correct joints (PCK, PCKh) and errors of matched persons, by joint and by visibility.

Sources: PCKh as in leoxiaobin/deep-high-resolution-net.pytorch lib/dataset/mpii.py (the head size is 0.6 times the
diagonal of the head rectangle, a joint is correct up to and including the threshold); PCK as in Yang and Ramanan,
"Articulated human detection with flexible mixtures of parts" (the longer side of the person's box).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kpkit.core import catalog
from kpkit.core.dataset import Dataset
from kpkit.core.joint_names import normalise_joint_name, side_of
from kpkit.errors import UsageError

Norm = Literal["head", "bbox", "torso"]

HEAD_SHARE = 0.6
STEPS = 50
# Neither counts in the published PCKh of MPII: annotators placed them, nobody predicts them on their own.
NOT_IN_MEAN = frozenset({"pelvis", "thorax"})
ORDER = ("head_top", "head", "nose", "eye", "ear", "upper_neck", "neck", "shoulder", "elbow", "wrist", "hip", "knee")
VISIBILITIES = {"visible": 2, "occluded": 1}
TORSO = ("left_shoulder", "right_hip")

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """Labelled persons and what was predicted for them.

    truth     the persons that count: no crowds, at least one labelled joint
    found     [N]    int64    row of the prediction, -1 where a person was not found
    distance  [N,K]  float64  pixels; infinite where nothing was predicted, NaN where the joint is not labelled
    """

    truth: Dataset
    found: NDArray[np.int64]
    distance: Numbers


def pair(truth: Dataset, found: Dataset, rows: NDArray[np.int64]) -> Pairs:
    """Distances of persons from their predictions.

    rows  [N]  int64  row in `found` of every person of `truth`, -1 where there is none
    """
    there = rows >= 0
    xy = np.full(truth.xy.shape, np.nan)
    xy[there] = found.xy[rows[there]]
    with np.errstate(over="ignore"):
        distance = np.hypot(*np.moveaxis(xy - truth.xy, -1, 0))
    labelled = truth.visibility > 0
    return Pairs(truth, rows, np.where(labelled, np.where(np.isnan(distance), np.inf, distance), np.nan))


def scales(truth: Dataset, norm: Norm) -> Numbers:
    """[N] float64 pixels: what distances are divided by; NaN where unknown or nothing.

    norm  head: 0.6 x the diagonal of the head rectangle; bbox: the longer side of the box; torso: from the left
          shoulder to the right hip

    Raises UsageError where a skeleton has no such joints.
    """
    if norm == "head":
        sizes = HEAD_SHARE * np.linalg.norm(truth.head_box[:, 2:], axis=1)
    elif norm == "bbox":
        sizes = truth.bbox_xywh[:, 2:].max(axis=1, initial=-np.inf)
    else:
        places = {normalise_joint_name(name): place for place, name in enumerate(truth.skeleton.keypoints)}
        missing = [name for name in TORSO if name not in places]
        if missing:
            raise UsageError(
                f"skeleton '{truth.skeleton.name}' has no torso to measure",
                code="KP-EVAL-TORSO",
                expected="the joints " + " and ".join(TORSO),
                got="no " + " and no ".join(missing),
                help="measure by the box: --norm bbox",
            )
        ends = truth.xy[:, places[TORSO[0]]], truth.xy[:, places[TORSO[1]]]
        sizes = np.linalg.norm(ends[0] - ends[1], axis=1)
    return np.where(np.isfinite(sizes) & (sizes > 0), sizes, np.nan)


def shares(pairs: Pairs, scale: Numbers, threshold: float) -> dict[str, Any]:
    """Shares of correct joints, 0 to 1, as plain data: by joint, by kind of joint, and over all.

    scale      [N]  float64  pixels, NaN: the person does not count      threshold  in scales

    joints: share at the threshold, area under the curve from 0 to the threshold, and how many are labelled.
    groups: left and right taken together, the mean of both. mean: of joints; weighted_mean: of labelled joints.
    """
    skeleton = pairs.truth.skeleton
    left_out = NOT_IN_MEAN if skeleton.same_joints(catalog.skeleton("mpii16")) else frozenset()
    far = pairs.distance / scale[:, None]
    joints = [_joint(name, far[:, k], threshold) for k, name in enumerate(skeleton.keypoints)]
    for one in joints:
        one["in_mean"] = one["joint"] not in left_out and one["labelled"] > 0
    counted = [one for one in joints if one["in_mean"]]
    return {
        "threshold": threshold,
        "persons": int(np.count_nonzero(np.isfinite(scale))),
        "persons_without_scale": int(np.count_nonzero(np.isnan(scale))),
        "joints": joints,
        "groups": _groups([one for one in joints if one["joint"] not in left_out]),
        "mean": _mean([one["pck"] for one in counted]),
        "weighted_mean": _weighted([one["pck"] for one in counted], [one["labelled"] for one in counted]),
        "auc": _mean([one["auc"] for one in counted]),
        "not_in_mean": [one["joint"] for one in joints if not one["in_mean"]],
    }


def _joint(name: str, far: Numbers, threshold: float) -> dict[str, Any]:
    far = far[~np.isnan(far)]
    steps = np.linspace(0.0, threshold, STEPS + 1)
    if not len(far):
        return {"joint": name, "labelled": 0, "pck": None, "auc": None}
    curve = np.searchsorted(np.sort(far), steps, side="right") / len(far)
    auc = float(np.trapezoid(curve, steps) / threshold)
    return {"joint": name, "labelled": len(far), "pck": float(np.mean(far <= threshold)), "auc": auc}


def _groups(joints: list[dict[str, Any]]) -> list[dict[str, Any]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in joints:
        side = side_of(one["joint"])
        groups.setdefault(side[1] if side else one["joint"], []).append(one)
    places = {name: place for place, name in enumerate(ORDER)}
    return [
        {
            "group": name,
            "labelled": sum(one["labelled"] for one in groups[name]),
            "pck": _mean([one["pck"] for one in groups[name] if one["labelled"]]),
        }
        for name in sorted(groups, key=lambda name: places.get(name, len(ORDER)))
    ]


def errors(pairs: Pairs, scale: Numbers) -> list[dict[str, Any]]:
    """How far predicted joints are off, by joint and visibility, of persons that were found; plain data.

    The joint "" stands for all of them, each labelled joint with the same weight.

    scale  [N]  float64  pixels, NaN: no normalised error
    """
    flags = pairs.truth.visibility
    off = pairs.distance, pairs.distance / scale[:, None]
    columns = [(name, slice(k, k + 1)) for k, name in enumerate(pairs.truth.skeleton.keypoints)]
    return [
        {"joint": name, "visibility": kind, **_errors(flags[:, k] == flag, off[0][:, k], off[1][:, k])}
        for name, k in [("", slice(None)), *columns]
        for kind, flag in VISIBILITIES.items()
    ]


def _errors(labelled: NDArray[np.bool_], off: Numbers, normalised: Numbers) -> dict[str, Any]:
    predicted = labelled & np.isfinite(off)
    return {
        "labelled": int(labelled.sum()),
        "predicted": int(predicted.sum()),
        "mean_px": _mean(off[predicted].tolist()),
        "median_px": float(np.median(off[predicted])) if predicted.any() else None,
        "mean_normalised": _mean(normalised[predicted & np.isfinite(normalised)].tolist()),
    }


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _weighted(values: list[float], weights: list[int]) -> float | None:
    return float(np.average(values, weights=weights)) if values else None
