"""`heatmaps`: persons of a dataset, cropped and rendered as targets, in checked shards.

The folder is built where it will stand: shards appear one by one, each whole, and the manifest last. Until it is there
nobody takes the folder for finished, and a run that ends early is taken up again with `resume`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from kpkit import storage
from kpkit.core.report import Collector
from kpkit.errors import OutputError
from kpkit.execute import Failure, begin, pool_for, run_tasks
from kpkit.guard import claim, upload
from kpkit.pipelines.heatmaps_folder import ShardFolder, check_output, shard_folder
from kpkit.pipelines.heatmaps_job import HeatmapsJob, HeatmapsReport
from kpkit.pipelines.heatmaps_plan import ShardTask, crops_of, plan_document, shard_tasks
from kpkit.pipelines.heatmaps_prepare import Work, prepare
from kpkit.pipelines.heatmaps_render import Rendered, render_or_keep
from kpkit.targets.manifest import Manifest, ShardEntry

Progress = Callable[[str, int, int], None]
# What workers need, for the process that they are forked from.
PRELOADED, KERNELS = ("kpkit.pipelines.heatmaps_render", "h5py", "cv2"), ("kpkit.targets.kernels_loaded",)


def run(job: HeatmapsJob, progress: Progress | None = None) -> HeatmapsReport:
    """Render one dataset.

    Raises UsageError or InputError, and nothing is written then; or OutputError, where finished shards stay for a run
    that resumes. Pictures that fail are listed in the report, the others are written.
    """
    started = time.monotonic()
    collector = Collector()
    tell = progress or (lambda stage, done, total: None)
    begin(job.workers, job.scheduler, [*PRELOADED, *(KERNELS if job.store == "heatmaps" else ())])
    work = prepare(job, collector)
    report = _report(job, work)
    if not job.dry_run:
        with _folder(job, work, tell) as folder:
            made = _render(job, work, folder, report, tell)
            folder.finish(_manifest(work, made, report))
        _account(work, made, report, collector)
    report.issues = collector.issues
    report.seconds = time.monotonic() - started
    return report


@contextlib.contextmanager
def _folder(job: HeatmapsJob, work: Work, tell: Progress) -> Iterator[ShardFolder]:
    """The output's folder, locked; what was waited for may have written it."""
    with claim(work.output, wait=job.wait, tell=lambda owner: tell(f"waiting for process {owner.pid}", 0, 0)):
        check_output(work.output, resume=job.resume, force=job.force)
        with shard_folder(storage.stand_in(work.output), resume=job.resume) as folder:
            yield folder
        if storage.is_remote(work.output):
            upload(storage.stand_in(work.output), work.output)


def _report(job: HeatmapsJob, work: Work) -> HeatmapsReport:
    plan = work.plan
    return HeatmapsReport(
        input=str(work.path),
        output=str(work.output),
        format=work.format,
        codec=plan.codec,
        store=plan.store,
        dtype=plan.dtype,
        compression=plan.compression,
        dry_run=job.dry_run,
        workers=job.workers,
        persons=len(work.people),
        samples=int(crops_of(work.people, plan)[-1]) * plan.flips,
        shards=len(work.names),
        masked=work.people.masked,
        arrays=_bytes_a_sample(work),
        losses=work.people.losses,
    )


def _bytes_a_sample(work: Work) -> dict[str, int]:
    """By array, before compression; of persons, those of the mean picture."""
    pictures = max(1, len(work.people.counts))
    times = {"sample": 1.0, "person": len(work.people) / pictures}
    return {name: round(array.nbytes * times[array.per]) for name, array in work.layout.items() if array.per != "shard"}


def _items(work: Work, folder: ShardFolder) -> Iterator[tuple[str, tuple[ShardTask, ShardEntry | None]]]:
    for path, task in shard_tasks(work.people, work.plan, work.names, work.crops, work.root):
        yield path, (task, folder.earlier.get(path))


def _render(
    job: HeatmapsJob, work: Work, folder: ShardFolder, report: HeatmapsReport, tell: Progress
) -> dict[str, Rendered]:
    """What came of every shard, by its path."""
    found: dict[str, Rendered] = {}
    done = 0
    tell("rendering", 0, report.samples)
    function = partial(render_or_keep, replace(work.plan, making=folder.making), work.fingerprint)
    seen = [] if work.root is None else [work.root]
    with pool_for(job.workers, job.scheduler, _start, shared=[folder.path], seen=seen) as pool:
        report.workers = pool.workers
        for path, result in run_tasks(function, _items(work, folder), pool):
            if isinstance(result, Failure):
                if result.code == "KP-OUTPUT-WRITE":
                    # A full disk is not this shard's fault, and the next one would meet it, too.
                    raise _unwritable(result, work)
                report.failures.append(result)
                continue
            if result.entry is not None and not (result.kept and path in folder.earlier):
                folder.note(result.entry)
            found[path] = result
            done += result.entry.samples if result.entry is not None else 0
            tell("rendering", done, report.samples)
    return found


def _start() -> None:
    import cv2

    # One thread a worker: the pool has as many workers as were asked for.
    cv2.setNumThreads(1)


def _unwritable(failure: Failure, work: Work) -> OutputError:
    return OutputError(
        failure.message,
        code=failure.code,
        help=f"free some space and run the same again with --resume; finished shards stay in {work.output}",
    )


def _manifest(work: Work, made: dict[str, Rendered], report: HeatmapsReport) -> Manifest:
    entries = [made[name].entry for name in work.names if name in made]
    shards = [entry for entry in entries if entry is not None]
    failures = {failure.key: failure for one in made.values() for failure in one.failures}
    report.failures = sorted([*report.failures, *failures.values()], key=lambda failure: failure.key)
    plan = work.plan
    job = {name: value for name, value in plan_document(plan).items() if name != "codec"}
    return Manifest(
        samples=sum(entry.samples for entry in shards),
        store=plan.store,
        dtype=plan.dtype,
        compression=plan.compression,
        codec=plan.codec,
        skeleton=plan.skeleton.to_dict(),
        arrays={name: array.to_dict() for name, array in work.layout.items()},
        job=job,
        fingerprint=work.fingerprint,
        versions=work.versions,
        shards=shards,
        left_out={loss.why: loss.count for loss in work.people.losses},
        failed=[{"key": failure.key, "code": failure.code} for failure in report.failures],
    )


def _account(work: Work, made: dict[str, Rendered], report: HeatmapsReport, collector: Collector) -> None:
    entries = [one.entry for one in made.values() if one.entry is not None]
    report.samples = sum(entry.samples for entry in entries)
    report.shards = len(entries)
    report.kept = sum(one.kept for one in made.values())
    report.bytes = sum(entry.bytes for entry in entries)
    report.covered = sum(entry.covered for entry in entries)
    for one in made.values():
        for step, seconds in one.seconds.items():
            report.profile[step] = report.profile.get(step, 0.0) + seconds
        for note, places in one.notes.items():
            collector.issue(
                f"KP-IMAGE-{note.upper()}", NOTES.get(note, note), count=len(places), places=places[:5], severity="note"
            )


NOTES = {
    "16-bit": "16-bit pictures were scaled to 8 bits",
    "exif-applied": "pictures were turned as their EXIF tag says",
    "exif-ignored": "the EXIF turn of pictures was ignored: the labels mean the stored pixels",
    "exif-undecided": "an EXIF turn was ignored; the size does not tell whether the labels mean it (--exif)",
}

__all__ = ["HeatmapsJob", "HeatmapsReport", "run"]
