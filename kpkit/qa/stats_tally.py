"""Small summaries that statistics are made of: how often each number occurs, where the middle lies, counts in bins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
HUGE = 1e100


@dataclass(frozen=True)
class Tally:
    """How often each whole number occurs.

    values  [n]  int64  ascending, each once
    counts  [n]  int64
    """

    values: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, numbers: NDArray[np.integer[Any]]) -> Tally:
        """The tally of numbers from 0 on."""
        counts = np.bincount(numbers.astype(np.int64))
        values = np.flatnonzero(counts)
        return cls(values, counts[values].astype(np.int64))

    @classmethod
    def merged(cls, tallies: Sequence[Tally]) -> Tally:
        """The tally of the numbers of all of them."""
        values, place = np.unique(np.concatenate([one.values for one in tallies]), return_inverse=True)
        counts = np.zeros(len(values), np.int64)
        np.add.at(counts, place, np.concatenate([one.counts for one in tallies]))
        return cls(values, counts)

    @property
    def total(self) -> int:
        """How many numbers were counted."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float | None:
        """Their mean; None of none."""
        return float((self.values * self.counts).sum() / self.total) if self.total else None

    @property
    def most(self) -> int:
        """The largest; 0 of none."""
        return int(self.values[-1]) if len(self.values) else 0

    @property
    def median(self) -> int | None:
        """The lower median; None of none."""
        if not self.total:
            return None
        return int(self.values[np.searchsorted(np.cumsum(self.counts), (self.total + 1) // 2)])

    def as_dict(self) -> dict[str, Any]:
        """Plain data: mean, median, the largest, and [value, count] pairs."""
        return {
            "mean": self.mean,
            "median": self.median,
            "max": self.most,
            "counts": [list(pair) for pair in zip(self.values.tolist(), self.counts.tolist(), strict=True)],
        }


@dataclass(frozen=True)
class Spread:
    """Where numbers lie: how many, mean, standard deviation, and quantiles (linear between neighbours).

    All but `count` are None where there is no number.
    """

    count: int
    mean: float | None = None
    sd: float | None = None
    min: float | None = None
    p5: float | None = None
    p25: float | None = None
    median: float | None = None
    p75: float | None = None
    p95: float | None = None
    max: float | None = None

    @classmethod
    def of(cls, numbers: Array) -> Spread:
        """Of the finite ones among the numbers.

        numbers  [n]  float64
        """
        finite = numbers[np.isfinite(numbers)]
        if not len(finite):
            return cls(0)
        quantiles = np.quantile(finite, (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)).tolist()
        mean, sd = mean_and_sd(finite)
        return cls(len(finite), float(mean), float(sd), *quantiles)


@dataclass(frozen=True)
class Bins:
    """Counts between edges; a number on an edge belongs to the bin above it.

    edges   [n+1]  float64  ascending; the outer ones may be infinite
    counts  [n]    int64
    """

    edges: Array
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, numbers: Array, edges: Array) -> Bins:
        """The finite ones among the numbers, counted.

        numbers  [n]  float64
        """
        finite = numbers[np.isfinite(numbers)]
        place = np.searchsorted(edges, finite, side="right") - 1
        place = place[(place >= 0) & (place < len(edges) - 1)]
        return cls(edges, np.bincount(place, minlength=len(edges) - 1).astype(np.int64))

    def as_dict(self) -> dict[str, Any]:
        """Plain data; infinite edges are null."""
        return {
            "edges": [edge if np.isfinite(edge) else None for edge in self.edges.tolist()],
            "counts": self.counts.tolist(),
        }


def mean_and_sd(values: Array) -> tuple[Array, Array]:
    """Mean and standard deviation along the first axis.

    values  [n, ...]  float64  finite, n > 0

    Squares of absurd coordinates leave float64; those of their shares of the largest do not.
    """
    largest = float(np.abs(values).max())
    unit = largest if largest > HUGE else 1.0
    shares = values / unit
    return shares.mean(axis=0) * unit, shares.std(axis=0) * unit
