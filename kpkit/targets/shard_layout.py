"""What a shard holds: the names, types and shapes of its arrays, and what its attributes say.

A shard is one HDF5 file of n samples. Label arrays are contiguous; dense arrays have chunks of one sample. A sample is
one person, or a whole picture with several; then what is said of persons stands in arrays of m persons, and each sample
says which rows are its own. docs/formats/shards.md describes it all, enough to write a reader in another language.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kpkit.errors import UsageError
from kpkit.targets.base import Codec, StoredType
from kpkit.targets.weights import SPATIAL_RULES

SCHEMA_VERSION = 1
KIND = "kpkit.shard"
MANIFEST = "manifest.json"
# At most so many in one folder; file systems and people list them.
SHARDS_A_FOLDER = 1000
MAX_SHARDS = 100_000
# 1 GiB: no sample is larger, whatever it claims.
MAX_SAMPLE = 1 << 30

Array = NDArray[Any]
Store = Literal["heatmaps", "params"]
Per = Literal["sample", "person", "shard"]

COORDINATES = (
    "keypoints are x, y in pixels of the input, 0-based, (0, 0) is the centre of the top-left pixel; "
    "[x, y] of the input = affine[:, :2] @ [x, y] + affine[:, 2] of the source picture"
)


@dataclass(frozen=True)
class ArrayLayout:
    """One array of a shard.

    shape          of one sample    dtype  numpy's name of the type, e.g. "float16", "S24"
    per            what has one, on the first axis: each sample, or each person of pictures; or the shard as a whole,
                   without such an axis
    dense          chunks of one sample, compressed; else contiguous
    scale, offset  value = stored * scale + offset
    about          one line, stored with the array
    """

    shape: tuple[int, ...]
    dtype: str
    dense: bool = False
    scale: float = 1.0
    offset: float = 0.0
    about: str = ""
    per: Per = "sample"

    def stored_shape(self, samples: int, persons: int = 0) -> tuple[int, ...]:
        """The shape of the whole array in a shard of so many samples and persons."""
        if self.per == "shard":
            return self.shape
        return (persons if self.per == "person" else samples, *self.shape)

    def to_dict(self) -> dict[str, Any]:
        """As the manifest has it."""
        said = {name: getattr(self, name) for name in ("dtype", "dense", "scale", "offset")}
        return {"shape": list(self.shape), **said} | ({"per": self.per} if self.per != "sample" else {})

    @property
    def nbytes(self) -> int:
        """Bytes of one sample (or person) before compression; of the whole array where the shard has one."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


Layout = Mapping[str, ArrayLayout]

# Arrays that are made from the labels: name -> (shape with "K" for the joints, type, about).
_LABELS: dict[str, tuple[tuple[int | str, ...], str, str]] = {
    "keypoints": (("K", 2), "float32", "x, y in pixels of the input; NaN where unlabelled"),
    "visibility": (("K",), "uint8", "0 unlabelled, 1 labelled and occluded, 2 labelled and visible"),
    "truncated": (("K",), "bool", "the joint lies outside the source picture"),
    "occluded": (("K",), "bool", "covered by augmentation, or by the dataset's own occlusion mask"),
    "weights": (("K",), "float32", "of the joint's target in the loss; 0 where it says nothing"),
    "affine": ((2, 3), "float64", "source pixels -> input pixels"),
    "bbox": ((4,), "float32", "x, y, w, h in pixels of the source"),
    "head_box": ((4,), "float32", "x, y, w, h in pixels of the source; NaN unknown"),
    "score": ((), "float32", "of the instance; NaN unknown"),
    "flipped": ((), "bool", "left and right are exchanged against the source"),
    "copy": ((), "int32", "0: cut straight; from 1: an augmented copy"),
}
# Of whole pictures: where the rows of a sample's persons are, who has no targets, and where targets hold.
FIRST, COUNT, MASKED, MISS = "person_first", "person_count", "masked", "mask_miss"
# The same as above, where samples are whole pictures.
_WHOLE: dict[str, tuple[tuple[int | str, ...], str, str]] = {
    FIRST: ((), "int64", "row of the sample's first person in the arrays of persons"),
    COUNT: ((), "int32", "how many rows of these arrays are the sample's"),
    MASKED: ((), "bool", "a crowd, or a person without joints: no target, and mask_miss covers it"),
}
# Where the ids and names of a sample stand; their types are the dataset's.
IDENTITY = ("instance_id", "image_id", "image_path")
REGION = "occlusion_mask"
IMAGE = "image"
SPATIAL = "spatial_weights"
POINTS = ("mu", "sigma")
# What whole pictures say of each of their persons, and other shards of each sample.
OF_PERSONS = frozenset(
    {
        *("keypoints", "visibility", "truncated", "occluded", "weights", "bbox", "head_box", "score", "instance_id"),
        *(*POINTS, MASKED),
    }
)


@dataclass(frozen=True)
class IdentityTypes:
    """Types of the ids and of the path: "int64", or "S<n>" (UTF-8, padded with zeros).

    encodings  name -> "int", "utf-8", or "json" where numbers and texts are mixed
    """

    dtypes: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(IDENTITY, "int64"))
    encodings: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(IDENTITY, "int"))


def layout_of(
    codec: Codec,
    dtype: StoredType,
    store: Store,
    identity: IdentityTypes,
    *,
    with_images: bool = False,
    with_regions: bool = False,
    spatial: str = "none",
) -> dict[str, ArrayLayout]:
    """All arrays of a shard, in the order in which they are written.

    spatial  rule of the weights by place, see `kpkit.targets.weights.spatial_map`; "none": there are none

    Raises UsageError where the type cannot hold the codec's values.
    """
    whole = codec.whole_images
    found = label_arrays(len(codec.skeleton), whole=whole)
    for name in IDENTITY:
        about = f"{identity.encodings[name]}, as the source had it"
        found[name] = ArrayLayout((), identity.dtypes[name], about=about, per=per_of(name, whole))
    found |= _targets(codec, dtype, store)
    height, width = codec.heatmap_size
    if whole:
        about = "share of the cell in which targets hold, x 255: 0 over crowds and persons without joints"
        found[MISS] = ArrayLayout((height, width), "uint8", dense=True, scale=1 / 255, about=about)
    if with_regions:
        about = "share of the cell that is covered, x 255; targets are 0 from 128 on"
        found[REGION] = ArrayLayout((height, width), "uint8", dense=True, scale=1 / 255, about=about)
    if with_images:
        shape = (*codec.input_size, 3)
        found[IMAGE] = ArrayLayout(shape, "uint8", dense=True, about=f"the {'picture' if whole else 'crop'}, BGR")
    if spatial != "none":
        about = f"{SPATIAL_RULES[spatial]}; of each cell in the loss, the same for every sample, mirrored or not"
        found[SPATIAL] = ArrayLayout((height, width), "float32", about=about, per="shard")
    return found


def label_arrays(joints: int, *, whole: bool = False) -> dict[str, ArrayLayout]:
    """The arrays that hold labels, which are in every shard; without ids and paths, whose types are the dataset's.

    whole  samples are whole pictures
    """
    return {
        name: ArrayLayout(
            tuple(joints if side == "K" else int(side) for side in shape), kind, about=about, per=per_of(name, whole)
        )
        for name, (shape, kind, about) in (_LABELS | (_WHOLE if whole else {})).items()
    }


def per_of(name: str, whole: bool) -> Per:
    """Whether each sample has one of an array, or each person of pictures."""
    return "person" if whole and name in OF_PERSONS else "sample"


def _targets(codec: Codec, dtype: StoredType, store: Store) -> dict[str, ArrayLayout]:
    if store == "params":
        joints, per = len(codec.skeleton), per_of("mu", codec.whole_images)
        about = "x, y in cells of the codec's grid; NaN: nothing rendered"
        return {
            "mu": ArrayLayout((joints, 2), "float32", about=about, per=per),
            "sigma": ArrayLayout((joints,), "float32", about="cells", per=per),
        }
    found = {}
    for name, spec in codec.spec().items():
        limit = float(np.finfo(dtype).max) if dtype != "uint8" else math.inf
        if max(abs(spec.low), abs(spec.high)) > limit:
            raise UsageError(
                f"{dtype} cannot hold the values of '{name}'",
                code="KP-SHARD-DTYPE",
                expected=f"a type that reaches from {spec.low:g} to {spec.high:g}",
                help="use --dtype float32",
            )
        scale, offset = spec.scale_offset(dtype)
        found[name] = ArrayLayout(tuple(spec.shape), dtype, dense=True, scale=scale, offset=offset, about="target")
    return found


def shard_name(number: int, total: int) -> str:
    """Path of a shard below its dataset; in folders of a thousand where there are more.

    Raises UsageError for more shards than can be handled well.
    """
    if total > MAX_SHARDS:
        raise UsageError(
            "there would be too many shards",
            code="KP-SHARD-COUNT",
            expected=f"at most {MAX_SHARDS:,}",
            got=f"{total:,}",
            help="make them larger with --shard-size",
        )
    name = f"shard-{number:05d}.h5"
    return name if total <= SHARDS_A_FOLDER else f"{number // SHARDS_A_FOLDER:03d}/{name}"


def values_of(stored: Array, scale: float, offset: float, dtype: DTypeLike = np.float32) -> Array:
    """Values from what is stored: stored * scale + offset."""
    values: Array = stored.astype(dtype)
    if scale != 1.0:
        values *= np.asarray(scale, dtype)
    if offset != 0.0:
        values += np.asarray(offset, dtype)
    return values
