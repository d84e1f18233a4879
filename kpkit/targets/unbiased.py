"""unbiased: Gaussians centred between cells, over the whole map (DARK)."""

from __future__ import annotations

import numpy as np

from kpkit.core.skeleton import Skeleton
from kpkit.targets.gaussian import Cells, Flags, GaussianCodec
from kpkit.targets.kernels_rules import FULL
from kpkit.targets.sigma import Sigma
from kpkit.targets.weights import JointWeights


class Unbiased(GaussianCodec):
    """mu = p / s, not rounded; the whole map; weight 0 iff mu - 3 sigma >= size or mu + 3 sigma + 1 < 0 on an axis.

    Not exact under a mirror, which moves p / s by a quarter of a cell less than the map.

    Source: Zhang et al. 2020 (DARK); mmpose generate_unbiased_gaussian_heatmaps.
    """

    name = "unbiased"

    def __init__(
        self,
        skeleton: Skeleton,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        sigma: Sigma | None = None,
        joint_weights: JointWeights = None,
        decoder: str = "dark",
    ) -> None:
        super().__init__(skeleton, input_size, heatmap_size, sigma, joint_weights, decoder)

    @property
    def rule(self) -> int:
        """The whole map."""
        return FULL

    def place(self, cells: Cells, sigma: Cells) -> tuple[Cells, Flags]:
        """The point itself."""
        wide, size = 3.0 * sigma[..., None], np.array(self.heatmap_size[::-1])
        return cells, np.all((cells - wide < size) & (cells + wide + 1.0 >= 0), axis=-1)
