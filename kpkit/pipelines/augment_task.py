"""What a worker does with one image: decode once, then warp, cover, label and encode every copy of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from threading import get_ident
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.augment import geometry as geo
from kpkit.augment.draw import Drawn, draw_image, draw_person, stream
from kpkit.augment.images import decode_image, read_encoded, read_image
from kpkit.augment.photometric import Pipeline, Result, load_pipeline
from kpkit.augment.recipe import Recipe
from kpkit.augment.rows import Row
from kpkit.augment.shapes import encode_rle, move_mask
from kpkit.augment.spatial import Labels, Moved, move, settle
from kpkit.augment.warp import warp_image
from kpkit.errors import InputError
from kpkit.pipelines.augment_cover import Covered, Veil, cover_picture
from kpkit.pipelines.augment_files import Saver
from kpkit.pipelines.augment_keep import Kept, source_checksums, still_holds
from kpkit.pipelines.augment_masks import read_mask
from kpkit.pipelines.augment_plan import Done, ImageTask, Output, Plan
from kpkit.pipelines.augment_record import rows_of

Picture = NDArray[np.uint8]
# Pictures kept for patches, a worker.
PATCHES = 4


@dataclass(frozen=True)
class _Scene:
    """The image as read, its masks [H,W] uint8, and its file where that can be copied as it is."""

    image: Picture
    mask: Picture | None
    own_masks: list[Picture | None]
    regions: list[Picture | None]
    file: Path | None


@dataclass(frozen=True)
class _Picture:
    """One output picture to make: copy, which persons, how they move, its stream's key and the end of its name."""

    copy: int
    drawn: Drawn
    persons: list[int]
    key: str
    suffix: str


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


def _read(plan: Plan, task: ImageTask, data: bytes, done: Done) -> _Scene:
    read = decode_image(data, task.file, labelled_wh=task.size_wh, exif=plan.exif, max_pixels=plan.max_pixels)
    done.notes = read.notes
    size_wh = (read.image.shape[1], read.image.shape[0])

    def load(refs: list[Any]) -> list[Picture | None]:
        masks = [read_mask(ref, size_wh, plan.max_pixels) for ref in refs]
        return masks if any(mask is not None for mask in masks) else []

    whole = read_mask(task.mask, size_wh, plan.max_pixels)
    file = None if read.notes else task.file
    return _Scene(read.image, whole, load(task.own_masks), load(task.regions), file)


def _pictures(plan: Plan, task: ImageTask, image: Picture, copy: int, done: Done) -> Iterator[_Picture]:
    recipe, (height, width) = plan.recipe, image.shape[:2]
    if recipe.mode == "image":
        drawn = draw_image(recipe, plan.seed, task.key, copy, (width, height))
        yield _Picture(copy, drawn, list(range(len(task.ids))), task.key, "")
        return
    for person, name in enumerate(task.names):
        box, xy = task.labels.bbox_xywh[person], task.labels.xy[person]
        if task.crowd[person] or not np.isfinite(box).all() or box[2] <= 0 or box[3] <= 0:
            done.unboxed += 1
            continue
        key = f"{task.key}#{name}"
        drawn = draw_person(recipe, plan.seed, key, copy, box, xy, plan.upper)
        yield _Picture(copy, drawn, [person], key, f"__p{name}")


def _finish(plan: Plan, task: ImageTask, scene: _Scene, picture: _Picture, done: Done) -> Output | None:
    """Warp, move labels, run the user's pipeline, cover, write; None for a crop that nobody wants."""
    drawn, recipe = picture.drawn, plan.recipe
    before = _select(task.labels, picture.persons)
    with done.timed("warp"):
        image = warp_image(scene.image, drawn.matrix, drawn.out_wh, recipe)
    still = image is scene.image
    given = None if scene.mask is None else move_mask(drawn.matrix, scene.mask, drawn.out_wh)
    result: Result | None = None
    if recipe.albumentations:
        with done.timed("pipeline"):
            result = _run_pipeline(plan, picture, image, geo.apply_points(drawn.matrix, before.xy), given)
        image = result.image
    if still and result is None:
        # Where nothing moves, nothing leaves the frame: what the labels have outside it is theirs to say.
        matrix, mirrored, moved = drawn.matrix, False, Moved(before, np.full(before.xy.shape, np.nan))
    else:
        matrix, mirrored, moved = _move(plan, before, drawn, result)
    if plan.drop_empty and recipe.mode == "topdown" and not moved.labels.visibility.any():
        done.empty += 1
        return None
    out_wh = (image.shape[1], image.shape[0])
    if result is not None and scene.mask is not None:
        given = move_mask(matrix, scene.mask, out_wh)
    own = _moved(matrix, scene.own_masks, picture.persons, out_wh)
    veil = Veil(given, None if result is None else result.mask, tuple(own))
    with done.timed("occlude"):
        covered = _cover(plan, task, picture, image, moved.labels, veil, in_place=image is not scene.image)
    copied = scene.file if covered.image is scene.image else None
    name = f"{task.stem}{picture.suffix}__c{picture.copy}"
    names = (f"{name}.{plan.image_format}", "")
    if plan.only is None or task.key in plan.only:
        names = _write(plan, name, covered, copied, done)
    beyond = result is not None and not result.affine
    common = _common(plan, task, picture, matrix, mirrored, beyond, names)
    rows = rows_of(common, task, picture.persons, plan.skeleton, covered, moved.gone, result)
    regions = _moved(matrix, scene.regions, picture.persons, out_wh)
    return Output(
        names[0],
        picture.copy,
        out_wh,
        picture.persons,
        covered.labels,
        rows,
        names[1],
        _run_lengths(own),
        _run_lengths(regions),
    )


def _move(plan: Plan, before: Labels, drawn: Drawn, result: Result | None) -> tuple[NDArray[np.float64], bool, Moved]:
    """Matrix from the source to the output, whether sides swap, and the moved labels."""
    if result is None:
        return drawn.matrix, drawn.mirrored, move(before, drawn.matrix, drawn.out_wh, plan.skeleton)
    matrix = geo.compose(drawn.matrix, result.matrix)
    mirrored = drawn.mirrored != result.mirrored
    out_wh = (result.image.shape[1], result.image.shape[0])
    points = replace(before, xy=result.xy)
    return matrix, mirrored, settle(points, before, matrix, out_wh, plan.skeleton, mirrored)


def _moved(
    matrix: NDArray[np.float64], masks: list[Picture | None], persons: list[int], out_wh: tuple[int, int]
) -> list[Picture | None]:
    if not masks:
        return []
    chosen = [masks[person] for person in persons]
    return [None if mask is None else move_mask(matrix, mask, out_wh) for mask in chosen]


def _run_lengths(masks: list[Picture | None]) -> list[dict[str, Any] | None]:
    return [None if mask is None else encode_rle(mask) for mask in masks]


def _cover(
    plan: Plan, task: ImageTask, picture: _Picture, image: Picture, labels: Labels, veil: Veil, *, in_place: bool
) -> Covered:
    streams = [f"{task.key}#{task.names[person]}" for person in picture.persons]
    patches = task.patches[picture.copy - 1] if task.patches and picture.copy else []
    return cover_picture(
        image,
        labels,
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
    picture: _Picture,
    matrix: NDArray[np.float64],
    mirrored: bool,
    beyond: bool,
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
        matrix=matrix.reshape(-1).tolist(),
        mirrored=mirrored,
        warped_beyond=beyond,
        drawn=picture.drawn.parts,
    )


def _write(plan: Plan, name: str, covered: Covered, copied: Path | None, done: Done) -> tuple[str, str]:
    image = f"{name}.{plan.image_format}"
    saver = Saver(plan.folder, plan.making, done.files if plan.checked else None, done.timed)
    saver.picture(f"images/{image}", covered.image, copied, plan.quality)
    if covered.mask is None or not covered.mask.any():
        return image, ""
    saver.mask(f"masks/{name}.png", covered.mask)
    return image, f"masks/{name}.png"


def _run_pipeline(
    plan: Plan, picture: _Picture, image: Picture, xy: NDArray[np.float64], mask: Picture | None
) -> Result:
    seed = int(stream(plan.seed, picture.key, picture.copy, "pipeline").integers(0, 2**32))
    return _pipeline(plan.recipe.albumentations, plan.recipe_hash, get_ident()).apply(image, xy, seed, mask)


@cache
def _pipeline(path: str, content: str, thread: int) -> Pipeline:
    """Loaded once a thread, since it is seeded for each picture; `content`: a changed file is another entry."""
    return load_pipeline(Path(path))


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
