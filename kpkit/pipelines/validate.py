"""`validate`: labels are read as far as they can be, and every rule looks at them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector, Issue, Severity
from kpkit.formats.coco_skeleton import categories_of
from kpkit.formats.jsonrows import RowSource
from kpkit.pipelines.bulk import uncollected
from kpkit.pipelines.findings import READER, Finding, Places, severity_of
from kpkit.pipelines.load import LabelSource, Loaded, absolute, folder_of_images, load_labels
from kpkit.pipelines.parts import LabelParts, open_parts
from kpkit.pipelines.validate_parts import Look, look
from kpkit.pipelines.work_parts import Crew
from kpkit.qa.rule_table import selected
from kpkit.qa.rules import CategoryText, Found, PictureFacts, Rule, View
from kpkit.qa.rules_pictures import splits_of

Progress = Callable[[str, int, int], None]

SCHEMA_VERSION = 1
LEVELS: tuple[Severity, ...] = ("note", "warning", "error")
WORST_FIRST = LEVELS[::-1]
# Findings of the reader that a rule makes anew, with more to say.
MADE_ANEW = frozenset({"KP-JOINT-OUTSIDE", "KP-SKELETON-LATERAL", "KP-YOLO-BOX-OUTSIDE", "KP-YOLO-BOX-ROUNDED"})
# The rule of records that cannot be read: a category's own record, too.
UNREADABLE = "KP113"
# The one rule that has to decode the pictures.
TWO_SPLITS = "KP604"


@dataclass(frozen=True, kw_only=True)
class ValidateJob:
    """What to look at and for.

    source          where the labels are      whole  read all of them at once, also where they are cut into parts
    select, ignore  ids, beginnings of ids, or names of rules; nothing selected: all
    workers         processes that look at parts      scheduler  of a Dask cluster that does; "": processes here
    """

    source: LabelSource
    whole: bool = False
    select: Sequence[str] = ()
    ignore: Sequence[str] = ()
    workers: int = 1
    scheduler: str = ""


@dataclass
class Validation:
    """What was found.

    loaded      the labels                    rules    that were asked for, by id
    unchecked   rule -> why it cannot tell    counts   rule -> findings
    seconds     reading, checking               mended   what --fix has changed before: rule, place, what
    """

    loaded: Loaded
    rules: list[Rule]
    columns: list[tuple[Rule, Found]] = field(default_factory=list)
    issues: list[tuple[Rule, Issue]] = field(default_factory=list)
    unchecked: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    seen: Look | None = None
    mended: list[dict[str, str]] = field(default_factory=list)

    @property
    def places(self) -> Places:
        """Names of places in the file."""
        return Places(self.loaded.dataset, self.loaded.path, None if self.seen is None else self.seen.labelled)

    @property
    def tally(self) -> dict[tuple[Severity, str], int]:
        """Findings by severity and rule: errors first, then in the order of the rules; none is left out."""
        counts: Counter[tuple[Severity, str]] = Counter()
        for rule, found in self.columns:
            counts[rule.severity, rule.id] += len(found)
        for rule, issue in self.issues:
            counts[severity_of(rule, issue), rule.id] += issue.count
        return {
            (level, rule.id): counts[level, rule.id]
            for level in WORST_FIRST
            for rule in self.rules
            if counts[level, rule.id]
        }

    @property
    def counts(self) -> dict[str, int]:
        """Findings by rule, in the order of the rules; rules without one are left out."""
        tally = self.tally
        sums = {rule.id: sum(tally.get((level, rule.id), 0) for level in LEVELS) for rule in self.rules}
        return {code: count for code, count in sums.items() if count}

    def by_severity(self) -> dict[Severity, int]:
        """Findings by severity."""
        return {level: sum(n for (one, _), n in self.tally.items() if one == level) for level in WORST_FIRST}

    def findings(self, limit: int | None = None) -> list[Finding]:
        """All findings, errors first, then by rule, then in the order of the file.

        limit  at most so many of each severity and rule
        """
        places = self.places
        groups: dict[tuple[Severity, str], list[Finding]] = {key: [] for key in self.tally}
        for rule, issue in self.issues:
            groups[severity_of(rule, issue), rule.id] += places.from_issue(rule, issue, limit)
        for rule, found in self.columns:
            groups[rule.severity, rule.id] += places.from_rule(rule, found, limit)
        for group in groups.values():
            group.sort(key=lambda one: (one.instance_row, one.image_row, one.raw_row))
        return [one for group in groups.values() for one in group[:limit]]

    def fails(self, level: Severity) -> bool:
        """Whether there is a finding of that severity or a worse one."""
        worse = LEVELS[LEVELS.index(level) :]
        return any(count for severity, count in self.by_severity().items() if severity in worse)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "schema_version": SCHEMA_VERSION,
            "path": str(self.loaded.path),
            "format": self.loaded.format.name,
            "skeleton": self.loaded.dataset.skeleton.name,
            "counts": self.loaded.dataset.counts() if self.seen is None else self.seen.counts,
            "severities": self.by_severity(),
            "rules": self.counts,
            "unchecked": self.unchecked,
            "mended": self.mended,
            "findings": [one.as_dict() for one in self.findings()],
        }


def run(job: ValidateJob, progress: Progress | None = None) -> Validation:
    """Read and check.

    Raises UsageError for an unknown rule or no single candidate, InputError where the file cannot be read at all.
    """
    rules = selected(job.select, job.ignore)
    start = time.perf_counter()
    collector = Collector("collect", places_kept=None)
    # Pictures that are not there are findings.
    source = replace(job.source, pictures_may_lack=True)
    if job.scheduler:
        source = absolute(source)
    labels = None if job.whole else open_parts(source, collector)
    if labels is not None:
        return _in_parts(labels, rules, collector, start, Crew(job.workers, job.scheduler), progress)
    loaded = load_labels(source, collector)
    read = time.perf_counter()
    validation = look_over(loaded, rules, collector.issues, progress)
    validation.seconds = {"reading": read - start, "checking": time.perf_counter() - read}
    return validation


def _in_parts(
    labels: LabelParts,
    rules: list[Rule],
    collector: Collector,
    start: float,
    crew: Crew,
    progress: Progress | None,
) -> Validation:
    """Read and check part by part."""
    read = time.perf_counter()

    def loaded(outline: Dataset) -> Loaded:
        return Loaded(labels.path, labels.format, outline, folder_of_images(outline, labels.path, labels.where))

    seen = look(
        labels,
        rules,
        collector,
        lambda outline: view_of(loaded(outline), rules, progress),
        crew,
        progress,
    )
    validation = Validation(loaded(seen.outline), rules, seen=seen)
    validation.columns, validation.unchecked = seen.columns, seen.unchecked
    _take_issues(validation, collector.issues)
    validation.seconds = {"reading": read - start, "checking": time.perf_counter() - read}
    return validation


def look_over(
    loaded: Loaded, rules: Sequence[Rule], issues: Sequence[Issue], progress: Progress | None = None
) -> Validation:
    """Check labels that were read already.

    issues  what their reader noticed
    """
    validation = Validation(loaded, list(rules))
    with uncollected():
        _take_issues(validation, issues)
        check(validation, view_of(loaded, rules, progress))
    return validation


def view_of(loaded: Loaded, rules: Sequence[Rule], progress: Progress | None = None) -> View:
    """The labels as rules see them; the pictures are looked at where a rule needs them and they are there."""
    wanted = {rule.id for rule in rules if rule.pictures}
    dataset, pictures = loaded.dataset, None
    if wanted and loaded.images is not None and len(dataset.images):
        from kpkit.pipelines.pictures import look_at

        several = TWO_SPLITS in wanted and len(set(splits_of(dataset.images)) - {""}) > 1
        pictures = look_at(dataset.images, loaded.images, prints=several, progress=progress)
        dataset = _with_sizes(dataset, pictures)
    return View(dataset, format=_format(loaded), categories=_categories(dataset), pictures=pictures)


def _with_sizes(dataset: Dataset, pictures: PictureFacts) -> Dataset:
    """The dataset with the files' sizes where the labels have none."""
    images = dataset.images
    unknown = (images.width <= 0) | (images.height <= 0)
    if not (unknown & (pictures.width > 0)).any():
        return dataset
    width, height = (
        np.where(unknown, side, own) for side, own in ((pictures.width, images.width), (pictures.height, images.height))
    )
    return dataset.replace(images=replace(images, width=width, height=height))


def check(validation: Validation, view: View) -> None:
    """Run the rules that look at columns."""
    for rule in validation.rules:
        if rule.check is None:
            continue
        if rule.pictures and view.pictures is None:
            validation.unchecked[rule.id] = "the pictures were not found; say where they are with --images DIR"
            continue
        result = rule.look(view)
        if isinstance(result, str):
            validation.unchecked[rule.id] = result
        else:
            validation.columns += [(rule, found) for found in result if len(found)]


def _take_issues(validation: Validation, issues: Sequence[Issue]) -> None:
    """Give what the reader noticed to the rules that stand for it."""
    by_code = {code: rule for rule in selected((), ()) for code in rule.codes}
    wanted = {rule.id: rule for rule in validation.rules}
    numbers = {place for issue in issues if issue.code == "KP-JSON-NAN" for place in issue.places}
    for issue in issues:
        if issue.code in MADE_ANEW:
            continue
        rule = by_code.get(issue.code)
        name = rule.id if rule is not None else READER
        if issue.code == "KP-COCO-TYPE" and numbers:
            # What is no number has the wrong type as well; once is enough.
            places = [place for place in issue.places if place not in numbers]
            issue = replace(issue, count=len(places), places=places)
        if issue.code == "KP-COCO-CATEGORY" and any(": categories" in place for place in issue.places):
            name = UNREADABLE
        if name in wanted and issue.count:
            validation.issues.append((wanted[name], issue))


def _format(loaded: Loaded) -> str:
    source = loaded.dataset.source
    return "coco-results" if isinstance(source, RowSource) and source.variant == "results" else loaded.format.name


def _categories(dataset: Dataset) -> list[CategoryText]:
    source = dataset.source
    if not isinstance(source, RowSource) or source.variant == "results":
        return []
    entries = categories_of(source.top)
    return [
        CategoryText(f"categories[{i}].name", str(entry.get("name", "")), _texts(entry.get("keypoints")))
        for i, entry in enumerate(entries)
    ]


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(map(str, values)) if isinstance(values, list) else ()


__all__ = ["Finding", "PictureFacts", "ValidateJob", "Validation", "run"]
