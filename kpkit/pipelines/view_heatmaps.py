"""Targets of shards laid over their source pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.pipelines.shards_show import target_maps
from kpkit.targets.decoders import inverse_linear
from kpkit.targets.shard_dataset import ShardDataset

# Maps are kept at a quarter of the picture's size: a heatmap's cell is at least that large.
SHRINK = 4
FAINT = 0.02

Map = NDArray[np.uint8]


def heatmaps_of(folder: Path, dataset: Dataset, sizes: NDArray[np.float64], collector: Collector) -> dict[int, Map]:
    """The strongest target of all joints and persons at every place of a picture.

    sizes    [M,2] float64  width and height of the pictures

    returns  row of an image -> [h,w] uint8, 255 is the peak of a target

    Of augmented copies the first is taken. Raises InputError or FormatError where the shards cannot be read.
    """
    row_of = {path: row for row, path in enumerate(dataset.images.path.tolist())}
    found: dict[int, Map] = {}
    unknown: list[str] = []
    done: set[tuple[str, str]] = set()
    with ShardDataset(folder) as shards:
        for sample in shards:
            person = (str(sample["image_path"]), str(sample["instance_id"]))
            row = row_of.get(person[0])
            if row is None or not np.isfinite(sizes[row]).all():
                unknown.append(person[0])
            elif person not in done:
                done.add(person)
                width, height = (max(1, round(side / SHRINK)) for side in sizes[row].tolist())
                back = _to_map(np.asarray(sample["affine"], np.float64))
                maps = target_maps(shards, sample).max(axis=0)
                laid = cv2.warpAffine(maps, back, (width, height), flags=cv2.INTER_LINEAR)
                laid[laid < FAINT] = 0
                drawn = np.rint(np.clip(laid, 0, 1) * 255).astype(np.uint8)
                found[row] = np.maximum(found[row], drawn) if row in found else drawn
    collector.issue(
        "KP-VIEW-SHARDS",
        "samples of the shards whose picture is not among the labels",
        count=len(unknown),
        places=list(dict.fromkeys(unknown))[:5],
        help="give the shards that were made of these labels",
    )
    return found


def _to_map(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels of the input -> pixels of the shrunk picture, both counted from the centre of the first.

    affine  [2,3]  source -> input
    """
    linear = inverse_linear(affine)
    whole = np.vstack([np.column_stack([linear, -linear @ affine[:, 2]]), [0.0, 0.0, 1.0]])
    shift = (1 / SHRINK - 1) / 2
    shrink = np.array([[1 / SHRINK, 0, shift], [0, 1 / SHRINK, shift], [0, 0, 1]])
    back: NDArray[np.float64] = (shrink @ whole)[:2]
    return back
