"""Writes one shard: beside its place as `.tmp`, closed, synced, renamed. Equal arrays give equal bytes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from kpkit.errors import OutputError
from kpkit.guard import output_error, sync_file
from kpkit.targets.deflate import LEVEL, Compression, compress, compress_picture, zstd_filter
from kpkit.targets.shard_layout import FIRST, IMAGE, Array, ArrayLayout, Layout
from kpkit.targets.shard_stream import ShardStream

# Fixed, so that equal arrays make equal bytes; chunks are found by a table, not by a tree.
LIBVER = ("v110", "v110")
TMP = ".tmp"
# HDF5 names the reason of a failed write inside a longer text.
_ERRNO = re.compile(r"errno = (\d+)")


class ShardWriter:
    """One shard being written, as a context manager; leaving it by an error leaves nothing behind.

    path        where it will stand            capacity    samples at most
    making      folder on the same disk where it is made, there already; None: beside its place
    attributes  name -> number or text, of the file
    """

    def __init__(
        self,
        path: Path,
        layout: Layout,
        capacity: int,
        compression: Compression,
        attributes: Mapping[str, Any],
        making: Path | None = None,
    ) -> None:
        self.path, self.count, self.persons = path, 0, 0
        self._making = making
        self._layout, self._capacity, self._compression = layout, capacity, compression
        self._labels: dict[str, list[Array]] = {name: [] for name, array in layout.items() if not array.dense}
        # A name of its own: a worker that was given up may still write the same shard.
        self._tmp = (making or path.parent) / f"{path.name}.{secrets.token_hex(4)}{TMP}"
        try:
            if making is None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = ShardStream(self._tmp)
            self._file = h5py.File(self._stream, "w", libver=LIBVER)
            for name, value in attributes.items():
                put_attribute(self._file, name, value)
            self._dense = {name: self._create(name, array) for name, array in layout.items() if array.dense}
            self._stream.check()
        except (OSError, RuntimeError) as error:
            self._abandon()
            raise self._error(error) from error

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._abandon()

    def append(self, arrays: Mapping[str, Array]) -> None:
        """Add b samples, and their persons where samples are whole pictures: of those, rows are counted on here.

        arrays  name -> [b, *shape], every array of the layout that samples have, in its type

        Raises OutputError where they cannot be written.
        """
        first, added, persons = self.count, 0, 0
        for name, layout in self._layout.items():
            if layout.per == "shard":
                continue
            values = np.ascontiguousarray(arrays[name], layout.dtype)
            if values.shape[1:] != layout.shape:
                raise ValueError(f"{name}: {values.shape[1:]} is not {layout.shape}")
            if name == FIRST:
                values = values + self.persons
            if layout.per == "person":
                persons = len(values)
            else:
                added = len(values)
            if not layout.dense:
                self._labels[name].append(values)
                continue
            try:
                self._write(self._dense[name], first, values, compress_picture if name == IMAGE else compress)
                self._stream.check()
            except (OSError, RuntimeError) as error:
                raise self._error(error) from error
        self.count += added
        self.persons += persons

    def put(self, name: str, values: Array) -> None:
        """Set an array that the shard as a whole has."""
        self._labels[name] = [np.ascontiguousarray(values, self._layout[name].dtype)]

    def finish(self) -> tuple[int, str]:
        """Close, sync and rename; returns size in bytes and SHA-256. Raises OutputError."""
        try:
            for name, layout in self._layout.items():
                if layout.dense:
                    self._dense[name].resize(self.count, axis=0)
                else:
                    self._create_label(name, layout)
            self._file.attrs["samples"] = self.count
            if any(layout.per == "person" for layout in self._layout.values()):
                self._file.attrs["persons"] = self.persons
            self._dense.clear()
            self._file.close()
            self._stream.check()
            self._stream.close()
            sync_file(self._tmp)
            size, digest = self._tmp.stat().st_size, sha256_of(self._tmp)
            # Only now, and no parents: an output that was removed meanwhile is not made again.
            self.path.parent.mkdir(exist_ok=True)
            os.replace(self._tmp, self.path)
            if os.name != "nt":  # folders cannot be opened there
                sync_file(self.path.parent)
        except (OSError, RuntimeError) as error:
            raise self._error(error) from error
        return size, digest

    def _create(self, name: str, layout: ArrayLayout) -> Any:
        filters: dict[str, Any] = {}
        if self._compression == "gzip":
            filters = {"compression": "gzip", "compression_opts": LEVEL}
        elif self._compression == "zstd":
            filters = dict(zstd_filter())
        dataset = self._file.create_dataset(
            name,
            (self._capacity, *layout.shape),
            layout.dtype,
            chunks=(1, *layout.shape),
            # One more than the capacity would be another kind of index; without it the table could not shrink.
            maxshape=(self._capacity, *layout.shape),
            track_times=False,
            **filters,
        )
        _describe(dataset, layout)
        return dataset

    def _create_label(self, name: str, layout: ArrayLayout) -> None:
        parts = self._labels[name]
        values = np.concatenate(parts) if parts else np.zeros(layout.stored_shape(0), layout.dtype)
        dataset = self._file.create_dataset(name, data=values, track_times=False)
        _describe(dataset, layout)

    def _write(self, dataset: Any, first: int, values: Array, pack: Callable[[Any], bytes]) -> None:
        rest = (0,) * (values.ndim - 1)
        for row, sample in enumerate(values, start=first):
            if self._compression == "zstd":
                dataset[row] = sample
            else:
                stream = pack(sample) if self._compression == "gzip" else sample.tobytes()
                dataset.id.write_direct_chunk((row, *rest), stream)

    def _error(self, error: Exception) -> OutputError:
        """What the system said, where it did: what HDF5 makes of it afterwards says less."""
        stream = getattr(self, "_stream", None)
        return write_error(error if stream is None or stream.error is None else stream.error, self.path)

    def _abandon(self) -> None:
        """Close and remove what is unfinished."""
        try:
            self._file.close()
        except (AttributeError, OSError, RuntimeError, ValueError):
            pass
        finally:
            with contextlib.suppress(AttributeError, OSError):
                self._stream.close()
            self._tmp.unlink(missing_ok=True)


def _describe(dataset: Any, layout: ArrayLayout) -> None:
    for name in ("scale", "offset", "about"):
        put_attribute(dataset, name, getattr(layout, name))


def put_attribute(owner: Any, name: str, value: float | str) -> None:
    """A number, or text of a fixed length in UTF-8.

    Texts of variable length would stand in a heap without checksums, where one flipped bit can make HDF5 read for ever.
    """
    if isinstance(value, str):
        data = value.encode()
        owner.attrs.create(name, data, dtype=h5py.string_dtype("utf-8", max(1, len(data))))
    else:
        owner.attrs[name] = value


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_error(error: Exception, path: Path) -> OutputError:
    """What HDF5 or the system says about a failed write, in words that say what to do."""
    number = getattr(error, "errno", None)
    if not number:
        found = _ERRNO.search(str(error))
        number = int(found.group(1)) if found else errno.EIO
    return output_error(OSError(number, os.strerror(number)), path)
