"""A dataset onto another skeleton: points by mapping, everything else untouched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset
from kpkit.core.mapping import MappedPoints, Mapping
from kpkit.core.report import JointLine, Loss


@dataclass(frozen=True)
class Remapped:
    """dataset  on the new skeleton    joints  one report line a target joint    losses  labelled joints not used"""

    dataset: Dataset
    joints: list[JointLine]
    losses: list[Loss]


def remap(dataset: Dataset, mapping: Mapping) -> Remapped:
    """The dataset on `mapping.target`, how each joint was made, and which labels found no place.

    Boxes, areas and ids stay; the raw rows of the source stay attached (their joints are exchanged when written).
    """
    if mapping.is_identity:
        same = dataset if mapping.target is dataset.skeleton else dataset.replace(skeleton=mapping.target)
        return Remapped(same, _identity_lines(dataset, mapping), [])
    mapped = mapping.apply(dataset.xy, dataset.visibility, dataset.truncated)
    moved = dataset.replace(
        skeleton=mapping.target, xy=mapped.xy, visibility=mapped.visibility, truncated=mapped.truncated
    ).add_step("remap", source=mapping.source.name, target=mapping.target.name, via=list(mapping.via))
    lines = [JointLine(**line) for line in mapping.counts(mapped)]
    return Remapped(moved, lines, _losses(dataset, mapping, mapped))


def _identity_lines(dataset: Dataset, mapping: Mapping) -> list[JointLine]:
    """The lines that `Mapping.counts` would give, without copying any point."""
    labelled = np.count_nonzero(dataset.visibility, axis=0).tolist()
    return [
        JointLine(name, "exact", mapping.rule_text(k), [name], count, len(dataset) - count, [count])
        for k, (name, count) in enumerate(zip(mapping.target.keypoints, labelled, strict=True))
    ]


def _losses(dataset: Dataset, mapping: Mapping, mapped: MappedPoints) -> list[Loss]:
    """Labelled source joints that no rule used for their person, by joint."""
    unused = (dataset.visibility > 0) & ~_used(mapping, mapped)
    losses: list[Loss] = []
    for k in np.flatnonzero(unused.any(axis=0)).tolist():
        row = int(np.argmax(unused[:, k]))
        example = f"instance {dataset.instance_id[row]} in {dataset.images.path[dataset.image_index[row]]}"
        why = f"no joint of {mapping.target.name} is made from it"
        if any(k in one.sources for rule in mapping.rules for one in rule.alternatives):
            why = f"its place in {mapping.target.name} was taken by a better source, or needs joints that are missing"
        losses.append(Loss(f"joint {mapping.source.keypoints[k]}", int(np.count_nonzero(unused[:, k])), why, example))
    return losses


def _used(mapping: Mapping, mapped: MappedPoints) -> NDArray[np.bool_]:
    """[N, source K] bool: the joint went into a target joint of its person."""
    used = np.zeros((len(mapped.alternative), len(mapping.source)), bool)
    for rule in mapping.rules:
        for number, alternative in enumerate(rule.alternatives):
            chosen = mapped.alternative[:, rule.target] == number
            for joint in alternative.sources:
                used[:, joint] |= chosen
    return used
