"""Native datasets in parts: read part by part in bounded memory, or as the one dataset they were made from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset
from kpkit.core.partition import Part
from kpkit.core.report import Collector
from kpkit.formats import native_index
from kpkit.formats.native_document import NAME, SOURCE, Document, check_file
from kpkit.formats.native_index import Entry, Index, wrong
from kpkit.formats.native_join import join
from kpkit.formats.native_parquet import RowCache
from kpkit.formats.native_tables import Tables
from kpkit.guard import read_bytes

# Datasets whose description is remembered, and bytes of raw rows that are, where parts are read one after the other.
OPEN, KEPT_OF_PARTS = 4, 1 << 20


@lru_cache(maxsize=OPEN)
def _opened(folder: Path, digest: str) -> Parts:
    return Parts(folder, Document(folder))


@dataclass(frozen=True)
class PartFile:
    """A part by its number, for other processes.

    digest  of dataset.json: another dataset that has taken its place is not taken for it
    """

    folder: Path
    number: int
    digest: str

    def load(self, collector: Collector) -> Part:
        """See kpkit.core.partition.PartRef."""
        if _digest(self.folder) != self.digest:
            message = "the dataset was replaced while it was read"
            raise wrong(self.folder / NAME, message, f"sha256 {self.digest}", "another")
        return _opened(self.folder, self.digest)[self.number]


def _digest(folder: Path) -> str:
    return hashlib.sha256(read_bytes(folder / NAME)).hexdigest()


class Parts:
    """The parts of a dataset, a sequence of `Part`s; each is read when it is asked for and none is kept.

    n, m    persons and images in all      size  the most persons, and images, a part was to have
    document  what dataset.json says: skeleton, meta, provenance, ...

    Equal to reading the whole dataset: the persons of all parts in the order of their `rows`, the images one part after
    the other. Raises FormatError that names the file for parts that are missing, damaged or at odds with the index.
    """

    def __init__(self, folder: Path, document: Document) -> None:
        self.folder, self.document = folder, document
        self.index = Index(folder, document)
        self.n, self.m, self.size = document.n, document.m, self.index.section.size
        self.skeleton = document.skeleton
        self._cache = RowCache(KEPT_OF_PARTS)
        self._top: bytes | None = None

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Part]:
        for number in range(len(self)):
            yield self[number]

    def __getitem__(self, number: int) -> Part:
        if not 0 <= number < len(self):
            raise IndexError(number)
        entry = self.index.entry(number)
        files = self._files(number, entry)
        section = self.document.source
        if section is not None and entry.other_image_ids:
            section = {**section, "other_image_ids": entry.other_image_ids}
        tables = Tables(*files, entry.instances, entry.images, part=True, cache=self._cache)
        dataset, rows = tables.read(self.document, section, self.top)
        return Part(dataset, self._rows(rows, entry, files[0]), self.index.first_image(number))

    def refs(self) -> Iterator[PartFile]:
        """The parts in order, to be loaded elsewhere."""
        folder = self.folder.absolute()
        digest = _digest(folder)
        return (PartFile(folder, number, digest) for number in range(len(self)))

    @property
    def top(self) -> bytes:
        """The top level of the source, b"" where there is none."""
        if self._top is None:
            has = self.document.source is not None
            self._top = read_bytes(self.document.check_file(SOURCE, whole=True)) if has else b""
        return self._top

    def whole(self) -> Dataset:
        """All parts as one dataset."""
        if len(self) == 1 and self.index.entry(0).first_row == 0:
            return self[0].dataset
        self._cache = RowCache()
        return join(self, self.n, str(self.folder))

    def verify(self) -> None:
        """Compare the checksum of every byte; FormatError names the first file that differs."""
        if self.document.source is not None:
            self.document.check_file(SOURCE, whole=True)
        for number, entry in enumerate(self.index):
            self._files(number, entry, whole=True)

    def _files(self, number: int, entry: Entry, *, whole: bool = False) -> tuple[Path, Path]:
        instances, images = native_index.place(self.folder, number)
        for path, known in ((instances, entry.instances_file), (images, entry.images_file)):
            native_index.inside(self.folder, path)
            stated = {"bytes": known.bytes, "footer_sha256": known.footer_sha256}
            check_file(path, stated | {"sha256": known.sha256} if whole else stated, whole=whole)
        return instances, images

    def _rows(self, rows: NDArray[np.int64] | None, entry: Entry, path: Path) -> NDArray[np.int64]:
        """The rows of a part's persons in the whole dataset, once they are believable."""
        first, count = entry.first_row, entry.instances
        if (rows is None) == (first is None) or (rows is not None and not (np.diff(rows) > 0).all()):
            message = "a part does not say where its persons stand in the dataset"
            got = "rows that do not rise" if rows is not None and first is None else "neither or both"
            raise wrong(path, message, "a rising column 'row', or 'first_row' in the index", got)
        at = first if rows is None else int(rows[0]) if count else 0
        end = int(rows[-1]) + 1 if rows is not None and count else (at or 0) + count
        if at is None or at < 0 or end > self.n:
            message = "a part names rows that the dataset does not have"
            raise wrong(path, message, f"0..{self.n - 1}", f"{at}..{end - 1}")
        return np.arange(at, end) if rows is None else rows
