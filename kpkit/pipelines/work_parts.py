"""Work on all parts of labels by this process, several, or a cluster; results come in the order of the parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from kpkit.core.partition import PartRef
from kpkit.core.report import Collector, Issue
from kpkit.errors import KpkitError
from kpkit.execute import Failure, pool_for, run_tasks
from kpkit.execute.base import Pool
from kpkit.pipelines.parts import LabelParts

Progress = Callable[[str, int, int], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Crew:
    """Who looks at parts: `workers` processes, or the cluster of a scheduler; one process is this one."""

    workers: int = 1
    scheduler: str = ""

    @property
    def alone(self) -> bool:
        """Whether parts are looked at here."""
        return self.workers <= 1 and not self.scheduler


@dataclass(frozen=True)
class Loaded(Generic[T]):
    """What a task made of a part, and what its reader noticed; or the error, handed back whole."""

    value: T | None
    issues: list[Issue]
    error: KpkitError | OSError | None


def done_by(
    function: Callable[[PartRef], Loaded[T]],
    labels: LabelParts,
    collector: Collector,
    crew: Crew,
    progress: Progress | None = None,
) -> Iterator[T]:
    """What a function makes of every part, in order; what was noticed goes to the collector.

    Raises InputError for a part that cannot be read, UsageError where a cluster is of no use.
    """
    if crew.alone:
        yield from _taken(map(function, labels.refs()), collector)
        return
    with pool_for(min(crew.workers, len(labels)), crew.scheduler, seen=seen_by(labels)) as pool:
        yield from _taken(in_order(function, labels.refs(), pool, progress, len(labels), "reading"), collector)


def _taken(told: Iterable[Loaded[T]], collector: Collector) -> Iterator[T]:
    for one in told:
        if one.error is not None:
            raise one.error
        collector.take(one.issues)
        assert one.value is not None
        yield one.value


def seen_by(labels: LabelParts) -> list[Path]:
    """What every worker has to see."""
    return [path for path in (labels.path, labels.where.images, labels.where.image_sizes) if path is not None]


def in_order(
    function: Callable[[Any], Any],
    refs: Iterable[PartRef],
    pool: Pool,
    progress: Progress | None,
    count: int,
    stage: str = "checking",
) -> Iterator[Any]:
    """The results of all parts in order; raises the first error."""
    waiting: dict[int, Any] = {}
    due = 0
    told = run_tasks(function, ((str(number), ref) for number, ref in enumerate(refs)), pool)
    for done, (key, result) in enumerate(told, start=1):
        if isinstance(result, Failure):
            raise KpkitError(
                f"a part could not be worked on: {result.message}",
                code=result.code,
                place=f"part {int(key) + 1} of {count}",
                help="run it again with --workers 1 to see why",
            )
        waiting[int(key)] = result
        if progress is not None:
            progress(stage, done, count)
        while due in waiting:
            one = waiting.pop(due)
            due += 1
            if isinstance(one, KpkitError | OSError):
                raise one
            yield one


__all__ = ["Crew", "Loaded", "done_by", "in_order", "seen_by"]
