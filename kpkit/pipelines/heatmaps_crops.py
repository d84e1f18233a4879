"""Where each crop lies: its matrix, and its joints in input pixels. Nothing is clipped at the crop's border."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kpkit.augment import geometry as geo
from kpkit.augment.draw import draw_person
from kpkit.augment.topdown import box_to_center_scale
from kpkit.pipelines.heatmaps_plan import RenderPlan, ShardTask
from kpkit.targets.base import Codec


@dataclass(frozen=True)
class Crops:
    """b crops, in order.

    person  [b]  int64  row of the task's persons    image  [b]  int64  row of its pictures
    copy    [b]  int64  0: cut straight
    """

    person: NDArray[np.int64]
    image: NDArray[np.int64]
    copy: NDArray[np.int64]

    def part(self, low: int, high: int) -> Crops:
        """Crops `low` to `high`."""
        return Crops(self.person[low:high], self.image[low:high], self.copy[low:high])

    def where(self, keep: NDArray[np.bool_]) -> Crops:
        """Those that are kept."""
        return Crops(self.person[keep], self.image[keep], self.copy[keep])


@dataclass(frozen=True)
class Placed:
    """The same crops, moved; left and right are exchanged where a crop is mirrored.

    matrix      [b,2,3]  float64  source -> input pixels     xy         [b,K,2]  float64  input pixels
    visibility  [b,K]    uint8    truncated, occluded  [b,K]  bool        mirrored   [b]  bool
    """

    matrix: NDArray[np.float64]
    xy: NDArray[np.float64]
    visibility: NDArray[np.uint8]
    truncated: NDArray[np.bool_]
    occluded: NDArray[np.bool_]
    mirrored: NDArray[np.bool_]

    def where(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> Placed:
        """Those of a mask, or of these rows."""
        return Placed(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


def expand(task: ShardTask, copies: tuple[int, ...], *, whole: bool = False) -> Crops:
    """The crops of a shard: picture by picture, copy by copy, person by person.

    whole  a crop is a whole picture, and `person` its first
    """
    person, image, copy = [], [], []
    for number, ref in enumerate(task.images):
        persons = 1 if whole else ref.persons
        low, high = max(task.low, ref.start), min(task.high, ref.start + persons * len(copies))
        offset = np.arange(low - ref.start, high - ref.start)
        person.append(ref.first + offset % persons)
        copy.append(np.array(copies, np.int64)[offset // persons])
        image.append(np.full(len(offset), number))
    return Crops(*(np.concatenate(parts).astype(np.int64) for parts in (person, image, copy)))


def place(plan: RenderPlan, task: ShardTask, crops: Crops, codec: Codec) -> Placed:
    """Matrices as the recipe draws them (straight for copy 0), and what they do to the joints."""
    box, xy = task.columns["bbox_xywh"][crops.person], task.columns["xy"][crops.person]
    matrix = straight(box, codec.input_size, plan.recipe.padding, plan.recipe.warp)
    for i in np.flatnonzero(crops.copy).tolist():
        key = f"{task.images[crops.image[i]].key}#{task.names[crops.person[i]]}"
        matrix[i] = draw_person(plan.recipe, plan.seed, key, int(crops.copy[i]), box[i], xy[i], plan.upper).matrix
    mirrored = np.linalg.det(matrix[:, :, :2]) < 0
    moved = Placed(
        matrix=matrix,
        xy=np.einsum("nij,nkj->nki", matrix[:, :, :2], xy) + matrix[:, None, :, 2],
        visibility=task.columns["visibility"][crops.person],
        truncated=task.columns["truncated"][crops.person],
        occluded=task.occluded[crops.person],
        mirrored=mirrored,
    )
    if mirrored.any():
        order = plan.skeleton.flip_index
        for column in (moved.xy, moved.visibility, moved.truncated, moved.occluded):
            column[mirrored] = column[mirrored][:, order]
    return moved


def straight(
    box_xywh: NDArray[np.float64], input_size: tuple[int, int], padding: float, warp: str
) -> NDArray[np.float64]:
    """The matrices of `kpkit.augment.topdown`, without rotation, for many boxes at once.

    box_xywh    [b,4]  float64  pixels    input_size  (height, width)    warp  "hrnet" or "udp"
    returns   [b,2,3]  float64
    """
    height, width = input_size
    center, scale = box_to_center_scale(box_xywh, (width, height), padding)
    matrix = np.zeros((len(box_xywh), 2, 3))
    if warp == "hrnet":
        factor = width / scale[:, 0]
        matrix[:, 0, 0], matrix[:, 1, 1] = factor, factor
        matrix[:, :, 2] = np.array([width * 0.5, height * 0.5]) - factor[:, None] * center
    else:
        factors = np.array([width - 1, height - 1]) / scale
        matrix[:, 0, 0], matrix[:, 1, 1] = factors[:, 0], factors[:, 1]
        matrix[:, :, 2] = factors * (0.5 * scale - center)
    return matrix


def mirror(
    plan: RenderPlan,
    codec: Codec,
    placed: Placed,
    images: NDArray[np.uint8] | None,
    regions: NDArray[np.uint8] | None,
) -> tuple[NDArray[np.int64], Placed, NDArray[np.uint8] | None, NDArray[np.uint8] | None, NDArray[np.bool_]]:
    """Every crop followed by its mirror image.

    returns  rows [2b] (which crop each is), the crops, pictures and regions so doubled, and whether each is flipped
    """
    b, width = len(placed.mirrored), codec.input_size[1]
    rows = np.repeat(np.arange(b), 2)
    second = np.arange(2 * b) % 2 == 1
    double = placed.where(rows)
    flip, order = geo.flip_horizontal(width), plan.skeleton.flip_index
    matrix, xy = double.matrix, double.xy
    matrix[second] = flip[:, :2] @ matrix[second]
    matrix[second, :, 2] += flip[:, 2]
    xy[second] = xy[second][:, order] * [-1.0, 1.0] + flip[:, 2]
    for column in (double.visibility, double.truncated, double.occluded):
        column[second] = column[second][:, order]
    doubled = [None if array is None else array[rows] for array in (images, regions)]
    for array in doubled:
        if array is not None:
            array[second] = array[second][:, :, ::-1]
    return rows, double, doubled[0], doubled[1], double.mirrored ^ second
