"""bottomup: heatmaps and fields of all persons of an image, for networks that find persons by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.skeleton import Skeleton
from kpkit.errors import UsageError
from kpkit.targets import grouping, kernels
from kpkit.targets.base import Array, Arrays, ArraySpec, Points, StoredType
from kpkit.targets.flip import limb_mirror
from kpkit.targets.gaussian import Cells, Flags, GaussianCodec, from_cells, to_cells, within
from kpkit.targets.kernels_rules import SYMMETRIC, radius
from kpkit.targets.occlusion import cell_shares
from kpkit.targets.options import positive
from kpkit.targets.paf import Pairs, check_limbs, paf_spec
from kpkit.targets.sigma import Sigma
from kpkit.targets.udp import snapped
from kpkit.targets.weights import JointWeights


class BottomUp(GaussianCodec):
    """mu = (p + 0.5) / s - 0.5, not rounded; of Gaussians that overlap the larger value stays, of limbs the mean.

    sigma      cells; left out: 2. "box" follows HigherHRNet
    limbs      pairs of joints; left out: the skeleton's edges; [] for none
    thickness  cells on each side of a limb

    A sample is an image: `prepare` takes the joints of all persons, one after the other, and `Points.starts` says whose
    image they are on. Windows are mu +- ceil(3 sigma), a limb's box holds its cells on both sides, so that a mirror of
    the arrays is the arrays of the mirror wherever the mirror of each limb is a limb.

    Source: Cao et al. 2017 (OpenPose); Cheng et al. 2020 (HigherHRNet). The references put fields on p / s and heatmaps
    on (p + 0.5) / s - 0.5, 0.44 cells apart at stride 8; here both are on the second.
    """

    name = "bottomup"
    whole_images = True

    def __init__(
        self,
        skeleton: Skeleton,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        sigma: Sigma | None = None,
        joint_weights: JointWeights = None,
        decoder: str = "dark-udp",
        limbs: Pairs | None = None,
        thickness: float = 1.0,
    ) -> None:
        super().__init__(skeleton, input_size, heatmap_size, 2.0 if sigma is None else sigma, joint_weights, decoder)
        some = skeleton.edges if limbs is None else limbs
        self.limbs = check_limbs(some, skeleton) if len(some) else []
        self.thickness = positive("thickness", thickness)
        self.flips_channels = limb_mirror(skeleton, self.limbs) is not None

    decoder_names = ("argmax", "quarter", "dark", "dark-udp")

    @property
    def rule(self) -> int:
        """The window's rule."""
        return SYMMETRIC

    def cell_grid(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The centre of a cell is the centre of the pixels it stands for."""
        (ax, ay), _ = super().cell_grid()
        return (ax, ay), (0.5 * ax - 0.5, 0.5 * ay - 0.5)

    def spec(self) -> dict[str, ArraySpec]:
        """ "heatmaps", and "pafs" where there are limbs."""
        return super().spec() | ({"pafs": paf_spec(self.limbs, self.heatmap_size)} if self.limbs else {})

    def parameters(self) -> dict[str, Any]:
        """As the constructor takes them; limbs in full, since equal skeletons may list their edges otherwise."""
        return {**super().parameters(), "limbs": self.limbs, "thickness": self.thickness}

    def place(self, cells: Cells, sigma: Cells) -> tuple[Cells, Flags]:
        """The point itself."""
        mu, wide = snapped(cells, self.heatmap_size), radius(sigma)[..., None]
        size = np.array(self.heatmap_size[::-1])
        low, high = np.ceil(mu - wide - 0.5), np.floor(mu + wide + 0.5)
        return mu, np.all((low < size) & (high >= 0), axis=-1)

    def prepare(
        self, xy: NDArray[np.float64], visibility: NDArray[np.uint8], box_wh: NDArray[np.float64] | None = None
    ) -> Points:
        """As for one person; a joint outside the map has weight 0, but keeps its place for the limbs that end there."""
        points = super().prepare(xy, visibility, box_wh)
        if not self.limbs:
            return points
        cells, labelled = to_cells(self, xy, visibility)
        mu = np.where(labelled[..., None], snapped(within(cells), self.heatmap_size), np.nan)
        return replace(points, mu=mu.astype(np.float32))

    def render(self, points: Points, dtype: StoredType = "float32") -> Arrays:
        """Heatmaps and fields."""
        arrays, spec = super().render(points, dtype), self.spec()
        if self.limbs:
            pairs = np.array(self.limbs, np.int64)
            arrays["pafs"] = kernels.limbs(points, spec["pafs"], pairs, self.thickness, False, dtype)
        return arrays

    def decode(self, arrays: Mapping[str, Array]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The strongest peak of each joint; `decode_persons` finds all of them and whose they are."""
        return super().decode({"heatmaps": arrays["heatmaps"]})

    def decode_persons(
        self, arrays: Mapping[str, Array], threshold: float = 0.1
    ) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """The persons of each sample, as OpenPose puts them together: peaks, and the fields between them.

        threshold  least value of a peak

        returns    a sample: xy [P,K,2] float64 input pixels, score [P,K] float64; (0, 0) and 0 for joints not found

        Raises UsageError where the codec has no limbs.
        """
        if not self.limbs:
            raise UsageError("persons are put together along limbs, and this codec has none", code="KP-CODEC-LIMBS")
        people = []
        for maps, fields in zip(arrays["heatmaps"], arrays["pafs"], strict=True):
            cells, scores = grouping.persons(
                np.asarray(maps, np.float32), np.asarray(fields, np.float32), self.limbs, self.decoder, threshold
            )
            people.append((np.where((scores > 0)[..., None], from_cells(self, cells), 0.0), scores))
        return people


def miss_mask(
    masks: Sequence[NDArray[np.uint8]],
    boxes_xywh: NDArray[np.float64],
    input_size: tuple[int, int],
    heatmap_size: tuple[int, int],
) -> NDArray[np.uint8]:
    """Where an image's targets hold, share of each cell x 255: 0 over crowds and persons without keypoints.

    masks       [h,w] each  uint8  0 or 255, input pixels: regions of crowds, silhouettes of persons without keypoints
    boxes_xywh  [m,4]  float64  input pixels: boxes of persons without keypoints and silhouette
    input_size, heatmap_size  (height, width)

    returns     [H,W]  uint8

    Source: Cao et al. 2017 (OpenPose), `mask_miss`.
    """
    missed = np.zeros(input_size, np.uint8)
    for mask in masks:
        missed |= mask
    fill_boxes(missed, boxes_xywh)
    shares: NDArray[np.uint8] = 255 - cell_shares(missed, heatmap_size)
    return shares


def fill_boxes(mask: NDArray[np.uint8], boxes_xywh: NDArray[np.float64]) -> None:
    """Set pixels whose centres are in a box to 255; boxes with NaN are none.

    mask  [h,w]  uint8     boxes_xywh  [m,4]  float64  pixels
    """
    height, width = mask.shape
    for x, y, w, h in boxes_xywh:
        if not np.isfinite([x, y, w, h]).all():
            continue
        left, right = (int(np.clip(np.ceil(edge), 0, width)) for edge in (x, x + w))
        top, bottom = (int(np.clip(np.ceil(edge), 0, height)) for edge in (y, y + h))
        mask[top:bottom, left:right] = 255
