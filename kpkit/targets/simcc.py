"""simcc: each coordinate as a class, one vector along x and one along y."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kpkit.core.skeleton import Skeleton
from kpkit.errors import UsageError
from kpkit.targets import kernels
from kpkit.targets.base import Array, Arrays, ArraySpec, Codec, Points, StoredType
from kpkit.targets.gaussian import make_points, to_cells
from kpkit.targets.options import CODE, choice, positive, share
from kpkit.targets.sigma import Sigma, check_sigma, joint_sigmas
from kpkit.targets.weights import JointWeights, check_joint_weights


class Simcc(Codec):
    """mu = rint(p * split); along each axis a Gaussian, or 1 at mu.

    target         "gaussian": exp(-(i - mu)^2 / 2 sigma^2) / (sigma sqrt(2 pi)) over the whole axis; weight 0 iff
                   mu - 3 sigma >= size or mu + 3 sigma + 1 < 0 on one
                   "standard": 1 - smoothing at mu, smoothing / (size - 1) elsewhere; weight 0 where mu is outside
    smoothing      of the standard target; left out: 0.1
    sigma          of the Gaussian, in parts of a pixel: a number, or "adaptive" around 6
    split          parts of a pixel
    normalize      whether Gaussians are divided by sigma sqrt(2 pi)

    There are no maps; `heatmap_size` is that of an occluder's region. Not exact under a mirror.

    Source: Li et al. 2022 (SimCC); mmpose codecs/simcc_label.py.
    """

    name = "simcc"

    def __init__(
        self,
        skeleton: Skeleton,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        target: Literal["gaussian", "standard"] = "gaussian",
        sigma: Sigma = 6.0,
        split: float = 2.0,
        smoothing: float | None = None,
        normalize: bool = True,
        joint_weights: JointWeights = None,
    ) -> None:
        super().__init__(skeleton, input_size, heatmap_size)
        self.target: str = choice("target", target, ("gaussian", "standard"))
        self.sigma = check_sigma(sigma, skeleton, ("adaptive",))
        self.split = positive("split", split)
        standard = self.target == "standard"
        self.smoothing = share("smoothing", 0.1 if smoothing is None else smoothing) if standard else None
        if smoothing is not None and not standard:
            raise UsageError("'smoothing' is for the target 'standard'", code=CODE, help="leave it out, or set sigma")
        self.normalize = bool(normalize)
        self.joint_weights = check_joint_weights(joint_weights, skeleton)
        self.height, self.width = (round(side * self.split) for side in input_size)

    def spec(self) -> dict[str, ArraySpec]:
        """ "simcc_x" and "simcc_y"."""
        high = 1.0
        if self.target == "gaussian" and self.normalize and len(self.skeleton):
            high = 1.0 / (float(self._sigmas().min()) * math.sqrt(2.0 * math.pi))
        sizes = {"simcc_x": self.width, "simcc_y": self.height}
        return {name: ArraySpec((len(self.skeleton), size), high=high, is_map=False) for name, size in sizes.items()}

    def parameters(self) -> dict[str, Any]:
        """As the constructor takes them."""
        return {
            "codec": self.name,
            "input_size": list(self.input_size),
            "heatmap_size": list(self.heatmap_size),
            "target": self.target,
            "sigma": self.sigma,
            "split": self.split,
            "smoothing": self.smoothing,
            "normalize": self.normalize,
            "joint_weights": self.joint_weights,
        }

    def _sigmas(self) -> NDArray[np.float32]:
        """Sigma by joint.  [K] float32"""
        if self.sigma == "adaptive":
            return joint_sigmas(self.skeleton, 6.0, 2.25, 9.0).astype(np.float32)
        return np.full(len(self.skeleton), self.sigma, np.float32)

    def prepare(
        self, xy: NDArray[np.float64], visibility: NDArray[np.uint8], box_wh: NDArray[np.float64] | None = None
    ) -> Points:
        """Peaks in parts of a pixel."""
        _, labelled = to_cells(self, xy, visibility)
        mu = np.rint(np.where(labelled[..., None], xy, 0.0) * self.split)
        sigma = np.broadcast_to(self._sigmas(), labelled.shape)
        wide = 3.0 * sigma[..., None].astype(np.float64) if self.target == "gaussian" else 0.0
        more = 1.0 if self.target == "gaussian" else 0.0
        inside = np.all((mu - wide < (self.width, self.height)) & (mu + wide + more >= 0), axis=-1)
        return make_points(self, mu, np.ascontiguousarray(sigma), labelled & inside)

    def render(self, points: Points, dtype: StoredType = "float32") -> Arrays:
        """Both vectors."""
        fill = self._gaussian if self.target == "gaussian" else self._standard
        arrays = {}
        for axis, (name, spec) in enumerate(self.spec().items()):
            out = np.empty((len(points.mu), *spec.shape), dtype)
            # A few samples at a time, so that float32 values of all never stand beside what is stored.
            for first in range(0, len(out), 32):
                rows = slice(first, first + 32)
                out[rows] = kernels.store(fill(points.mu[rows, :, axis], points.sigma[rows], spec), spec, dtype)
            arrays[name] = out
        return arrays

    def _gaussian(self, mu: Array, sigma: Array, spec: ArraySpec) -> NDArray[np.float32]:
        distance = np.arange(spec.shape[1], dtype=np.float32) - np.nan_to_num(mu, nan=-1e6)[..., None]
        np.square(distance, out=distance)
        distance *= (-0.5 / np.square(sigma))[..., None]
        np.maximum(distance, np.float32(-200.0), out=distance)
        values: NDArray[np.float32] = np.exp(distance, out=distance)
        if self.normalize:
            values /= sigma[..., None] * np.float32(math.sqrt(2.0 * math.pi))
        return values

    def _standard(self, mu: Array, sigma: Array, spec: ArraySpec) -> NDArray[np.float32]:
        drawn = ~np.isnan(mu)
        values = np.zeros((*mu.shape, spec.shape[1]), np.float32)
        smoothing = self.smoothing or 0.0
        values[drawn] = smoothing / (spec.shape[1] - 1)
        at = np.where(drawn, mu, 0).astype(np.int64)[..., None]
        np.put_along_axis(values, at, np.where(drawn, 1.0 - smoothing, 0.0)[..., None].astype(np.float32), axis=-1)
        return values

    def decode(self, arrays: Mapping[str, Array]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Maxima of both vectors; the score is the lower one."""
        x, y = (np.asarray(arrays[name], np.float32) for name in ("simcc_x", "simcc_y"))
        scores = np.minimum(x.max(axis=-1), y.max(axis=-1)).astype(np.float64)
        some = scores > 0
        at = np.stack([x.argmax(axis=-1), y.argmax(axis=-1)], axis=-1) / self.split
        return np.where(some[..., None], at, 0.0), np.where(some, scores, 0.0)
