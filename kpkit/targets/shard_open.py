"""Opens a shard that may come from anywhere: what it is made of is checked before any of its values is read.

HDF5 follows links to other files, and finds data in them (external storage, virtual datasets), and a kilobyte may claim
gigabytes. Only hard links to plain datasets, of the shapes and filters that kpkit writes, are let through.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from kpkit.errors import FormatError
from kpkit.guard import input_error
from kpkit.targets.deflate import DEFLATE, ZSTD, most_compressed, zstd_filter
from kpkit.targets.shard_layout import COUNT, FIRST, MAX_SAMPLE, Array, ArrayLayout, Layout

MAX_ATTRIBUTE = 1 << 24
FILTERS = {DEFLATE: "gzip", ZSTD: "zstd"}
# Deflate packs no better than 1 : 1032.
MOST_PACKED = 1032


@dataclass(frozen=True)
class Chunks:
    """Where the chunks of one dense array are in the file.

    offset, size  [n]  int64  bytes        packed  0 none, else the number of the HDF5 filter
    """

    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    packed: int


@dataclass(frozen=True)
class Opened:
    """A checked shard.

    labels  name -> [n, ...]      chunks  name -> places of the chunks      attributes  name -> number or text
    """

    samples: int
    labels: Mapping[str, Array]
    chunks: Mapping[str, Chunks]
    attributes: Mapping[str, Any]


def open_shard(path: Path, layout: Layout) -> Opened:
    """Check a shard, and read its labels and the places of its chunks.

    layout  what it should hold; arrays that it holds beyond are passed over

    Raises InputError where it cannot be opened, FormatError where it is not what it should be.
    """
    try:
        size = path.stat().st_size
        with h5py.File(path, "r") as file:
            return _opened(path, file, layout, size)
    except OSError as error:
        if error.errno is not None and not os.path.isfile(path):
            raise input_error(error, path) from error
        raise _refuse(path, "no HDF5 file, or a damaged one", got=str(error)[:120]) from error
    except (RuntimeError, ValueError, KeyError, TypeError, OverflowError, UnicodeError) as error:
        raise _refuse(path, "a damaged shard", got=f"{type(error).__name__}: {error}"[:160]) from error


def _opened(path: Path, file: Any, layout: Layout, size: int) -> Opened:
    attributes = _attributes(path, file)
    samples = attributes.get("samples")
    if not isinstance(samples, int) or samples < 0:
        raise _refuse(path, "a shard does not say how many samples it holds", got=repr(samples))
    persons = attributes.get("persons", 0)
    if not isinstance(persons, int) or persons < 0:
        raise _refuse(path, "a shard does not say how many persons it holds", got=repr(persons))
    datasets = {
        name: _dataset(path, file, name, array, array.stored_shape(samples, persons), size)
        for name, array in layout.items()
    }
    labels: dict[str, Array] = {}
    for name, array in layout.items():
        if not array.dense:
            labels[name] = datasets[name][()]
            labels[name].flags.writeable = False
    if COUNT in layout:
        _check_rows(path, labels[FIRST], labels[COUNT], persons)
    chunks = {
        name: _chunks(path, datasets[name], name, array, samples, size) for name, array in layout.items() if array.dense
    }
    return Opened(samples, labels, chunks, attributes)


def _check_rows(path: Path, first: Array, count: Array, persons: int) -> None:
    """Every person is one sample's, in the order of samples."""
    ends = np.cumsum(np.maximum(count, 0), dtype=np.int64)
    starts = np.concatenate([[0], ends])
    if (count < 0).any() or not np.array_equal(first, starts[:-1]) or int(starts[-1]) != persons:
        raise _refuse(path, "the persons of a shard are not divided among its samples", expected=f"{persons} in all")


def _attributes(path: Path, file: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in file.attrs:
        attribute = h5py.h5a.open(file.id, name.encode())
        if attribute.get_storage_size() > MAX_ATTRIBUTE or math.prod(attribute.shape) != 1:
            raise _refuse(path, f"the attribute '{name}' is too large", expected="one number or text")
        kind = attribute.get_type()
        if isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str():
            # Such texts stand in a heap without checksums; damaged, it can make HDF5 read for ever.
            raise _refuse(path, f"the attribute '{name}' is no text of fixed length")
        value = file.attrs[name]
        value = value.item() if isinstance(value, np.generic) else value
        found[name] = value.decode() if isinstance(value, bytes) else value
    return found


def _dataset(path: Path, file: Any, name: str, array: ArrayLayout, shape: tuple[int, ...], size: int) -> Any:
    """One array, checked by what is said about it alone."""
    link = file.get(name, getlink=True)
    if link is None:
        raise _refuse(path, f"the array '{name}' is missing")
    if not isinstance(link, h5py.HardLink):
        raise _refuse(path, f"'{name}' is a link that may lead to another file", expected="the array itself")
    if file.get(name, getclass=True) is not h5py.Dataset:
        raise _refuse(path, f"'{name}' is no array")
    dataset = file[name]
    plist = dataset.id.get_create_plist()
    kind = plist.get_layout()
    if kind == h5py.h5d.VIRTUAL or plist.get_external_count():
        raise _refuse(path, f"the values of '{name}' are in another file", expected="values in the shard itself")
    if dataset.shape != shape or dataset.dtype != np.dtype(array.dtype):
        expected = f"{list(shape)} of {array.dtype}, as the manifest says"
        raise _refuse(path, f"'{name}' has another form", expected=expected, got=f"{dataset.shape} of {dataset.dtype}")
    if array.dense:
        if kind != h5py.h5d.CHUNKED or dataset.chunks != (1, *array.shape) or array.nbytes > MAX_SAMPLE:
            raise _refuse(path, f"'{name}' is stored in another way", expected="chunks of one sample")
        return dataset
    count = math.prod(shape) * np.dtype(array.dtype).itemsize
    if count and (kind not in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT) or count > size):
        raise _refuse(path, f"'{name}' claims more than the file holds", got=f"{count:,} bytes")
    return dataset


def _chunks(path: Path, dataset: Any, name: str, array: ArrayLayout, samples: int, size: int) -> Chunks:
    packed = _filter(path, dataset, name)
    # zstd has no such bound, and is unpacked a sample at a time.
    if packed != ZSTD and samples * array.nbytes > size * (MOST_PACKED if packed else 1):
        raise _refuse(path, f"'{name}' claims more than the file holds", got=f"{samples * array.nbytes:,} bytes")
    offset, length = np.zeros(samples, np.int64), np.zeros(samples, np.int64)
    seen = 0

    def put(chunk: Any) -> None:
        nonlocal seen
        row = chunk.chunk_offset[0]
        if row < samples and chunk.filter_mask == 0:
            offset[row], length[row] = chunk.byte_offset, chunk.size
            seen += 1

    if samples:
        dataset.id.chunk_iter(put)
    most = most_compressed(array.nbytes) if packed else array.nbytes
    good = (offset >= 0) & (length > 0) & (length <= most) & (offset + length <= size)
    if seen != samples or not good.all():
        row = int(np.flatnonzero(~good)[0]) if not good.all() else seen
        raise _refuse(path, f"'{name}' has no proper chunk for a sample", got=f"sample {row} of the shard")
    return Chunks(offset, length, packed)


def _filter(path: Path, dataset: Any, name: str) -> int:
    plist = dataset.id.get_create_plist()
    numbers = [plist.get_filter(index)[0] for index in range(plist.get_nfilters())]
    if numbers in ([], [DEFLATE]):
        return numbers[0] if numbers else 0
    if numbers == [ZSTD]:
        zstd_filter()
        return ZSTD
    raise _refuse(path, f"'{name}' goes through filters that kpkit does not use", expected="gzip, zstd or none")


def _refuse(path: Path, message: str, *, expected: str = "", got: str = "") -> FormatError:
    return FormatError(
        message,
        code="KP-SHARD",
        place=str(path),
        expected=expected,
        got=got,
        help="check the folder with: kpkit shards verify",
    )
