"""`validate` part by part: rules look at one part at a time, and say what they would say of the whole.

What a rule needs of all persons is gathered first, in small arrays: how long limbs usually are, and persons that have a
track. What it needs of the dataset as a whole (skeleton, categories, pictures) it is shown as an outline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from kpkit.core.dataset import Dataset
from kpkit.core.partition import Part
from kpkit.core.report import Collector
from kpkit.formats.native_join import concatenated
from kpkit.pipelines.bulk import uncollected
from kpkit.pipelines.outline import Outline
from kpkit.pipelines.parts import LabelParts
from kpkit.pipelines.validate_work import looked_at
from kpkit.pipelines.work_parts import Crew
from kpkit.qa.rules import Found, Result, Rule, View

# Tracks are followed from image to image, wherever those stand: beyond so many persons they are not.
TRACKED = 250_000


@dataclass
class Look:
    """What was found in all parts.

    outline    the dataset without points      counts, labelled  of the dataset; joints labelled of each person
    columns    findings by rule                unchecked  rule -> why it cannot tell
    """

    outline: Dataset
    counts: dict[str, int]
    labelled: Any
    columns: list[tuple[Rule, Found]] = field(default_factory=list)
    unchecked: dict[str, str] = field(default_factory=dict)


Progress = Callable[[str, int, int], None]
MakeView = Callable[[Dataset], View]


def look(
    labels: LabelParts,
    rules: Sequence[Rule],
    collector: Collector,
    outline_view: MakeView,
    crew: Crew,
    progress: Progress | None = None,
) -> Look:
    """Run the rules.

    outline_view  gives the outline of the dataset as rules see it

    Raises InputError for a part that cannot be read, UsageError where a cluster is of no use.
    """
    asked = [rule for rule in rules if rule.check is not None]
    outline, tracked, results = Outline(), list[Part](), dict[str, list[Result]]()
    labelled_rows: list[Any] = []
    with uncollected():
        for seen in looked_at(labels, asked, collector, crew, progress):
            outline.add(seen.piece)
            labelled_rows.append(seen.labelled_rows)
            for code, result in seen.results.items():
                results.setdefault(code, []).append(result)
            tracked += seen.tracked
        whole = outline.dataset(labels.source_rows())
        found = Look(whole, dict(outline.counts), outline.labelled)
        bird = outline_view(whole)
        bird.rows = np.sort(np.concatenate([*labelled_rows, np.zeros(0, np.int64)]))
        view = partial(View, format=labels.format.name)
        for rule in asked:
            _take(found, rule, _result(rule, bird, results.get(rule.id, []), tracked, view))
    return found


def _result(rule: Rule, bird: View, results: list[Result], tracked: list[Part], view: MakeView) -> Result:
    if rule.check is None:
        return []
    if rule.scope == "dataset":
        if rule.pictures and bird.pictures is None:
            return "the pictures were not found; say where they are with --images DIR"
        return rule.look(bird)
    if rule.scope == "tracks":
        return _of_tracks(rule, bird, tracked, view)
    told = [one for one in results if not isinstance(one, str)]
    if told:
        return [found for one in told for found in one]
    return results[0] if results else []


def _of_tracks(rule: Rule, bird: View, tracked: list[Part], view: MakeView) -> Result:
    """A rule that follows tracks, on all persons that have one."""
    assert rule.check is not None
    if not tracked:
        return rule.look(bird)
    if sum(len(part.dataset) for part in tracked) > TRACKED:
        return f"more than {TRACKED:,} persons have a track_id: look at the sequences one by one"
    datasets = [part.dataset for part in tracked]
    rows = np.concatenate([part.rows for part in tracked])
    order = np.argsort(rows, kind="stable")
    names = ("instance_id", "category_id", "xy", "visibility", "track_id", "is_crowd")
    columns: dict[str, Any] = {name: concatenated([getattr(one, name) for one in datasets])[order] for name in names}
    index = np.concatenate([part.dataset.image_index + part.first_image for part in tracked])[order]
    together = Dataset.build(skeleton=bird.skeleton, images=bird.dataset.images, image_index=index, **columns)
    result = rule.look(view(together))
    if isinstance(result, str):
        return result
    return [
        replace(found, instance=None if found.instance is None else rows[order][found.instance]) for found in result
    ]


def _take(found: Look, rule: Rule, result: Result) -> None:
    if isinstance(result, str):
        found.unchecked[rule.id] = result
    else:
        found.columns += [(rule, one) for one in result if len(one)]


__all__ = ["Look", "look"]
