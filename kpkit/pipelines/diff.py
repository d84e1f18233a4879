"""`diff`: what changed between two datasets, by person and joint."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector, Issue
from kpkit.errors import UsageError
from kpkit.formats.jsonrows import RowSource
from kpkit.pipelines.load import LabelSource, Loaded, load_labels
from kpkit.qa.changes import Change, Difference
from kpkit.qa.difference import difference
from kpkit.qa.match import By

SCHEMA_VERSION = 1

__all__ = ["Change", "DiffJob", "DiffResult", "compare", "run"]


def compare(a: Dataset, b: Dataset, *, tolerance: float = 0.0, by: By = "auto") -> Difference:
    """Every change from `a` to `b`; see kpkit.qa.changes.Difference, whose `changes()` gives them one by one.

    tolerance  pixels that a joint, a side of a box, or the side of a square of the person's area may differ
    by         "id", "position", or "auto": by id where both have the same ids, else by place in the image

    Raises UsageError for a tolerance below 0.
    """
    if not (tolerance >= 0 and math.isfinite(tolerance)):
        raise UsageError("the tolerance must be a number from 0 up", code="KP-DIFF-TOLERANCE", got=str(tolerance))
    return difference(a, b, tolerance=tolerance, by=by)


@dataclass(frozen=True, kw_only=True)
class DiffJob:
    """What to compare.

    first, second  labels; options of the second that are not given are those of the first
    tolerance, by  see compare
    """

    first: LabelSource
    second: LabelSource
    tolerance: float = 0.0
    by: By = "auto"


@dataclass(frozen=True)
class DiffResult:
    """The two sides as they were read, the difference, and what was noticed while reading."""

    first: Loaded
    second: Loaded
    difference: Difference
    issues: list[Issue]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON with all changes; see docs/guide/eval.md."""
        found = self.difference
        return {
            "schema_version": SCHEMA_VERSION,
            "equal": found.equal,
            "tolerance": found.tolerance,
            "first": _side(self.first),
            "second": _side(self.second),
            "matched": {
                "images": len(found.matched.images),
                "persons": len(found.matched.persons),
                "by": "id" if found.matched.by_id else "position",
                "images_of_other_path": found.matched.renamed,
            },
            "counts": found.counts(),
            "joints": found.by_joint(),
            "changes": [change.as_dict() for change in found.changes()],
            "issues": [vars(issue) for issue in self.issues],
        }


def run(job: DiffJob) -> DiffResult:
    """Read both and compare them.

    Ids are trusted only where both formats keep them: a format without gives its persons numbers in file order.
    Raises UsageError, InputError or FormatError.
    """
    collector = Collector()
    first, second = load_labels(job.first, collector), load_labels(job.second, collector)
    by = job.by
    if by == "auto" and not (_has_ids(first) and _has_ids(second)):
        by = "position"
    return DiffResult(
        first, second, compare(first.dataset, second.dataset, tolerance=job.tolerance, by=by), collector.issues
    )


def _has_ids(side: Loaded) -> bool:
    source = side.dataset.source
    is_result = isinstance(source, RowSource) and source.variant == "results"
    return side.format.keeps_for(side.path).instance_id and not is_result


def _side(side: Loaded) -> dict[str, Any]:
    data = side.dataset
    counts = {"images": len(data.images), "persons": len(data)}
    return {"path": str(side.path), "format": side.format.name, "skeleton": data.skeleton.name, **counts}
