"""paf: part affinity fields, a unit vector along each limb near it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.skeleton import Skeleton
from kpkit.errors import UsageError
from kpkit.targets import kernels
from kpkit.targets.base import Array, Arrays, ArraySpec, Codec, Points, StoredType
from kpkit.targets.gaussian import from_cells, make_points, to_cells, within
from kpkit.targets.options import CODE, positive
from kpkit.targets.vectors import SIGNED
from kpkit.targets.weights import JointWeights, check_joint_weights

Pairs = Sequence[Sequence[int]]


class Paf(Codec):
    """mu = p / s; (b - a) / |b - a| at cells at most `thickness` from the line a b, inside the box around both.

    limbs      pairs of joints; left out: the skeleton's edges
    thickness  cells

    The box is the reference's: from trunc(min - thickness) to before trunc(max + thickness). With `starts`, limbs of
    several persons that meet in a cell are averaged. Not exact under a mirror.

    Source: Cao et al. 2017 (OpenPose); lightweight-human-pose-estimation.pytorch datasets/coco.py.
    """

    name = "paf"

    def __init__(
        self,
        skeleton: Skeleton,
        input_size: tuple[int, int],
        heatmap_size: tuple[int, int],
        limbs: Pairs | None = None,
        thickness: float = 1.0,
        joint_weights: JointWeights = None,
    ) -> None:
        super().__init__(skeleton, input_size, heatmap_size)
        self.limbs = check_limbs(limbs, skeleton)
        self.thickness = positive("thickness", thickness)
        self.joint_weights = check_joint_weights(joint_weights, skeleton)

    def spec(self) -> dict[str, ArraySpec]:
        """ "pafs"."""
        return {"pafs": paf_spec(self.limbs, self.heatmap_size)}

    def parameters(self) -> dict[str, Any]:
        """As the constructor takes them; limbs in full, since equal skeletons may list their edges otherwise."""
        return {
            "codec": self.name,
            "input_size": list(self.input_size),
            "heatmap_size": list(self.heatmap_size),
            "limbs": self.limbs,
            "thickness": self.thickness,
            "joint_weights": self.joint_weights,
        }

    def prepare(
        self, xy: NDArray[np.float64], visibility: NDArray[np.uint8], box_wh: NDArray[np.float64] | None = None
    ) -> Points:
        """The limbs' ends; sigma is the thickness."""
        cells, labelled = to_cells(self, xy, visibility)
        return make_points(self, within(cells), np.full(labelled.shape, self.thickness, np.float32), labelled)

    def render(self, points: Points, dtype: StoredType = "float32") -> Arrays:
        """The fields of the limbs with both ends labelled."""
        pairs = np.array(self.limbs, np.int64).reshape(-1, 2)
        return {"pafs": kernels.limbs(points, self.spec()["pafs"], pairs, self.thickness, True, dtype)}

    def decode(self, arrays: Mapping[str, Array]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The limbs' ends, each the mean over its limbs: a field says where a limb ends only to a cell or two.

        The score is the mean length of the vectors. One person a sample.
        """
        pafs = np.asarray(arrays["pafs"], np.float64)
        total = np.zeros((len(pafs), len(self.skeleton), 2))
        score, count = np.zeros(total.shape[:2]), np.zeros(total.shape[:2])
        for limb, ends in enumerate(self.limbs):
            for sample in range(len(pafs)):
                found = _limb_ends(pafs[sample, 2 * limb], pafs[sample, 2 * limb + 1], self.thickness)
                if found is None:
                    continue
                for joint, end in zip(ends, found[0], strict=True):
                    total[sample, joint] += end
                    score[sample, joint] += found[1]
                    count[sample, joint] += 1
        some = count > 0
        cells = np.where(some[..., None], total / np.maximum(count, 1)[..., None], 0.0)
        return from_cells(self, cells), score / np.maximum(count, 1)


def check_limbs(limbs: Any, skeleton: Skeleton) -> list[list[int]]:
    """Pairs of joints as lists; the skeleton's edges where none are given.

    Raises UsageError for a pair that is none of the skeleton's.
    """
    pairs = [list(map(int, pair)) for pair in (skeleton.edges if limbs is None else limbs)]
    for pair in pairs:
        if len(pair) != 2 or pair[0] == pair[1] or not all(0 <= joint < len(skeleton) for joint in pair):
            raise UsageError(
                "'limbs' holds a pair that the skeleton cannot have",
                code=CODE,
                expected=f"two different joints from 0 to {len(skeleton) - 1}",
                got=str(pair),
            )
    if not pairs:
        raise UsageError(
            f"skeleton '{skeleton.name}' has no edges, and fields go along them",
            code=CODE,
            help="give 'limbs', or a skeleton with edges",
        )
    return pairs


def paf_spec(limbs: list[list[int]], heatmap_size: tuple[int, int]) -> ArraySpec:
    """The fields' array: x and y of each limb in turn."""
    return ArraySpec((2 * len(limbs), *heatmap_size), *SIGNED, channels="limbs", vectors=True)


def _limb_ends(vx: Array, vy: Array, thickness: float) -> tuple[NDArray[np.float64], float] | None:
    """Ends [2,2] of the limb of one field, and the mean length of its vectors; None for an empty field."""
    lengths = np.hypot(vx, vy)
    y, x = np.nonzero(lengths > 0.5 * max(float(lengths.max(initial=0.0)), 1e-3))
    if len(x) == 0:
        return None
    direction = np.array([vx[y, x].mean(), vy[y, x].mean()])
    direction /= max(float(np.hypot(*direction)), 1e-9)
    along, across = x * direction[0] + y * direction[1], y * direction[0] - x * direction[1]
    # The box leaves about `thickness` beyond each end, less where the limb runs aslant.
    first, last = along.min() + 0.5 * thickness, along.max() - 0.5 * thickness
    middle = np.median(across) * np.array([-direction[1], direction[0]])
    return np.stack([first * direction + middle, last * direction + middle]), float(lengths[y, x].mean())
