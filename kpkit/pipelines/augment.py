"""`augment`: images and labels moved, covered and changed in step, with a row that says what was done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import numpy as np

from kpkit.core.boxes import with_areas
from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.errors import OutputError
from kpkit.execute import Failure, begin, pool_for, run_tasks
from kpkit.execute.base import Pool
from kpkit.pipelines.augment_account import Account, Results
from kpkit.pipelines.augment_files import Names, remove_labels, remove_strays
from kpkit.pipelines.augment_images import Block, tasks
from kpkit.pipelines.augment_job import AugmentJob, AugmentReport
from kpkit.pipelines.augment_keep import Kept
from kpkit.pipelines.augment_labels import Made, Order, assemble, own_boxes
from kpkit.pipelines.augment_output import output_of
from kpkit.pipelines.augment_prepare import Work, prepare
from kpkit.pipelines.augment_preview import Preview, Sheet, save_preview, shown_images
from kpkit.pipelines.augment_rows import ROWS
from kpkit.pipelines.augment_task import Augmenter, Done, ImageTask, Plan
from kpkit.pipelines.augment_work import Folder, output_folder
from kpkit.pipelines.io import file_sizes

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

Progress = Callable[[str, int, int], None]


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
    remove_labels(folder.path)
    preview = Preview(work, shown_images(work.labels.keys) if work.job.preview is not None else [])
    plan = _plan(work, folder, report.recipe_hash, preview.shown)
    account, output, order, kept = Account(work, report), output_of(work, folder), Order(), Names()
    for block, done in _done_by_block(work, folder, plan, report, tell):
        made = [
            Made(output, image.rows[0], [image.persons[i] for i in output.persons])
            for image, result in done
            for output in result.outputs
        ]
        augmented = _assembled(work, block, made, order)
        account.add(block, done, augmented)
        preview.add(block, done, folder.path)
        output.add(augmented, made)
        for one in made:
            kept.add(f"images/{one.output.image}")
            kept.add(one.output.mask)
    remove_strays(folder.path, kept)
    report.failures.sort(key=lambda failure: failure.key)
    account.notes(collector)
    tell("writing", 0, 1)
    report.losses = account.losses(output.finish(collector))
    if preview.shown:
        tell("preview", 0, 1)
    return preview.sheet()


def _plan(work: Work, folder: Folder, recipe_hash: str, shown: list[str]) -> Plan:
    job, skeleton = work.job, work.labels.head.skeleton
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


def _done_by_block(
    work: Work, folder: Folder, plan: Plan, report: AugmentReport, tell: Progress
) -> Iterator[tuple[Block, Results]]:
    """The blocks, each with what came of its images that worked; the others are put down as failures."""
    tell("augmenting", 0, len(work.labels.keys))
    with pool_for(work.job.workers, work.job.scheduler, _quiet_opencv, shared=[folder.path], seen=[work.root]) as pool:
        report.workers = pool.workers
        for block in work.labels.blocks():
            yield block, _run_tasks(work, block, folder, plan, pool, report, tell)
    folder.end_making()


def _run_tasks(
    work: Work, block: Block, folder: Folder, plan: Plan, pool: Pool, report: AugmentReport, tell: Progress
) -> Results:
    """What came of every image of a block that worked, in the images' order."""
    found: dict[str, Done] = {}
    items = tasks(block, work.labels.keys.names, work.labels.keys.stem, work.root, plan)
    earlier: dict[str, Done] = {}
    total = len(work.labels.keys)
    for number, (key, result) in enumerate(
        run_tasks(Augmenter(plan), _with_earlier(items, folder, earlier), pool), start=block.first + 1
    ):
        before = earlier.pop(key, None)
        if isinstance(result, Failure):
            _failed(work, report, result)
        elif isinstance(result, Kept):
            assert before is not None
            found[key] = before
            report.kept += 1
        else:
            folder.note(key, result)
            found[key] = result
        tell("augmenting", number, total)
    return [(image, found[image.key]) for image in block.images if image.key in found]


def _with_earlier(
    items: Iterator[tuple[str, ImageTask]], folder: Folder, earlier: dict[str, Done]
) -> Iterator[tuple[str, tuple[ImageTask, tuple[list[str], dict[str, str]] | None]]]:
    """With the checksums of what an earlier run made, which is put into `earlier`."""
    for key, task in items:
        done = folder.earlier(key)
        if done is not None:
            earlier[key] = done
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


def _assembled(work: Work, block: Block, made: list[Made], order: Order) -> Dataset:
    """The augmented labels of a block; boxes that were made are kept where the target's users need them, and so are
    areas if the format changes."""
    augmented = assemble(block.dataset, made, block.fields, order, drop_empty=work.job.drop_empty)
    if not work.target.makes_boxes:
        return own_boxes(augmented, made, block.own_boxes)
    return augmented if work.target.name == work.source.name else with_areas(augmented)


__all__ = ["AugmentJob", "AugmentReport", "run"]
