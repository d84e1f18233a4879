"""`stats` part by part: the numbers of the whole, in memory that holds no joints but those of a part.

Counts are added up. Quantiles need all values, so joints go to a file (see heatmaps_columns) and come back two at a
time; boxes and areas stay in memory. Everything is put in the order of the whole dataset, so that sums of fractions
are the same, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import ImageTable
from kpkit.core.partition import PartRef
from kpkit.core.report import Collector
from kpkit.core.skeleton import Skeleton
from kpkit.errors import KpkitError
from kpkit.formats.native_join import IMAGE_TABLE, concatenated
from kpkit.pipelines.bulk import uncollected
from kpkit.pipelines.heatmaps_columns import PersonColumns, Rows
from kpkit.pipelines.parts import LabelParts
from kpkit.pipelines.work_parts import Crew, Loaded, done_by
from kpkit.qa.joint_groups import ENOUGH, groups_of
from kpkit.qa.stats import Measures, Stats, Sums, finish, persons_of, sums_of

Progress = Callable[[str, int, int], None]
# Joints that are held of all persons, and persons that are held with all joints.
JOINTS, PERSONS = 2, 16_384


@dataclass(frozen=True)
class PartStats:
    """What one part says: its sums, its images, and its persons by their rows in the whole dataset."""

    skeleton: Skeleton
    sums: Sums
    rows: Rows
    measures: Measures
    xy: NDArray[np.float64]
    images: ImageTable


@uncollected()
def measure_part(ref: PartRef) -> Loaded[PartStats]:
    """Load and measure one part, in whichever process."""
    collector = Collector("collect")
    try:
        part = ref.load(collector)
    except (KpkitError, OSError) as error:
        return Loaded(None, [], error)
    dataset = part.dataset
    persons = persons_of(dataset.replace(source=None))
    measures = Measures(persons.image_index + part.first_image, persons.bbox_xywh, persons.area)
    images = replace(dataset.images, extras={})
    rows = part.rows[~dataset.is_crowd]
    found = PartStats(dataset.skeleton, sums_of(dataset, persons), rows, measures, persons.xy, images)
    return Loaded(found, collector.issues, None)


def describe_parts(labels: LabelParts, collector: Collector, crew: Crew) -> Stats:
    """Measure a dataset part by part; equal to `kpkit.qa.stats.describe` of the whole.

    Raises InputError for a part that cannot be read, UsageError where a cluster is of no use, OutputError where
    there is no room for temporary files.
    """
    n = labels.source.n
    index, boxes, area = np.zeros(n, np.int64), np.empty((n, 4)), np.empty(n)
    is_person, labelled = np.zeros(n, bool), np.zeros(n, np.uint16)
    columns: PersonColumns | None = None
    skeleton: Any = None
    sums: list[Sums] = []
    images: dict[str, list[Any]] = {name: [] for name in IMAGE_TABLE}
    for part in done_by(measure_part, labels, collector, crew):
        if columns is None:
            skeleton = part.skeleton
            columns = PersonColumns({"xy": (np.float64, (len(skeleton), 2))})
        columns.put(part.rows, {"xy": part.xy})
        is_person[part.rows] = True
        index[part.rows], boxes[part.rows], area[part.rows] = (
            part.measures.index,
            part.measures.boxes,
            part.measures.area,
        )
        labelled[part.rows] = part.sums.labelled_of
        sums.append(replace(part.sums, labelled_of=part.sums.labelled_of[:0]))
        for name in IMAGE_TABLE:
            images[name].append(getattr(part.images, name))
    assert columns is not None
    table: dict[str, Any] = {name: concatenated(images.pop(name)) for name in IMAGE_TABLE}
    joints = _Joints(columns, np.flatnonzero(is_person), len(skeleton))
    return finish(
        skeleton,
        ImageTable(**table),
        sums,
        Measures(index[is_person], boxes[is_person], area[is_person]),
        labelled_of=labelled[is_person],
        joint_of=joints.one,
        joints=joints.of,
        shapes=joints.first(skeleton),
        at_once=PERSONS,
    )


class _Joints:
    """The joints of all persons, in a file."""

    def __init__(self, columns: PersonColumns, who: Rows, k: int) -> None:
        self._columns, self._who, self._k = columns, who, k
        self._first, self._held = 0, np.zeros((0, 0, 2))

    def of(self, rows: Rows) -> NDArray[np.float64]:
        """[n,K,2] float64: all joints of these persons."""
        return self._columns.take(self._who[rows])["xy"]

    def one(self, joint: int) -> NDArray[np.float64]:
        """[N,2] float64: this joint of all persons."""
        if not self._first <= joint < self._first + self._held.shape[1]:
            self._first = joint
            self._held = np.empty((len(self._who), min(JOINTS, self._k - joint), 2))
            for low in range(0, len(self._who), PERSONS):
                rows = np.arange(low, min(low + PERSONS, len(self._who)))
                self._held[rows] = self.of(rows)[:, joint : joint + JOINTS]
        return self._held[:, joint - self._first]

    def first(self, skeleton: Skeleton) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Joints and flags of the first persons that have all joints of a group, enough of them for each group."""
        groups = [list(joints) for _, joints in groups_of(skeleton) if len(joints) > 2]
        lacking = [ENOUGH] * len(groups)
        kept = [np.zeros((0, self._k, 2))]
        for low in range(0, len(self._who), PERSONS):
            if not any(lacking):
                break
            xy = self.of(np.arange(low, min(low + PERSONS, len(self._who))))
            labelled = ~np.isnan(xy[..., 0])
            wanted = np.zeros(len(xy), bool)
            for i, group in enumerate(groups):
                rows = np.flatnonzero(labelled[:, group].all(axis=1))[: lacking[i]]
                lacking[i] -= len(rows)
                wanted[rows] = True
            kept.append(xy[wanted])
        found = np.concatenate(kept)
        return found, ~np.isnan(found[..., 0])


__all__ = ["PartStats", "describe_parts", "measure_part"]
