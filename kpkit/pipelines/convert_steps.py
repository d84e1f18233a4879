"""The steps of a conversion between reading and writing: the same for a whole dataset and for each part of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kpkit.core import boxes, catalog
from kpkit.core.dataset import AREA_BBOX, Dataset
from kpkit.core.mapping import Mapping
from kpkit.core.remap import remap
from kpkit.core.report import Collector, JointLine, Loss
from kpkit.core.skeleton import Skeleton
from kpkit.formats.base import Format, ReadOptions
from kpkit.formats.jsonrows import RowSource
from kpkit.formats.segmentation import segmentation_areas
from kpkit.pipelines.convert_job import ConvertJob
from kpkit.pipelines.images import sizes_of, with_sizes
from kpkit.pipelines.io import check_skeleton
from kpkit.pipelines.sigmas import read_sigmas


@dataclass(frozen=True)
class Converted:
    """dataset  ready to be written    mapping  source joints to its joints    joints, losses  see Report"""

    dataset: Dataset
    mapping: Mapping
    joints: list[JointLine]
    losses: list[Loss]


def read_options(job: ConvertJob) -> ReadOptions:
    """What the reader is told."""
    return ReadOptions(
        skeleton=catalog.skeleton(job.skeleton) if job.skeleton else None,
        image_list=job.image_list,
        layout=job.layout,
        sizes=sizes_of(job.images, job.image_sizes),
        low_memory=job.low_memory,
    )


def convert_dataset(
    job: ConvertJob, source: Format, target: Format, dataset: Dataset, final: Path, collector: Collector
) -> Converted:
    """Sizes, boxes and joints of a dataset that was read, for the target; and what that loses.

    final  where the labels will stand

    Raises UsageError where the target cannot hold the joints.
    """
    if job.sigmas is not None:
        dataset = dataset.replace(skeleton=read_sigmas(job.sigmas, dataset.skeleton))
    sizes = sizes_of(job.images, job.image_sizes)
    unknown = target.keeps.image_size and bool((dataset.images.width < 0).any())
    if unknown and job.images is None and dataset.image_root is not None:
        sizes = sizes_of(Path(dataset.image_root), job.image_sizes)
    dataset = with_sizes(dataset, sizes, collector)
    mapping = catalog.mapping(dataset.skeleton, target_skeleton(job, source, target, dataset.skeleton))
    check_skeleton(target, mapping.target)
    # Boxes first: the joints that the new skeleton has no place for (a head, say) still belong to the person.
    mapped = remap(_complete(job, target, dataset, mapping, collector), mapping)
    losses = [*mapped.losses, *target.losses(mapped.dataset, final)]
    return Converted(mapped.dataset, mapping, mapped.joints, losses)


def target_skeleton(job: ConvertJob, source: Format, target: Format, given: Skeleton) -> Skeleton:
    """The joints of the output, for an input with the joints `given`."""
    if job.skeleton is not None:
        return catalog.skeleton(job.skeleton)
    if job.keep_skeleton:
        return given
    allowed = target.keeps.skeletons
    if allowed is not None:
        known = [catalog.skeleton(name) for name in allowed]
        return next((one for one in known if one.same_joints(given)), known[0])
    if target.foreign_skeleton and source.fixed_joints:
        return catalog.skeleton(target.foreign_skeleton)
    return given


def _complete(job: ConvertJob, target: Format, dataset: Dataset, mapping: Mapping, collector: Collector) -> Dataset:
    """Boxes and areas where the target has them and the labels came from elsewhere."""
    own_rows = dataset.source is not None and dataset.source.format == target.name and mapping.is_identity
    if job.bbox is None and (own_rows or not target.makes_boxes):
        return dataset
    dataset = boxes.with_boxes(dataset, job.bbox or "auto", job.bbox_pad, target.scale_boxes(dataset))
    made = dataset.bbox_source > 1
    collector.note(
        "KP-BBOX-MADE",
        f"person boxes made from their joints (hull + {job.bbox_pad:.0%}) or scale",
        count=int(np.count_nonzero(made)),
    )
    missing = np.flatnonzero(~np.isfinite(dataset.area))
    from_mask = None
    if len(missing) and isinstance(dataset.source, RowSource):
        from_mask = np.full(len(dataset), np.nan)
        from_mask[missing] = segmentation_areas(dataset.source, missing)
    dataset = boxes.with_areas(dataset, from_mask)
    collector.note("KP-AREA-MADE", "areas made: 0.53 x box", count=int((dataset.area_source == AREA_BBOX).sum()))
    return dataset
