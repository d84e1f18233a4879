"""msra: Gaussians on whole cells, the rule of SimpleBaseline and HRNet, and the default."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from kpkit.core.skeleton import Skeleton
from kpkit.targets.gaussian import Cells, Flags, GaussianCodec, both
from kpkit.targets.kernels_rules import ROUNDED, TRUNCATED, radius, reach
from kpkit.targets.options import choice
from kpkit.targets.sigma import Sigma
from kpkit.targets.weights import JointWeights


class Msra(GaussianCodec):
    """mu = floor(p / s + 0.5), s = input / heatmap; peak 1; window mu +- ceil(3 sigma); weight 0 where it is empty.

    compat  "hrnet": the reference to the bit, with what it does left of and above the map and at fractional 3 sigma:
            mu = trunc(p / s + 0.5), window from trunc(mu - 3 sigma) to before trunc(mu + 3 sigma + 1)

    Both are equal where 3 sigma is whole and p / s > -0.5. Never exact under a mirror: w - 1 - p is not a whole number
    of cells from p.

    Source: Xiao et al. 2018; HRNet lib/dataset/JointsDataset.py generate_target; mmpose generate_gaussian_heatmaps.
    """

    name = "msra"

    def __init__(
        self,
        skeleton: Skeleton,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        sigma: Sigma | None = None,
        joint_weights: JointWeights = None,
        decoder: str = "quarter",
        compat: Literal["hrnet"] | None = None,
    ) -> None:
        super().__init__(skeleton, input_size, heatmap_size, sigma, joint_weights, decoder)
        self.compat: str | None = choice("compat", compat, (None, "hrnet"))

    @property
    def rule(self) -> int:
        """The window's rule."""
        return TRUNCATED if self.compat else ROUNDED

    def parameters(self) -> dict[str, Any]:
        """As the constructor takes them."""
        return {**super().parameters(), "compat": self.compat}

    def place(self, cells: Cells, sigma: Cells) -> tuple[Cells, Flags]:
        """The rounded cell."""
        if self.compat:
            mu = np.trunc(cells + 0.5)
            return mu, kept_by_reference(mu, sigma, self.heatmap_size)
        mu = np.floor(cells + 0.5)
        wide, size = radius(sigma)[..., None], np.array(self.heatmap_size[::-1])
        inside: Flags = mu >= -wide
        inside &= mu < size + wide
        return mu, both(inside)


def kept_by_reference(mu: Cells, sigma: Cells, heatmap_size: tuple[int, int]) -> Flags:
    """Whether the references keep a joint: its window, counted without clipping, begins before the map's far edges
    and does not end before 0.

    mu  [n,K,2]  float64  whole cells     sigma  [n,K]  float64  cells     returns  [n,K]  bool
    """
    wide, size = reach(sigma)[..., None], np.array(heatmap_size[::-1])
    low, high = np.trunc(mu - wide), np.trunc(mu + wide + 1.0)
    return both((low < size) & (high >= 0))
