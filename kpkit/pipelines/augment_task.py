"""What a worker does with one image: decode once, then warp, cover, label and encode every copy of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from kpkit.augment.draw import draw_image, draw_person, stream
from kpkit.augment.images import decode_image, read_encoded, read_image
from kpkit.augment.recipe import Recipe
from kpkit.augment.rows import Row
from kpkit.augment.shapes import encode_rle
from kpkit.augment.spatial import Labels
from kpkit.errors import InputError
from kpkit.pipelines.augment_cover import Covered, Veil, cover_picture
from kpkit.pipelines.augment_files import Saver
from kpkit.pipelines.augment_keep import Kept, source_checksums, still_holds
from kpkit.pipelines.augment_masks import read_mask
from kpkit.pipelines.augment_place import Draft, Picture, Placed, Scene, move_masks, place
from kpkit.pipelines.augment_plan import Done, ImageTask, Output, Plan
from kpkit.pipelines.augment_record import rows_of

# Pictures kept for patches, a worker.
PATCHES = 4


def augment_image(plan: Plan, task: ImageTask) -> Done:
    """All copies of one image, written below the plan's folder."""
    done = Done()
    start = time.perf_counter()
    with done.timed("decode"):
        data = read_encoded(task.file)
        scene = _read(plan, task, data, done)
    if plan.checked:
        with done.timed("checksum"):
            done.sources = source_checksums(task, data)
    del data
    for copy in range(0 if plan.include_original else 1, plan.copies + 1):
        how = plan if copy else replace(plan, recipe=_still(plan.recipe))
        for picture in _pictures(how, task, scene.image, copy, done):
            output = _finish(how, task, scene, picture, done)
            if output is not None:
                done.outputs.append(output)
    done.seconds["total"] = time.perf_counter() - start
    return done


def augment_or_keep(plan: Plan, item: tuple[ImageTask, tuple[list[str], dict[str, str]] | None]) -> Done | Kept:
    """The same, unless what an earlier run made of the image still holds: task, and that run's checksums."""
    task, earlier = item
    if earlier is not None and still_holds(plan, task, *earlier):
        return Kept()
    return augment_image(plan, task)


@cache
def _still(recipe: Recipe) -> Recipe:
    """The recipe of an original: whole images stay as they are, crops are cut straight."""
    kept = ["name"]
    if recipe.mode == "topdown":
        kept += ["mode", "input_size", "warp", "padding", "border", "border_value", "interpolation"]
    return Recipe(**{name: getattr(recipe, name) for name in kept})


def _read(plan: Plan, task: ImageTask, data: bytes, done: Done) -> Scene:
    read = decode_image(data, task.file, labelled_wh=task.size_wh, exif=plan.exif, max_pixels=plan.max_pixels)
    done.notes = read.notes
    size_wh = (read.image.shape[1], read.image.shape[0])

    def load(refs: list[Any]) -> list[Picture | None]:
        masks = [read_mask(ref, size_wh, plan.max_pixels) for ref in refs]
        return masks if any(mask is not None for mask in masks) else []

    whole = read_mask(task.mask, size_wh, plan.max_pixels)
    file = None if read.notes else task.file
    return Scene(read.image, whole, load(task.own_masks), load(task.regions), file)


def _pictures(plan: Plan, task: ImageTask, image: Picture, copy: int, done: Done) -> Iterator[Draft]:
    recipe, (height, width) = plan.recipe, image.shape[:2]
    if recipe.mode == "image":
        drawn = draw_image(recipe, plan.seed, task.key, copy, (width, height))
        yield Draft(copy, drawn, list(range(len(task.ids))), task.key, "")
        return
    for person, name in enumerate(task.names):
        box, xy = task.labels.bbox_xywh[person], task.labels.xy[person]
        if task.crowd[person] or not np.isfinite(box).all() or box[2] <= 0 or box[3] <= 0:
            done.unboxed += 1
            continue
        key = f"{task.key}#{name}"
        drawn = draw_person(recipe, plan.seed, key, copy, box, xy, plan.upper)
        yield Draft(copy, drawn, [person], key, f"__p{name}")


def _finish(plan: Plan, task: ImageTask, scene: Scene, picture: Draft, done: Done) -> Output | None:
    """Move labels and pixels, cover, write; None for a crop that nobody wants."""
    placed = place(plan, scene, picture, _select(task.labels, picture.persons), done)
    if placed is None:
        done.empty += 1
        return None
    own = move_masks(placed.matrix, scene.own_masks, picture.persons, placed.wh)
    veil = Veil(placed.given, None if placed.result is None else placed.result.mask, tuple(own))
    with done.timed("occlude"):
        covered = _cover(plan, task, picture, placed, veil, in_place=placed.image is not scene.image)
    wanted = plan.only is None or task.key in plan.only
    name = f"{task.stem}{picture.suffix}__c{picture.copy}"
    masked = wanted and covered.mask is not None and bool(covered.mask.any())
    names = (f"{name}.{plan.image_format}", f"masks/{name}.png" if masked else "")
    common = _common(plan, task, picture, placed, names)
    rows = rows_of(common, task, picture.persons, plan.skeleton, covered, placed.moved.gone, placed.result)
    regions = move_masks(placed.matrix, scene.regions, picture.persons, placed.wh)
    if wanted:
        _write(plan, names, covered, scene.file if covered.image is scene.image else None, done)
    return Output(
        names[0],
        picture.copy,
        placed.wh,
        picture.persons,
        covered.labels,
        rows,
        names[1],
        _run_lengths(own),
        _run_lengths(regions),
    )


def _run_lengths(masks: list[Picture | None]) -> list[dict[str, Any] | None]:
    return [None if mask is None else encode_rle(mask) for mask in masks]


def _cover(plan: Plan, task: ImageTask, picture: Draft, placed: Placed, veil: Veil, *, in_place: bool) -> Covered:
    streams = [f"{task.key}#{task.names[person]}" for person in picture.persons]
    patches = task.patches[picture.copy - 1] if task.patches and picture.copy else []
    return cover_picture(
        placed.image,
        placed.moved.labels,
        task.crowd[picture.persons],
        veil,
        plan.recipe,
        plan.skeleton,
        lambda i: stream(plan.seed, streams[i], picture.copy, "occlusion"),
        lambda: stream(plan.seed, picture.key, picture.copy, "fill"),
        lambda: first_patch(patches, plan.max_pixels),
        in_place=in_place,
    )


def _common(
    plan: Plan,
    task: ImageTask,
    picture: Draft,
    placed: Placed,
    names: tuple[str, str],
) -> Row:
    """What the rows of all persons of a picture have in common."""
    return Row(
        image=names[0],
        mask=names[1],
        source_image=task.key,
        instance_id=0,
        source_instance_id=0,
        copy=picture.copy,
        seed=plan.seed,
        recipe=plan.recipe.name,
        recipe_hash=plan.recipe_hash,
        matrix=placed.matrix.reshape(-1).tolist(),
        mirrored=placed.mirrored,
        warped_beyond=placed.beyond,
        drawn=picture.drawn.parts,
    )


def _write(plan: Plan, names: tuple[str, str], covered: Covered, copied: Path | None, done: Done) -> None:
    image, mask = names
    saver = Saver(plan.folder, plan.making, done.files if plan.checked else None, done.timed)
    saver.picture(f"images/{image}", covered.image, copied, plan.quality)
    if mask and covered.mask is not None:
        saver.mask(mask, covered.mask)


def first_patch(files: list[Path], max_pixels: int) -> Picture | None:
    """The first picture that can be read; None where none can, and then the fill is the mean."""
    return next((image for file in files if (image := _patch_image(file, max_pixels)) is not None), None)


@lru_cache(maxsize=PATCHES)
def _patch_image(file: Path, max_pixels: int) -> Picture | None:
    try:
        return read_image(file, max_pixels=max_pixels).image
    except InputError:
        return None


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


__all__ = ["Done", "ImageTask", "Output", "Plan", "augment_image", "augment_or_keep"]
