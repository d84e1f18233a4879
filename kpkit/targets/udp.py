"""udp: Gaussians, or discs with offsets, on a grid whose unit is the distance between pixel centres."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from kpkit.core.skeleton import Skeleton
from kpkit.targets import decoders, kernels
from kpkit.targets.base import Array, Arrays, ArraySpec, Points, StoredType
from kpkit.targets.gaussian import Cells, Flags, GaussianCodec, from_cells
from kpkit.targets.kernels_rules import POINTED, SYMMETRIC, radius
from kpkit.targets.msra import kept_by_reference
from kpkit.targets.options import choice, odd, positive
from kpkit.targets.sigma import Sigma
from kpkit.targets.vectors import SIGNED
from kpkit.targets.weights import JointWeights


class Udp(GaussianCodec):
    """mu = p * (W - 1) / (w - 1), not rounded, so that a mirror of the maps is the maps of the mirror.

    target  "gaussian": a Gaussian centred on mu in the window around the nearest cell, mu +- ceil(3 sigma)
            "combined": 1 within r = radius_factor * max(W, H) of mu, and maps of (mu - cell) / r there
    kernel  odd cells: blur before decoding
    compat  "mmpose": its windows (trunc instead of floor), and its scaling when decoding, w / (W - 1) instead of
            (w - 1) / (W - 1), which is 0.5 pixels off on average

    Source: Huang et al. 2020 (UDP); mmpose codecs/udp_heatmap.py, codecs/utils/offset_heatmap.py.
    """

    name = "udp"
    warp = "udp"
    decoder_names = ("argmax", "quarter", "dark", "dark-udp")

    def __init__(
        self,
        skeleton: Skeleton,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        sigma: Sigma | None = None,
        joint_weights: JointWeights = None,
        decoder: str = "dark-udp",
        target: Literal["gaussian", "combined"] = "gaussian",
        radius_factor: float = 0.0546875,
        kernel: int = 11,
        compat: Literal["mmpose"] | None = None,
    ) -> None:
        super().__init__(skeleton, input_size, heatmap_size, sigma, joint_weights, decoder)
        self.target: str = choice("target", target, ("gaussian", "combined"))
        self.radius_factor = positive("radius_factor", radius_factor)
        self.kernel = odd("kernel", kernel)
        self.compat: str | None = choice("compat", compat, (None, "mmpose"))
        self.flips_channels = self.compat is None

    @property
    def rule(self) -> int:
        """The window's rule."""
        return POINTED if self.compat else SYMMETRIC

    @property
    def disc(self) -> float:
        """Radius of the combined target's disc, in cells."""
        return self.radius_factor * max(self.heatmap_size)

    def cell_grid(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Pixel centres 0 and w - 1 are cell centres 0 and W - 1."""
        (h, w), (H, W) = self.input_size, self.heatmap_size
        return ((W - 1) / (w - 1), (H - 1) / (h - 1)), (0.0, 0.0)

    def spec(self) -> dict[str, ArraySpec]:
        """ "heatmaps"; "offsets" [K,2,H,W] beside them for the combined target."""
        maps = super().spec()
        if self.target == "combined":
            shape = (len(self.skeleton), 2, *self.heatmap_size)
            maps["offsets"] = ArraySpec(shape, *SIGNED, vectors=True)
        return maps

    def parameters(self) -> dict[str, Any]:
        """As the constructor takes them."""
        more = {
            "target": self.target,
            "radius_factor": self.radius_factor,
            "kernel": self.kernel,
            "compat": self.compat,
        }
        return {**super().parameters(), **more}

    def place(self, cells: Cells, sigma: Cells) -> tuple[Cells, Flags]:
        """The point itself, on a grid that float32 and a mirror keep."""
        if self.target == "combined":
            mu = snapped(cells, self.heatmap_size)
            near = np.clip(np.rint(mu), 0, np.array(self.heatmap_size[::-1]) - 1.0)
            return mu, np.square(near - mu).sum(axis=-1) <= self.disc**2
        if self.compat:
            return cells, kept_by_reference(np.trunc(cells + 0.5), sigma, self.heatmap_size)
        mu, wide = snapped(cells, self.heatmap_size), radius(sigma)[..., None]
        size = np.array(self.heatmap_size[::-1])
        low, high = np.ceil(mu - wide - 0.5), np.floor(mu + wide + 0.5)
        return mu, np.all((low < size) & (high >= 0), axis=-1)

    def render(self, points: Points, dtype: StoredType = "float32") -> Arrays:
        """Gaussians, or discs and offsets."""
        if self.target == "gaussian":
            return super().render(points, dtype)
        spec = self.spec()
        discs, offsets = _discs(points, self.disc, self.heatmap_size)
        return {
            "heatmaps": kernels.store(discs, spec["heatmaps"], dtype),
            "offsets": kernels.store(offsets, spec["offsets"], dtype),
        }

    def decode(self, arrays: Mapping[str, Array]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Maxima refined by the decoder; of a combined target, the offset at the blurred disc's maximum added."""
        if self.target == "gaussian":
            cells, scores = decoders.decode_maps(arrays["heatmaps"], self.decoder, self.kernel)
        else:
            cells, scores = self._decode_combined(arrays)
        if self.compat:
            (h, w), (H, W) = self.input_size, self.heatmap_size
            return cells / (W - 1.0, H - 1.0) * (w, h), scores
        return from_cells(self, cells), scores

    def _decode_combined(self, arrays: Mapping[str, Array]) -> tuple[Cells, NDArray[np.float64]]:
        maps = np.asarray(arrays["heatmaps"], np.float32)
        wide = 2 * self.kernel + 1
        # Mirrored edges, which the reference has, push the maximum out of a disc at the border.
        border = cv2.BORDER_REFLECT_101 if self.compat else cv2.BORDER_CONSTANT
        smooth = np.stack([_blur(one, wide, border) for one in maps.reshape(-1, *self.heatmap_size)]).reshape(
            maps.shape
        )
        at, scores = decoders.maxima(smooth)
        vectors = np.asarray(arrays["offsets"], np.float32)
        if self.compat:
            vectors = np.stack([_blur(one, self.kernel, border) for one in vectors.reshape(-1, *self.heatmap_size)])
            vectors = vectors.reshape(arrays["offsets"].shape)
        people, joints = np.indices(scores.shape)
        shift = vectors[people, joints, :, at[..., 1], at[..., 0]].astype(np.float64) * self.disc
        return np.where((scores > 0)[..., None], at + shift, 0.0), scores


def snapped(cells: Cells, heatmap_size: tuple[int, int]) -> Cells:
    """Cells rounded to what float32 holds both here and in the mirror, so that mirrored peaks are mirrored to the bit.

    cells  [..., 2]  float64     returns  the same, changed by less than 4e-6 cells on maps up to 127
    """
    size = np.array(heatmap_size[::-1], np.float64)
    # Mirrored points are equally far from the middle; float32 holds steps of 2^(e - 24) up to 2^e.
    reach = 2.0 * np.maximum(np.abs(cells - 0.5 * (size - 1.0)), 0.5 * size.max())
    step = np.ldexp(1.0, np.frexp(reach)[1] - 24)
    rounded: Cells = np.rint(cells / step) * step
    return rounded


def _blur(one: Array, kernel: int, border: int) -> NDArray[np.float32]:
    return cv2.GaussianBlur(one, (kernel, kernel), 0, borderType=border).astype(np.float32, copy=False)


def _discs(
    points: Points, disc: float, heatmap_size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """1 within the disc [n,K,H,W], and (mu - cell) / disc there [n,K,2,H,W]."""
    H, W = heatmap_size
    mu = points.mu.astype(np.float64)
    x = (mu[..., 0, None] - np.arange(W)) / disc
    y = (mu[..., 1, None] - np.arange(H)) / disc
    # NaN joints are in no disc.
    inside = np.square(x)[..., None, :] + np.square(y)[..., :, None] <= 1.0
    offsets = np.zeros((*mu.shape[:2], 2, H, W), np.float32)
    np.copyto(offsets[:, :, 0], x[..., None, :].astype(np.float32), where=inside)
    np.copyto(offsets[:, :, 1], y[..., :, None].astype(np.float32), where=inside)
    return inside.astype(np.float32), offsets
