"""What a worker does with one image: decode once, then warp, cover, label and encode every copy of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.augment import geometry as geo
from kpkit.augment.draw import Drawn, draw_image, draw_person, stream
from kpkit.augment.images import MAX_PIXELS, encode_jpeg, encode_png, read_image
from kpkit.augment.occlusion import Occlusion, cover, covered, paint
from kpkit.augment.photometric import Pipeline, Result, load_pipeline
from kpkit.augment.recipe import Recipe
from kpkit.augment.rows import Row
from kpkit.augment.shapes import move_mask
from kpkit.augment.spatial import Labels, move, settle
from kpkit.augment.warp import warp_image
from kpkit.core import visibility as vis
from kpkit.core.skeleton import Skeleton

Picture = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is the same for every image.

    folder  output folder being written    copies  augmented copies an image, numbered from 1; 0 is the original
    upper   [K] bool, joints above the hips (for half-body crops)
    """

    recipe: Recipe
    recipe_hash: str
    seed: int
    skeleton: Skeleton
    upper: NDArray[np.bool_]
    folder: Path
    copies: int = 1
    include_original: bool = False
    quality: int = 95
    image_format: str = "jpg"
    exif: str = "auto"
    max_pixels: int = MAX_PIXELS


@dataclass(frozen=True, kw_only=True)
class ImageTask:
    """One image and its persons.

    key         relative path, the image's name in rows and random streams     stem  unique stem of the outputs
    file        where it is                size_wh   as the labels say, or None
    ids         instance ids               labels    see kpkit.augment.spatial
    mask        [H,W] uint8 or None: what is occluded in the picture already
    own_masks   P masks or None: what of one person is occluded already
    patch       another image, for occluders filled with patches
    """

    key: str
    stem: str
    file: Path
    size_wh: tuple[int, int] | None
    ids: list[int | str]
    labels: Labels
    mask: Picture | None = None
    own_masks: list[Picture | None] = field(default_factory=list)
    patch: Path | None = None


@dataclass(frozen=True)
class Output:
    """One written picture: its path below images/, size, which persons, their labels and rows; mask path or ""."""

    image: str
    size_wh: tuple[int, int]
    persons: list[int]
    labels: Labels
    rows: list[Row]
    mask: str


@dataclass
class Done:
    """What came of a task: outputs in order, notes of the reader, persons without a box, seconds by step."""

    outputs: list[Output] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    unboxed: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the time of a block to a step."""
        start = time.perf_counter()
        yield
        self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - start


def augment_image(plan: Plan, task: ImageTask) -> Done:
    """All copies of one image, written below the plan's folder."""
    done = Done()
    start = time.perf_counter()
    with done.timed("decode"):
        read = read_image(task.file, labelled_wh=task.size_wh, exif=plan.exif, max_pixels=plan.max_pixels)
    done.notes = read.notes
    if plan.include_original:
        _original(plan, task, read.image, done)
    for copy in range(1, plan.copies + 1):
        for picture in _drawn(plan, task, read.image, copy, done):
            done.outputs.append(_finish(plan, task, copy, read.image, picture, done))
    done.seconds["total"] = time.perf_counter() - start
    return done


@dataclass(frozen=True)
class _Picture:
    """One output picture to make: which persons, how they move, and the end of its name."""

    drawn: Drawn
    persons: list[int]
    key: str
    suffix: str


def _original(plan: Plan, task: ImageTask, image: Picture, done: Done) -> None:
    height, width = image.shape[:2]
    drawn = Drawn(geo.identity(), (width, height), mirrored=False)
    picture = _Picture(drawn, list(range(len(task.ids))), task.key, "")
    still = replace(plan, recipe=Recipe())
    done.outputs.append(_finish(still, task, 0, image, picture, done))


def _drawn(plan: Plan, task: ImageTask, image: Picture, copy: int, done: Done) -> Iterator[_Picture]:
    recipe, (height, width) = plan.recipe, image.shape[:2]
    if recipe.mode == "image":
        drawn = draw_image(recipe, plan.seed, task.key, copy, (width, height))
        yield _Picture(drawn, list(range(len(task.ids))), task.key, "")
        return
    for person, name in enumerate(task.ids):
        box, xy = task.labels.bbox_xywh[person], task.labels.xy[person]
        if not np.isfinite(box).all() or box[2] <= 0 or box[3] <= 0:
            done.unboxed += 1
            continue
        key = f"{task.key}#{name}"
        yield _Picture(draw_person(recipe, plan.seed, key, copy, box, xy, plan.upper), [person], key, f"__p{name}")


def _finish(plan: Plan, task: ImageTask, copy: int, source: Picture, picture: _Picture, done: Done) -> Output:
    """Warp, move labels, run the user's pipeline, cover, write."""
    drawn, recipe = picture.drawn, plan.recipe
    before = _select(task.labels, picture.persons)
    with done.timed("warp"):
        image = warp_image(source, drawn.matrix, drawn.out_wh, recipe)
    mask = None if task.mask is None else move_mask(drawn.matrix, task.mask, drawn.out_wh)
    result: Result | None = None
    matrix, out_wh = drawn.matrix, drawn.out_wh
    if recipe.albumentations and copy > 0:
        with done.timed("pipeline"):
            result = _run_pipeline(plan, picture.key, copy, image, geo.apply_points(matrix, before.xy), mask)
        image, mask = result.image, result.mask
        matrix, out_wh = geo.compose(matrix, result.matrix), (image.shape[1], image.shape[0])
        mirrored = drawn.mirrored != result.mirrored
        moved = settle(replace(before, xy=result.xy), before, matrix, out_wh, plan.skeleton, mirrored)
    else:
        moved = move(before, matrix, out_wh, plan.skeleton, mirrored=drawn.mirrored)
        mirrored = drawn.mirrored
    labels, rows_by, occlusion, image, union = _cover(
        plan, task, copy, picture, image, mask, moved.labels, matrix, done
    )
    names = _write(plan, task, copy, picture, image, union, done)
    rows = [
        Row(
            image=names[0],
            source_image=task.key,
            instance_id=0,
            source_instance_id=task.ids[person],
            copy=copy,
            seed=plan.seed,
            recipe=recipe.name,
            recipe_hash=plan.recipe_hash,
            matrix=matrix.reshape(-1).tolist(),
            mirrored=mirrored,
            warped_beyond=result is not None and not result.affine,
            drawn=drawn.parts,
            occluders=occlusion.occluders[i] if occlusion else [],
            asked=float(occlusion.asked[i]) if occlusion else 0.0,
            own=_share(occlusion.own[i]) if occlusion else 0.0,
            neighbour=_share(occlusion.neighbour[i]) if occlusion else 0.0,
            occluded_by=rows_by[i],
            left_frame=_left(plan.skeleton, moved.gone[i]),
            lost=_lost(before, result, i),
        )
        for i, person in enumerate(picture.persons)
    ]
    return Output(names[0], (image.shape[1], image.shape[0]), picture.persons, labels, rows, names[1])


def _cover(
    plan: Plan,
    task: ImageTask,
    copy: int,
    picture: _Picture,
    image: Picture,
    mask: Picture | None,
    labels: Labels,
    matrix: NDArray[np.float64],
    done: Done,
) -> tuple[Labels, list[dict[str, str]], Occlusion | None, Picture, Picture | None]:
    """Draw occluders, and mark the joints that they, the pipeline or the dataset's own masks cover."""
    recipe = plan.recipe
    occlusion: Occlusion | None = None
    union = mask
    out_wh = (image.shape[1], image.shape[0])
    if recipe.occlusion is not None and copy > 0:
        with done.timed("occlude"):
            streams = [f"{task.key}#{task.ids[person]}" for person in picture.persons]
            occlusion = cover(
                labels.bbox_xywh, out_wh, recipe, lambda i: stream(plan.seed, streams[i], copy, "occlusion")
            )
            patch = _patch(task.patch) if recipe.occlusion_fill == "patch" else None
            image = paint(image, occlusion.mask, recipe, stream(plan.seed, picture.key, copy, "fill"), patch)
            union = occlusion.mask if mask is None else mask | occlusion.mask
    by: list[dict[str, str]] = [{} for _ in picture.persons]
    if union is None and not any(m is not None for m in task.own_masks):
        return labels, by, occlusion, image, union
    hidden = np.zeros(labels.visibility.shape, bool)
    for i, person in enumerate(picture.persons):
        own = occlusion.covers_own(i, labels.xy[i]) if occlusion else np.zeros(len(plan.skeleton), bool)
        others = covered(labels.xy[i], occlusion.mask) & ~own if occlusion else np.zeros(len(plan.skeleton), bool)
        given = covered(labels.xy[i], mask) if mask is not None else np.zeros(len(plan.skeleton), bool)
        if task.own_masks and (own_mask := task.own_masks[person]) is not None:
            given = given | covered(labels.xy[i], move_mask(matrix, own_mask, out_wh))
        labelled = labels.visibility[i] > 0
        for name, joints in (("dataset", given), ("neighbour", others), ("own", own)):
            by[i].update({plan.skeleton.keypoints[k]: name for k in np.flatnonzero(joints & labelled)})
        hidden[i] = own | others | given
    return replace(labels, visibility=vis.occlude(labels.visibility, hidden)), by, occlusion, image, union


def _write(
    plan: Plan, task: ImageTask, copy: int, picture: _Picture, image: Picture, mask: Picture | None, done: Done
) -> tuple[str, str]:
    name = f"{task.stem}{picture.suffix}__c{copy}"
    with done.timed("encode"):
        data = encode_jpeg(image, plan.quality) if plan.image_format == "jpg" else encode_png(image)
    with done.timed("write"):
        _save(plan.folder / "images" / f"{name}.{plan.image_format}", data)
    if mask is None or not mask.any():
        return f"{name}.{plan.image_format}", ""
    with done.timed("encode"):
        data = encode_png(mask)
    with done.timed("write"):
        _save(plan.folder / "masks" / f"{name}.png", data)
    return f"{name}.{plan.image_format}", f"masks/{name}.png"


def _save(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _run_pipeline(
    plan: Plan, key: str, copy: int, image: Picture, xy: NDArray[np.float64], mask: Picture | None
) -> Result:
    seed = int(stream(plan.seed, key, copy, "pipeline").integers(0, 2**32))
    return _pipeline(plan.recipe.albumentations, plan.recipe_hash).apply(image, xy, seed, mask)


@cache
def _pipeline(path: str, content: str) -> Pipeline:
    """Loaded once a worker; `content` is the recipe's hash, so that a changed file is another entry."""
    return load_pipeline(Path(path))


@cache
def _patch(path: Path | None) -> Picture | None:
    return None if path is None else read_image(path).image


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


def _share(value: Any) -> float:
    return float(value) if np.isfinite(value) else 0.0


def _left(skeleton: Skeleton, gone: NDArray[np.float64]) -> dict[str, list[float]]:
    found = np.flatnonzero(np.isfinite(gone).all(axis=-1))
    return {skeleton.keypoints[k]: [round(float(v), 3) for v in gone[k]] for k in found}


def _lost(before: Labels, result: Result | None, person: int) -> int:
    if result is None:
        return 0
    known = np.isfinite(before.xy[person]).all(axis=-1)
    return int((known & ~np.isfinite(result.xy[person]).all(axis=-1)).sum())
