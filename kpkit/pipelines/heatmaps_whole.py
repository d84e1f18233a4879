"""Samples that are whole pictures: fitted into the input, with all their persons and what of them has no targets."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from kpkit.augment import geometry as geo
from kpkit.augment.draw import draw_image, stream
from kpkit.augment.occlusion import covered as covered_joints
from kpkit.augment.recipe import Recipe
from kpkit.augment.shapes import move_mask
from kpkit.augment.spatial import Labels
from kpkit.augment.warp import warp_image
from kpkit.core import visibility as vis
from kpkit.errors import InputError, KpkitError, RecordError
from kpkit.execute import Failure
from kpkit.pipelines.augment_cover import Covered, Veil, cover_picture
from kpkit.pipelines.augment_task import first_patch
from kpkit.pipelines.heatmaps_crops import Crops
from kpkit.pipelines.heatmaps_frames import Frame, arrays_of
from kpkit.pipelines.heatmaps_pictures import Account, Picture, Pictures, Scene
from kpkit.pipelines.heatmaps_plan import RenderPlan, ShardTask
from kpkit.pipelines.heatmaps_shapes import fill_shape
from kpkit.targets.base import Codec
from kpkit.targets.bottomup import fill_boxes, miss_mask
from kpkit.targets.occlusion import BLANKED_FROM, cell_shares
from kpkit.targets.shard_layout import Array

# Samples that are put together at once: half a megapixel of targets each.
BLOCK = 16


class WholePictures:
    """The samples of one shard; those of one picture come together."""

    def __init__(self, plan: RenderPlan, task: ShardTask, codec: Codec, pictures: Pictures, done: Account) -> None:
        self._plan, self._task, self._codec, self._pictures, self._done = plan, task, codec, pictures, done
        height, width = codec.input_size
        self._input_wh = (width, height)
        # Of the picture at hand: its size, and what has no targets in it, in its own pixels.
        self._current: tuple[int, tuple[int, int] | None, Picture | None] = (-1, None, None)

    def arrays(self, crops: Crops) -> dict[str, Array]:
        """What the shard stores of some samples; those whose picture cannot be used are left out."""
        plan, frames = self._plan, []
        for number, copy in zip(crops.image.tolist(), crops.copy.tolist(), strict=True):
            frame = self._frame(number, copy)
            if frame is None:
                continue
            self._done.covered += int((frame.occluded & (frame.visibility > 0)).sum())
            frames.append(frame)
            if plan.flip_copies:
                frames.append(frame.flipped(self._input_wh[0], plan.skeleton.flip_index))
        return arrays_of(plan, self._task, self._codec, frames, self._done)

    def _frame(self, number: int, copy: int) -> Frame | None:
        scene, size = self._picture(number)
        if scene is None or size is None:
            return None
        plan, ref = self._plan, self._task.images[number]
        with self._done.timed("place"):
            recipe = plan.recipe if copy else straight(plan.recipe)
            drawn = draw_image(recipe, plan.seed, ref.key, copy, size)
            rows = np.arange(ref.first, ref.first + ref.persons)
        image: Picture | None = None
        if scene.image is not None:
            with self._done.timed("warp"):
                image = warp_image(scene.image, drawn.matrix, self._input_wh, plan.recipe)
        frame = self._moved(Frame(number, copy, rows, drawn.matrix, drawn.mirrored, image=image))
        if plan.covers:
            with self._done.timed("occlude"):
                frame = self._covered(frame, scene)
        with self._done.timed("mask"):
            return replace(frame, miss=self._miss(frame))

    def _picture(self, number: int) -> tuple[Scene | None, tuple[int, int] | None]:
        """The picture as read, and its size; None where it cannot be used."""
        scene = self._pictures.scene(number)
        if scene is not None and self._current[0] != number:
            ref = self._task.images[number]
            size = ref.size_wh
            if scene.image is not None:
                size = (scene.image.shape[1], scene.image.shape[0])
            missed = None
            try:
                missed = self._missed(number, size)
            except KpkitError as error:
                self._done.failures.append(Failure.of(ref.key, error))
                size = None
            self._current = (number, size, missed)
        return scene, self._current[1]

    def _missed(self, number: int, size_wh: tuple[int, int] | None) -> Picture | None:
        """Crowds and persons without joints (outlines, else boxes), and regions.  [H,W] uint8 of 0 and 255, or None"""
        if size_wh is None:
            raise InputError(
                "a whole picture is fitted into the input by its size, which nothing states",
                code="KP-HEATMAPS-SIZE",
                help="give --images DIR or --image-sizes FILE.csv, or store the pictures: --with-images",
            )
        task, ref, (width, height) = self._task, self._task.images[number], size_wh
        masked = task.columns["masked"][ref.first : ref.first + ref.persons]
        regions = task.regions[number]
        if not masked.any() and not regions:
            return None
        if width * height > self._plan.max_pixels:
            raise RecordError(
                "the picture is too large",
                code="KP-IMAGE-BOMB",
                expected=f"at most {self._plan.max_pixels:,} pixels",
                got=f"{width} x {height}, as the labels say",
                help="mend its size, or raise --max-pixels",
            )
        missed = np.zeros((height, width), np.uint8)
        for row in (np.flatnonzero(masked) + ref.first).tolist():
            shape = task.shapes[row]
            if shape is None:
                fill_boxes(missed, task.columns["bbox_xywh"][row][None])
            else:
                fill_shape(missed, shape, self._plan.max_pixels)
        for region in regions:
            fill_shape(missed, region, self._plan.max_pixels)
        return missed

    def _moved(self, frame: Frame) -> Frame:
        """The labels of a sample's persons in its input."""
        task, rows = self._task, frame.rows
        order = self._plan.skeleton.flip_index if frame.mirrored else np.arange(len(self._plan.skeleton))
        return replace(
            frame,
            xy=geo.apply_points(frame.matrix, task.columns["xy"][rows])[:, order],
            visibility=task.columns["visibility"][rows][:, order],
            truncated=task.columns["truncated"][rows][:, order],
            occluded=task.occluded[rows][:, order],
        )

    def _covered(self, frame: Frame, scene: Scene) -> Frame:
        """Joints that something covers are marked; where it lies is the region.

        What covers a single person by the dataset's own mask is often another person: that mask hides joints of the one
        and blanks nothing.
        """
        plan, rows = self._plan, frame.rows
        occluded, visibility, image, masks = frame.occluded.copy(), frame.visibility, frame.image, []
        order = plan.skeleton.flip_index if frame.mirrored else np.arange(len(plan.skeleton))
        for person, row in enumerate(rows.tolist()):
            for mask in (scene.mask, scene.own.get(row)):
                if mask is not None:
                    # Asked in the source's pixels, where masks are exact.
                    occluded[person] |= covered_joints(self._task.columns["xy"][row], mask)[order]
        visibility = vis.occlude(visibility, occluded)
        if scene.mask is not None:
            masks.append(move_mask(frame.matrix, scene.mask, self._input_wh))
        if frame.copy and plan.recipe.occlusion is not None:
            covered = self._cover(replace(frame, visibility=visibility), in_place=image is not scene.image)
            visibility = covered.labels.visibility
            for person, by in enumerate(covered.by):
                occluded[person, [plan.skeleton.index(name) for name in by]] = True
            image = None if image is None else covered.image
            masks += [] if covered.mask is None else [covered.mask]
        cells = self._codec.heatmap_size
        region = cell_shares(np.maximum.reduce(masks), cells) if masks else np.zeros(cells, np.uint8)
        return replace(frame, visibility=visibility, occluded=occluded, image=image, region=region)

    def _cover(self, frame: Frame, *, in_place: bool) -> Covered:
        """As the augmenter covers a whole picture; without pixels on an empty one, which nobody sees."""
        plan, task, copy = self._plan, self._task, frame.copy
        ref, none = task.images[frame.number], np.full((len(frame.rows), 4), np.nan)
        boxes = geo.apply_boxes(frame.matrix, task.columns["bbox_xywh"][frame.rows])
        labels = Labels(
            xy=frame.xy,
            visibility=frame.visibility,
            truncated=frame.truncated,
            bbox_xywh=geo.clip_boxes(boxes, *self._input_wh),
            head_box=none,
            area=none[:, 0],
        )
        keys = [f"{ref.key}#{task.names[row]}" for row in frame.rows.tolist()]
        patches = ref.patches[copy - 1] if ref.patches else []
        return cover_picture(
            np.zeros((*self._codec.input_size, 3), np.uint8) if frame.image is None else frame.image,
            labels,
            task.columns["masked"][frame.rows],
            Veil(),
            plan.recipe,
            plan.skeleton,
            lambda i: stream(plan.seed, keys[i], copy, "occlusion"),
            lambda: stream(plan.seed, ref.key, copy, "fill"),
            lambda: first_patch(patches, plan.max_pixels),
            in_place=in_place and frame.image is not None,
        )

    def _miss(self, frame: Frame) -> Picture:
        """Where targets hold, share of each cell x 255; not in covered cells either, where these are to be ignored."""
        codec, missed = self._codec, self._current[2]
        masks = [] if missed is None else [move_mask(frame.matrix, missed, self._input_wh)]
        miss = miss_mask(masks, np.zeros((0, 4)), codec.input_size, codec.heatmap_size)
        if frame.region is not None and self._plan.occluded_target == "ignore":
            miss[frame.region >= BLANKED_FROM] = 0
        return miss


@cache
def straight(recipe: Recipe) -> Recipe:
    """The recipe of an original: the picture fitted into the input, aspect kept, centred; nothing else."""
    kept = ("name", "mode", "input_size", "border", "border_value", "interpolation")
    return Recipe(**{name: getattr(recipe, name) for name in kept})
