"""What a codec is: joints to target arrays and back, batched over n persons.

n persons (crops), K joints, (w, h) the input in pixels, (W, H) the heatmap in cells. Points are x, y; sizes that users
give are (height, width), as papers write them.

A codec works in two steps, so that a shard may hold either side of the second one:

    prepare  joints in input pixels -> Points: where each target stands, how wide it is, what it weighs. Small.
    render   Points -> dense arrays, in float32, or straight in the type they are stored in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from kpkit.core.skeleton import Skeleton

Array = NDArray[Any]
Arrays = dict[str, Array]
StoredType = Literal["float32", "float16", "uint8"]


@dataclass(frozen=True)
class ArraySpec:
    """One target array of a sample.

    shape      of one sample, e.g. (K, H, W)
    low, high  range of its values; a stored type that cannot hold it is refused
    channels   what the first axis counts: "joints", "limbs" (x and y of each), or "" for none
    is_map     the last two axes are heatmap rows and columns (what an occluder's region can blank)
    """

    shape: tuple[int, ...]
    low: float = 0.0
    high: float = 1.0
    channels: Literal["joints", "limbs", ""] = "joints"
    is_map: bool = True

    def scale_offset(self, dtype: str) -> tuple[float, float]:
        """(scale, offset) such that value = stored * scale + offset; (1, 0) for floats."""
        if dtype == "uint8":
            return (self.high - self.low) / 255.0, self.low
        return 1.0, 0.0


@dataclass(frozen=True)
class Points:
    """What `prepare` gives.

    mu       [n,K,2]  float32  cells of the codec's own grid, x and y; NaN where nothing is rendered
    sigma    [n,K]    float32  cells
    weights  [n,K]    float32  0 where the joint says nothing
    """

    mu: NDArray[np.float32]
    sigma: NDArray[np.float32]
    weights: NDArray[np.float32]


class Codec(ABC):
    """One rule for targets; a subclass a file.

    name            registered name
    warp            the crop it goes with, see kpkit.augment.topdown: "hrnet" or "udp"
    flips_channels  mirroring the arrays and swapping left and right channels gives exactly the arrays of the mirrored
                    joints; where it does not, a reader renders them again
    """

    name: ClassVar[str]
    warp: ClassVar[Literal["hrnet", "udp"]] = "hrnet"
    flips_channels: ClassVar[bool] = False

    def __init__(self, skeleton: Skeleton, input_size: tuple[int, int], heatmap_size: tuple[int, int]) -> None:
        self.skeleton = skeleton
        self.input_size = input_size
        self.heatmap_size = heatmap_size

    @abstractmethod
    def spec(self) -> dict[str, ArraySpec]:
        """The arrays of one sample by name."""

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """Everything but the skeleton that makes an equal codec again, as plain JSON data."""

    @abstractmethod
    def prepare(
        self, xy: NDArray[np.float64], visibility: NDArray[np.uint8], box_wh: NDArray[np.float64] | None = None
    ) -> Points:
        """Where the targets stand.

        xy          [n,K,2]  float64  input pixels; NaN where unlabelled
        visibility  [n,K]    uint8    0: nothing rendered, weight 0; 1 and 2 alike
        box_wh      [n,2]    float64  person boxes in input pixels, where sigma goes by their size
        """

    @abstractmethod
    def render(self, points: Points, dtype: StoredType = "float32") -> Arrays:
        """Dense arrays [n, *spec.shape] in `dtype`, scaled as `ArraySpec.scale_offset` says."""

    @abstractmethod
    def decode(self, arrays: Mapping[str, Array]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Joints and scores from arrays of values (float32).

        returns  xy [n,K,2] float64 input pixels (never NaN), score [n,K] float64 (0 where there is nothing)
        """

    def encode(
        self,
        xy: NDArray[np.float64],
        visibility: NDArray[np.uint8],
        box_wh: NDArray[np.float64] | None = None,
        dtype: StoredType = "float32",
    ) -> tuple[Arrays, NDArray[np.float32]]:
        """Arrays and weights [n,K]: `prepare`, then `render`; shapes as there."""
        points = self.prepare(xy, visibility, box_wh)
        return self.render(points, dtype), points.weights
