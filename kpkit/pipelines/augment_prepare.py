"""What stands before the first picture: the labels are found, read and checked, and the output may be written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kpkit.augment.photometric import load_pipeline
from kpkit.core.partition import MemoryParts
from kpkit.core.report import Collector
from kpkit.errors import UsageError
from kpkit.formats.base import Format, ReadOptions, WriteOptions
from kpkit.guard import check_free
from kpkit.pipelines.augment_blocks import Labels, Progress, look_through
from kpkit.pipelines.augment_files import check_overlap, labels_place
from kpkit.pipelines.augment_job import AugmentJob
from kpkit.pipelines.augment_plan import check_paired
from kpkit.pipelines.find import find_input, get_format
from kpkit.pipelines.images import ImageSizes, locate_images, with_sizes
from kpkit.pipelines.io import check_skeleton, read_with
from kpkit.pipelines.load import LabelSource
from kpkit.pipelines.parts import LabelParts, open_parts


@dataclass(frozen=True)
class Work:
    """What is to be done.

    path, source       the input and its format      output, target, place  folder, format, the labels' place in it
    labels             what is known of the input, and its blocks        root  folder of the image files
    """

    job: AugmentJob
    path: Path
    source: Format
    output: Path
    target: Format
    place: str
    labels: Labels
    root: Path


def prepare(job: AugmentJob, collector: Collector, tell: Progress) -> Work:
    """Find, read and check. Raises UsageError, InputError or OutputError."""
    path, source = find_input(job.input, job.from_, job.folder)
    target = get_format(job.to) if job.to else source
    output = job.output or job.folder / "kpkit-out" / f"augment-{target.name}"
    _check_output(job, target, output)
    parts = _parts(job, path, source, target, collector)
    outputs = max(1, max(job.copies, 0) + job.include_original)
    labels = look_through(parts, parts.source.size if parts.streamed else 0, outputs, collector, tell)
    _check(job, target, labels, path)
    root = locate_images(labels.head, path, job.images)
    if job.scheduler:  # its workers have another current folder
        root = root.absolute()
    check_overlap(output, [path, root, job.image_sizes, Path(job.recipe.albumentations or path)])
    place = labels_place(target, source, path)
    return Work(job, path, source, output, target, place, labels, root)


def _parts(job: AugmentJob, path: Path, source: Format, target: Format, collector: Collector) -> LabelParts:
    """The labels as they are cut, where both formats can be read and written so; else read whole, as one part."""
    where = LabelSource(input=path, from_=source.name, image_sizes=job.image_sizes)
    # Asked before the input is looked through.
    if target.part_writer(Path(), WriteOptions(part_size=1), Path()) is not None:
        found = open_parts(where, collector)
        if found is not None:
            return found
    dataset = read_with(source, path, ReadOptions(sizes=ImageSizes(job.images, job.image_sizes)), collector)
    if job.image_sizes is not None:
        dataset = with_sizes(dataset, ImageSizes(None, job.image_sizes), collector)
    whole = MemoryParts(dataset, max(1, len(dataset), len(dataset.images)))
    return LabelParts(path, source, whole, False, LabelSource(input=path))


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


def _check(job: AugmentJob, target: Format, labels: Labels, path: Path) -> None:
    if not len(labels.keys):
        raise UsageError("the labels name no image", code="KP-AUGMENT-EMPTY", place=str(path))
    if job.copies < 1 and not job.include_original:
        raise UsageError("nothing to make", code="KP-USAGE", help="ask for --copies 1 or more, or --include-original")
    recipe, skeleton = job.recipe, labels.head.skeleton
    if recipe.albumentations:
        # A pipeline that is refused, or its missing library, is one error, not a failure of every picture.
        load_pipeline(Path(recipe.albumentations))
    mirrors = recipe.flip or recipe.flip_vertical or recipe.transpose or recipe.albumentations
    if mirrors and not job.allow_unpaired:
        check_paired(skeleton, path)
    try:
        check_skeleton(target, skeleton)
    except UsageError as error:
        error.help = f"augmenting keeps the joints: leave --to out, and run 'kpkit convert' to {target.name} before"
        raise
