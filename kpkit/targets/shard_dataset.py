"""`ShardDataset`: the samples of a folder of shards, one by one or in shuffled batches, with exact mirrors."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit import storage
from kpkit.core.skeleton import Skeleton
from kpkit.errors import FormatError, KpkitError, UsageError, did_you_mean
from kpkit.guard import resolve_inside
from kpkit.targets import decoders
from kpkit.targets.base import Codec
from kpkit.targets.manifest import Manifest, read_manifest
from kpkit.targets.manifest_checks import codec_from, layout_from
from kpkit.targets.shard_arrays import (
    Group,
    decode_ids,
    read_stored,
    render_points,
    stored_names,
    to_values,
)
from kpkit.targets.shard_layout import COUNT, FIRST, IDENTITY, MANIFEST, POINTS, REGION, SPATIAL, Array, ArrayLayout
from kpkit.targets.shard_mirror import ALSO, NEEDS, mirror_samples
from kpkit.targets.shard_read import Shard
from kpkit.targets.shard_targets import starts_of

# File descriptors that stay open; a process may have a thousand or so.
OPEN_FILES = 128
Batch = dict[str, Any]


class ShardDataset:
    """The samples of a folder that `kpkit heatmaps` wrote.

    folder  with the manifest
    names   arrays to read; None: all. Targets of a store of parameters are rendered when they are read
    dtype   of the targets: "float32" values, or "stored" as they are in the file (see `scale_offset`)

    Samples are dicts, name -> array (ids and paths: int or str); batches hold arrays [n, ...] and lists of ids. It
    pickles as its name, and may be used after a fork, from several threads, and as a context manager.

    Raises InputError where there are no shards, or they are not finished; FormatError where they are damaged.
    """

    def __init__(self, folder: str | Path, *, names: Sequence[str] | None = None, dtype: str = "float32") -> None:
        self.folder = storage.bring(Path(folder))
        self.manifest: Manifest = read_manifest(self.folder)
        self.skeleton: Skeleton = self.manifest.skeleton_object()
        self._dtype = _checked_dtype(dtype)
        try:
            self._layout: dict[str, ArrayLayout] = layout_from(self.manifest)
        except FormatError as error:
            raise error.at(str(self.folder / MANIFEST)) from None
        known = stored_names(self.manifest, self._layout, lambda: self.codec)
        for name in names or ():
            if name not in known:
                raise UsageError(
                    f"these shards have no array '{name}'", code="KP-SHARD-ARRAY", help=did_you_mean(name, known)
                )
        self.names: tuple[str, ...] = self._with_rows(known if names is None else names)
        self._asked = (names, dtype)
        entries = self.manifest.shards
        self._starts = np.concatenate([[0], np.cumsum([entry.samples for entry in entries])]).astype(np.int64)
        files = [resolve_inside(self.folder, entry.path, place="shards") for entry in entries]
        self._shards = [Shard(file, self._layout, entry.samples) for file, entry in zip(files, entries, strict=True)]
        self._open: OrderedDict[int, None] = OrderedDict()

    def _with_rows(self, names: Sequence[str]) -> tuple[str, ...]:
        """Arrays of whole pictures' persons come with what says whose rows are whose."""
        missing = [name for name in (FIRST, COUNT) if name not in names]
        return (*names, *(missing if any(self.is_of_persons(name) for name in names) else []))

    def __reduce__(self) -> tuple[Any, ...]:
        names, dtype = self._asked
        return _rebuild, (type(self), self.folder, names, dtype)

    def __enter__(self) -> ShardDataset:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all files; they are opened again when something is read."""
        for number in self._open:
            self._shards[number].close()
        self._open.clear()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> Batch:
        """One sample; negative numbers count from the end. Raises IndexError."""
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"sample {index} of {n}")
        found = self.read([index % n])
        return {name: values if self.is_of_persons(name) else values[0] for name, values in found.items()}

    def __iter__(self) -> Iterator[Batch]:
        return (self[index] for index in range(len(self)))

    @cached_property
    def codec(self) -> Codec:
        """The rule of the targets: it renders, decodes and mirrors.

        Raises UsageError where it is not installed, FormatError where the manifest's codec does not fit its arrays.
        """
        try:
            return codec_from(self.manifest, self._layout)
        except KpkitError as error:
            raise error.at(str(self.folder / MANIFEST)) from None

    @cached_property
    def spatial_weights(self) -> NDArray[np.float32] | None:
        """Weights by place, factors of a loss for every sample, mirrored or not.  [H,W] float32

        None where the shards were made without (`kpkit heatmaps --spatial-weights`).
        """
        if SPATIAL not in self._layout or not self._shards:
            return None
        weights: NDArray[np.float32] = self._shard(0).labels[SPATIAL].copy()
        return weights

    def read(self, indices: Sequence[int] | NDArray[np.int64], *, flip: NDArray[np.bool_] | bool = False) -> Batch:
        """The samples of these numbers, in that order.

        flip  [n] bool, or one for all: samples to be mirrored, as if the person had been

        returns  name -> [n, ...], lists for ids and paths; of whole pictures' persons [m, ...], `person_first` and
                 `person_count` [n] say whose rows are whose
        """
        index = np.asarray(indices, np.int64).reshape(-1)
        if len(index) and not (index.min() >= 0 and index.max() < len(self)):
            raise IndexError(f"samples are 0 to {len(self) - 1}")
        flips = np.broadcast_to(np.asarray(flip, bool), index.shape)
        shard_of = np.searchsorted(self._starts, index, side="right") - 1
        groups = []
        for number in np.unique(shard_of).tolist():
            places = np.flatnonzero(shard_of == number)
            groups.append((self._shard(number), index[places] - self._starts[number], places))
        arrays = self._stored(groups, len(index), flips)
        dtype = self._dtype
        targets = set() if dtype is None else set(self.codec.spec()) & set(self.names)
        found: Batch = {}
        for name in self.names:
            if name in IDENTITY:
                found[name] = decode_ids(arrays[name], self._encodings.get(name, "int"))
            elif dtype is not None and name in targets:
                found[name] = to_values(arrays[name], *self.scale_offset(name), dtype)
            else:
                found[name] = arrays[name]
        return found

    def _stored(self, groups: list[Group], n: int, flips: NDArray[np.bool_]) -> dict[str, Array]:
        """All that is asked for, and what a mirror needs, as it is stored or would be."""
        manifest, wanted = self.manifest, set(self.names)
        rule, stored_type = manifest.job.get("occluded_target", "ignore"), manifest.dtype
        if flips.any():
            wanted |= {*NEEDS, *(set(ALSO) & self._layout.keys())}
        rendered = wanted - self._layout.keys()
        if rendered:
            wanted |= {*POINTS, "weights", *({REGION, COUNT} & self._layout.keys())}
        arrays = read_stored(groups, n, wanted & self._layout.keys(), self._layout)
        if flips.any():
            mirror_samples(arrays, flips, self.codec, rule, stored_type)
        if rendered:
            arrays |= render_points(arrays, self.codec, rule, stored_type, rendered)
        return arrays

    @property
    def _encodings(self) -> dict[str, str]:
        found: dict[str, str] = self.manifest.job.get("identity", {}).get("encodings", {})
        return found

    def batches(
        self,
        size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        flip: float | bool = 0.0,
        drop_last: bool = False,
    ) -> Iterator[Batch]:
        """All samples once, `size` at a time.

        shuffle  in an order drawn from `seed`, the same for the same seed
        flip     probability of a mirror, drawn for each sample from `seed`; True mirrors all
        """
        if size < 1:
            raise UsageError("a batch needs a sample", code="KP-USAGE", expected="1 or more", got=str(size))
        rng = np.random.default_rng(np.random.SeedSequence(seed))
        n = len(self)
        order = rng.permutation(n) if shuffle else np.arange(n)
        mirrored = rng.random(n) < float(flip)
        stop = n - n % size if drop_last else n
        for first in range(0, stop, size):
            index = order[first : first + size]
            yield self.read(index, flip=mirrored[index])

    def labels(self) -> Batch:
        """The labels of all samples, without targets and pictures: name -> [n, ...]."""
        names = [name for name, array in self._layout.items() if not array.dense and array.per != "shard"]
        parts = [self._shard(number).labels for number in range(len(self._shards))]
        found: Batch = {}
        for name in names:
            layout = self._layout[name]
            empty = np.zeros((0, *layout.shape), layout.dtype)
            column = np.concatenate([part[name] for part in parts]) if parts else empty
            found[name] = decode_ids(column, self._encodings.get(name, "int")) if name in IDENTITY else column
        if COUNT in found:
            found[FIRST] = starts_of(found[COUNT])[:-1]
        return found

    @property
    def whole_images(self) -> bool:
        """Whether samples are whole pictures, each with all its persons."""
        return COUNT in self._layout

    def is_of_persons(self, name: str) -> bool:
        """Whether an array has a row for each person of pictures, and not for each sample."""
        return name in self._layout and self._layout[name].per == "person"

    def scale_offset(self, name: str) -> tuple[float, float]:
        """(scale, offset) of an array: value = stored * scale + offset, for those read as "stored"."""
        if name in self._layout:
            return self._layout[name].scale, self._layout[name].offset
        return self.codec.spec()[name].scale_offset(self.manifest.dtype)

    @staticmethod
    def to_source(points: Array, affine: Array) -> NDArray[np.float64]:
        """Points of crops in pixels of their source pictures.

        points  [n,K,2]  input pixels, e.g. as the codec decodes them    affine  [n,2,3]  as in the samples
        returns [n,K,2]  float64

        Raises FormatError where a matrix has no inverse: the shard is damaged.
        """
        return decoders.to_source(np.asarray(points, np.float64), np.asarray(affine, np.float64))

    def decode(self, batch: Mapping[str, Array]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Joints [n,K,2] in source pixels, and scores [n,K], from a batch, or a network's output.

        Of whole pictures the strongest peak of each joint; see `decode_persons`.
        """
        names = self.codec.spec()
        points, scores = self.codec.decode({name: batch[name] for name in names})
        return self.to_source(points, batch["affine"]), scores

    def decode_persons(
        self, batch: Mapping[str, Array], threshold: float = 0.1
    ) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """The persons of whole pictures: of each, joints [P,K,2] in source pixels, and scores [P,K], 0 where not found.

        threshold  least value of a peak

        Raises UsageError where the codec does not put persons together.
        """
        found = self.codec.decode_persons({name: batch[name] for name in self.codec.spec()}, threshold)
        return [
            (np.where((scores > 0)[..., None], self.to_source(points, affine), 0.0), scores)
            for (points, scores), affine in zip(found, batch["affine"], strict=True)
        ]

    def _shard(self, number: int) -> Shard:
        """The shard, with no more than OPEN_FILES of them open."""
        self._open[number] = None
        self._open.move_to_end(number)
        if len(self._open) > OPEN_FILES:
            oldest, _ = self._open.popitem(last=False)
            self._shards[oldest].close()
        return self._shards[number]


def _rebuild(kind: type[ShardDataset], folder: Path, names: Sequence[str] | None, dtype: str) -> ShardDataset:
    return kind(folder, names=names, dtype=dtype)


def _checked_dtype(dtype: str) -> np.dtype[Any] | None:
    if dtype == "stored":
        return None
    if dtype in {"float32", "float16", "float64"}:
        return np.dtype(dtype)
    raise UsageError(
        f"targets cannot be read as '{dtype}'", code="KP-USAGE", expected="float32, float16, float64 or stored"
    )
