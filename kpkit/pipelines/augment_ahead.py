"""What can be done for an image's outputs before its pixels are there: draws, labels, occluders, provenance rows.

Each of these steps is small. Pixels flush the processor's caches, and between the pixels of two pictures a step takes
about five times as long as when it is taken for many pictures in a row. So a worker takes them for some images ahead,
and each step for all of these before the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from kpkit.augment.draw import draw_image, draw_person, stream
from kpkit.augment.recipe import Recipe
from kpkit.augment.rows import Row
from kpkit.augment.spatial import Labels
from kpkit.pipelines.augment_cover import Cover, Veil, decide
from kpkit.pipelines.augment_place import Draft, Pose, is_unwanted, pose_of
from kpkit.pipelines.augment_plan import ImageTask, Plan
from kpkit.pipelines.augment_record import rows_of

# Pixels of masks that are made ahead for one image; the others are made when they are needed.
PIXELS_AHEAD = 4_000_000


@dataclass
class Ready:
    """One output picture, as far as it can be made without pixels.

    plan    with the recipe of this copy         before  its persons' labels in the source
    pose    None under a user's pipeline, which needs the pixels
    cover   None where the source's own masks, or a pipeline's, have a say, or where the mask would be too much to keep
    names   of its file and of its mask          rows    of its persons; both with `cover`
    """

    plan: Plan
    draft: Draft
    before: Labels
    pose: Pose | None = None
    cover: Cover | None = None
    names: tuple[str, str] = ("", "")
    rows: list[Row] = field(default_factory=list)


@dataclass
class Ahead:
    """All output pictures of an image.

    size_wh  (width, height) that the source picture has to have    seconds  that this took
    unboxed  crops that are not made for want of a box              empty    crops left out because nothing is labelled
    """

    task: ImageTask
    size_wh: tuple[int, int]
    pictures: list[Ready] = field(default_factory=list)
    unboxed: int = 0
    empty: int = 0
    seconds: float = 0.0


def ahead(plan: Plan, task: ImageTask, size_wh: tuple[int, int]) -> Ahead:
    """Draw all outputs of an image and do what needs no pixels.  size_wh  (width, height) of the picture"""
    image = Ahead(task, size_wh)
    for step in _STEPS:
        _take(step, plan, image)
    return image


def ahead_of_some(plan: Plan, tasks: Sequence[ImageTask | None]) -> list[Ahead | None]:
    """The same for some images, each step for all of them before the next.

    None for no task, for an image whose size nobody says, and where something fails: whatever it is, it comes again
    when the image is worked on, and is that image's failure then.
    """
    images = [Ahead(task, task.size_wh) if task is not None and task.size_wh is not None else None for task in tasks]
    for step in _STEPS:
        for number, image in enumerate(images):
            if image is not None:
                try:
                    _take(step, plan, image)
                except Exception:
                    images[number] = None
    return images


def _take(step: Callable[[Plan, Ahead], None], plan: Plan, image: Ahead) -> None:
    start = time.perf_counter()
    step(plan, image)
    image.seconds += time.perf_counter() - start


def _draw(plan: Plan, image: Ahead) -> None:
    for copy in range(0 if plan.include_original else 1, plan.copies + 1):
        how = plan if copy else replace(plan, recipe=_still(plan.recipe))
        for draft in _drafts(how, image.task, copy, image.size_wh):
            if draft is None:
                image.unboxed += 1
            else:
                image.pictures.append(Ready(how, draft, _select(image.task.labels, draft.persons)))


def _pose(plan: Plan, image: Ahead) -> None:
    found = image.pictures
    for ready in found:
        if not ready.plan.recipe.albumentations:
            ready.pose = pose_of(ready.plan, ready.draft, ready.before, image.size_wh)
    image.pictures = [one for one in found if one.pose is None or not is_unwanted(one.plan, one.pose)]
    image.empty = len(found) - len(image.pictures)


def _cover(plan: Plan, image: Ahead) -> None:
    task, pixels = image.task, 0
    if task.mask is not None or any(mask is not None for mask in task.own_masks):
        return
    for ready in image.pictures:
        width, height = ready.draft.drawn.out_wh
        pixels += width * height if ready.plan.recipe.occlusion is not None else 0
        if ready.pose is not None and pixels <= PIXELS_AHEAD:
            moved = ready.pose.moved.labels
            ready.cover = cover_of(ready.plan, task, ready.draft, moved, Veil(), (width, height))
            ready.names = names_of(ready.plan, task, ready.draft, ready.cover)


def _record(plan: Plan, image: Ahead) -> None:
    for ready in image.pictures:
        if ready.pose is not None and ready.cover is not None:
            ready.rows = rows_of(ready.plan, image.task, ready.draft, ready.pose, ready.cover, ready.names)


_STEPS: tuple[Callable[[Plan, Ahead], None], ...] = (_draw, _pose, _cover, _record)


def cover_of(plan: Plan, task: ImageTask, draft: Draft, labels: Labels, veil: Veil, out_wh: tuple[int, int]) -> Cover:
    """What is covered in an output picture.  labels  in its pixels"""
    streams = [f"{task.key}#{task.names[person]}" for person in draft.persons]
    return decide(
        labels,
        task.crowd[draft.persons],
        veil,
        plan.recipe,
        plan.skeleton,
        lambda i: stream(plan.seed, streams[i], draft.copy, "occlusion"),
        out_wh,
    )


def names_of(plan: Plan, task: ImageTask, draft: Draft, cover: Cover) -> tuple[str, str]:
    """The file's name below images/, and the mask's path, "" where there is none or nothing is written."""
    name = f"{task.stem}{draft.suffix}__c{draft.copy}"
    return f"{name}.{plan.image_format}", f"masks/{name}.png" if plan.writes(task.key) and cover.hides else ""


def _drafts(plan: Plan, task: ImageTask, copy: int, size_wh: tuple[int, int]) -> Iterator[Draft | None]:
    """The output pictures of one copy; None for a person without a box, of whom no crop can be made."""
    recipe = plan.recipe
    if recipe.mode == "image":
        drawn = draw_image(recipe, plan.seed, task.key, copy, size_wh)
        yield Draft(copy, drawn, list(range(len(task.ids))), task.key, "")
        return
    for person, name in enumerate(task.names):
        box, xy = task.labels.bbox_xywh[person], task.labels.xy[person]
        if task.crowd[person] or not np.isfinite(box).all() or box[2] <= 0 or box[3] <= 0:
            yield None
            continue
        key = f"{task.key}#{name}"
        drawn = draw_person(recipe, plan.seed, key, copy, box, xy, plan.upper)
        yield Draft(copy, drawn, [person], key, f"__p{name}")


@cache
def _still(recipe: Recipe) -> Recipe:
    """The recipe of an original: whole images stay as they are, crops are cut straight."""
    kept = ["name"]
    if recipe.mode == "topdown":
        kept += ["mode", "input_size", "warp", "padding", "border", "border_value", "interpolation"]
    return Recipe(**{name: getattr(recipe, name) for name in kept})


def _select(labels: Labels, persons: list[int]) -> Labels:
    if persons == list(range(len(labels.xy))):
        return labels
    return Labels(
        **{
            name: getattr(labels, name)[persons]
            for name in ("xy", "visibility", "truncated", "bbox_xywh", "head_box", "area")
        },
        polygons=[labels.polygons[i] for i in persons] if labels.polygons else [],
        lateral={name: [values[i] for i in persons] for name, values in labels.lateral.items()},
    )
