"""What is done with one part of labels that are validated: here, in other processes, or on a cluster.

A task carries the reference of its part and the ids of rules; what comes back is what was found, and the part's piece
of the outline. Results are taken in the order of the parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from kpkit.core.partition import Part, PartRef
from kpkit.core.report import Collector, Issue
from kpkit.errors import KpkitError
from kpkit.execute import pool_for
from kpkit.pipelines.bulk import uncollected
from kpkit.pipelines.outline import Piece, piece_of
from kpkit.pipelines.parts import LabelParts
from kpkit.pipelines.work_parts import Crew, Progress, in_order, seen_by
from kpkit.qa.limbs import Usual, limbs
from kpkit.qa.rule_table import selected
from kpkit.qa.rules import Result, Rule, View

# Persons whose limbs say what is usual: all of them up to here, else those of evenly spread parts.
ASKED = 1_000_000

Ratios = list[Any]


@dataclass(frozen=True)
class PartLook:
    """What was found in one part.

    piece    for the outline             labelled_rows  [m] int64 rows of persons that have a joint and are no crowd
    results  rule -> findings with their rows in the whole dataset     tracked  the persons that have a track
    """

    piece: Piece
    labelled_rows: Any
    results: dict[str, Result]
    tracked: list[Part]


def looked_at(
    labels: LabelParts, asked: Sequence[Rule], collector: Collector, crew: Crew, progress: Progress | None
) -> Iterator[PartLook]:
    """All parts, in order.

    Raises InputError for a part that cannot be read, UsageError where a cluster is of no use.
    """
    persons = any(rule.scope == "persons" for rule in asked)
    if crew.alone:
        usual = _usual(_ratios_of(labels.format.name, ref) for ref in _some(labels)) if persons else None
        for number, part in enumerate(labels.parts(collector)):
            if progress is not None:
                progress("checking", number, len(labels))
            yield look_at(part, asked, labels.format.name, usual)
        return
    with pool_for(min(crew.workers, len(labels)), crew.scheduler, seen=seen_by(labels)) as pool:
        usual = None
        if persons:
            ratios = partial(_ratios_of, labels.format.name)
            usual = _usual(in_order(ratios, _some(labels), pool, None, len(labels)))
        task = partial(_look_there, tuple(rule.id for rule in asked), labels.format.name, usual, collector.mode)
        for found, issues in in_order(task, labels.refs(), pool, progress, len(labels)):
            collector.take(issues)
            yield found


def look_at(part: Part, asked: Sequence[Rule], name: str, usual: Usual | None) -> PartLook:
    """Run the rules that need one part at a time.

    name  of the format
    """
    view = View(part.dataset, format=name)
    view.shared["usual"] = usual
    results = {rule.id: _moved(rule.look(view), part) for rule in asked if rule.scope == "persons"}
    follow = any(rule.scope == "tracks" for rule in asked)
    return PartLook(piece_of(part), part.rows[view.rows], results, list(_with_tracks(part)) if follow else [])


@uncollected()
def _look_there(
    ids: tuple[str, ...], name: str, usual: Usual | None, mode: Any, ref: PartRef
) -> tuple[PartLook, list[Issue]] | KpkitError | OSError:
    """Load one part and look at it; in a worker. Errors are handed back whole."""
    collector = Collector(mode, places_kept=None)
    asked = [rule for rule in selected((), ()) if rule.id in ids]
    try:
        part = ref.load(collector)
    except (KpkitError, OSError) as error:
        return error
    found = look_at(part, asked, name, usual)
    source = found.piece.source
    if source is not None and hasattr(ref, "piece"):
        # The process that looked through the file has all its rows at hand.
        found = replace(found, piece=replace(found.piece, source=None))
    return found, collector.issues


def _some(labels: LabelParts) -> Iterator[PartRef]:
    """Parts that say what is usual: at most a million persons, evenly spread."""
    step = -(-labels.source.n // ASKED) or 1
    return (ref for number, ref in enumerate(labels.refs()) if number % step == 0)


@uncollected()
def _ratios_of(name: str, ref: PartRef) -> tuple[Any, Ratios] | KpkitError | OSError:
    """The limbs of a part, and their ratios; in whichever process."""
    try:
        part = ref.load(Collector("collect"))
    except (KpkitError, OSError) as error:
        return error
    body = limbs(View(part.dataset, format=name))
    return body.limbs, [ratio[~np.isnan(ratio)] for ratio in body.ratio]


def _usual(told: Iterable[tuple[Any, Ratios] | KpkitError | OSError]) -> Usual:
    """How long limbs usually are."""
    ratios: list[Ratios] = []
    found: Any = ()
    for one in told:
        if isinstance(one, KpkitError | OSError):
            raise one
        found, of_part = one
        ratios.append(of_part)
    return Usual.of(found, [np.concatenate([part[e] for part in ratios]) for e in range(len(found))])


def _moved(result: Result, part: Part) -> Result:
    """Findings in a part, with their rows in the whole dataset."""
    if isinstance(result, str):
        return result
    return [
        replace(
            found,
            instance=None if found.instance is None else part.rows[found.instance],
            image=None if found.image is None else found.image + part.first_image,
        )
        for found in result
        if len(found)
    ]


def _with_tracks(part: Part) -> Iterator[Part]:
    """The persons of a part that have a track, where there are some."""
    has = np.array([track is not None for track in part.dataset.track_id.tolist()], bool)
    if has.any():
        yield Part(part.dataset.replace(source=None).take(has), part.rows[has], part.first_image)


__all__ = ["PartLook", "look_at", "looked_at"]
