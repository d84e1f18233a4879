"""`stats`: what a dataset holds, in numbers, as a table for other programs, and as a page to look at."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kpkit.core.report import Collector, Issue
from kpkit.errors import UsageError
from kpkit.guard import check_free, publish
from kpkit.pipelines.load import LabelSource, Loaded, absolute, load_labels
from kpkit.pipelines.parts import open_parts
from kpkit.pipelines.stats_parts import describe_parts
from kpkit.pipelines.work_parts import Crew
from kpkit.qa.stats import Stats, describe
from kpkit.qa.stats_compare import differences

# A spreadsheet takes a cell that begins like this for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, kw_only=True)
class StatsJob:
    """What to measure and where to write it: the options of `kpkit stats`.

    other    a second dataset to compare with: a source's conversion or augmentation
    workers  processes that read parts     scheduler  of a Dask cluster that does; "": processes here
    """

    source: LabelSource = field(default_factory=LabelSource)
    other: LabelSource | None = None
    html: Path | None = None
    csv: Path | None = None
    force: bool = False
    workers: int = 1
    scheduler: str = ""


@dataclass(frozen=True)
class Measured:
    """Statistics and where they come from: path, format, what was noticed while reading."""

    path: str
    format: str
    stats: Stats
    issues: list[Issue]

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        issues = [vars(issue) for issue in self.issues]
        return {"path": self.path, "format": self.format, **self.stats.as_dict(), "issues": issues}


@dataclass(frozen=True, kw_only=True)
class StatsReport:
    """The statistics, those of the other dataset where there is one, and the files written."""

    measured: Measured
    other: Measured | None
    html: str
    csv: str
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Plain data; see Stats.as_dict and differences."""
        other = self.other
        found = {**self.measured.as_dict(), "html": self.html, "csv": self.csv}
        if other is not None:
            found["other"] = other.as_dict()
            found["differences"] = differences(self.measured.stats, other.stats)
        return found


def run(job: StatsJob) -> StatsReport:
    """Measure, and write the files asked for.

    Raises UsageError, InputError or OutputError; nothing is written then. Records that are wrong are issues.
    """
    started = time.monotonic()
    outputs = [path for path in (job.html, job.csv) if path is not None]
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise UsageError("--html and --csv name the same file", got=str(job.html))
    for path in outputs:
        check_free(path, force=job.force, directory=False)
    crew = Crew(job.workers, job.scheduler)
    measured = measure(job.source, crew)
    other = measure(job.other, crew) if job.other is not None else None
    both = [measured, *([other] if other is not None else [])]
    if job.csv is not None:
        with publish(job.csv, force=job.force) as temporary:
            write_csv(both, temporary)
    if job.html is not None:
        from kpkit.qa.report import Side, render

        page = render([Side(one.path, one.format, one.stats, one.issues) for one in both])
        with publish(job.html, force=job.force) as temporary:
            temporary.write_text(page, encoding="utf-8")
    return StatsReport(
        measured=measured,
        other=other,
        html=str(job.html or ""),
        csv=str(job.csv or ""),
        seconds=time.monotonic() - started,
    )


def measure(source: LabelSource, crew: Crew | None = None) -> Measured:
    """Read and measure one dataset. Raises UsageError or InputError; records that are wrong are issues.

    crew  who reads parts; None: this process
    """
    crew = crew or Crew()
    collector = Collector("collect")
    # A folder of pictures is held against the labels as a whole.
    found_by = absolute(source) if crew.scheduler else source
    labels = open_parts(found_by, collector) if source.images is None else None
    if labels is not None:
        found = describe_parts(labels, collector, crew)
        return Measured(str(labels.path), labels.format.name, found, collector.issues)
    loaded: Loaded = load_labels(source, collector)
    return Measured(str(loaded.path), loaded.format.name, describe(loaded.dataset), collector.issues)


def write_csv(measured: Sequence[Measured], path: Path) -> None:
    """One row a joint; text that a spreadsheet would take for a formula gets an apostrophe in front."""
    import pandas as pd

    rows = [
        {"labels": _defused(one.path), "skeleton": _defused(one.stats.skeleton.name)}
        | {name: _defused(value) for name, value in row.items()}
        for one in measured
        for row in one.stats.rows()
    ]
    columns = None if rows else ["labels", "skeleton", "joint"]
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False, lineterminator="\n")


def _defused(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
