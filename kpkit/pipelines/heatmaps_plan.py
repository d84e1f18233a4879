"""Who becomes a sample, in which order, and in which shard.

Samples are ordered by (image key, copy, instance id, mirrored); nothing depends on the order of the labels' rows. A
shard is a run of that order, cut between samples that do not belong together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.augment.images import MAX_PIXELS
from kpkit.augment.recipe import Recipe
from kpkit.core.dataset import Dataset
from kpkit.core.report import Loss
from kpkit.core.skeleton import Skeleton
from kpkit.guard import resolve_inside
from kpkit.pipelines.augment_images import SourceImage, patch_files
from kpkit.pipelines.augment_masks import IMAGE_FIELDS, PERSON_FIELDS, MaskRef, mask_of
from kpkit.pipelines.heatmaps_job import OccludedTarget
from kpkit.targets.base import StoredType
from kpkit.targets.deflate import Compression
from kpkit.targets.shard_layout import IdentityTypes, Store

OCCLUDED_BY = "augment.occluded_by"
COLUMNS = ("xy", "visibility", "truncated", "bbox_xywh", "head_box", "score")


@dataclass(frozen=True, kw_only=True)
class RenderPlan:
    """What is the same for every shard.

    codec     as `Codec.parameters` describes it        copies  numbers of the copies; 0 is cut straight
    upper     [K] bool, joints above the hips           covers  something may be covered: regions are stored
    folder    of the shards                             attributes  of every shard
    making    where workers make them; None: in `folder`
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
    folder: Path
    attributes: dict[str, Any]
    exif: str = "auto"
    max_pixels: int = MAX_PIXELS
    making: Path | None = None

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
        return digest.hexdigest()


def _name(mask: MaskRef | None) -> Any:
    return mask.name if isinstance(mask, Path) else mask


@dataclass(frozen=True)
class People:
    """The persons that become samples, in order, with their pictures.

    rows    [P] int64 rows of the dataset        names  of the persons, unique in their picture
    images  the pictures that have any, with the number of their first person, and of persons
    masks   image_masks: row of the first image row -> mask field; empty where the labels name none
    """

    dataset: Dataset
    rows: NDArray[np.int64]
    names: list[str]
    images: list[tuple[SourceImage, int, int]]
    occluded: NDArray[np.bool_]
    image_masks: dict[int, dict[str, Any]]
    person_masks: dict[int, dict[str, Any]]
    losses: list[Loss]


def people_of(dataset: Dataset, images: list[SourceImage], masks: tuple[dict[int, Any], dict[int, Any]]) -> People:
    """Who has samples; the others are counted.

    dataset  with a box for everybody who can have one    masks  image row and person row -> fields that name masks
    """
    labelled = (dataset.visibility > 0).any(axis=1)
    box = dataset.bbox_xywh
    boxed = np.isfinite(box).all(axis=1) & (box[:, 2] > 0) & (box[:, 3] > 0)
    usable = labelled & boxed & ~dataset.is_crowd
    rows: list[int] = []
    names: list[str] = []
    kept: list[tuple[SourceImage, int, int]] = []
    for image in images:
        mine = [(row, name) for row, name in zip(image.persons, image.names, strict=True) if usable[row]]
        if mine:
            kept.append((image, len(rows), len(mine)))
            rows += [row for row, _ in mine]
            names += [name for _, name in mine]
    index: NDArray[np.int64] = np.array(rows, np.int64)
    crowd = dataset.is_crowd
    losses = [
        Loss("instances", int(count), why)
        for count, why in (
            (np.count_nonzero(crowd), "crowds have no joints of one person"),
            (np.count_nonzero(~crowd & ~labelled), "persons without a labelled joint have no target"),
            (np.count_nonzero(~crowd & labelled & ~boxed), "persons without a box have no crop"),
        )
        if count
    ]
    return People(dataset, index, names, kept, _covered_before(dataset, index), *masks, losses)


def _covered_before(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[P,K] bool: joints that an earlier `kpkit augment` covered."""
    column = dataset.extras.get(OCCLUDED_BY)
    if column is None:
        return np.zeros((len(rows), len(dataset.skeleton)), bool)
    place = {name: k for k, name in enumerate(dataset.skeleton.keypoints)}
    found = np.zeros((len(rows), len(place)), bool)
    for i, value in enumerate(column[rows]):
        if isinstance(value, dict):
            found[i, [place[name] for name in value if name in place]] = True
    return found


def crops_of(people: People, plan: RenderPlan) -> NDArray[np.int64]:
    """[M+1] int64: where the crops of each picture begin in the order of all crops, and how many there are."""
    counts = np.array([persons for _, _, persons in people.images], np.int64) * len(plan.copies)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def shard_tasks(
    people: People, plan: RenderPlan, names: list[str], crops: int, root: Path | None, keys: list[str]
) -> Iterator[tuple[str, ShardTask]]:
    """(path, task) of every shard, in order.

    names  paths of the shards    crops  a shard, at most    root  folder of the pictures, None where none is opened
    keys   of all pictures of the dataset, for patches
    """
    starts = crops_of(people, plan)
    positions = {key: number for number, key in enumerate(keys)}
    for number, path in enumerate(names):
        low, high = number * crops, min((number + 1) * crops, int(starts[-1]))
        first = int(np.searchsorted(starts, low, side="right")) - 1
        last = int(np.searchsorted(starts, high, side="left"))
        images: list[ImageRef] = []
        rows: list[int] = []
        persons: list[int] = []
        for i in range(first, last):
            image, begin, count = people.images[i]
            ref = _image(people, plan, image, len(rows), count, int(starts[i]), root)
            if root is not None:
                ref.patches.extend(_patches(plan, keys, positions[image.key], root))
            images.append(ref)
            rows += people.rows[begin : begin + count].tolist()
            persons += list(range(begin, begin + count))
        yield path, _task(people, number, path, (low, high), images, rows, persons, root)


def _task(
    people: People,
    number: int,
    path: str,
    crops: tuple[int, int],
    images: list[ImageRef],
    rows: list[int],
    persons: list[int],
    root: Path | None,
) -> ShardTask:
    index = np.array(rows, np.int64)
    columns = {name: getattr(people.dataset, name)[index] for name in COLUMNS}
    own: list[MaskRef | None] = []
    if people.person_masks:
        folder = root or Path()
        own = [mask_of(people.person_masks.get(row, {}), PERSON_FIELDS, folder, f"person {row}") for row in rows]
    ids = people.dataset.instance_id[index].tolist()
    names = [people.names[person] for person in persons]
    return ShardTask(number, path, *crops, images, columns, ids, names, people.occluded[persons], own)


def _image(
    people: People, plan: RenderPlan, image: SourceImage, first: int, persons: int, start: int, root: Path | None
) -> ImageRef:
    table, row = people.dataset.images, image.rows[0]
    sizes = [(int(table.width[r]), int(table.height[r])) for r in image.rows]
    size = next((one for one in sizes if min(one) > 0), None)
    place = f"image {image.key}"
    file = resolve_inside(root, image.key, place=place) if root is not None and plan.with_images else None
    mask = None
    if people.image_masks:
        mask = mask_of(people.image_masks.get(row, {}), IMAGE_FIELDS, root or Path(), place)
    name = str(table.path[row])
    return ImageRef(image.key, name, table.id[row], size, file, first, persons, start, mask)


def _patches(plan: RenderPlan, keys: list[str], number: int, root: Path) -> list[list[Path]]:
    """For each copy, the pictures that the augmenter would cut patches from."""
    if not plan.with_images or plan.recipe.occlusion is None or plan.recipe.occlusion_fill != "patch":
        return []
    return patch_files(plan.seed, keys, number, root, max(plan.copies))


def identity_types(dataset: Dataset, people: People) -> IdentityTypes:
    """Types for ids and paths that hold every sample of the dataset."""
    images = dataset.images
    used = np.array([image.rows[0] for image, _, _ in people.images], np.int64)
    columns = {
        "instance_id": dataset.instance_id[people.rows],
        "image_id": images.id[used],
        "image_path": images.path[used],
    }
    dtypes, encodings = {}, {}
    for name, column in columns.items():
        kinds = {type(value) for value in column.tolist()}
        encodings[name] = "int" if column.dtype == np.int64 else ("utf-8" if kinds <= {str} else "json")
        longest = max((len(encode_id(v, encodings[name])) for v in column.tolist()), default=1)
        dtypes[name] = "int64" if encodings[name] == "int" else f"S{max(1, longest)}"
    return IdentityTypes(dtypes, encodings)


def encode_id(value: Any, encoding: str) -> bytes:
    """An id as it is stored where it is no number of 64 bits."""
    import json

    text = json.dumps(value) if encoding == "json" else str(value)
    return text.encode("utf-8", "surrogateescape")


def plan_document(plan: RenderPlan) -> dict[str, Any]:
    """What a plan says about the bytes, as plain JSON data."""
    skip = {"folder", "making", "attributes", "upper", "skeleton", "recipe", "identity"}
    document = {f.name: getattr(plan, f.name) for f in fields(plan) if f.name not in skip}
    document["copies"] = list(plan.copies)
    recipe = plan.recipe.to_dict()
    recipe["albumentations"] = Path(plan.recipe.albumentations).name
    identity = {"dtypes": dict(plan.identity.dtypes), "encodings": dict(plan.identity.encodings)}
    return {**document, "skeleton_hash": plan.skeleton.content_hash, "recipe": recipe, "identity": identity}
