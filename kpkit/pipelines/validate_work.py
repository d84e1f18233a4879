"""What is done with one part of labels that are validated: here, in other processes, or on a cluster.

A task carries the reference of its part and the ids of rules; what comes back is what was found, and the part's piece
of the outline. Results are taken in the order of the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from kpkit.core.partition import Part, PartRef
from kpkit.core.report import Collector, Issue
from kpkit.errors import KpkitError
from kpkit.execute import Failure, pool_for, run_tasks
from kpkit.execute.base import Pool
from kpkit.pipelines.bulk import uncollected
from kpkit.pipelines.outline import Piece, piece_of
from kpkit.pipelines.parts import LabelParts
from kpkit.qa.limbs import Usual, limbs
from kpkit.qa.rule_table import selected
from kpkit.qa.rules import Result, Rule, View

# Persons whose limbs say what is usual: all of them up to here, else those of evenly spread parts.
ASKED = 1_000_000

Progress = Callable[[str, int, int], None]
Ratios = list[Any]


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
    seen = [path for path in (labels.path, labels.where.images, labels.where.image_sizes) if path is not None]
    with pool_for(min(crew.workers, len(labels)), crew.scheduler, seen=seen) as pool:
        usual = None
        if persons:
            ratios = partial(_ratios_of, labels.format.name)
            usual = _usual(_in_order(ratios, _some(labels), pool, None, len(labels)))
        task = partial(_look_there, tuple(rule.id for rule in asked), labels.format.name, usual, collector.mode)
        for found, issues in _in_order(task, labels.refs(), pool, progress, len(labels)):
            for issue in issues:
                collector.issue(
                    issue.code,
                    issue.message,
                    count=issue.count,
                    severity=issue.severity,
                    places=issue.places,
                    help=issue.help,
                )
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


def _in_order(
    function: Callable[[Any], Any], refs: Iterable[PartRef], pool: Pool, progress: Progress | None, count: int
) -> Iterator[Any]:
    """The results of all parts in order; raises the first error."""
    waiting: dict[int, Any] = {}
    due = 0
    told = run_tasks(function, ((str(number), ref) for number, ref in enumerate(refs)), pool)
    for done, (key, result) in enumerate(told, start=1):
        if isinstance(result, Failure):
            raise KpkitError(
                f"a part could not be looked at: {result.message}",
                code=result.code,
                place=f"part {int(key) + 1} of {count}",
                help="run it again with --workers 1 to see why",
            )
        waiting[int(key)] = result
        if progress is not None:
            progress("checking", done, count)
        while due in waiting:
            one = waiting.pop(due)
            due += 1
            if isinstance(one, KpkitError | OSError):
                raise one
            yield one


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


__all__ = ["Crew", "PartLook", "look_at", "looked_at"]
