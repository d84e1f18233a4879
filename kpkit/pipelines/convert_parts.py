"""`convert` part by part: memory holds one part a worker, however large the input; the output is the same.

The input's format gives references to its parts, a task loads one, converts it as a whole dataset would be, and writes
it; the target's format makes the output of all of them. Results are put in the order of the parts, so that no number of
workers changes a byte.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from kpkit.core.partition import PartRef, PartSource, PartWriter
from kpkit.core.report import Collector, Issue, JointLine, Loss, Report
from kpkit.errors import KpkitError
from kpkit.execute import Failure, pool_for, run_tasks
from kpkit.formats import coco
from kpkit.formats.base import Format, WriteOptions
from kpkit.formats.coco_parts import DEFAULT_SIZE
from kpkit.guard import publish, sync_file
from kpkit.pipelines.bulk import uncollected
from kpkit.pipelines.convert_job import ConvertJob, Place, Progress
from kpkit.pipelines.convert_steps import convert_dataset, read_options
from kpkit.pipelines.find import get_format
from kpkit.pipelines.io import file_sizes
from kpkit.pipelines.merge_parts import MergedParts

SCRATCH = ".parts"
TRUTH = "COCO ground truth"


@dataclass(frozen=True)
class Task:
    """One part to convert; `writer` is None where nothing is written."""

    number: int
    ref: PartRef
    job: ConvertJob
    final: Path
    writer: PartWriter | None


@dataclass(frozen=True)
class Done:
    """A part that was converted: its share of the report, and what the writer must know of it.

    names  of the skeletons, the input's and the output's
    """

    counts: dict[str, int]
    joints: list[JointLine]
    losses: list[Loss]
    issues: list[Issue]
    names: tuple[str, str]
    via: list[str]
    written: Any


@uncollected()
def convert_part(task: Task) -> Done | KpkitError | OSError:
    """Load, convert and write one part; in a worker. Errors are handed back whole."""
    collector = Collector()
    try:
        part = task.ref.load(collector)
        source, target = get_format(task.job.source), get_format(task.job.target)
        done = convert_dataset(task.job, source, target, part.dataset, task.final, collector)
        written = None
        if task.writer is not None:
            written = task.writer.write(replace(part, dataset=done.dataset), task.number)
    except (KpkitError, OSError) as error:
        return error
    names = done.mapping.source.name, done.mapping.target.name
    via = list(done.mapping.via)
    return Done(done.dataset.counts(), done.joints, done.losses, collector.issues, names, via, written)


@dataclass(frozen=True)
class Streamed:
    """A conversion that is done part by part."""

    job: ConvertJob
    source: Format
    target: Format
    parts: PartSource
    place: Place

    @classmethod
    def plan(
        cls, job: ConvertJob, formats: tuple[Format, Format], inputs: list[Path], place: Place, collector: Collector
    ) -> Streamed | None:
        """The plan, or None where the input or the output has no parts, or must be seen whole.

        Raises what reading the input raises.
        """
        source, target = formats
        if job.copy_images or job.link_images:
            return None
        # Asked before the input is looked through.
        if target.part_writer(Path(), WriteOptions(part_size=1), Path()) is None:
            return None
        with uncollected():
            parts = _parts(job, source, inputs, collector)
        if parts is None:
            return None
        if not job.part_size and not source.has_parts:
            collector.note(
                "KP-PARTS",
                f"the input is large: it is read in parts of {parts.size:,} persons or images"
                + (", and the output has the same; --part-size sets another size" if target.has_parts else ""),
                place=", ".join(map(str, inputs[:3])),
            )
        return cls(job, source, target, parts, place)

    def run(self, report: Report, collector: Collector, tell: Progress) -> None:
        """Convert all parts and publish the output; fills in the report. Nothing is written where one fails."""
        if self.job.dry_run:
            self._account(self._all(None, None, tell), report, collector)
            return
        output = self.place.output
        try:
            with publish(output, force=self.job.force, directory=self.place.is_folder) as temporary:
                self._write(temporary, report, collector, tell)
        except _RefusedError:
            return
        report.files = file_sizes(output)

    def _write(self, temporary: Path, report: Report, collector: Collector, tell: Progress) -> None:
        labels = self.place.labels(self.target, temporary)
        folder = labels if self.target.kind == "folder" else labels.parent
        folder.mkdir(parents=True, exist_ok=True)
        scratch = temporary.with_name(temporary.name + SCRATCH)
        scratch.mkdir()
        try:
            options = WriteOptions(final=self.place.labels(self.target, self.place.output), part_size=self.parts.size)
            writer = cast(PartWriter, self.target.part_writer(labels.absolute(), options, scratch.absolute()))
            done = self._all(writer, scratch, tell)
            self._account(done, report, collector)
            if report.losses and self.job.strict:
                raise _RefusedError
            tell("writing", 0, 1)
            writer.finish([one.written for one in done])
            if self.target.kind == "file":
                sync_file(labels)
            tell("writing", 1, 1)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _all(self, writer: PartWriter | None, scratch: Path | None, tell: Progress) -> list[Done]:
        """All parts converted, in order.

        Raises the error of the first part that has one; parts behind it are not begun any more.
        """
        results: dict[int, Any] = {}
        failed: list[int] = []
        final = self.place.labels(self.target, self.place.output)

        def tasks() -> Iterator[tuple[str, Task]]:
            for number, ref in enumerate(self.parts.refs()):
                if failed:
                    return
                yield str(number), Task(number, ref, self.job, final, writer)

        workers = min(self.job.workers, len(self.parts))
        shared = [] if scratch is None else [scratch.absolute()]
        with pool_for(workers, self.job.scheduler, shared=shared, seen=self.job.inputs) as pool:
            for key, result in run_tasks(convert_part, tasks(), pool):
                results[int(key)] = result
                if not isinstance(result, Done):
                    failed.append(int(key))
                tell("converting", len(results), len(self.parts))
        if failed:
            _raise(results[min(failed)], min(failed), len(self.parts))
        return [results[number] for number in sorted(results)]

    def _account(self, done: list[Done], report: Report, collector: Collector) -> None:
        """The reports of all parts as one."""
        report.source["skeleton"], report.target["skeleton"] = done[0].names
        report.via = done[0].via
        report.counts = {name: sum(one.counts[name] for one in done) for name in done[0].counts}
        report.joints = [_joint(lines) for lines in zip(*(one.joints for one in done), strict=True)]
        losses: dict[tuple[str, str], Loss] = {}
        for loss in (loss for one in done for loss in one.losses):
            known = losses.setdefault((loss.what, loss.why), Loss(loss.what, 0, loss.why, loss.example))
            known.count += loss.count
        report.losses = list(losses.values())
        for one in done:
            collector.take(one.issues)


class _RefusedError(Exception):
    """Losses under `strict`: nothing is published."""


def _parts(job: ConvertJob, source: Format, inputs: list[Path], collector: Collector) -> PartSource | None:
    """The parts of the inputs; several COCO files have some where they are large together, or where it is asked for."""
    options = read_options(job)
    if len(inputs) == 1:
        return source.parts(inputs[0], options, collector, job.part_size)
    large = sum(path.stat().st_size for path in inputs if path.is_file()) >= coco.LARGE
    truths = isinstance(source, coco.CocoFormat) and all(source.sniff(path) == TRUTH for path in inputs)
    if not truths or not (large or job.part_size):
        return None
    return MergedParts(inputs, options, collector, job.part_size or DEFAULT_SIZE, job.workers)


def _joint(lines: Sequence[JointLine]) -> JointLine:
    """The lines of all parts on one joint as one."""
    return replace(
        lines[0],
        persons_with=sum(line.persons_with for line in lines),
        persons_without=sum(line.persons_without for line in lines),
        by_alternative=[sum(counts) for counts in zip(*(line.by_alternative for line in lines), strict=True)],
    )


def _raise(error: Any, number: int, count: int) -> None:
    """Raise what a part ended with; what a worker could only tell in words gets the number of the part."""
    if isinstance(error, Failure):
        raise KpkitError(
            f"a part could not be converted: {error.message}",
            code=error.code,
            place=f"part {number + 1} of {count}",
            got=f"{error.attempts} attempts" if error.attempts > 1 else "",
            help="run it again with --workers 1 to see why",
        )
    raise error
