"""What a codec is: joints to target arrays and back, batched over n persons.

n persons (crops), K joints, (w, h) the input in pixels, (W, H) the heatmap in cells. Points are x, y; sizes that users
give are (height, width), as papers write them.

A codec works in two steps, so that a shard may hold either side of the second one:

    prepare  joints in input pixels -> Points: where each target stands, how wide it is, what it weighs. Small.
    render   Points -> dense arrays, in float32, or straight in the type they are stored in.

A sample is one person (a row of Points) unless the codec says `whole_images`: then it is an image with all its persons,
and `Points.starts` says whose rows are whose.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from kpkit.core.skeleton import Skeleton
from kpkit.errors import UsageError

Array = NDArray[Any]
Arrays = dict[str, Array]
StoredType = Literal["float32", "float16", "uint8"]


@dataclass(frozen=True)
class ArraySpec:
    """One target array of a sample.

    shape      of one sample, e.g. (K, H, W)
    low, high  range of its values; a stored type that cannot hold it is refused. Where low < 0, stored zeros are zeros
    channels   what the first axis counts: "joints", "limbs" (x and y of each), or "" for none
    is_map     the last two axes are heatmap rows and columns (what an occluder's region can blank)
    vectors    the values are x and y of vectors: of each limb in turn, or on the second axis after the joints; in a
               mirror x changes its sign
    """

    shape: tuple[int, ...]
    low: float = 0.0
    high: float = 1.0
    channels: Literal["joints", "limbs", ""] = "joints"
    is_map: bool = True
    vectors: bool = False

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
    starts   [i+1]    int64    sample j holds the rows starts[j] to starts[j+1]; None where each row is a sample
    """

    mu: NDArray[np.float32]
    sigma: NDArray[np.float32]
    weights: NDArray[np.float32]
    starts: NDArray[np.int64] | None = None

    @property
    def samples(self) -> int:
        """How many samples the rows make."""
        return len(self.mu) if self.starts is None else len(self.starts) - 1


class Codec(ABC):
    """One rule for targets; a subclass a file.

    name            registered name
    warp            the crop it goes with, see kpkit.augment.topdown: "hrnet" or "udp"
    whole_images    a sample is an image with all its persons, and not one person
    flips_channels  mirroring the arrays and swapping left and right channels (`kpkit.targets.flip`) gives exactly the
                    arrays of the mirrored joints; where it does not, a reader renders them again. A codec may know it
                    only with its skeleton
    """

    name: ClassVar[str]
    warp: ClassVar[Literal["hrnet", "udp"]] = "hrnet"
    whole_images: ClassVar[bool] = False
    flips_channels: bool = False

    def __init__(self, skeleton: Skeleton, input_size: tuple[int, int], heatmap_size: tuple[int, int]) -> None:
        self.skeleton = skeleton
        self.input_size = input_size
        self.heatmap_size = heatmap_size

    @abstractmethod
    def spec(self) -> dict[str, ArraySpec]:
        """The arrays of one sample by name."""

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """Everything but the skeleton that makes an equal codec again, as plain JSON data; "codec" is its name.

        `kpkit.targets.make.from_parameters` takes it.
        """

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

    def decode_persons(
        self, arrays: Mapping[str, Array], threshold: float = 0.1
    ) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """The persons of each sample, where samples are whole images.

        threshold  least value of a peak

        returns    a sample: xy [P,K,2] float64 input pixels, score [P,K] float64; (0, 0) and 0 for joints not found

        Raises UsageError where the codec does not put persons together.
        """
        raise UsageError(f"codec '{self.name}' has one person a sample", code="KP-CODEC-PERSONS", help="use decode")

    def cell_grid(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """((ax, ay), (bx, by)) of the heatmap's cells: cell = a * pixel + b. Here a = heatmap / input size, b = 0."""
        (h, w), (H, W) = self.input_size, self.heatmap_size
        return (W / w, H / h), (0.0, 0.0)

    def encode(
        self,
        xy: NDArray[np.float64],
        visibility: NDArray[np.uint8],
        box_wh: NDArray[np.float64] | None = None,
        dtype: StoredType = "float32",
        starts: NDArray[np.int64] | None = None,
    ) -> tuple[Arrays, NDArray[np.float32]]:
        """Arrays and weights [n,K]: `prepare`, then `render`; shapes as there, `starts` as in Points."""
        points = self.prepare(xy, visibility, box_wh)
        if starts is not None:
            points = replace(points, starts=starts)
        return self.render(points, dtype), points.weights

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Codec):
            return NotImplemented
        return self.skeleton == other.skeleton and self.parameters() == other.parameters()

    def __hash__(self) -> int:
        return hash((self.skeleton, json.dumps(self.parameters(), sort_keys=True)))
