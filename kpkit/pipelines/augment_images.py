"""The images of a dataset as the augmenter counts them: one a file, in an order of their own, with their persons."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.augment.draw import stream
from kpkit.core.dataset import Dataset, ImageTable
from kpkit.errors import RecordError
from kpkit.guard import contained, resolve_inside
from kpkit.pipelines.augment_fields import Fields
from kpkit.pipelines.augment_labels import labels_of
from kpkit.pipelines.augment_masks import IMAGE_FIELDS, PERSON_FIELDS, mask_of
from kpkit.pipelines.augment_stems import distinct
from kpkit.pipelines.augment_task import ImageTask, Plan

# How many other images are tried for a patch.
PATCH_TRIES = 3


@dataclass(frozen=True)
class SourceImage:
    """One image file of the labels.

    key      its normalised relative path, by which images are ordered
    rows     rows of the image table that name this file
    persons  rows of its persons, ordered by id    names  of the persons, unique in the image
    """

    key: str
    rows: list[int]
    persons: list[int]
    names: list[str]


@dataclass(frozen=True)
class Block:
    """Images that follow each other in the order of all, with all their persons: what is in memory at once.

    images     in their order                  first   number of the first of them among all
    dataset    of the block alone, with a box for everybody who can have one
    own_boxes  [N] bool: the person had a box before
    """

    images: list[SourceImage]
    first: int
    dataset: Dataset
    own_boxes: NDArray[np.bool_]
    fields: Fields


def source_images(dataset: Dataset, *, has_ids: bool) -> list[SourceImage]:
    """All images, ordered by path; nothing here depends on the order of the dataset's rows.

    has_ids  the format gives persons ids; else they are told apart by their labels

    Raises RecordError for an image without a file name, or one that leads outside the dataset.
    """
    rows: dict[str, list[int]] = {}
    for row, path in enumerate(dataset.images.path.tolist()):
        rows.setdefault(image_key(path, dataset.images, row), []).append(row)
    persons: list[list[int]] = [[] for _ in range(len(dataset.images))]
    for row, image in enumerate(dataset.image_index.tolist()):
        persons[image].append(row)
    keys = sorted(rows)
    found = []
    for key in keys:
        same = sorted(rows[key], key=lambda row: rank(dataset.images.id[row]))
        mine = [person for row in same for person in persons[row]]
        found.append(SourceImage(key, same, *_ordered(dataset, mine, has_ids)))
    return found


def image_key(path: str, images: ImageTable, row: int) -> str:
    """The normalised relative path of an image.

    Raises RecordError for one without a file name, or one that leads outside the dataset.
    """
    if not path:
        raise RecordError(
            "an image has no file name",
            code="KP-IMAGE-NAME",
            place=f"image {images.id[row]}",
            expected="a path relative to the image folder",
        )
    key = posixpath.normpath(contained(path, place=f"image {path}"))
    # As a rule the same text: the one that is there is kept.
    return path if key == path else key


def rank(value: Any) -> tuple[bool, Any]:
    """Integers before text, each in its order."""
    return isinstance(value, str), value


def _ordered(dataset: Dataset, persons: list[int], has_ids: bool) -> tuple[list[int], list[str]]:
    """Persons by id, then by content; and their names: ids, or numbers where there are none."""

    def content(row: int) -> tuple[bytes, ...]:
        columns = (dataset.xy, dataset.visibility, dataset.bbox_xywh, dataset.head_box)
        return tuple(np.ascontiguousarray(column[row]).tobytes() for column in columns)

    if not has_ids:
        ordered = sorted(persons, key=content)
        return ordered, [str(number) for number in range(1, len(ordered) + 1)]
    ids = dataset.instance_id
    ordered = sorted(persons, key=lambda row: (rank(ids[row]), content(row)))
    return ordered, distinct([re.sub(r"[^A-Za-z0-9.-]+", "-", str(ids[row])) for row in ordered])


def tasks(
    block: Block, keys: list[str], stem: Callable[[int], str], root: Path, plan: Plan
) -> Iterator[tuple[str, ImageTask]]:
    """(key, task) of every image, in order.

    keys  of all images of the labels    stem  number of an image -> stem of its outputs    root  folder of the pictures
    """
    dataset, fields = block.dataset, block.fields
    for number, image in enumerate(block.images, start=block.first):
        rows: NDArray[np.int64] = np.array(image.persons, np.int64)
        place = f"image {image.key}"
        yield (
            image.key,
            ImageTask(
                key=image.key,
                stem=stem(number),
                file=resolve_inside(root, image.key, place=place),
                size_wh=_size(dataset, image),
                ids=dataset.instance_id[rows].tolist(),
                names=image.names,
                labels=labels_of(dataset, rows, fields),
                crowd=dataset.is_crowd[rows],
                mask=mask_of(fields.images[image.rows[0]], IMAGE_FIELDS, root, place),
                own_masks=[mask_of(fields.persons[row], PERSON_FIELDS, root, place) for row in image.persons],
                regions=[fields.rle.get(row) for row in image.persons],
                patches=_patches(plan, keys, number, root),
            ),
        )


def _size(dataset: Dataset, image: SourceImage) -> tuple[int, int] | None:
    for row in image.rows:
        size = int(dataset.images.width[row]), int(dataset.images.height[row])
        if min(size) > 0:
            return size
    return None


def _patches(plan: Plan, keys: list[str], number: int, root: Path) -> list[list[Path]]:
    """For each copy, other pictures of the dataset, where the recipe cuts patches from them."""
    if plan.recipe.occlusion is None or plan.recipe.occlusion_fill != "patch":
        return []
    return patch_files(plan.seed, keys, number, root, plan.copies)


def patch_files(seed: int, keys: list[str], number: int, root: Path, copies: int) -> list[list[Path]]:
    """For each copy, other pictures of the dataset, chosen by the image's own stream.

    keys  of all pictures, in order    number  of the image among them    root  folder of the pictures
    """
    found = []
    for copy in range(1, copies + 1):
        rng = stream(seed, keys[number], copy, "patch")
        # Numbers of the others, counted on from this image: it is never its own patch, unless it is alone.
        steps = rng.integers(1, max(2, len(keys)), size=min(PATCH_TRIES, max(1, len(keys) - 1))).tolist()
        chosen = [keys[(number + step) % len(keys)] for step in steps]
        found.append([resolve_inside(root, key, place=f"image {key}") for key in chosen])
    return found
