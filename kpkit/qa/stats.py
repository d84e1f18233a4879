"""Statistics of a dataset: what is labelled, what is hidden, how large and how crowded people are.

A person is an instance that is no crowd region; crowd regions are counted and take part in nothing else. Rows of the
image table that name the same file are one image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.boxes import with_areas, with_boxes
from kpkit.core.dataset import BBOX_SOURCES, Dataset, ImageTable
from kpkit.core.skeleton import Skeleton
from kpkit.qa.joint_groups import mean_shapes
from kpkit.qa.stats_crowding import Crowding, Joints, measure_crowding
from kpkit.qa.stats_positions import Positions, measure_positions
from kpkit.qa.stats_sizes import Sizes, measure_sizes
from kpkit.qa.stats_tally import Tally

Counts = NDArray[np.int64]

# Where the annotator gave no box, the labelled joints' hull stands for it, a quarter larger.
PAD = 0.25
FLAGS = ("visible", "occluded", "unlabelled", "truncated")
# Rows of joints multiplied at once: sums of so many ones are exact in float32.
AT_ONCE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Stats:
    """The statistics of one dataset of N persons and K joints.

    counts       images, persons, joints by flag, and what is missing
    joints       flag -> [K] int64, persons by flag of the joint; the four of FLAGS
    per_image, labelled, occluded  persons by image; labelled and occluded joints by person
    together     [K,K] int64  persons with both joints occluded; on the diagonal, with this one
    positions, sizes, crowding     see there
    shapes       [K,2] float64  mean shapes of groups of joints that have no place on a body; see mean_shapes
    boxes        where the boxes come from: source -> persons
    splits       split -> counts     categories  category id -> persons
    """

    skeleton: Skeleton
    counts: dict[str, int]
    joints: dict[str, Counts]
    per_image: Tally
    labelled: Tally
    occluded: Tally
    together: Counts
    positions: Positions
    sizes: Sizes
    crowding: Crowding
    shapes: NDArray[np.float64]
    boxes: dict[str, int]
    splits: dict[str, dict[str, int]]
    categories: dict[str, int]

    @property
    def persons(self) -> int:
        """N."""
        return self.counts["persons"]

    def share(self, flag: str) -> NDArray[np.float64]:
        """[K] float64: persons by flag of the joint, as a share of all; of "occluded", as a share of the labelled."""
        labelled = self.joints["visible"] + self.joints["occluded"]
        if flag == "labelled":
            return _ratio(labelled, self.persons)
        return _ratio(self.joints[flag], labelled if flag == "occluded" else self.persons)

    def pairs(self, most: int = 10) -> list[dict[str, Any]]:
        """The joints most often occluded in the same person: names, persons with both, share of those with either."""
        alone = np.diagonal(self.together)
        a, b = np.triu_indices(len(alone), k=1)
        both = self.together[a, b]
        order = np.lexsort((b, a, -both))[:most]
        names = self.skeleton.keypoints
        return [
            {
                "joints": [names[a[i]], names[b[i]]],
                "both": int(both[i]),
                "share_of_either": float(both[i] / (alone[a[i]] + alone[b[i]] - both[i])),
            }
            for i in order
            if both[i]
        ]

    def rows(self) -> list[dict[str, Any]]:
        """One flat row a joint: counts, shares and positions."""
        shares = {f"{flag}_share": self.share(flag) for flag in ("labelled", "occluded", "truncated")}
        found = []
        for k, name in enumerate(self.skeleton.keypoints):
            row: dict[str, Any] = {"joint": name, "persons": self.persons}
            row |= {flag: int(self.joints[flag][k]) for flag in FLAGS}
            row |= {flag: float(values[k]) if np.isfinite(values[k]) else None for flag, values in shares.items()}
            place = self.positions.of_joint(k)
            found.append(row | {("measured" if key == "persons" else key): place[key] for key in place})
        return found

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; null where there is nothing to measure."""
        return {
            "skeleton": {"name": self.skeleton.name, "joints": list(self.skeleton.keypoints)},
            "counts": self.counts,
            "joints": self.rows(),
            "persons_per_image": self.per_image.as_dict(),
            "labelled_joints_per_person": self.labelled.as_dict(),
            "occluded_joints_per_person": self.occluded.as_dict(),
            "occluded_together": {"persons": self.together.tolist(), "pairs": self.pairs()},
            "sizes": self.sizes.as_dict(),
            "crowding": self.crowding.as_dict(),
            "boxes": self.boxes,
            "splits": self.splits,
            "categories": self.categories,
        }


def describe(dataset: Dataset) -> Stats:
    """Measure a dataset."""
    persons = persons_of(dataset)
    part = sums_of(dataset, persons)
    joints = persons.xy
    return finish(
        dataset.skeleton,
        dataset.images,
        [part],
        Measures(persons.image_index, persons.bbox_xywh, persons.area),
        joint_of=lambda joint: joints[:, joint],
        joints=lambda rows: joints[rows],
        shapes=(joints, persons.visibility > 0),
    )


def persons_of(dataset: Dataset) -> Dataset:
    """Everybody but crowd regions, with boxes and areas."""
    persons = dataset.take(~dataset.is_crowd) if dataset.is_crowd.any() else dataset
    return with_areas(with_boxes(persons, "auto", PAD))


@dataclass(frozen=True)
class Sums:
    """What of the statistics is the sum over the parts of a dataset; see Stats.

    labelled_of  [n] uint16: labelled joints of each person
    """

    counts: dict[str, int]
    joints: dict[str, Counts]
    labelled: Tally
    occluded: Tally
    together: Counts
    sources: Counts
    categories: dict[str, int]
    labelled_of: NDArray[np.uint16]


@dataclass(frozen=True)
class Measures:
    """N persons in their order: row of the image [N] int64, boxes [N,4] and areas [N] float64, pixels, NaN unknown."""

    index: NDArray[np.int64]
    boxes: NDArray[np.float64]
    area: NDArray[np.float64]


def sums_of(dataset: Dataset, persons: Dataset) -> Sums:
    """The sums of a dataset, or of a part of one.

    persons  as `persons_of` gives them
    """
    flags = persons.visibility
    hidden, known = flags == 1, flags > 0
    joints = {
        "visible": np.count_nonzero(flags == 2, axis=0),
        "occluded": np.count_nonzero(hidden, axis=0),
        "unlabelled": np.count_nonzero(flags == 0, axis=0),
        "truncated": np.count_nonzero(persons.truncated, axis=0),
    }
    labelled = np.count_nonzero(known, axis=1)
    return Sums(
        counts=_counts(dataset, persons),
        joints={flag: np.asarray(column, np.int64) for flag, column in joints.items()},
        labelled=Tally.of(labelled),
        occluded=Tally.of(np.count_nonzero(hidden, axis=1)),
        together=_together(hidden),
        sources=np.bincount(persons.bbox_source, minlength=len(BBOX_SOURCES)),
        categories=dict(Counter(map(str, persons.category_id.tolist()))),
        labelled_of=np.asarray(labelled, np.uint16),
    )


def finish(
    skeleton: Skeleton,
    table: ImageTable,
    sums: Sequence[Sums],
    persons: Measures,
    *,
    labelled_of: NDArray[np.uint16] | None = None,
    joint_of: Callable[[int], NDArray[np.float64]],
    joints: Joints,
    shapes: tuple[NDArray[np.float64], NDArray[np.bool_]],
    at_once: int | None = None,
) -> Stats:
    """The statistics of a dataset from the sums of its parts, and from what has to be seen of all.

    labelled_of       [N] labelled joints of each person, where the parts' are not in the order of the persons
    joint_of, joints  a joint of all persons [N,2], and all joints of some rows [n,K,2]; pixels, NaN where unlabelled
    shapes            joints [n,K,2] and flags [n,K] of the first persons, enough for `mean_shapes`
    at_once           persons whose joints are asked for together
    """
    image, images = _one_row_an_image(table)
    number = image[persons.index]
    per_image = np.bincount(number, minlength=len(images))
    counts = _image_counts(table, images, per_image)
    counts |= {name: sum(one.counts[name] for one in sums) for name in sums[0].counts}
    sources = sum((one.sources for one in sums), np.zeros(len(BBOX_SOURCES), np.int64)).tolist()
    categories: Counter[str] = Counter()
    for one in sums:
        categories.update(one.categories)
    if labelled_of is None:
        labelled_of = np.concatenate([one.labelled_of for one in sums])
    return Stats(
        skeleton=skeleton,
        counts=counts,
        joints={flag: np.sum([one.joints[flag] for one in sums], axis=0) for flag in FLAGS},
        per_image=Tally.of(per_image),
        labelled=Tally.merged([one.labelled for one in sums]),
        occluded=Tally.merged([one.occluded for one in sums]),
        together=np.sum([one.together for one in sums], axis=0),
        positions=measure_positions(len(skeleton), joint_of, persons.boxes),
        sizes=measure_sizes(table, images, persons.index, persons.boxes, persons.area),
        crowding=measure_crowding(number, joints, persons.boxes, at_once),
        shapes=mean_shapes(skeleton, *shapes),
        boxes={name: count for name, count in zip(BBOX_SOURCES, sources, strict=True) if count},
        splits=_splits(table, images, persons.index, labelled_of),
        categories=dict(sorted(categories.items())),
    )


def _ratio(counts: Counts, of: Counts | int) -> NDArray[np.float64]:
    whole = np.broadcast_to(np.asarray(of, np.float64), counts.shape)
    shares: NDArray[np.float64] = np.divide(counts, whole, out=np.full(counts.shape, np.nan), where=whole > 0)
    return shares


def _one_row_an_image(table: ImageTable) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """[M] int64 number of the image that each row of the table is of, and the first row of each image."""
    first: dict[Any, int] = {}
    # A result list knows its images by id alone.
    keys = [path or (row,) for row, path in enumerate(table.path.tolist())]
    rows: list[int] = []
    number = np.empty(len(keys), np.int64)
    for row, key in enumerate(keys):
        number[row] = first.setdefault(key, len(rows))
        if number[row] == len(rows):
            rows.append(row)
    return number, np.array(rows, np.int64)


def _image_counts(table: ImageTable, images: NDArray[np.int64], per_image: Counts) -> dict[str, int]:
    return {
        "images": len(images),
        "image_rows": len(table),
        "images_without_persons": int(np.count_nonzero(per_image == 0)),
        "images_of_unknown_size": int(np.count_nonzero((table.width[images] < 0) | (table.height[images] < 0))),
    }


def _counts(dataset: Dataset, persons: Dataset) -> dict[str, int]:
    table = dataset.images
    known = persons.visibility > 0
    box = persons.bbox_xywh
    size = np.stack([table.width, table.height], axis=1)[persons.image_index].astype(np.float64)
    has_size: NDArray[np.bool_] = np.logical_and.reduce(size > 0, axis=1)
    at_edge = (box[:, :2] <= 1).any(axis=1) | (box[:, :2] + box[:, 2:] >= size - 1).any(axis=1)
    beyond = ((persons.xy < -0.5) | (persons.xy > (size - 0.5)[:, None])).any(axis=2) & has_size[:, None]
    return {
        "instances": len(dataset),
        "crowd": len(dataset) - len(persons),
        "persons": len(persons),
        "persons_without_joints": int(np.count_nonzero(~known.any(axis=1))),
        "persons_without_box": int(np.count_nonzero(~np.isfinite(box).all(axis=1))),
        "persons_with_occluded": int(np.count_nonzero((persons.visibility == 1).any(axis=1))),
        "persons_with_truncated": int(np.count_nonzero(persons.truncated.any(axis=1))),
        "persons_at_frame": int(np.count_nonzero(at_edge & has_size)),
        "labelled": int(np.count_nonzero(known)),
        "visible": int(np.count_nonzero(persons.visibility == 2)),
        "occluded": int(np.count_nonzero(persons.visibility == 1)),
        "unlabelled": int(np.count_nonzero(~known)),
        "truncated": int(np.count_nonzero(persons.truncated)),
        "outside_frame": int(np.count_nonzero(beyond)),
    }


def _together(hidden: NDArray[np.bool_]) -> Counts:
    """[K,K] int64: rows in which both columns are set."""
    total = np.zeros((hidden.shape[1], hidden.shape[1]), np.int64)
    rows = hidden[hidden.any(axis=1)]
    for start in range(0, len(rows), AT_ONCE):
        part = rows[start : start + AT_ONCE].astype(np.float32)
        total += np.rint(part.T @ part).astype(np.int64)
    return total


def _splits(
    table: ImageTable, images: NDArray[np.int64], index: NDArray[np.int64], labelled: NDArray[np.uint16]
) -> dict[str, dict[str, int]]:
    """Images and persons of each split; a split is named "" where the labels name none."""
    split = table.split
    names, of_image = np.unique(split[images].astype(str), return_inverse=True)
    of_row = np.searchsorted(names, split.astype(str)) if len(names) else np.zeros(len(split), np.int64)
    of_person = of_row[index]
    return {
        str(name): {
            "images": int(np.count_nonzero(of_image == i)),
            "persons": int(np.count_nonzero(of_person == i)),
            "labelled": int(labelled[of_person == i].sum(dtype=np.int64)),
        }
        for i, name in enumerate(names)
    }
