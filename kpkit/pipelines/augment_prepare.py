"""What stands before the first picture: the labels are found, read and checked, and the output may be written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kpkit.augment.photometric import load_pipeline
from kpkit.core.boxes import with_boxes
from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.errors import UsageError
from kpkit.formats.base import Format, ReadOptions
from kpkit.guard import check_free
from kpkit.pipelines.augment_files import check_overlap, labels_place
from kpkit.pipelines.augment_images import SourceImage, source_images
from kpkit.pipelines.augment_job import AugmentJob
from kpkit.pipelines.find import find_input, get_format
from kpkit.pipelines.images import ImageSizes, locate_images, with_sizes
from kpkit.pipelines.io import check_skeleton, read_with

BOX_PADDING = 0.25


@dataclass(frozen=True)
class Work:
    """What is to be done.

    path, source       the input and its format      output, target, place  folder, format, the labels' place in it
    dataset            with a box for everybody who can have one
    own_boxes          [N] bool: the person had a box before
    images             in their order                root  folder of the image files
    """

    job: AugmentJob
    path: Path
    source: Format
    output: Path
    target: Format
    place: str
    dataset: Dataset
    own_boxes: NDArray[np.bool_]
    images: list[SourceImage]
    root: Path


def prepare(job: AugmentJob, collector: Collector) -> Work:
    """Find, read and check. Raises UsageError, InputError or OutputError."""
    path, source = find_input(job.input, job.from_, job.folder)
    target = get_format(job.to) if job.to else source
    output = job.output or job.folder / "kpkit-out" / f"augment-{target.name}"
    _check_output(job, target, output)
    dataset = read_with(source, path, ReadOptions(sizes=ImageSizes(job.images, job.image_sizes)), collector)
    if job.image_sizes is not None:
        dataset = with_sizes(dataset, ImageSizes(None, job.image_sizes), collector)
    _check(job, target, dataset, path)
    images = source_images(dataset, has_ids=source.keeps_for(path).instance_id)
    root = locate_images(dataset, path, job.images)
    if job.scheduler:  # its workers have another current folder
        root = root.absolute()
    check_overlap(output, [path, root, job.image_sizes, Path(job.recipe.albumentations or path)])
    own_boxes: NDArray[np.bool_] = np.all(np.isfinite(dataset.bbox_xywh), axis=1)
    # Occluders and crops need a box; persons without one get the hull of their joints.
    dataset = with_boxes(dataset, "auto", BOX_PADDING, source.scale_boxes(dataset))
    place = labels_place(target, source, path)
    return Work(job, path, source, output, target, place, dataset, own_boxes, images, root)


def _check_output(job: AugmentJob, target: Format, output: Path) -> None:
    if output.suffix.lower() in target.suffixes and not output.is_dir():
        raise UsageError(
            "the output is a folder with pictures and labels",
            code="KP-OUTPUT-FOLDER",
            place=str(output),
            expected="the name of a folder",
            help=f"e.g. -o {output.stem}",
        )
    if not job.dry_run:
        check_free(output, force=job.force)
    if job.preview is not None:
        check_free(job.preview, force=job.force, directory=False)


def _check(job: AugmentJob, target: Format, dataset: Dataset, path: Path) -> None:
    if not len(dataset.images):
        raise UsageError("the labels name no image", code="KP-AUGMENT-EMPTY", place=str(path))
    if job.copies < 1 and not job.include_original:
        raise UsageError("nothing to make", code="KP-USAGE", help="ask for --copies 1 or more, or --include-original")
    recipe, skeleton = job.recipe, dataset.skeleton
    if recipe.albumentations:
        # A pipeline that is refused, or its missing library, is one error, not a failure of every picture.
        load_pipeline(Path(recipe.albumentations))
    mirrors = recipe.flip or recipe.flip_vertical or recipe.transpose or recipe.albumentations
    problems = skeleton.lateral_issues()
    if mirrors and problems and not job.allow_unpaired:
        raise UsageError(
            f"the skeleton '{skeleton.name}' cannot be mirrored: {problems[0]}",
            code="KP-UNPAIRED",
            place=str(path),
            expected="a partner for every left and right joint",
            got=f"{len(problems)} joints without",
            help="name the joints left_... and right_..., or accept it with --allow-unpaired",
        )
    try:
        check_skeleton(target, skeleton)
    except UsageError as error:
        error.help = f"augmenting keeps the joints: leave --to out, and run 'kpkit convert' to {target.name} before"
        raise
