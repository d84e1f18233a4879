"""`convert` part by part: memory holds one part a worker, however large the input; the output is the same.

The input's format gives references to its parts, a task loads one, converts it as a whole dataset would be, and writes
it; the target's format makes the output of all of them. Results are put in the order of the parts, so that no number of
workers changes a byte. Parts that are finished are kept when the run is ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from kpkit.core.partition import PartSource
from kpkit.core.report import Collector, JointLine, Loss, Report
from kpkit.errors import KpkitError
from kpkit.execute import Failure, pool_for, run_tasks
from kpkit.formats import coco
from kpkit.formats.base import Format, WriteOptions
from kpkit.formats.coco_parts import DEFAULT_SIZE
from kpkit.guard import install, sync_file
from kpkit.pipelines.bulk import uncollected
from kpkit.pipelines.convert_job import ConvertJob, Place, Progress
from kpkit.pipelines.convert_steps import read_options
from kpkit.pipelines.convert_task import Bench, Done, StillThere, Task, convert_part
from kpkit.pipelines.io import file_sizes
from kpkit.pipelines.merge_parts import MergedParts
from kpkit.pipelines.run_folder import end_runs

if TYPE_CHECKING:
    from kpkit.pipelines.convert_keep import Keeper
    from kpkit.pipelines.work_folder import WorkFolder

TRUTH = "COCO ground truth"


@dataclass(frozen=True)
class Streamed:
    """A conversion that is done part by part."""

    job: ConvertJob
    source: Format
    target: Format
    inputs: list[Path]
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
        return cls(job, source, target, inputs, parts, place)

    def run(self, report: Report, collector: Collector, tell: Progress) -> None:
        """Convert all parts and publish the output, whose lock is held; fills in the report.

        Nothing is written where one fails; what is finished is kept for `resume` where the run is ended.
        """
        if self.job.dry_run:
            self._account(self._all(None, None, tell), report, collector)
            return
        # Conversions that are read whole need none of it.
        from kpkit.pipelines.convert_keep import job_parts
        from kpkit.pipelines.work_folder import work_folder

        job, output = self.job, self.place.output
        parts = job_parts(job, (self.source, self.target), self.inputs, self.parts.size, len(self.parts))
        try:
            with work_folder(output, parts, resume=job.resume, force=job.force) as work:
                try:
                    self._write(work, report, collector, tell)
                except OSError as error:
                    # The work folder is not what a user knows.
                    if str(error.filename or "").startswith(str(work.path.absolute())):
                        error.filename = str(output)
                    raise
        except _RefusedError:
            return
        report.files = file_sizes(output)

    def _write(self, work: WorkFolder, report: Report, collector: Collector, tell: Progress) -> None:
        from kpkit.pipelines.convert_keep import Keeper

        output = self.place.output
        made = work.data if self.place.is_folder else work.data / output.name
        labels = self.place.labels(self.target, made)
        bench = Bench(
            work=work.path.absolute(),
            making=work.making.absolute(),
            labels=PurePosixPath(labels.relative_to(work.path).as_posix()),
            final=self.place.labels(self.target, output),
            size=self.parts.size,
        )
        writer = bench.writer(self.target, bench.work)
        keeper = Keeper(work, writer)
        done = self._all(bench, keeper, tell)
        # A worker that was given up, and comes late, brings nothing any more.
        end_runs(work.path)
        self._account(done, report, collector)
        if report.losses and self.job.strict:
            raise _RefusedError("losses")
        tell("writing", 0, 1)
        keeper.remove_strays(done)
        writer.finish([one.written for one in done])
        if self.target.kind == "file":
            sync_file(labels)
        work.sync()
        install(made, output, force=self.job.force)
        tell("writing", 1, 1)

    def _all(self, bench: Bench | None, keeper: Keeper | None, tell: Progress) -> list[Done]:
        """All parts converted, in order.

        Raises the error of the first part that has one; parts behind it are not begun any more.
        """
        results: dict[int, Any] = {}
        earlier: dict[int, Done] = {}
        failed: list[int] = []
        final = self.place.labels(self.target, self.place.output)

        def tasks() -> Iterator[tuple[str, Task]]:
            for number, ref in enumerate(self.parts.refs()):
                if failed:
                    return
                before = keeper.earlier(number) if keeper is not None else None
                files = None
                if before is not None:
                    earlier[number], files = before, before.files
                yield str(number), Task(number, ref, self.job, final, bench, files)

        workers = min(self.job.workers, len(self.parts))
        shared = [] if bench is None else [bench.work]
        with pool_for(workers, self.job.scheduler, shared=shared, seen=self.job.inputs) as pool:
            for key, result in run_tasks(convert_part, tasks(), pool):
                number = int(key)
                before = earlier.pop(number, None)
                results[number] = before if isinstance(result, StillThere) else result
                if not isinstance(results[number], Done):
                    failed.append(number)
                elif keeper is not None and results[number] is not before:
                    keeper.note(number, results[number])
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


class _RefusedError(KpkitError):
    """Losses under `strict`: nothing is published, and nothing is kept."""


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
