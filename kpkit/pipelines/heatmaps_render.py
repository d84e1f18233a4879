"""What a worker does with one shard: place crops, cut and cover pictures, render targets, write."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kpkit.core.skeleton import Skeleton
from kpkit.execute import Failure
from kpkit.pipelines import heatmaps_whole as whole
from kpkit.pipelines.heatmaps_crops import Crops, expand, mirror, place
from kpkit.pipelines.heatmaps_pictures import Pictures
from kpkit.pipelines.heatmaps_plan import RenderPlan, ShardTask, encode_ids, plan_layout
from kpkit.targets.base import Codec
from kpkit.targets.make import from_parameters
from kpkit.targets.manifest import ShardEntry
from kpkit.targets.shard_layout import IDENTITY, IMAGE, REGION, SPATIAL, Array
from kpkit.targets.shard_targets import SampleLabels, dense_of, points_of
from kpkit.targets.shard_write import ShardWriter, sha256_of
from kpkit.targets.weights import spatial_map

BLOCK = 128


@dataclass
class Rendered:
    """What came of a shard.

    entry     for the manifest; None where no sample is left        kept     an earlier run made it
    covered   joints that something covers
    failures  pictures that could not be used                       seconds  by step
    """

    entry: ShardEntry | None
    failures: list[Failure] = field(default_factory=list)
    kept: bool = False
    covered: int = 0
    notes: dict[str, list[str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the time of a block to a step."""
        start = time.perf_counter()
        yield
        self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - start


def render_or_keep(plan: RenderPlan, job_fingerprint: str, item: tuple[ShardTask, ShardEntry | None]) -> Rendered:
    """Make one shard, unless an earlier run made the same.

    item  the task, and what an earlier run says about the shard, or None
    """
    task, entry = item
    if entry is not None and is_same(entry, plan.folder, task, job_fingerprint):
        return Rendered(entry, kept=True, covered=entry.covered)
    return render_shard(plan, job_fingerprint, task)


def is_same(entry: ShardEntry, folder: Path, task: ShardTask, job_fingerprint: str) -> bool:
    """Whether the shard is whole, and made from the same labels and pictures by the same job."""
    path = folder / entry.path
    return (
        not entry.failed
        and entry.fingerprint == task.fingerprint(job_fingerprint)
        and path.is_file()
        and path.stat().st_size == entry.bytes
        and sha256_of(path) == entry.sha256
        and files_digest(task) == entry.images
    )


def render_shard(plan: RenderPlan, job_fingerprint: str, task: ShardTask) -> Rendered:
    """Make one shard; pictures that fail are listed, their samples are left out.

    Raises OutputError where it cannot be written.
    """
    started = time.perf_counter()
    done = Rendered(None)
    codec = codec_of(plan)
    layout = plan_layout(plan, codec)
    fingerprint = task.fingerprint(job_fingerprint)
    attributes = plan.attributes | {"fingerprint": fingerprint, "number": task.number}
    path = plan.folder / task.path
    with done.timed("files"):
        images = files_digest(task)
    crops = expand(task, plan.copies, whole=plan.whole)
    make = _maker(plan, task, codec, done)
    size = whole.BLOCK if plan.whole else BLOCK
    capacity = (task.high - task.low) * plan.flips
    with ShardWriter(path, layout, capacity, plan.compression, attributes, plan.making) as writer:
        if SPATIAL in layout:
            writer.put(SPATIAL, spatial_map(plan.spatial_weights, codec.heatmap_size))
        for first in range(0, len(crops.person), size):
            arrays = make(crops.part(first, first + size))
            with done.timed("write"):
                writer.append(arrays)
        if writer.count:
            with done.timed("write"):
                size, digest = writer.finish()
            failed = [failure.key for failure in done.failures]
            done.entry = ShardEntry(task.path, writer.count, size, digest, fingerprint, images, done.covered, failed)
    done.seconds["total"] = time.perf_counter() - started
    return done


def _maker(plan: RenderPlan, task: ShardTask, codec: Codec, done: Rendered) -> Callable[[Crops], dict[str, Array]]:
    """What makes the arrays of a few crops, or of whole pictures."""
    pictures = Pictures(plan, task, done)
    if plan.whole:
        return whole.WholePictures(plan, task, codec, pictures, done).arrays
    return lambda crops: _block(plan, task, codec, crops, pictures, done)


def codec_of(plan: RenderPlan) -> Codec:
    """The plan's codec, made once a worker."""
    return _codec(plan.skeleton, json.dumps(plan.codec, sort_keys=True))


@lru_cache(maxsize=4)
def _codec(skeleton: Skeleton, parameters: str) -> Codec:
    return from_parameters(skeleton, json.loads(parameters))


def files_digest(task: ShardTask) -> str:
    """SHA-256 (hex) over those of all files that the shard is made from, "" where it opens none."""
    files = task.files()
    if not files:
        return ""
    digest = hashlib.sha256()
    for file in files:
        digest.update(_file_digest(file).encode())
    return digest.hexdigest()


def _file_digest(file: Path) -> str:
    try:
        return sha256_of(file)
    except OSError:
        return "missing"


def _block(
    plan: RenderPlan, task: ShardTask, codec: Codec, crops: Crops, pictures: Pictures, done: Rendered
) -> dict[str, Array]:
    with done.timed("place"):
        placed = place(plan, task, crops, codec)
    taken = pictures.take(crops, placed)
    if not taken.good.all():
        crops, placed = crops.where(taken.good), placed.where(taken.good)
        taken = taken.where(taken.good)
    done.covered += int((placed.occluded & (placed.visibility > 0)).sum())
    images, regions, flipped = taken.images, taken.regions, placed.mirrored
    rows = np.arange(len(crops.person))
    if plan.flip_copies:
        rows, placed, images, regions, flipped = mirror(plan, codec, placed, images, regions)
    labels = SampleLabels(
        keypoints=placed.xy.astype(np.float32),
        visibility=placed.visibility,
        occluded=placed.occluded,
        affine=placed.matrix,
        bbox=task.columns["bbox_xywh"][crops.person[rows]].astype(np.float32),
        regions=regions,
    )
    with done.timed("render"):
        points = points_of(codec, labels, plan.occluded_target)
        if plan.store == "params":
            arrays: dict[str, Array] = {"mu": points.mu, "sigma": points.sigma}
        else:
            arrays = dense_of(codec, points, regions, plan.occluded_target, plan.dtype)
    arrays |= _label_arrays(plan, task, crops, rows, labels, placed.truncated)
    arrays |= {"weights": points.weights, "flipped": flipped}
    if regions is not None:
        arrays[REGION] = regions
    if images is not None:
        arrays[IMAGE] = images
    return arrays


def _label_arrays(
    plan: RenderPlan,
    task: ShardTask,
    crops: Crops,
    rows: NDArray[np.int64],
    labels: SampleLabels,
    truncated: NDArray[np.bool_],
) -> dict[str, Array]:
    person = crops.person[rows]
    images = [task.images[i] for i in crops.image[rows].tolist()]
    identity = {
        "instance_id": [task.ids[p] for p in person.tolist()],
        "image_id": [image.id for image in images],
        "image_path": [image.path for image in images],
    }
    return {
        "keypoints": labels.keypoints,
        "visibility": labels.visibility,
        "truncated": truncated,
        "occluded": labels.occluded,
        "affine": labels.affine,
        "bbox": labels.bbox,
        "head_box": task.columns["head_box"][person].astype(np.float32),
        "score": task.columns["score"][person].astype(np.float32),
        "copy": crops.copy[rows].astype(np.int32),
        **{name: encode_ids(identity[name], plan, name) for name in IDENTITY},
    }
