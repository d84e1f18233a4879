"""What codecs with Gaussian maps share: sigma, joint weights, decoders; each rule stands in its own file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kpkit.core.skeleton import Skeleton
from kpkit.errors import UsageError
from kpkit.targets import decoders, kernels
from kpkit.targets.base import Array, Arrays, ArraySpec, Codec, Points, StoredType
from kpkit.targets.options import choice
from kpkit.targets.sigma import LEAST, Sigma, box_sigmas, check_sigma, joint_sigmas
from kpkit.targets.weights import JointWeights, check_joint_weights, joint_weights

Cells = NDArray[np.float64]
Flags = NDArray[np.bool_]


class GaussianCodec(Codec):
    """A codec of one Gaussian map a joint.

    sigma          cells; left out: 2 at 64 rows, and in proportion to the rows. "adaptive": by joint; "box": by person
    joint_weights  "hrnet", one number a joint, or None
    decoder        how maxima are refined, one of `decoder_names`
    """

    decoder_names: ClassVar[tuple[str, ...]] = ("argmax", "quarter", "dark")

    def __init__(
        self,
        skeleton: Skeleton,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        sigma: Sigma | None,
        joint_weights: JointWeights,
        decoder: str,
    ) -> None:
        super().__init__(skeleton, input_size, heatmap_size)
        self.sigma: Sigma = check_sigma(heatmap_size[0] / 32.0 if sigma is None else sigma, skeleton)
        self.joint_weights = check_joint_weights(joint_weights, skeleton)
        self.decoder: str = choice("decoder", decoder, self.decoder_names)

    def spec(self) -> dict[str, ArraySpec]:
        """One array, "heatmaps"."""
        return {"heatmaps": ArraySpec((len(self.skeleton), *self.heatmap_size))}

    def parameters(self) -> dict[str, Any]:
        """As the constructor takes them."""
        return {
            "codec": self.name,
            "input_size": list(self.input_size),
            "heatmap_size": list(self.heatmap_size),
            "sigma": self.sigma,
            "joint_weights": self.joint_weights,
            "decoder": self.decoder,
        }

    def prepare(
        self, xy: NDArray[np.float64], visibility: NDArray[np.uint8], box_wh: NDArray[np.float64] | None = None
    ) -> Points:
        """Peaks by the codec's rule; weight 0 for joints without a label and for those the rule drops."""
        mu, labelled = to_cells(self, xy, visibility)
        sigma = self.sigmas(len(mu), box_wh)
        placed, kept = self.place(mu, sigma.astype(np.float64))
        return make_points(self, placed, sigma, labelled & kept)

    @abstractmethod
    def place(self, cells: Cells, sigma: Cells) -> tuple[Cells, Flags]:
        """Where peaks stand, and which of them the rule keeps.

        cells  [n,K,2]  float64  cells, 0 where unlabelled
        sigma  [n,K]    float64  cells

        returns [n,K,2] float64, [n,K] bool
        """

    @property
    @abstractmethod
    def rule(self) -> int:
        """Where windows lie, see `kpkit.targets.kernels_rules`."""

    def sigmas(self, persons: int, box_wh: NDArray[np.float64] | None) -> NDArray[np.float32]:
        """Sigma of every joint.  [n,K] float32 cells"""
        shape = (persons, len(self.skeleton))
        if self.sigma == "adaptive":
            # Published sigmas are for 48 columns.
            unit = self.heatmap_size[1] / 48.0
            found = joint_sigmas(self.skeleton, 2.0 * unit, LEAST, 3.0 * unit)
            return np.broadcast_to(found, shape).astype(np.float32)
        if self.sigma == "box":
            return np.broadcast_to(box_sigmas(box_wh, persons, 2.0)[:, None], shape).astype(np.float32)
        return np.full(shape, self.sigma, np.float32)

    def render(self, points: Points, dtype: StoredType = "float32") -> Arrays:
        """Gaussians of peak 1 in the rule's windows."""
        return {"heatmaps": kernels.gaussians(points, self.spec()["heatmaps"], self.rule, dtype)}

    def decode(self, arrays: Mapping[str, Array]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Maxima, refined by the codec's decoder; the score is the maximum."""
        cells, scores = decoders.decode_maps(arrays["heatmaps"], self.decoder)
        return from_cells(self, cells), scores


def to_cells(codec: Codec, xy: NDArray[np.float64], visibility: NDArray[np.uint8]) -> tuple[Cells, Flags]:
    """Joints in cells (0 where unlabelled), and which are labelled.  [n,K,2] float64, [n,K] bool

    Raises UsageError where the shapes are not those of the codec's skeleton.
    """
    xy = np.asarray(xy, np.float64)
    if xy.ndim != 3 or xy.shape[1:] != (len(codec.skeleton), 2) or visibility.shape != xy.shape[:2]:
        raise UsageError(
            "these are not joints of the codec's skeleton",
            code="KP-TARGET-SHAPE",
            expected=f"xy [n,{len(codec.skeleton)},2] and visibility [n,{len(codec.skeleton)}]",
            got=f"{list(xy.shape)} and {list(visibility.shape)}",
        )
    labelled: Flags = both(np.isfinite(xy))
    labelled &= visibility > 0
    a, b = codec.cell_grid()
    cells = xy * a
    cells += b
    cells[~labelled] = 0.0
    return cells, labelled


def from_cells(codec: Codec, cells: Cells) -> NDArray[np.float64]:
    """Cells as input pixels.  [..., 2] float64"""
    a, b = codec.cell_grid()
    pixels: NDArray[np.float64] = (cells - b) / a
    return pixels


def both(flags: Flags) -> Flags:
    """Whether x and y both hold (a reduction over so short an axis is slow).  [...,2] -> [...] bool"""
    found: Flags = flags[..., 0] & flags[..., 1]
    return found


def within(cells: Cells) -> Cells:
    """Cells no further than a million from 0: limbs to points beyond that look the same, and float32 holds them."""
    return np.clip(cells, -1e6, 1e6)


def make_points(codec: Any, placed: Cells, sigma: NDArray[np.float32], drawn: Flags) -> Points:
    """Points of the joints that are drawn, with their weights; NaN and 0 for the others."""
    mu = placed.astype(np.float32)
    mu[~drawn] = np.nan
    return Points(mu, sigma, drawn * joint_weights(codec.joint_weights, codec.skeleton))
