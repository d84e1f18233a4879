"""megvii: a blurred single cell, peak 255 (CPN, MSPN)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from kpkit.core.skeleton import Skeleton
from kpkit.targets import decoders, kernels
from kpkit.targets.base import Array, Arrays, ArraySpec, Codec, Points, StoredType
from kpkit.targets.gaussian import from_cells, make_points, to_cells
from kpkit.targets.options import choice, odd
from kpkit.targets.weights import JointWeights, check_joint_weights

PEAK = 255.0


class Megvii(Codec):
    """Cell k = floor(p / s) is 1, the map is blurred by `kernel` cells (edges mirrored) and scaled to 255 at k.

    kernel   odd cells; left out: 11 at 64 rows, 15 at 96
    decoder  "megvii": blur again, maximum, a quarter toward the higher neighbour; or "argmax", "quarter". Half a cell
             is added to all: k holds points from k to k + 1
    compat   "mmpose": k = trunc(p / s), so that points up to a cell left of the map count; the half cell is added only
             away from the edges; scores are maximum / 255 + 0.5

    Near the border mirrored edges push values above 255 (331 at 64x48). Not exact under a mirror.

    Source: Chen et al. 2018 (CPN), Li et al. 2019 (MSPN); mmpose codecs/megvii_heatmap.py.
    """

    name = "megvii"
    decoder_names = ("megvii", "argmax", "quarter")

    def __init__(
        self,
        skeleton: Skeleton,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        kernel: int | None = None,
        joint_weights: JointWeights = None,
        decoder: str = "megvii",
        compat: Literal["mmpose"] | None = None,
    ) -> None:
        super().__init__(skeleton, input_size, heatmap_size)
        self.kernel = odd("kernel", 2 * round(heatmap_size[0] / 16) + 3 if kernel is None else kernel)
        self.joint_weights = check_joint_weights(joint_weights, skeleton)
        self.decoder: str = choice("decoder", decoder, self.decoder_names)
        self.compat: str | None = choice("compat", compat, (None, "mmpose"))
        self._down, self._across = (_profiles(size, self.kernel) for size in heatmap_size)

    def spec(self) -> dict[str, ArraySpec]:
        """ "heatmaps", up to what mirrored edges push them to."""
        high = PEAK * float(self._down.max()) * float(self._across.max())
        return {"heatmaps": ArraySpec((len(self.skeleton), *self.heatmap_size), high=high)}

    def parameters(self) -> dict[str, Any]:
        """As the constructor takes them."""
        return {
            "codec": self.name,
            "input_size": list(self.input_size),
            "heatmap_size": list(self.heatmap_size),
            "kernel": self.kernel,
            "joint_weights": self.joint_weights,
            "decoder": self.decoder,
            "compat": self.compat,
        }

    def prepare(
        self, xy: NDArray[np.float64], visibility: NDArray[np.uint8], box_wh: NDArray[np.float64] | None = None
    ) -> Points:
        """The cell that holds each joint; sigma is that of the blur."""
        cells, labelled = to_cells(self, xy, visibility)
        cells = np.trunc(cells) if self.compat else np.floor(cells)
        inside = np.all((cells >= 0) & (cells < self.heatmap_size[::-1]), axis=-1)
        # OpenCV's sigma for a kernel of which only the size is given.
        sigma = np.full(labelled.shape, 0.3 * ((self.kernel - 1) * 0.5 - 1) + 0.8, np.float32)
        return make_points(self, cells, sigma, labelled & inside)

    def render(self, points: Points, dtype: StoredType = "float32") -> Arrays:
        """The blurred cells."""
        mu = points.mu.reshape(-1, 2)
        drawn = ~np.isnan(mu[:, 0])
        at = np.where(drawn[:, None], mu, 0).astype(np.int64)
        across = self._across[at[:, 0]] * drawn[:, None]
        down = self._down[at[:, 1]] * (drawn[:, None] * np.float32(PEAK))
        return {"heatmaps": kernels.outer(down, across, self.spec()["heatmaps"], dtype)}

    def decode(self, arrays: Mapping[str, Array]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Maxima, refined; the score is the maximum / 255."""
        maps = np.asarray(arrays["heatmaps"], np.float32)
        if self.decoder == "megvii":
            maps = decoders.blurred(maps, self.kernel)
        at, scores = decoders.maxima(maps)
        cells = at.astype(np.float64) + 0.5
        if self.decoder != "argmax":
            cells += decoders.quarter(maps, at)
        if self.compat:
            inside = np.all((at > 1) & (at < np.array(self.heatmap_size[::-1]) - 1), axis=-1)
            cells = np.where(inside[..., None], cells, at)
        some = scores > 0
        cells = np.where(some[..., None], cells, 0.0)
        return from_cells(self, cells), np.where(some, scores / PEAK + (0.5 if self.compat else 0.0), 0.0)


def _profiles(size: int, kernel: int) -> NDArray[np.float32]:
    """A single cell blurred along one axis and divided by what stays in the cell.  [size,size] float32, a row a cell"""
    blurred = cv2.GaussianBlur(np.eye(size, dtype=np.float64), (kernel, 1), 0, borderType=cv2.BORDER_REFLECT_101)
    return (blurred / np.diagonal(blurred)[:, None]).astype(np.float32)
