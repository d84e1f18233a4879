"""Brings the labels and the pixels of one output picture to their places, before anything covers them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from threading import get_ident

import numpy as np
from numpy.typing import NDArray

from kpkit.augment import geometry as geo
from kpkit.augment.draw import Drawn, stream
from kpkit.augment.photometric import Pipeline, Result, load_pipeline
from kpkit.augment.shapes import move_mask
from kpkit.augment.spatial import Labels, Moved, move, settle
from kpkit.augment.warp import moves_nothing, warp_image
from kpkit.pipelines.augment_plan import Done, Plan

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Scene:
    """The image as read, its masks [H,W] uint8, and its file where that can be copied as it is."""

    image: Picture
    mask: Picture | None
    own_masks: list[Picture | None]
    regions: list[Picture | None]
    file: Path | None


@dataclass(frozen=True)
class Draft:
    """One output picture to make: copy, which persons, how they move, its stream's key and the end of its name."""

    copy: int
    drawn: Drawn
    persons: list[int]
    key: str
    suffix: str


@dataclass(frozen=True)
class Pose:
    """Where an output picture's labels are.

    matrix  [2,3]  float64  source -> output pixels    mirrored  sides are swapped    moved  the labels
    result  of the user's pipeline, or None
    """

    matrix: NDArray[np.float64]
    mirrored: bool
    moved: Moved
    result: Result | None = None

    @property
    def beyond(self) -> bool:
        """Whether the pipeline moved points in a way that the matrix does not describe."""
        return self.result is not None and not self.result.affine


@dataclass(frozen=True)
class Placed:
    """Labels and pixels of an output picture before anything covers them; given: the source's mask, [H,W], or None."""

    pose: Pose
    image: Picture
    given: Picture | None

    @property
    def wh(self) -> tuple[int, int]:
        """(width, height) of the draft."""
        return self.image.shape[1], self.image.shape[0]


def pose_of(plan: Plan, draft: Draft, before: Labels, size_wh: tuple[int, int]) -> Pose:
    """The labels through the drawn matrix.  size_wh  (width, height) of the source picture"""
    drawn = draft.drawn
    if moves_nothing(drawn.matrix, size_wh, drawn.out_wh):
        # Where nothing moves, nothing leaves the frame: what the labels have outside it is theirs to say.
        return Pose(drawn.matrix, False, Moved(before, np.full(before.xy.shape, np.nan)))
    return Pose(drawn.matrix, drawn.mirrored, move(before, drawn.matrix, drawn.out_wh, plan.skeleton))


def place(plan: Plan, scene: Scene, draft: Draft, before: Labels, pose: Pose | None, done: Done) -> Placed:
    """Labels and pixels in their places.  pose  as `pose_of` gives it; None: through the user's pipeline"""
    image, given = _warped(plan, scene, draft, done)
    if pose is not None:
        return Placed(pose, image, given)
    return _through_pipeline(plan, scene, draft, before, image, given, done)


def is_unwanted(plan: Plan, pose: Pose) -> bool:
    """Whether it is a crop in which nothing is labelled, and those are dropped."""
    return plan.drop_empty and plan.recipe.mode == "topdown" and not pose.moved.labels.visibility.any()


def _through_pipeline(
    plan: Plan, scene: Scene, draft: Draft, before: Labels, image: Picture, given: Picture | None, done: Done
) -> Placed:
    drawn = draft.drawn
    with done.timed("pipeline"):
        result = _run_pipeline(plan, draft, image, geo.apply_points(drawn.matrix, before.xy), given)
    matrix = geo.compose(drawn.matrix, result.matrix)
    mirrored = drawn.mirrored != result.mirrored
    out_wh = (result.image.shape[1], result.image.shape[0])
    moved = settle(replace(before, xy=result.xy), before, matrix, out_wh, plan.skeleton, mirrored)
    given = None if scene.mask is None else move_mask(matrix, scene.mask, out_wh)
    return Placed(Pose(matrix, mirrored, moved, result), result.image, given)


def _warped(plan: Plan, scene: Scene, draft: Draft, done: Done) -> tuple[Picture, Picture | None]:
    drawn = draft.drawn
    with done.timed("warp"):
        image = warp_image(scene.image, drawn.matrix, drawn.out_wh, plan.recipe)
    return image, None if scene.mask is None else move_mask(drawn.matrix, scene.mask, drawn.out_wh)


def move_masks(
    matrix: NDArray[np.float64], masks: list[Picture | None], persons: list[int], out_wh: tuple[int, int]
) -> list[Picture | None]:
    """The masks of some persons in an output picture; none where nobody has one."""
    if not masks:
        return []
    chosen = [masks[person] for person in persons]
    return [None if mask is None else move_mask(matrix, mask, out_wh) for mask in chosen]


def _run_pipeline(plan: Plan, draft: Draft, image: Picture, xy: NDArray[np.float64], mask: Picture | None) -> Result:
    seed = int(stream(plan.seed, draft.key, draft.copy, "pipeline").integers(0, 2**32))
    return _pipeline(plan.recipe.albumentations, plan.recipe_hash, get_ident()).apply(image, xy, seed, mask)


@cache
def _pipeline(path: str, content: str, thread: int) -> Pipeline:
    """Loaded once a thread, since it is seeded for each picture; `content`: a changed file is another entry."""
    return load_pipeline(Path(path))
