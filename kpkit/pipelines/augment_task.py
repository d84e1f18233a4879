"""What a worker does with one image: decode once, then warp, cover and encode every copy of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from kpkit.augment.draw import stream
from kpkit.augment.images import decode_image, read_encoded, read_image
from kpkit.augment.shapes import encode_rle
from kpkit.errors import InputError
from kpkit.pipelines.augment_ahead import Ahead, Ready, ahead, ahead_of_some, cover_of, names_of
from kpkit.pipelines.augment_cover import Cover, Veil, painted
from kpkit.pipelines.augment_files import Saver
from kpkit.pipelines.augment_keep import Kept, source_checksums, still_holds
from kpkit.pipelines.augment_later import finish
from kpkit.pipelines.augment_masks import read_mask
from kpkit.pipelines.augment_place import Draft, Picture, Scene, is_unwanted, move_masks, place
from kpkit.pipelines.augment_plan import Done, ImageTask, Output, Plan
from kpkit.pipelines.augment_record import rows_of

# Pictures kept for patches, a worker.
PATCHES = 4


Item = tuple[ImageTask, tuple[list[str], dict[str, str]] | None]


@dataclass(frozen=True)
class Augmenter:
    """The work on one image, for `run_tasks`. An item: the task, and checksums where an earlier run has done it."""

    plan: Plan

    def prepare(self, items: list[Item]) -> list[tuple[Any, ...]]:
        """The items with what needs no pixels done ahead; without it where that is not possible."""
        some = ahead_of_some(self.plan, [task if earlier is None else None for task, earlier in items])
        return [(*item, one) for item, one in zip(items, some, strict=True)]

    def settle(self, result: Done | Kept) -> Done | Kept:
        """The result when its pictures are on the disk. Raises OutputError where one cannot be written."""
        if isinstance(result, Done):
            start = time.perf_counter()
            with result.timed("write"):
                finish(result.pending)
            result.seconds["total"] += time.perf_counter() - start
        return result

    def __call__(self, item: tuple[Any, ...]) -> Done | Kept:
        """All copies of one image, unless what an earlier run made of it still holds; see `settle`."""
        task, earlier, *prepared = item
        if earlier is not None and still_holds(self.plan, task, *earlier):
            return Kept()
        return augment_image(self.plan, task, prepared[0] if prepared else None)


def augment_image(plan: Plan, task: ImageTask, prepared: Ahead | None = None) -> Done:
    """All copies of one image, written below the plan's folder; the last of them perhaps not yet, see `Done.pending`.

    prepared  as `ahead` gave it; None, or for a picture of another size than this one turns out to have: done now
    """
    done = Done()
    start = time.perf_counter() - (prepared.seconds if prepared is not None else 0.0)
    with done.timed("decode"):
        data = read_encoded(task.file)
        scene = _read(plan, task, data, done)
    if plan.checked:
        with done.timed("checksum"):
            done.sources = source_checksums(task, data)
    del data
    size_wh = (scene.image.shape[1], scene.image.shape[0])
    if prepared is None or prepared.size_wh != size_wh:
        prepared = ahead(plan, task, size_wh)
    done.unboxed, done.empty = prepared.unboxed, prepared.empty
    for ready in prepared.pictures:
        output = _finish(task, scene, ready, done)
        if output is not None:
            done.outputs.append(output)
    done.seconds["total"] = time.perf_counter() - start
    return done


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


def _finish(task: ImageTask, scene: Scene, ready: Ready, done: Done) -> Output | None:
    """Pixels, and whatever waited for them; None for a crop that nobody wants."""
    plan, draft = ready.plan, ready.draft
    placed = place(plan, scene, draft, ready.before, ready.pose, done)
    pose = placed.pose
    if ready.pose is None and is_unwanted(plan, pose):
        done.empty += 1
        return None
    own = move_masks(pose.matrix, scene.own_masks, draft.persons, placed.wh)
    with done.timed("occlude"):
        cover, names, rows = ready.cover, ready.names, ready.rows
        if cover is None:
            veil = Veil(placed.given, None if pose.result is None else pose.result.mask, tuple(own))
            cover = cover_of(plan, task, draft, pose.moved.labels, veil, placed.wh)
            names = names_of(plan, task, draft, cover)
            rows = rows_of(plan, task, draft, pose, cover, names)
        image = _painted(plan, task, draft, placed.image, cover, in_place=placed.image is not scene.image)
    regions = move_masks(pose.matrix, scene.regions, draft.persons, placed.wh)
    if plan.writes(task.key):
        _write(plan, names, image, cover, scene.file if image is scene.image else None, done)
    return Output(
        names[0],
        draft.copy,
        placed.wh,
        draft.persons,
        cover.labels,
        rows,
        names[1],
        _run_lengths(own),
        _run_lengths(regions),
    )


def _run_lengths(masks: list[Picture | None]) -> list[dict[str, Any] | None]:
    return [None if mask is None else encode_rle(mask) for mask in masks]


def _painted(plan: Plan, task: ImageTask, draft: Draft, image: Picture, cover: Cover, *, in_place: bool) -> Picture:
    patches = task.patches[draft.copy - 1] if task.patches and draft.copy else []
    return painted(
        image,
        cover.occlusion,
        plan.recipe,
        lambda: stream(plan.seed, draft.key, draft.copy, "fill"),
        lambda: first_patch(patches, plan.max_pixels),
        in_place=in_place,
    )


def _write(plan: Plan, names: tuple[str, str], image: Picture, cover: Cover, copied: Path | None, done: Done) -> None:
    saver = Saver(plan.folder, plan.making, done.files if plan.checked else None, done.timed, done.pending)
    saver.picture(f"images/{names[0]}", image, copied, plan.quality)
    if names[1] and cover.mask is not None:
        saver.mask(names[1], cover.mask)
    saver.save()


def first_patch(files: list[Path], max_pixels: int) -> Picture | None:
    """The first picture that can be read; None where none can, and then the fill is the mean."""
    return next((image for file in files if (image := _patch_image(file, max_pixels)) is not None), None)


@lru_cache(maxsize=PATCHES)
def _patch_image(file: Path, max_pixels: int) -> Picture | None:
    try:
        return read_image(file, max_pixels=max_pixels).image
    except InputError:
        return None


__all__ = ["Augmenter", "Done", "ImageTask", "Output", "Plan", "augment_image"]
