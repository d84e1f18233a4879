"""What stands before the first shard: labels are read and checked, codec and layout are made, shards are counted."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import kpkit
from kpkit import registry, storage
from kpkit.augment.images import decoder_name
from kpkit.augment.recipe import Recipe
from kpkit.core.report import Collector
from kpkit.errors import UsageError
from kpkit.lock import check_unlocked, holder
from kpkit.pipelines.augment import UPPER
from kpkit.pipelines.heatmaps_checks import check_job, check_pictures, usable_recipe
from kpkit.pipelines.heatmaps_folder import check_output
from kpkit.pipelines.heatmaps_job import INPUT_SIZE, WHOLE_SIZE, HeatmapsJob, SpatialWeights
from kpkit.pipelines.heatmaps_people import People, read_people
from kpkit.pipelines.heatmaps_plan import RenderPlan, crops_of, identity_types, plan_document, plan_layout
from kpkit.pipelines.images import image_folder
from kpkit.pipelines.load import folder_of_images
from kpkit.pipelines.parts import open_labels
from kpkit.targets.base import Codec
from kpkit.targets.deflate import deflater_name, zstd_filter
from kpkit.targets.make import make_codec
from kpkit.targets.shard_layout import COORDINATES, KIND, SCHEMA_VERSION, Layout, shard_name
from kpkit.targets.weights import spatial_map


@dataclass(frozen=True)
class Work:
    """What is to be done.

    path, format  of the labels                  root  folder of the pictures, None where none is opened
    crops        of a shard, at most            names  of the shards
    fingerprint  SHA-256 of everything but the labels that says what the bytes are
    """

    path: Path
    format: str
    output: Path
    people: People
    plan: RenderPlan
    codec: Codec
    layout: Layout
    root: Path | None
    crops: int
    names: list[str]
    fingerprint: str
    versions: dict[str, str]


def prepare(job: HeatmapsJob, collector: Collector) -> Work:
    """Find, read and check. Raises UsageError, InputError or OutputError."""
    labels = open_labels(job.source, collector)
    output = job.output or job.source.folder / "kpkit-out" / f"heatmaps-{labels.format.name}"
    if job.scheduler and not storage.is_remote(output):  # its workers have another current folder
        output = output.absolute()
    if not job.dry_run:
        _check_output(job, output)
    whole = registry.load(registry.CODECS, job.codec).whole_images
    people = read_people(labels, collector, labels.format.keeps_for(labels.path).instance_id, whole=whole)
    path, images = labels.path, folder_of_images(people.dataset, labels.path, job.source)
    recipe = usable_recipe(job)
    said = recipe.input_size if recipe is not None and not (whole and recipe.mode == "topdown") else None
    input_size = job.input_size or said or (WHOLE_SIZE if whole else INPUT_SIZE)
    skeleton = people.dataset.skeleton
    codec = make_codec(job.codec, skeleton, input_size, job.heatmap_size, **job.codec_parameters)
    check_job(job, recipe, people, path)
    if whole:
        check_pictures(job, recipe, people, path, collector)
    plan = _plan(job, recipe, people, codec, output)
    if job.occluded_target != "ignore" and not plan.covers and not people.covered:
        what = f"nothing covers a joint here, so --occluded-target {job.occluded_target} changes nothing"
        collector.note("KP-HEATMAPS-UNCOVERED", what, place=recipe.name if recipe is not None else "no --recipe")
    versions = _versions(job, plan)
    fingerprint = _fingerprint(plan, versions)
    plan = replace(plan, attributes=_attributes(plan, versions, fingerprint))
    layout = plan_layout(plan, codec)
    opens = plan.with_images or bool(people.image_masks) or bool(people.person_masks)
    root = (images or image_folder(job.source.images, people.dataset)) if opens else None
    if root is not None and job.scheduler and not storage.is_remote(root):
        root = root.absolute()
    total = int(crops_of(people, plan)[-1])
    crops = _crops_a_shard(job, plan, layout, people)
    count = math.ceil(total / crops)
    names = [shard_name(number, count) for number in range(count)]
    return Work(
        path, labels.format.name, output, people, plan, codec, layout, root, crops, names, fingerprint, versions
    )


def _check_output(job: HeatmapsJob, output: Path) -> None:
    """A folder in which a run is at work is no unfinished one: that run is named, or waited for and looked at then."""
    place = storage.stand_in(output)
    if holder(place) is None:
        check_output(output, resume=job.resume, force=job.force)
    elif not job.wait:
        check_unlocked(place)


def _plan(job: HeatmapsJob, recipe: Recipe | None, people: People, codec: Codec, output: Path) -> RenderPlan:
    skeleton = people.dataset.skeleton
    how: dict[str, Any] = {"mode": "topdown", "warp": codec.warp, "padding": job.padding}
    if people.whole:
        how = {"mode": "image", "half_body": 0.0}
    crop = (recipe or Recipe()).with_changes(input_size=codec.input_size, **how)
    copies = tuple(range(1, job.copies + 1)) if recipe is not None else (0,)
    if recipe is not None and job.include_original:
        copies = (0, *copies)
    return RenderPlan(
        codec=codec.parameters(),
        skeleton=skeleton,
        identity=identity_types(people),
        dtype=job.dtype,
        store=job.store,
        compression=job.compression,
        recipe=crop,
        copies=copies,
        flip_copies=job.flip_copies,
        seed=job.seed,
        upper=np.array([any(part in name.lower() for part in UPPER) for name in skeleton.keypoints], bool),
        occluded_target=job.occluded_target,
        covers=crop.occlusion is not None or bool(people.image_masks) or bool(people.person_masks),
        with_images=job.with_images,
        spatial_weights=_spatial(job, codec),
        folder=storage.stand_in(output),
        attributes={},
        exif=job.exif,
        max_pixels=job.max_pixels,
        whole=people.whole,
        regions=bool(people.regions),
    )


def _spatial(job: HeatmapsJob, codec: Codec) -> SpatialWeights:
    if job.spatial_weights != "none":
        spatial_map(job.spatial_weights, codec.heatmap_size)
        if not any(spec.is_map for spec in codec.spec().values()):
            raise UsageError(
                f"codec '{codec.name}' has no maps whose cells could be weighted",
                code="KP-HEATMAPS-SPATIAL",
                help="leave --spatial-weights out, or choose another codec",
            )
    return job.spatial_weights


def _versions(job: HeatmapsJob, plan: RenderPlan) -> dict[str, str]:
    """Of everything that makes the bytes."""
    found = {
        "kpkit": kpkit.__version__,
        "numpy": np.__version__,
        "h5py": h5py.__version__,
        "hdf5": h5py.version.hdf5_version,
    }
    if job.compression == "gzip":
        found["deflate"] = deflater_name()
    elif job.compression == "zstd":
        zstd_filter()
        import hdf5plugin

        found["hdf5plugin"] = hdf5plugin.version
    if plan.with_images or plan.covers:
        found["decoder"] = decoder_name()
    return found


def _fingerprint(plan: RenderPlan, versions: dict[str, str]) -> str:
    text = json.dumps({**plan_document(plan), "versions": versions}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _attributes(plan: RenderPlan, versions: dict[str, str], fingerprint: str) -> dict[str, Any]:
    return {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "kpkit_version": versions["kpkit"],
        "versions": json.dumps(versions),
        "codec": json.dumps(plan.codec),
        "store": plan.store,
        "dtype": plan.dtype,
        "compression": plan.compression,
        "occluded_target": plan.occluded_target,
        "warp": plan.recipe.warp,
        "coordinates": COORDINATES,
        "skeleton": json.dumps(plan.skeleton.to_dict()),
        "skeleton_hash": plan.skeleton.content_hash,
        "encodings": json.dumps(dict(plan.identity.encodings)),
        "job_fingerprint": fingerprint,
    }


def _crops_a_shard(job: HeatmapsJob, plan: RenderPlan, layout: Layout, people: People) -> int:
    samples = job.shard_samples
    if job.shard_bytes:
        # As many as fit, whoever is on the pictures.
        times = {"sample": 1, "person": int(people.counts.max(initial=1)), "shard": 0}
        samples = job.shard_bytes // max(1, sum(array.nbytes * times[array.per] for array in layout.values()))
    return max(1, samples // plan.flips)
