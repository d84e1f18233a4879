"""Reads samples of one shard: chunks are fetched by their place in the file and inflated here.

h5py's fancy indexing takes milliseconds a sample. Here a sample costs one positioned read and one inflate; no HDF5
handle stays open, so that a reader survives fork, pickling and threads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kpkit.errors import FormatError
from kpkit.guard import input_error
from kpkit.targets.deflate import DEFLATE, ZSTD, decompress
from kpkit.targets.shard_layout import Array, ArrayLayout, Layout
from kpkit.targets.shard_open import Chunks, Opened, open_shard


class Shard:
    """One file, opened when it is first asked for something; pickles as its name."""

    def __init__(self, path: Path, layout: Layout, samples: int) -> None:
        self.path, self.samples = path, samples
        self._layout = layout
        self._opened: Opened | None = None
        self._source: _Source | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Shard, (self.path, self._layout, self.samples)

    @property
    def opened(self) -> Opened:
        """Labels, chunks and attributes. Raises InputError or FormatError."""
        if self._opened is None:
            opened = open_shard(self.path, self._layout)
            if opened.samples != self.samples:
                raise FormatError(
                    "a shard does not hold what the manifest says",
                    code="KP-SHARD",
                    place=str(self.path),
                    expected=f"{self.samples} samples",
                    got=str(opened.samples),
                    help="check the folder with: kpkit shards verify",
                )
            self._opened = opened
        return self._opened

    @property
    def labels(self) -> Mapping[str, Array]:
        """name -> [n, ...], the arrays that are not dense; read-only."""
        return self.opened.labels

    def read_into(self, name: str, rows: Sequence[int], out: Array, places: Sequence[int]) -> None:
        """Stored values of a dense array: out[places[i]] = sample rows[i].

        out  [m, *shape] of any type that the stored one can be cast to
        """
        layout, chunks = self._layout[name], self.opened.chunks[name]
        if chunks.packed == ZSTD:
            self._read_zstd(name, rows, out, places)
            return
        source = self._file()
        dtype = np.dtype(layout.dtype)
        for row, place in zip(rows, places, strict=True):
            data = self._fetch(source, chunks, layout, name, row)
            out[place] = np.frombuffer(data, dtype).reshape(layout.shape)

    def close(self) -> None:
        """Give the file back; it is opened again when something is read."""
        if self._source is not None:
            self._source.close()
            self._source = None

    def _file(self) -> _Source:
        if self._source is None:
            try:
                self._source = _Source(self.path)
            except OSError as error:
                raise input_error(error, self.path) from error
        return self._source

    def _fetch(self, source: _Source, chunks: Chunks, layout: ArrayLayout, name: str, row: int) -> bytes:
        data = source.read(int(chunks.offset[row]), int(chunks.size[row]))
        try:
            if chunks.packed == DEFLATE:
                return decompress(data, layout.nbytes)
            if len(data) != layout.nbytes:
                raise ValueError(f"a chunk holds {len(data)} bytes in place of {layout.nbytes}")
        except ValueError as error:
            raise self._damaged(name, row, error) from error
        return data

    def _read_zstd(self, name: str, rows: Sequence[int], out: Array, places: Sequence[int]) -> None:
        import h5py

        # HDF5 unpacks these itself; the handle does not outlive the call, so that nothing is shared with a fork.
        with h5py.File(self.path, "r") as file:
            dataset = file[name]
            sample = np.empty(self._layout[name].shape, self._layout[name].dtype)
            for row, place in zip(rows, places, strict=True):
                try:
                    dataset.read_direct(sample, np.s_[row])
                except (OSError, RuntimeError) as error:
                    raise self._damaged(name, row, error) from error
                out[place] = sample

    def _damaged(self, name: str, row: int, error: Exception) -> FormatError:
        return FormatError(
            "a sample is damaged",
            code="KP-SHARD-DAMAGED",
            place=f"{self.path}: {name}[{row}]",
            got=str(error)[:160],
            help="check the folder with: kpkit shards verify",
        )


class _Source:
    """Positioned reads of one file, from any thread or forked process."""

    def __init__(self, path: Path) -> None:
        self._number = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self._lock = threading.Lock()

    def read(self, offset: int, size: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._number, size, offset)
        with self._lock:  # Windows has no positioned read
            os.lseek(self._number, offset, os.SEEK_SET)
            return os.read(self._number, size)

    def close(self) -> None:
        if self._number >= 0:
            os.close(self._number)
            self._number = -1

    def __del__(self) -> None:
        self.close()
