"""One part of a conversion, in a worker: read, converted, written, and brought to its place in the work folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, cast

from kpkit.core.partition import Part, PartRef, PartWriter
from kpkit.core.report import Collector, Issue, JointLine, Loss
from kpkit.errors import KpkitError
from kpkit.formats.base import Format, WriteOptions
from kpkit.guard import contained
from kpkit.pipelines.bulk import uncollected
from kpkit.pipelines.convert_job import ConvertJob
from kpkit.pipelines.convert_steps import convert_dataset
from kpkit.pipelines.find import get_format

# In the work folder: what is needed until the output is whole.
SCRATCH = ".parts"


@dataclass(frozen=True)
class Kept:
    """A file of a finished part: its name in the work folder, its size and checksum."""

    name: str
    bytes: int
    xxh3: str

    @classmethod
    def of(cls, name: str, folder: Path) -> Kept:
        """A file as it is. Raises KpkitError where it cannot be read."""
        from kpkit.pipelines.fingerprint import large_checksum

        path = folder / name
        return cls(name, path.stat().st_size, large_checksum(path))

    def holds(self, folder: Path) -> bool:
        """Whether the file is there, and what it was."""
        try:
            name = contained(self.name, place=str(folder))
            return (folder / name).stat().st_size == self.bytes and Kept.of(name, folder) == self
        except (KpkitError, OSError):
            return False


@dataclass(frozen=True)
class Bench:
    """Where parts are written.

    work    the work folder     making  the run's own folder in it, where parts are made first
    labels  where the labels will stand in `work`       final, size  see WriteOptions
    """

    work: Path
    making: Path
    labels: PurePosixPath
    final: Path
    size: int

    def writer(self, target: Format, folder: Path) -> PartWriter:
        """A writer in `folder`, which is the work folder or looks like it; what it needs there is made."""
        labels, scratch = folder / self.labels, folder / SCRATCH
        (labels if target.kind == "folder" else labels.parent).mkdir(parents=True, exist_ok=True)
        scratch.mkdir(exist_ok=True)
        options = WriteOptions(final=self.final, part_size=self.size)
        return cast(PartWriter, target.part_writer(labels, options, scratch))

    def write(self, target: Format, part: Part, number: int) -> tuple[Any, list[Kept]]:
        """Write a part; returns what its writer says of it, and its files. Raises OSError, or what the writer does."""
        # Made aside: neither a half-written part nor a worker that comes late is ever seen at the part's place.
        with tempfile.TemporaryDirectory(dir=self.making, ignore_cleanup_errors=True) as aside:
            folder = Path(aside)
            written = self.writer(target, folder).write(part, number)
            files = [Kept.of(name, folder) for name in files_below(folder)]
            for file in files:
                self._bring(folder, file.name)
        return written, files

    def _bring(self, folder: Path, name: str) -> None:
        try:
            os.replace(folder / name, self.work / name)
        except FileNotFoundError:
            # One by one: the work folder of a run that has just ended is not made again.
            for one in reversed(PurePosixPath(name).parents[:-1]):
                (self.work / one).mkdir(exist_ok=True)
            os.replace(folder / name, self.work / name)


def files_below(folder: Path) -> list[str]:
    """Names of all files below a folder, sorted."""
    found = (Path(at, name).relative_to(folder) for at, _, names in os.walk(folder) for name in names)
    return sorted(path.as_posix() for path in found)


@dataclass(frozen=True)
class Task:
    """One part to convert.

    final    where the labels will stand      bench  None where nothing is written
    earlier  files of the part that an earlier run finished; None: it did not
    """

    number: int
    ref: PartRef
    job: ConvertJob
    final: Path
    bench: Bench | None
    earlier: list[Kept] | None = None


@dataclass(frozen=True)
class Done:
    """A part that was converted: its share of the report, and what the writer must know of it.

    names  of the skeletons, the input's and the output's       files  that were written
    """

    counts: dict[str, int]
    joints: list[JointLine]
    losses: list[Loss]
    issues: list[Issue]
    names: tuple[str, str]
    via: list[str]
    written: Any
    files: list[Kept]


@dataclass(frozen=True)
class StillThere:
    """What an earlier run made of a part is whole."""


@uncollected()
def convert_part(task: Task) -> Done | StillThere | KpkitError | OSError:
    """Load, convert and write one part, unless that is done; in a worker. Errors are handed back whole."""
    collector = Collector()
    bench = task.bench
    try:
        if bench is not None and task.earlier is not None and _all_hold(task.earlier, bench.work):
            return StillThere()
        part = task.ref.load(collector)
        source, target = get_format(task.job.source), get_format(task.job.target)
        done = convert_dataset(task.job, source, target, part.dataset, task.final, collector)
        written, files = None, list[Kept]()
        if bench is not None:
            written, files = bench.write(target, replace(part, dataset=done.dataset), task.number)
    except (KpkitError, OSError) as error:
        return error
    names = done.mapping.source.name, done.mapping.target.name
    via = list(done.mapping.via)
    return Done(done.dataset.counts(), done.joints, done.losses, collector.issues, names, via, written, files)


def _all_hold(files: Iterable[Kept], work: Path) -> bool:
    return all(file.holds(work) for file in files)


__all__ = ["SCRATCH", "Bench", "Done", "Kept", "StillThere", "Task", "convert_part", "files_below"]
