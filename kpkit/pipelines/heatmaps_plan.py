"""Who becomes a sample, in which order, and in which shard.

Samples are ordered by (image key, copy, instance id, mirrored); nothing depends on the order of the labels' rows. A
shard is a run of that order, cut between samples that do not belong together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.augment.images import MAX_PIXELS
from kpkit.augment.recipe import Recipe
from kpkit.core.skeleton import Skeleton
from kpkit.guard import resolve_inside
from kpkit.pipelines.augment_images import patch_files
from kpkit.pipelines.augment_masks import IMAGE_FIELDS, PERSON_FIELDS, MaskRef, mask_of
from kpkit.pipelines.heatmaps_gather import COLUMNS
from kpkit.pipelines.heatmaps_job import OccludedTarget, SpatialWeights
from kpkit.pipelines.heatmaps_people import People, Pictured
from kpkit.pipelines.heatmaps_shapes import Shape
from kpkit.targets.base import Codec, StoredType
from kpkit.targets.deflate import Compression
from kpkit.targets.shard_layout import ArrayLayout, IdentityTypes, Store, layout_of


@dataclass(frozen=True, kw_only=True)
class RenderPlan:
    """What is the same for every shard.

    codec     as `Codec.parameters` describes it        copies  numbers of the copies; 0 is cut straight
    upper     [K] bool, joints above the hips           covers  something may be covered: regions are stored
    folder    of the shards                             attributes  of every shard
    making    where workers make them; None: in `folder`
    whole     samples are whole pictures; what is called a crop is then a picture's copy
    regions   pictures have regions where nobody is labelled
    """

    codec: dict[str, Any]
    skeleton: Skeleton
    identity: IdentityTypes
    dtype: StoredType
    store: Store
    compression: Compression
    recipe: Recipe
    copies: tuple[int, ...]
    flip_copies: bool
    seed: int
    upper: NDArray[np.bool_]
    occluded_target: OccludedTarget
    covers: bool
    with_images: bool
    spatial_weights: SpatialWeights
    folder: Path
    attributes: dict[str, Any]
    exif: str = "auto"
    max_pixels: int = MAX_PIXELS
    making: Path | None = None
    whole: bool = False
    regions: bool = False

    @property
    def flips(self) -> int:
        """Samples of one crop: 2 where each is stored mirrored, too."""
        return 2 if self.flip_copies else 1


@dataclass(frozen=True)
class ImageRef:
    """One picture of a shard.

    key   in streams and failures      path, id, size_wh  as the labels have them      file  None where not opened
    first, persons  its persons are rows first ... first + persons - 1 of the shard's labels
    start           place of its first crop in the order of all crops
    mask            what is covered in it already              patches  for each copy, other pictures
    """

    key: str
    path: str
    id: Any
    size_wh: tuple[int, int] | None
    file: Path | None
    first: int
    persons: int
    start: int
    mask: MaskRef | None = None
    patches: list[list[Path]] = field(default_factory=list)


@dataclass(frozen=True)
class ShardTask:
    """What a worker makes one shard of: crops `low` to `high` of the order, pictures and labels that they need.

    columns   name -> [p, ...] of the persons       ids, names  of the persons; names for random streams
    occluded  [p,K] bool: covered by an earlier augmentation     own_masks  p masks of single persons, or none
    shapes    of whole pictures: p outlines of those without targets, or None
    regions   of each picture, outlines of where nobody is labelled
    """

    number: int
    path: str
    low: int
    high: int
    images: list[ImageRef]
    columns: dict[str, NDArray[Any]]
    ids: list[Any]
    names: list[str]
    occluded: NDArray[np.bool_]
    own_masks: list[MaskRef | None]
    shapes: list[Shape | None] = field(default_factory=list)
    regions: list[list[Shape]] = field(default_factory=list)

    def files(self) -> list[Path]:
        """Every file that is opened for the shard, in order."""
        found = [file for image in self.images for file in (image.file, image.mask) if isinstance(file, Path)]
        found += [mask for mask in self.own_masks if isinstance(mask, Path)]
        return found + [file for image in self.images for copy in image.patches for file in copy]

    def fingerprint(self, job: str) -> str:
        """SHA-256 (hex) of the job's fingerprint and of every label that the shard is made from."""
        digest = hashlib.sha256(f"{job}\0{self.path}\0{self.low}\0{self.high}\0".encode())
        for name in sorted(self.columns):
            digest.update(np.ascontiguousarray(self.columns[name]).tobytes())
        digest.update(self.occluded.tobytes())
        said = [(i.key, i.path, i.id, i.size_wh, i.first, i.persons, i.start, _name(i.mask)) for i in self.images]
        others = [_name(mask) for mask in self.own_masks]
        patches = [[[file.name for file in copy] for copy in image.patches] for image in self.images]
        digest.update(repr((said, self.ids, self.names, others, patches)).encode("utf-8", "surrogatepass"))
        if self.shapes:
            digest.update(json.dumps([self.shapes, self.regions]).encode())
        return digest.hexdigest()


def _name(mask: MaskRef | None) -> Any:
    return mask.name if isinstance(mask, Path) else mask


def crops_of(people: People, plan: RenderPlan) -> NDArray[np.int64]:
    """[M+1] int64: where the crops of each picture begin in the order of all crops, and how many there are."""
    each = np.ones_like(people.counts) if plan.whole else people.counts
    return np.concatenate([[0], np.cumsum(each * len(plan.copies))]).astype(np.int64)


def shard_tasks(
    people: People, plan: RenderPlan, names: list[str], crops: int, root: Path | None
) -> Iterator[tuple[str, ShardTask]]:
    """(path, task) of every shard, in order.

    names  paths of the shards    crops  a shard, at most    root  folder of the pictures, None where none is opened
    """
    starts = crops_of(people, plan)
    for number, path in enumerate(names):
        low, high = number * crops, min((number + 1) * crops, int(starts[-1]))
        first = int(np.searchsorted(starts, low, side="right")) - 1
        last = int(np.searchsorted(starts, high, side="left"))
        images: list[ImageRef] = []
        pictures: list[Pictured] = []
        persons = 0
        for i in range(first, last):
            picture = people.picture(i)
            ref = _image(people, plan, picture, persons, int(starts[i]), root)
            if root is not None:
                ref.patches.extend(_patches(plan, people.keys, int(people.used[i]), root))
            images.append(ref)
            pictures.append(picture)
            persons += len(picture.names)
        yield path, _task(people, number, path, (low, high), images, pictures, root)


def _task(
    people: People,
    number: int,
    path: str,
    crops: tuple[int, int],
    images: list[ImageRef],
    pictures: list[Pictured],
    root: Path | None,
) -> ShardTask:
    rows = np.concatenate([picture.persons for picture in pictures])
    columns = people.columns.take(rows)
    occluded = columns["occluded"]
    own: list[MaskRef | None] = []
    if people.person_masks:
        folder = root or Path()
        own = [
            mask_of(people.person_masks.get(row, {}), PERSON_FIELDS, folder, f"person {row}") for row in rows.tolist()
        ]
    ids = people.ids[rows].tolist()
    names = [name for picture in pictures for name in picture.names]
    used = {name: columns[name] for name in COLUMNS}
    if people.shapes is None:
        return ShardTask(number, path, *crops, images, used, ids, names, occluded, own)
    used["masked"] = columns["masked"]
    shapes, regions = people.shapes.take(rows), [people.regions_in(picture) for picture in pictures]
    return ShardTask(number, path, *crops, images, used, ids, names, occluded, own, shapes, regions)


def _image(people: People, plan: RenderPlan, image: Pictured, first: int, start: int, root: Path | None) -> ImageRef:
    table, row = people.dataset.images, image.rows[0]
    sizes = [(int(table.width[r]), int(table.height[r])) for r in image.rows]
    size = next((one for one in sizes if min(one) > 0), None)
    place = f"image {image.key}"
    file = resolve_inside(root, image.key, place=place) if root is not None and plan.with_images else None
    mask = None
    if people.image_masks:
        mask = mask_of(people.image_masks.get(row, {}), IMAGE_FIELDS, root or Path(), place)
    name = str(table.path[row])
    return ImageRef(image.key, name, table.id[row], size, file, first, len(image.names), start, mask)


def _patches(plan: RenderPlan, keys: list[str], number: int, root: Path) -> list[list[Path]]:
    """For each copy, the pictures that the augmenter would cut patches from."""
    if not plan.with_images or plan.recipe.occlusion is None or plan.recipe.occlusion_fill != "patch":
        return []
    return patch_files(plan.seed, keys, number, root, max(plan.copies))


def identity_types(people: People) -> IdentityTypes:
    """Types for ids and paths that hold every sample of the dataset."""
    images, used = people.dataset.images, people.first_rows()
    columns = {"instance_id": people.ids, "image_id": images.id, "image_path": images.path}
    dtypes, encodings = {}, {}
    for name, column in columns.items():
        if column.dtype == np.int64:
            encodings[name], dtypes[name] = "int", "int64"
            continue
        values = column[people.usable if name == "instance_id" else used].tolist()
        encodings[name] = "utf-8" if {type(value) for value in values} <= {str} else "json"
        longest = max((len(encode_id(value, encodings[name])) for value in values), default=1)
        dtypes[name] = f"S{max(1, longest)}"
    return IdentityTypes(dtypes, encodings)


def encode_id(value: Any, encoding: str) -> bytes:
    """An id as it is stored where it is no number of 64 bits."""
    text = json.dumps(value) if encoding == "json" else str(value)
    return text.encode("utf-8", "surrogateescape")


def encode_ids(values: list[Any], plan: RenderPlan, name: str) -> NDArray[Any]:
    """Ids or paths in the type that the plan's shards store them in.  [n]"""
    encoding, dtype = plan.identity.encodings[name], plan.identity.dtypes[name]
    if encoding == "int":
        return np.array(values, np.int64)
    return np.array([encode_id(value, encoding) for value in values], dtype)


def plan_document(plan: RenderPlan) -> dict[str, Any]:
    """What a plan says about the bytes, as plain JSON data."""
    skip = {"folder", "making", "attributes", "upper", "skeleton", "recipe", "identity", "whole"}
    document = {f.name: getattr(plan, f.name) for f in fields(plan) if f.name not in skip}
    document["copies"] = list(plan.copies)
    if plan.spatial_weights == "none":
        # As it was before there were such weights: what is finished stays so.
        del document["spatial_weights"]
    if not plan.regions:
        del document["regions"]
    recipe = plan.recipe.to_dict()
    recipe["albumentations"] = Path(plan.recipe.albumentations).name
    identity = {"dtypes": dict(plan.identity.dtypes), "encodings": dict(plan.identity.encodings)}
    return {**document, "skeleton_hash": plan.skeleton.content_hash, "recipe": recipe, "identity": identity}


def plan_layout(plan: RenderPlan, codec: Codec) -> dict[str, ArrayLayout]:
    """The arrays of the plan's shards."""
    return layout_of(
        codec,
        plan.dtype,
        plan.store,
        plan.identity,
        with_images=plan.with_images,
        with_regions=plan.covers,
        spatial=plan.spatial_weights,
    )
