"""A dataset onto another skeleton: points by mapping, everything else untouched."""

from __future__ import annotations

from kpkit.core.dataset import Dataset
from kpkit.core.mapping import Mapping
from kpkit.core.report import JointLine


def remap(dataset: Dataset, mapping: Mapping) -> tuple[Dataset, list[JointLine]]:
    """The dataset on `mapping.target`, and one report line a target joint.

    Boxes, areas and ids stay; the raw rows of the source stay attached (their joints are exchanged when written).
    """
    mapped = mapping.apply(dataset.xy, dataset.visibility, dataset.truncated)
    lines = [JointLine(**line) for line in mapping.counts(mapped)]
    if mapping.is_identity:
        return dataset.replace(skeleton=mapping.target), lines
    moved = dataset.replace(
        skeleton=mapping.target, xy=mapped.xy, visibility=mapped.visibility, truncated=mapped.truncated
    )
    step = {"source": mapping.source.name, "target": mapping.target.name, "via": list(mapping.via)}
    return moved.add_step("remap", **step), lines
