"""Which images are drawn, and what of them."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset
from kpkit.errors import KpkitError, RecordError, UsageError, did_you_mean
from kpkit.execute import Failure
from kpkit.guard import contained, resolve_inside
from kpkit.pipelines.augment_fields import fields_of
from kpkit.pipelines.augment_masks import IMAGE_FIELDS, PERSON_FIELDS, MaskRef, mask_of
from kpkit.pipelines.augment_stems import stems
from kpkit.pipelines.draw_task import DrawTask
from kpkit.pipelines.findings import Finding


@dataclass(frozen=True)
class Scene:
    """One image to draw: its key, its rows in the image table, and the rows of its persons."""

    key: str
    rows: list[int]
    persons: list[int]
    findings: list[Finding] = field(default_factory=list)


def scenes_of(dataset: Dataset) -> list[Scene]:
    """All images, one a file, ordered by key: the path, or the id where there is none."""
    rows: dict[str, list[int]] = {}
    for row, (path, id) in enumerate(zip(dataset.images.path.tolist(), dataset.images.id.tolist(), strict=True)):
        rows.setdefault(posixpath.normpath(path.replace("\\", "/")) if path else f"image {id}", []).append(row)
    order = np.argsort(dataset.image_index, kind="stable")
    starts = np.searchsorted(dataset.image_index[order], np.arange(len(dataset.images) + 1))
    return [
        Scene(key, same, [person for row in same for person in order[starts[row] : starts[row + 1]].tolist()])
        for key, same in sorted(rows.items())
    ]


def named(scenes: Sequence[Scene], dataset: Dataset, names: Sequence[str]) -> list[Scene]:
    """The images of these names: paths, file names, ids, or patterns with * and ?.

    Raises UsageError, with the nearest name, for one that fits no image.
    """
    found: dict[str, Scene] = {}
    for name in names:
        fitting = [scene for scene in scenes if _fits(scene, dataset, name)]
        if not fitting:
            raise UsageError(
                f"there is no image '{name}' in these labels",
                code="KP-DRAW-NAME",
                help=did_you_mean(name, [scene.key for scene in scenes[:5000]]) if len(scenes) > 1 else "",
            )
        found |= {scene.key: scene for scene in fitting}
    return [found[key] for key in sorted(found)]


def _fits(scene: Scene, dataset: Dataset, name: str) -> bool:
    file = scene.key.rsplit("/", 1)[-1]
    if name in (scene.key, file) or any(str(dataset.images.id[row]) == name for row in scene.rows):
        return True
    return any(char in name for char in "*?[") and any(fnmatch.fnmatchcase(one, name) for one in (scene.key, file))


def complained(scenes: Sequence[Scene], findings: Sequence[Finding]) -> list[Scene]:
    """The images that findings are about, with its findings and the persons they name (all, if one names none)."""
    by_row: dict[int, list[Finding]] = {}
    for one in findings:
        if one.image_row >= 0:
            by_row.setdefault(one.image_row, []).append(one)
    found = []
    for scene in scenes:
        mine = [one for row in scene.rows for one in by_row.get(row, [])]
        if mine:
            whose = {one.instance_row for one in mine}
            persons = scene.persons if -1 in whose else [row for row in scene.persons if row in whose]
            found.append(Scene(scene.key, scene.rows, persons, mine))
    return found


def sampled(scenes: Sequence[Scene], count: int, seed: int) -> list[Scene]:
    """So many of them by chance, in their order; the same seed gives the same ones."""
    if count >= len(scenes):
        return list(scenes)
    chosen = np.random.default_rng(seed).choice(len(scenes), count, replace=False)
    return [scenes[i] for i in sorted(chosen.tolist())]


def tasks(
    dataset: Dataset, scenes: Sequence[Scene], root: Path | None, suffix: str, *, masks: bool, failures: list[Failure]
) -> Iterator[tuple[str, DrawTask]]:
    """(key, task) of every image; one whose name leads outside the folder of pictures is a failure.

    root  folder of the pictures; None: plain canvases
    """
    rows = [person for scene in scenes for person in scene.persons]
    fields = fields_of(dataset.take(np.array(rows, np.int64))) if masks and scenes else None
    place = {person: i for i, person in enumerate(rows)}
    names = [f"{stem}.{suffix}" for stem in stems([_safe(scene, dataset) for scene in scenes])]
    for scene, name in zip(scenes, names, strict=True):
        try:
            task = _task(dataset, scene, root, name)
            if fields is not None:
                persons = [place[person] for person in scene.persons]
                task = _with_masks(task, fields.images[scene.rows[0]], [fields.persons[i] for i in persons], root)
                regions = [fields.rle.get(i) for i in persons]
                polygons = [fields.polygons[i] for i in persons]
                task = replace(task, regions=regions, polygons=polygons)
        except KpkitError as error:
            failures.append(Failure.of(scene.key, error))
            continue
        yield scene.key, task


def _safe(scene: Scene, dataset: Dataset) -> str:
    """A path for the overlay that stays in its folder."""
    path = str(dataset.images.path[scene.rows[0]])
    if not path:
        return re.sub(r"[^\w.-]+", "_", scene.key)
    try:
        return posixpath.normpath(contained(path, place="")).lstrip("./") or "image"
    except RecordError:
        return PurePosixPath(scene.key).name or "image"


def _task(dataset: Dataset, scene: Scene, root: Path | None, name: str) -> DrawTask:
    persons: NDArray[np.int64] = np.array(scene.persons, np.int64)
    path, place = str(dataset.images.path[scene.rows[0]]), f"image {scene.key}"
    if root is not None and not path:
        raise RecordError(
            "the labels do not name the picture's file",
            code="KP-IMAGE-NAME",
            place=scene.key,
            help="add --no-images to draw on plain canvases",
        )
    joints = [
        (one.instance_row, one.joint_index) for one in scene.findings if min(one.instance_row, one.joint_index) >= 0
    ]
    marks = dataset.xy[[row for row, _ in joints], [joint for _, joint in joints]] if joints else np.zeros((0, 2))
    return DrawTask(
        key=scene.key,
        name=name,
        file=None if root is None else resolve_inside(root, path, place=place),
        size_wh=_size(dataset, scene),
        xy=dataset.xy[persons],
        visibility=dataset.visibility[persons],
        truncated=dataset.truncated[persons],
        boxes=dataset.bbox_xywh[persons],
        ids=dataset.instance_id[persons].tolist(),
        marks=marks,
        lines=[_line(one) for one in scene.findings],
    )


def _line(finding: Finding) -> str:
    whose = "" if finding.instance_id is None else f" {finding.instance_id}"
    return f"{finding.rule}{whose}: {finding.message}"


def _size(dataset: Dataset, scene: Scene) -> tuple[int, int] | None:
    for row in scene.rows:
        size = int(dataset.images.width[row]), int(dataset.images.height[row])
        if min(size) > 0:
            return size
    return None


def _with_masks(
    task: DrawTask, image: Mapping[str, Any], persons: Sequence[Mapping[str, Any]], root: Path | None
) -> DrawTask:
    """The task with the masks of what hides the image or a person; files only where pictures are looked for."""
    hidden: list[MaskRef | None] = []
    for row, names in ((image, IMAGE_FIELDS), *((person, PERSON_FIELDS) for person in persons)):
        ref = mask_of(row, names, root or Path(), f"image {task.key}")
        hidden.append(None if root is None and isinstance(ref, Path) else ref)
    return replace(task, hidden=hidden)
