"""Lengths of limbs, and how long each is for the person it belongs to.

Foreshortening makes a limb shorter in the picture, never longer: a limb much longer than the person's other limbs allow
is a wrong label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from kpkit.qa.rules import Floats, View

# A person's limbs by their two ends, and how long each is beside a torso side of 1. The proportions only make limbs
# comparable at the start; what is usual is then taken from the dataset itself. Means of a standing adult: Drillis and
# Contini, Body Segment Parameters (1966), as in Winter, Biomechanics and Motor Control of Human Movement, fig. 4.1.
PROPORTIONS = {
    ("shoulder", "elbow"): 0.65,
    ("elbow", "wrist"): 0.51,
    ("hip", "knee"): 0.85,
    ("knee", "ankle"): 0.85,
    ("shoulder", "hip"): 1.0,
}
ACROSS = {("left_shoulder", "right_shoulder"): 0.90, ("left_hip", "right_hip"): 0.66}
# The person's size is taken from its longer limbs, so that foreshortened ones do not count, and from no single one.
UPPER = 0.7
# With fewer other limbs nothing can be said of one.
OTHERS = 3
# Drawn or posed people may all be alike; labels are still off by a tenth.
LEAST_SPREAD = 1.1
# Persons below which a dataset's own distribution is chance.
ENOUGH = 50


@dataclass(frozen=True)
class Limb:
    """a, b: joints; side: "left", "right" or ""; kind: e.g. ("elbow", "wrist")"""

    a: int
    b: int
    side: str
    kind: tuple[str, str]
    proportion: float


def limbs(view: View) -> Limbs:
    """The limbs of a view, made once for all rules."""
    found: Limbs | None = view.shared.get("limbs")
    if found is None:
        found = view.shared["limbs"] = Limbs(view)
    return found


def limbs_of(view: View) -> list[Limb]:
    """The limbs that the skeleton has, by the names of their joints."""
    found = []
    for kind, proportion in PROPORTIONS.items():
        for side in ("left", "right"):
            ends = view.joints(*(f"{side}_{end}" for end in kind))
            if ends is not None:
                found.append(Limb(ends[0], ends[1], side, kind, proportion))
    for kind, proportion in ACROSS.items():
        ends = view.joints(*kind)
        if ends is not None:
            found.append(Limb(ends[0], ends[1], "", kind, proportion))
    return found


class Usual(NamedTuple):
    """[E] float64 each: middle of the ratio, its 84th percentile, and persons they were taken from."""

    middle: Floats
    upper: Floats
    persons: Floats

    @classmethod
    def of(cls, limbs: Sequence[Limb], ratios: Sequence[Floats]) -> Usual:
        """From the ratios of each limb; left and right are counted together."""
        middle, upper, count = (np.full(len(limbs), np.nan) for _ in range(3))
        for kind in {limb.kind for limb in limbs}:
            of_kind = [e for e, limb in enumerate(limbs) if limb.kind == kind]
            values = np.concatenate([ratios[e] for e in of_kind])
            count[of_kind] = len(values) / len(of_kind)
            if len(values):
                m, u = np.quantile(values, (0.5, 0.84))
                middle[of_kind], upper[of_kind] = m, max(u, m * LEAST_SPREAD)
        return cls(middle, upper, count)


class Limbs:
    """All limbs of all persons of a view; E limbs, m persons.

    limbs    E of them            length  [E,m]  float64  pixels, NaN where an end is not labelled
    """

    def __init__(self, view: View) -> None:
        self.limbs = limbs_of(view)
        self._told: Usual | None = view.shared.get("usual")
        self.length: Floats = np.empty((len(self.limbs), len(view.rows)))
        for e, limb in enumerate(self.limbs):
            self.length[e] = distance(view, limb.a, limb.b)

    @cached_property
    def size(self) -> Floats:
        """[E,m] float64 the person's size in pixels as its other limbs say; NaN where there are too few."""
        if not self.limbs:
            return self.length
        share = self.length / np.array([[limb.proportion] for limb in self.limbs])
        ordered = np.sort(np.ascontiguousarray(share.T), axis=1)
        others = (~np.isnan(ordered)).sum(axis=1) - 1
        at = np.maximum(np.floor(UPPER * (others - 1)), 0).astype(np.int64)
        rows = np.arange(len(ordered))
        low, high = ordered[rows, at], ordered[rows, np.minimum(at + 1, ordered.shape[1] - 1)]
        # Without the limb itself: what stands above it moves down by one.
        size: Floats = np.where(share > low, low, high)
        size[:, others < OTHERS] = np.nan
        size[np.isnan(share)] = np.nan
        return size

    @cached_property
    def ratio(self) -> Floats:
        """[E,m] float64 length beside the person's size."""
        with np.errstate(divide="ignore"):
            ratio: Floats = self.length / np.maximum(self.size, 1.0)
        return ratio

    @cached_property
    def usual(self) -> Usual:
        """What is usual among these persons, or among those that `view.shared` brings it from."""
        return self._told or Usual.of(self.limbs, [ratio[~np.isnan(ratio)] for ratio in self.ratio])


def distance(view: View, a: int, b: int) -> Floats:
    """[m] float64 pixels between two joints, NaN where one is not labelled."""
    pixels: Floats = np.sqrt(np.square(view.x[a] - view.x[b]) + np.square(view.y[a] - view.y[b]))
    return pixels
