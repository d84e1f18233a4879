"""One whole picture as a sample, and what a shard stores of several."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.augment import geometry as geo
from kpkit.pipelines.heatmaps_pictures import Account, Picture
from kpkit.pipelines.heatmaps_plan import RenderPlan, ShardTask, encode_ids
from kpkit.targets.base import Codec
from kpkit.targets.shard_layout import COUNT, FIRST, IDENTITY, IMAGE, MASKED, MISS, REGION, Array
from kpkit.targets.shard_targets import SampleLabels, dense_of, points_of, starts_of


@dataclass(frozen=True)
class Frame:
    """One sample.

    number, copy  of the picture among the task's, of its copy     rows  [p] int64 persons, rows of the task's
    matrix  [2,3] float64 source -> input pixels                   mirrored  left and right are exchanged
    xy      [p,K,2] float64 input pixels                           visibility, truncated, occluded  [p,K]
    image   [h,w,3] uint8 or None      region, miss  [H,W] uint8, or None for no region
    """

    number: int
    copy: int
    rows: NDArray[np.int64]
    matrix: NDArray[np.float64]
    mirrored: bool
    image: Picture | None = None
    region: Picture | None = None
    miss: Picture | None = None
    xy: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0, 2)))
    visibility: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    truncated: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), bool))
    occluded: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), bool))

    def flipped(self, width: int, order: NDArray[np.int64]) -> Frame:
        """Its mirror image.

        width  of the input, pixels    order  [K] which joint takes whose place
        """
        flip = geo.flip_horizontal(width)
        image, region, miss = (None if one is None else one[:, ::-1] for one in (self.image, self.region, self.miss))
        return replace(
            self,
            image=image,
            region=region,
            miss=miss,
            matrix=geo.compose(self.matrix, flip),
            mirrored=not self.mirrored,
            xy=geo.apply_points(flip, self.xy[:, order]),
            visibility=self.visibility[:, order],
            truncated=self.truncated[:, order],
            occluded=self.occluded[:, order],
        )


def arrays_of(plan: RenderPlan, task: ShardTask, codec: Codec, frames: list[Frame], done: Account) -> dict[str, Array]:
    """What a shard stores of samples, in their order.  name -> [n, *shape], of persons [m, *shape]"""
    starts = starts_of(np.array([len(frame.rows) for frame in frames], np.int64))
    person = np.concatenate([*(frame.rows for frame in frames), np.zeros(0, np.int64)])
    labels = _labels(plan, task, codec, frames, starts, person)
    with done.timed("render"):
        points = points_of(codec, labels, plan.occluded_target)
        if plan.store == "params":
            arrays: dict[str, Array] = {"mu": points.mu, "sigma": points.sigma}
        else:
            arrays = dense_of(codec, points, labels.regions, plan.occluded_target, plan.dtype)
    images = [task.images[frame.number] for frame in frames]
    identity = {
        "instance_id": [task.ids[row] for row in person.tolist()],
        "image_id": [image.id for image in images],
        "image_path": [image.path for image in images],
    }
    arrays |= {name: encode_ids(identity[name], plan, name) for name in IDENTITY}
    arrays |= {name: task.columns[name][person].astype(np.float32) for name in ("head_box", "score")}
    arrays |= {name: getattr(labels, name) for name in ("keypoints", "visibility", "occluded", "affine", "bbox")}
    k, cells = len(plan.skeleton), codec.heatmap_size
    arrays |= {
        "truncated": _joined([frame.truncated for frame in frames], (k,), np.bool_),
        "weights": points.weights,
        "flipped": np.array([frame.mirrored for frame in frames], bool),
        "copy": np.array([frame.copy for frame in frames], np.int32),
        # Of these samples; the writer counts on over the shard.
        FIRST: starts[:-1],
        COUNT: np.diff(starts).astype(np.int32),
        MASKED: task.columns["masked"][person],
        MISS: _stacked([frame.miss for frame in frames], cells),
    }
    if labels.regions is not None:
        arrays[REGION] = labels.regions
    if plan.with_images:
        arrays[IMAGE] = _stacked([frame.image for frame in frames], (*codec.input_size, 3))
    return arrays


def _labels(
    plan: RenderPlan,
    task: ShardTask,
    codec: Codec,
    frames: list[Frame],
    starts: NDArray[np.int64],
    person: NDArray[np.int64],
) -> SampleLabels:
    k = len(plan.skeleton)
    return SampleLabels(
        keypoints=_joined([frame.xy for frame in frames], (k, 2), np.float32),
        visibility=_joined([frame.visibility for frame in frames], (k,), np.uint8),
        occluded=_joined([frame.occluded for frame in frames], (k,), np.bool_),
        affine=_stacked([frame.matrix for frame in frames], (2, 3), np.float64),
        bbox=task.columns["bbox_xywh"][person].astype(np.float32),
        regions=_stacked([frame.region for frame in frames], codec.heatmap_size) if plan.covers else None,
        starts=starts,
        masked=task.columns["masked"][person],
    )


def _joined(parts: list[Any], shape: tuple[int, ...], dtype: Any) -> Array:
    """Rows of persons, one sample after the other.  [m, *shape]"""
    return np.concatenate([*parts, np.zeros((0, *shape))]).astype(dtype)


def _stacked(parts: list[Any], shape: tuple[int, ...], dtype: Any = np.uint8) -> Array:
    """One of each sample.  [n, *shape]"""
    return np.stack(parts).astype(dtype, copy=False) if parts else np.zeros((0, *shape), dtype)
