"""How well exchanged left and right is found: a curve over the confidence, and a table of single limbs.

    python benchmarks/swaps.py FILE... [--limbs]

FILES are COCO files with labels that are taken for right. Left and right of every person that can be judged (nose, both
eyes, both shoulders labelled) are exchanged: "found" is the share that is named then, "false" the share that is named
without. With `--limbs`, also what ratios of limbs are usual in these files.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kpkit.core.dataset import Dataset
from kpkit.core.report import Collector
from kpkit.pipelines.io import read
from kpkit.qa.limbs import limbs
from kpkit.qa.rules import View
from kpkit.qa.rules_sides import facing, single_limb

THRESHOLDS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
ROUNDS = 10
PARTS = (("wrist",), ("elbow",), ("elbow", "wrist"), ("ankle",), ("knee",), ("knee", "ankle"), ("hip",), ("eye",))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--limbs", action="store_true")
    options = parser.parse_args()
    datasets = [read(path, collector=Collector("collect")) for path in options.files]
    judged, found, false = curve(datasets)
    print(f"{sum(map(len, datasets))} persons, {judged} with nose, both eyes and both shoulders")
    print("\n| confidence | found | false |\n|---|---|---|")
    for threshold, one, other in zip(THRESHOLDS, found, false, strict=True):
        print(f"| {threshold:g} | {one:.1%} | {other:.2%} |")
    print("\n| exchanged | persons | found | false |\n|---|---|---|---|")
    for parts in PARTS:
        count, share, wrong = single(datasets, parts)
        print(f"| {' and '.join(parts)} | {count} | {share:.0%} | {wrong:.2%} |")
    if options.limbs:
        print_limbs(options.files, datasets)


def curve(datasets: Sequence[Dataset]) -> tuple[int, list[float], list[float]]:
    """Persons that can be judged; by threshold the share found once exchanged, and the share named as they are."""
    as_they_are, exchanged = np.zeros(0), np.zeros(0)
    for dataset in datasets:
        seen = facing(View(dataset))
        if seen is not None:
            other = facing(View(mirrored(dataset)))
            assert other is not None
            as_they_are = np.concatenate([as_they_are, seen.swapped])
            exchanged = np.concatenate([exchanged, other.swapped])
    count = max(len(as_they_are), 1)
    found = [float((exchanged >= one).sum() / count) for one in THRESHOLDS]
    false = [float((as_they_are >= one).sum() / count) for one in THRESHOLDS]
    return len(as_they_are), found, false


def mirrored(dataset: Dataset, parts: Sequence[str] = ()) -> Dataset:
    """The dataset with left and right exchanged, in all joints or in those of `parts`."""
    order = np.arange(len(dataset.skeleton))
    for left, right in dataset.skeleton.flip_pairs:
        name = dataset.skeleton.keypoints[left]
        if not parts or any(name.endswith(part) for part in parts):
            order[[left, right]] = right, left
    return dataset.replace(
        xy=dataset.xy[:, order], visibility=dataset.visibility[:, order], truncated=dataset.truncated[:, order]
    )


def single(datasets: Sequence[Dataset], parts: Sequence[str]) -> tuple[int, float, float]:
    """Persons with both of each part labelled, the share found once exchanged, and the share named as they are."""
    count = found = false = 0
    for dataset in datasets:
        names = [f"{side}_{part}" for part in parts for side in ("left", "right")]
        if not set(names) <= set(dataset.skeleton.keypoints):
            continue
        joints = [dataset.skeleton.index(name) for name in names]
        have = np.flatnonzero((dataset.visibility[:, joints] > 0).all(axis=1) & ~dataset.is_crowd)
        count += len(have)
        for turn in range(ROUNDS):
            # A few at a time: what is usual is measured on the rest.
            some = have[turn::ROUNDS]
            found += len(np.intersect1d(some, _named(_mirrored_in(dataset, some, parts))))
        false += len(np.intersect1d(have, _named(dataset)))
    return count, found / max(count, 1), false / max(count, 1)


def _mirrored_in(dataset: Dataset, rows: np.ndarray, parts: Sequence[str]) -> Dataset:
    columns = {}
    other = mirrored(dataset, parts)
    for name in ("xy", "visibility", "truncated"):
        columns[name] = getattr(dataset, name).copy()
        columns[name][rows] = getattr(other, name)[rows]
    return dataset.replace(**columns)


def _named(dataset: Dataset) -> np.ndarray:
    result = single_limb(View(dataset))
    if isinstance(result, str):
        return np.zeros(0, np.int64)
    return np.concatenate([one.instance for one in result if one.instance is not None] or [np.zeros(0, np.int64)])


def print_limbs(files: Sequence[Path], datasets: Sequence[Dataset]) -> None:
    """The usual ratios of each file: middle, 84th percentile, persons."""
    for path, dataset in zip(files, datasets, strict=True):
        body = limbs(View(dataset))
        middle, upper, persons = body.usual
        print(f"\n{path.name}")
        for e, limb in enumerate(body.limbs):
            if limb.side != "right":
                print(f"  {' to '.join(limb.kind)}: {middle[e]:.2f}, {upper[e]:.2f} ({persons[e]:.0f} persons)")


if __name__ == "__main__":
    main()
