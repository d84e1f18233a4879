"""`augment`: images and labels moved, covered and changed in step, with a row that says what was done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kpkit.core.boxes import with_areas
from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector, Loss
from kpkit.errors import OutputError
from kpkit.execute import Failure, begin, pool_for, run_tasks
from kpkit.formats.base import WriteOptions
from kpkit.guard import sync_file
from kpkit.pipelines.augment_fields import Fields, field_losses, fields_of
from kpkit.pipelines.augment_files import place_images, remove_strays, write_rows
from kpkit.pipelines.augment_images import SourceImage, tasks
from kpkit.pipelines.augment_job import AugmentJob, AugmentReport
from kpkit.pipelines.augment_keep import Kept
from kpkit.pipelines.augment_labels import Made, assemble
from kpkit.pipelines.augment_prepare import Work, prepare
from kpkit.pipelines.augment_preview import Sheet, draw_preview, save_preview, shown_images
from kpkit.pipelines.augment_task import Done, ImageTask, Plan, augment_or_keep
from kpkit.pipelines.augment_work import Folder, output_folder
from kpkit.pipelines.io import file_sizes

ROWS = "augment.parquet"
UPPER = (
    "head",
    "nose",
    "eye",
    "ear",
    "face",
    "neck",
    "shoulder",
    "elbow",
    "wrist",
    "thorax",
    "hand",
    "thumb",
    "finger",
)
# What augment.parquet holds, whatever the labels' format can; of masks those of images.
IN_ROWS = frozenset({"augment.source_image", "augment.copy", "augment.occluded_by", "augment.occlusion_mask"})

Progress = Callable[[str, int, int], None]
Results = list[tuple[SourceImage, Done]]


def run(job: AugmentJob, progress: Progress | None = None) -> AugmentReport:
    """Carry out one augmentation.

    Raises UsageError, InputError or OutputError; nothing is written then. Images that fail are listed in the report,
    the others are written.
    """
    started = time.monotonic()
    collector = Collector()
    begin(job.workers, job.scheduler, ["kpkit.pipelines.augment_task"])
    work = prepare(job, collector)
    report = AugmentReport(
        input=str(work.path),
        output=str(work.output),
        format=work.target.name,
        recipe=job.recipe.to_dict(),
        recipe_hash=job.recipe.content_hash(),
        dry_run=job.dry_run,
        workers=job.workers,
    )
    tell = progress or (lambda stage, done, total: None)
    with output_folder(work, report, tell) as folder:
        sheet = _fill(work, folder, report, collector, tell)
    if job.preview is not None and sheet is not None:
        save_preview(sheet, job.preview, force=job.force)
        report.preview = str(job.preview)
    if not job.dry_run:
        report.rows = str(work.output / ROWS)
        report.files = file_sizes(work.output)
    report.issues = collector.issues
    report.seconds = time.monotonic() - started
    return report


def _fill(work: Work, folder: Folder, report: AugmentReport, collector: Collector, tell: Progress) -> Sheet | None:
    """Make all that the output folder holds; returns the preview, where one is asked for."""
    fields = fields_of(work.dataset)
    shown = shown_images(work.dataset, work.images) if work.job.preview is not None else []
    plan = _plan(work, folder, report.recipe_hash, shown)
    done = _run_tasks(work, folder, plan, fields, report, tell)
    made = [
        Made(output, image.rows[0], [image.persons[i] for i in output.persons])
        for image, result in done
        for output in result.outputs
    ]
    augmented = assemble(work.dataset, made, fields, collector, drop_empty=work.job.drop_empty)
    augmented = _boxes(work, made, augmented)
    _notes(work, done, collector)
    _account(work, report, done, augmented)
    report.losses = [*field_losses(work.dataset, fields), *_losses(work, done, augmented)]
    sheet = None
    if shown:
        tell("preview", 0, 1)
        sheet = draw_preview(work, done, shown, folder.path)
    tell("writing", 0, 1)
    report.losses += _write(work, made, augmented, folder.path, collector)
    return sheet


def _plan(work: Work, folder: Folder, recipe_hash: str, shown: list[str]) -> Plan:
    job, skeleton = work.job, work.dataset.skeleton
    upper = [any(part in name.lower() for part in UPPER) for name in skeleton.keypoints]
    recipe = job.recipe
    if job.scheduler and recipe.albumentations:
        recipe = recipe.with_changes(albumentations=os.path.abspath(recipe.albumentations))
    return Plan(
        recipe=recipe,
        recipe_hash=recipe_hash,
        seed=job.seed,
        skeleton=skeleton,
        upper=np.array(upper, bool),
        folder=folder.path,
        making=folder.making,
        copies=max(job.copies, 0),
        include_original=job.include_original,
        quality=job.quality,
        image_format=job.image_format,
        exif=job.exif,
        max_pixels=job.max_pixels,
        drop_empty=job.drop_empty,
        only=frozenset(shown) if job.dry_run else None,
        checked=not job.dry_run,
    )


def _run_tasks(
    work: Work, folder: Folder, plan: Plan, fields: Fields, report: AugmentReport, tell: Progress
) -> Results:
    """What came of every image that worked, in the images' order; the others are put down as failures."""
    found: dict[str, Done] = {}
    items = tasks(work.dataset, work.images, work.root, fields, plan)
    total = len(work.images)
    tell("augmenting", 0, total)
    with pool_for(work.job.workers, work.job.scheduler, _quiet_opencv, shared=[folder.path], seen=[work.root]) as pool:
        report.workers = pool.workers
        for number, (key, result) in enumerate(
            run_tasks(partial(augment_or_keep, plan), _with_earlier(items, folder), pool), start=1
        ):
            if isinstance(result, Failure):
                _failed(work, report, result)
            elif isinstance(result, Kept):
                found[key] = folder.earlier[key]
                report.kept += 1
            else:
                folder.note(key, result)
                found[key] = result
            tell("augmenting", number, total)
    folder.end_making()
    report.failures.sort(key=lambda failure: failure.key)
    done = [(image, found[image.key]) for image in work.images if image.key in found]
    outputs = [output for _, result in done for output in result.outputs]
    remove_strays(plan.folder, [name for one in outputs for name in (f"images/{one.image}", one.mask)])
    return done


def _with_earlier(
    items: Iterator[tuple[str, ImageTask]], folder: Folder
) -> Iterator[tuple[str, tuple[ImageTask, tuple[list[str], dict[str, str]] | None]]]:
    for key, task in items:
        done = folder.earlier.get(key)
        yield key, (task, (done.sources, done.files) if done is not None else None)


def _failed(work: Work, report: AugmentReport, failure: Failure) -> None:
    if failure.code == "KP-OUTPUT-WRITE":
        # A full disk is not this image's fault, and the next one would meet it, too.
        raise OutputError(failure.message, code=failure.code, place=str(work.output))
    report.failures.append(failure)


def _quiet_opencv() -> None:
    import cv2

    # One thread a worker: the pool has as many workers as were asked for.
    cv2.setNumThreads(1)


def _boxes(work: Work, made: list[Made], augmented: Dataset) -> Dataset:
    """Boxes that were made are kept where the target's users need them, and so are areas if the format changes."""
    if not work.target.makes_boxes:
        rows = np.array([row for m in made for row in m.source_rows], np.int64)
        kept = rows[_kept(made)]
        box: NDArray[np.float64] = np.where(work.own_boxes[kept][:, None], augmented.bbox_xywh, np.nan)
        source = np.where(np.isfinite(box).all(axis=1), augmented.bbox_source, 0)
        return augmented.replace(bbox_xywh=box, bbox_source=source.astype(np.uint8))
    return augmented if work.target.name == work.source.name else with_areas(augmented)


def _kept(made: list[Made]) -> NDArray[np.bool_]:
    """[rows] bool: the persons that are in the output (those dropped have no id)."""
    return np.array([row.instance_id != 0 for m in made for row in m.output.rows], bool)


def _write(work: Work, made: list[Made], augmented: Dataset, folder: Path, collector: Collector) -> list[Loss]:
    """Write labels and rows, and bring the pictures to the format's places; returns what the writer left out."""
    target, options = work.target, WriteOptions(final=work.output / work.place)
    labels = folder / work.place
    (labels if target.kind == "folder" else labels.parent).mkdir(parents=True, exist_ok=True)
    # A person that the format cannot hold (YOLO: one without a box) is left out and counted, not the end of it all.
    noted = Collector("collect")
    target.write(augmented, labels, options, noted)
    losses = []
    for issue in noted.issues:
        if issue.severity == "error":
            losses.append(Loss("instances", issue.count, issue.message, *issue.places[:1]))
        else:
            collector.issue(**vars(issue))
    if work.job.dry_run:
        return losses
    place_images(folder, augmented, target)
    write_rows([row for m in made for row in m.output.rows if row.instance_id != 0], folder / ROWS)
    if target.kind == "file":
        sync_file(labels)
    sync_file(folder / ROWS)
    return losses


def _account(work: Work, report: AugmentReport, done: Results, augmented: Dataset) -> None:
    rows = [row for _, result in done for output in result.outputs for row in output.rows]
    report.counts = augmented.counts()
    report.left_frame = sum(len(row.left_frame) for row in rows)
    report.covered = sum(len(row.occluded_by) for row in rows)
    report.lost = sum(row.lost for row in rows)
    for _, result in done:
        for step, seconds in result.seconds.items():
            report.profile[step] = report.profile.get(step, 0.0) + seconds


def _losses(work: Work, done: Results, augmented: Dataset) -> Iterator[Loss]:
    unboxed = sum(result.unboxed for _, result in done)
    if unboxed:
        yield Loss("instances", unboxed, "crowds, and persons without a box or a labelled joint, have no crop")
    for loss in work.target.losses(augmented, work.output / work.place):
        if loss.what not in IN_ROWS or loss.what in augmented.extras.keys() - {"augment.occluded_by"}:
            yield loss


def _notes(work: Work, done: Results, collector: Collector) -> None:
    words = {
        "16-bit": "16-bit pictures were scaled to 8 bits",
        "exif-applied": "pictures were turned as their EXIF tag says",
        "exif-ignored": "the EXIF turn of pictures was ignored: the labels mean the stored pixels",
        "exif-undecided": "an EXIF turn was ignored; the size does not tell whether the labels mean it (--exif)",
    }
    for code, message in words.items():
        places = [image.key for image, result in done if code in result.notes]
        collector.issue(
            f"KP-IMAGE-{code.upper()}",
            message,
            count=len(places),
            places=places[:5],
            severity="warning" if code == "exif-undecided" else "note",
        )
    several = sum(len(image.rows) - 1 for image in work.images)
    collector.note("KP-IMAGE-SEVERAL", "image rows of one file are one image in the output", count=several)
    empty = sum(result.empty for _, result in done)
    collector.note("KP-AUGMENT-EMPTY", "crops without a labelled joint were left out (--drop-empty)", count=empty)
    still = work.job.recipe
    if not (still.is_spatial or still.occlusion or still.albumentations):
        collector.issue(
            "KP-AUGMENT-NOTHING",
            "the recipe changes nothing: the pictures are copied",
            help="e.g. kpkit augment --recipe six2, or --occlusion 0.3",
        )


__all__ = ["AugmentJob", "AugmentReport", "run"]
