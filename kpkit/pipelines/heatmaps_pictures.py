"""The crops' pixels, and what covers them. One decode of a picture serves all its persons and copies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kpkit.augment import geometry as geo
from kpkit.augment.draw import stream
from kpkit.augment.images import read_image
from kpkit.augment.occlusion import covered as covered_joints
from kpkit.augment.shapes import move_mask
from kpkit.augment.spatial import Labels
from kpkit.augment.warp import warp_image
from kpkit.core import visibility as vis
from kpkit.errors import InputError, KpkitError
from kpkit.execute import Failure
from kpkit.pipelines.augment_cover import Covered, Veil, cover_picture
from kpkit.pipelines.augment_masks import read_mask
from kpkit.pipelines.augment_task import first_patch
from kpkit.pipelines.heatmaps_crops import Crops, Placed
from kpkit.pipelines.heatmaps_plan import ImageRef, RenderPlan, ShardTask
from kpkit.targets.occlusion import cell_shares

Picture = NDArray[np.uint8]


class Account(Protocol):
    """Where failures, notes and times are put down."""

    failures: list[Failure]
    notes: dict[str, list[str]]
    covered: int

    def timed(self, step: str) -> AbstractContextManager[None]:
        """Time a block."""
        ...


@dataclass(frozen=True)
class Taken:
    """What came of b crops.

    good  [b] bool: the picture could be used    images  [b,h,w,3] uint8 or None    regions  [b,H,W] uint8 or None
    """

    good: NDArray[np.bool_]
    images: Picture | None
    regions: Picture | None

    def where(self, keep: NDArray[np.bool_]) -> Taken:
        """Those that are kept."""
        parts = [None if array is None else array[keep] for array in (self.images, self.regions)]
        return Taken(self.good[keep], parts[0], parts[1])


@dataclass(frozen=True)
class Scene:
    """A picture as read, [H,W,3], None where it is not opened; its mask, and those of single persons by their row."""

    image: Picture | None
    mask: Picture | None
    own: dict[int, Picture | None]


class Pictures:
    """The pictures of one shard, one at a time: its crops come in their order."""

    def __init__(self, plan: RenderPlan, task: ShardTask, done: Account) -> None:
        self._plan, self._task, self._done = plan, task, done
        height, width = plan.codec["input_size"]
        self._input_wh = (int(width), int(height))
        height, width = plan.codec["heatmap_size"]
        self._cells_wh = (int(width), int(height))
        self._current: tuple[int, Scene | None] = (-1, None)

    def take(self, crops: Crops, placed: Placed) -> Taken:
        """Pixels and regions of crops; marks in `placed` what is covered."""
        plan, b = self._plan, len(crops.person)
        good = np.ones(b, bool)
        if not plan.with_images and not plan.covers:
            return Taken(good, None, None)
        (width, height), (columns, rows) = self._input_wh, self._cells_wh
        images = np.zeros((b, height, width, 3), np.uint8) if plan.with_images else None
        regions = np.zeros((b, rows, columns), np.uint8) if plan.covers else None
        for i in range(b):
            scene = self.scene(int(crops.image[i]))
            if scene is None:
                good[i] = False
                continue
            crop, region = self._crop(crops, placed, i, scene)
            if images is not None and crop is not None:
                images[i] = crop
            if regions is not None and region is not None:
                regions[i] = region
        return Taken(good, images, regions)

    def scene(self, number: int) -> Scene | None:
        """The picture of this number and its masks; None where it cannot be used, which is put down."""
        if self._current[0] != number:
            self._current = (number, self._read(self._task.images[number]))
        return self._current[1]

    def _read(self, ref: ImageRef) -> Scene | None:
        plan, image, size_wh = self._plan, None, ref.size_wh
        try:
            with self._timed("decode"):
                if ref.file is not None:
                    read = read_image(ref.file, labelled_wh=size_wh, exif=plan.exif, max_pixels=plan.max_pixels)
                    image, size_wh = read.image, (read.image.shape[1], read.image.shape[0])
                    for note in read.notes:
                        self._done.notes.setdefault(note, []).append(ref.key)
                mask = self._mask(ref.mask, size_wh)
                masks = self._task.own_masks[ref.first : ref.first + ref.persons]
                own = {ref.first + i: self._mask(one, size_wh) for i, one in enumerate(masks)}
        except KpkitError as error:
            self._done.failures.append(Failure.of(ref.key, error))
            return None
        return Scene(image, mask, own)

    def _mask(self, ref: object, size_wh: tuple[int, int] | None) -> Picture | None:
        if ref is None:
            return None
        if size_wh is None:
            raise InputError(
                "a mask needs the size of its picture",
                code="KP-MASK-SIZE",
                help="give --images DIR or --image-sizes FILE.csv",
            )
        return read_mask(ref, size_wh, self._plan.max_pixels)  # type: ignore[arg-type]  # a path or run lengths

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        with self._done.timed(step):
            yield

    def _crop(self, crops: Crops, placed: Placed, i: int, scene: Scene) -> tuple[Picture | None, Picture | None]:
        """Pixels and region of one crop; its covered joints are marked in `placed`."""
        plan, matrix = self._plan, placed.matrix[i]
        image: Picture | None = None
        if scene.image is not None:
            with self._timed("warp"):
                image = warp_image(scene.image, matrix, self._input_wh, plan.recipe)
        if not plan.covers:
            return image, None
        with self._timed("occlude"):
            masks = [move_mask(matrix, mask, self._input_wh) for mask in self._masks(crops, i, scene)]
            self._hide(crops, placed, i, scene)
            if crops.copy[i] and plan.recipe.occlusion is not None:
                covered = self._cover(crops, placed, i, image, scene.image)
                placed.visibility[i] = covered.labels.visibility[0]
                placed.occluded[i, [plan.skeleton.index(name) for name in covered.by[0]]] = True
                image = covered.image if image is not None else None
                masks += [] if covered.mask is None else [covered.mask]
            region = None
            if masks:
                whole = np.maximum.reduce(masks)
                region = cell_shares(whole, self._cells_wh[::-1])
        return image, region

    def _masks(self, crops: Crops, i: int, scene: Scene) -> list[Picture]:
        """What the dataset says is covered already, in source pixels."""
        own = scene.own.get(int(crops.person[i]))
        return [mask for mask in (scene.mask, own) if mask is not None]

    def _hide(self, crops: Crops, placed: Placed, i: int, scene: Scene) -> None:
        """Mark joints that these masks cover: asked in the source's pixels, where the masks are exact."""
        xy = self._task.columns["xy"][crops.person[i]]
        for mask in self._masks(crops, i, scene):
            hidden = covered_joints(xy, mask)
            placed.occluded[i] |= hidden[self._plan.skeleton.flip_index] if placed.mirrored[i] else hidden
        placed.visibility[i] = vis.occlude(placed.visibility[i], placed.occluded[i])

    def _cover(self, crops: Crops, placed: Placed, i: int, image: Picture | None, whole: Picture | None) -> Covered:
        """As the augmenter covers a crop; without pixels on an empty picture, which nobody sees."""
        plan, task = self._plan, self._task
        person, copy, ref = int(crops.person[i]), int(crops.copy[i]), task.images[int(crops.image[i])]
        key = f"{ref.key}#{task.names[person]}"
        box = geo.apply_boxes(placed.matrix[i], task.columns["bbox_xywh"][person][None])
        none = np.full((1, 4), np.nan)
        labels = Labels(
            xy=placed.xy[i][None],
            visibility=placed.visibility[i][None],
            truncated=placed.truncated[i][None],
            bbox_xywh=geo.clip_boxes(box, *self._input_wh),
            head_box=none,
            area=none[:, 0],
        )
        width, height = self._input_wh
        patches = ref.patches[copy - 1] if ref.patches else []
        return cover_picture(
            np.zeros((height, width, 3), np.uint8) if image is None else image,
            labels,
            np.zeros(1, bool),
            Veil(),
            plan.recipe,
            plan.skeleton,
            lambda _: stream(plan.seed, key, copy, "occlusion"),
            lambda: stream(plan.seed, key, copy, "fill"),
            lambda: first_patch(patches, plan.max_pixels),
            in_place=image is not whole,
        )
