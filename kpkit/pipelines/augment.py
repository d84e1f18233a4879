"""`augment`: images and labels moved, covered and changed in step, with a row that says what was done."""

from __future__ import annotations

import os
import time

import numpy as np

from kpkit.core.report import Collector
from kpkit.execute import begin
from kpkit.pipelines.augment_account import Account
from kpkit.pipelines.augment_blocks import Progress
from kpkit.pipelines.augment_files import remove_labels
from kpkit.pipelines.augment_job import AugmentJob, AugmentReport
from kpkit.pipelines.augment_loop import Loop
from kpkit.pipelines.augment_output import output_of
from kpkit.pipelines.augment_prepare import Work, prepare
from kpkit.pipelines.augment_preview import Preview, Sheet, save_preview, shown_images
from kpkit.pipelines.augment_rows import ROWS
from kpkit.pipelines.augment_task import Plan
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


def run(job: AugmentJob, progress: Progress | None = None) -> AugmentReport:
    """Carry out one augmentation.

    Raises UsageError, InputError or OutputError; nothing is written then. Images that fail are listed in the report,
    the others are written.
    """
    started = time.monotonic()
    collector = Collector()
    begin(job.workers, job.scheduler, ["kpkit.pipelines.augment_task"])
    tell = progress or (lambda stage, done, total: None)
    work = prepare(job, collector, tell)
    report = AugmentReport(
        input=str(work.path),
        output=str(work.output),
        format=work.target.name,
        recipe=job.recipe.to_dict(),
        recipe_hash=job.recipe.content_hash(),
        dry_run=job.dry_run,
        workers=job.workers,
    )
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
    account = Account(work, report)
    with output_of(work, folder) as output:
        Loop(work, folder, plan, report, tell, account, output, preview).run()
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


__all__ = ["AugmentJob", "AugmentReport", "run"]
