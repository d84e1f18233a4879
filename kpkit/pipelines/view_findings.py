"""Findings of `validate` as tags and saved views: what is wrong can be picked in FiftyOne's App."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kpkit.core.report import Issue
from kpkit.pipelines.load import Loaded
from kpkit.pipelines.validate import look_over
from kpkit.qa.fiftyone_dataset import SavedView
from kpkit.qa.rule_table import selected


@dataclass
class FindingTags:
    """Tags of rows, and the views that show them.

    persons, images  row -> tags, e.g. "KP401 person-mirrored"        counts  tag -> persons and images that have it
    """

    persons: dict[int, list[str]] = field(default_factory=dict)
    images: dict[int, list[str]] = field(default_factory=dict)
    views: list[SavedView] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def finding_tags(loaded: Loaded, issues: Sequence[Issue]) -> FindingTags:
    """Run all rules that need no picture.

    issues  what the reader of the labels noticed
    """
    validation = look_over(loaded, [rule for rule in selected((), ()) if not rule.pictures], issues)
    reasons = {rule.id: rule.reason for rule in validation.rules}
    found = FindingTags()
    for finding in validation.findings():
        tag = f"{finding.rule} {finding.name}"
        if finding.instance_row >= 0:
            tags = found.persons.setdefault(finding.instance_row, [])
        elif finding.image_row >= 0:
            tags = found.images.setdefault(finding.image_row, [])
        else:
            continue
        if tag not in tags:
            tags.append(tag)
            found.counts[tag] = found.counts.get(tag, 0) + 1
            if found.counts[tag] == 1:
                name = finding.name.replace("-", " ")
                persons = finding.instance_row >= 0
                found.views.append(SavedView(name, tag, persons, reasons[finding.rule].replace("`", "")))
    return found
