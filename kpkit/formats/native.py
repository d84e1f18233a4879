"""kpkit's own dataset: a folder NAME.kpk with two Parquet tables and a description; keeps everything."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from kpkit.core.dataset import Dataset
from kpkit.core.partition import PartSource, PartWriter
from kpkit.core.report import Collector
from kpkit.errors import FormatError, InputError
from kpkit.formats import native_document
from kpkit.formats.base import Format, Keeps, ReadOptions, WriteOptions
from kpkit.formats.jsonrows import RowSource
from kpkit.formats.native_document import IMAGES, INSTANCES, NAME, SOURCE, Document, Head
from kpkit.formats.native_part_write import NativePartWriter, write_parts
from kpkit.formats.native_parts import Parts
from kpkit.formats.native_tables import Tables
from kpkit.guard import read_bytes, sync_file


class NativeFormat(Format):
    """The canonical dataset as it is: every column bit for bit, and the raw rows of a COCO source beside them."""

    name = "native"
    title = "kpkit's own dataset: Parquet tables in a folder NAME.kpk"
    kind: ClassVar[Literal["file", "folder"]] = "folder"
    default_output = "dataset.kpk"
    suffixes = (".kpk",)
    usual = ("*.kpk",)
    has_parts = True
    keeps = Keeps(
        truncated=True,
        bbox_source=True,
        head_box=True,
        track_id=True,
        score=True,
        is_crowd=True,
        split=True,
        instance_id=True,
        category_id=True,
        image_id=True,
        extras=("*",),
    )

    def sniff(self, path: Path) -> str | None:
        """A folder whose dataset.json says so, or that file itself."""
        file = path / NAME if path.is_dir() else path
        try:
            if file.name != NAME or not file.is_file():
                return None
            with file.open("rb") as stream:
                head = stream.read(4096)
        except OSError:
            return None
        return "native dataset" if f'"{native_document.FORMAT}"'.encode() in head else None

    def read(self, path: Path, options: ReadOptions, collector: Collector) -> Dataset:
        """Read a dataset. Sizes, footers and the checksums of everything that is read are compared; see `verify`.

        Raises FormatError for files that are missing, cut short, changed, or written by a newer kpkit.
        """
        folder = _folder(path)
        document = Document(folder)
        if document.parts is not None:
            return Parts(folder, document).whole()
        files = document.check_file(INSTANCES), document.check_file(IMAGES)
        top = read_bytes(document.check_file(SOURCE, whole=True)) if document.source is not None else b""
        return Tables(*files, document.n, document.m).read(document, document.source, top)[0]

    def parts(self, path: Path, options: ReadOptions, collector: Collector, size: int = 0) -> PartSource | None:
        """Its parts, where it has some and no other size is asked for."""
        parts = open_parts(path)
        return parts if parts is not None and size in (0, parts.size) else None

    def part_writer(self, path: Path, options: WriteOptions, scratch: Path) -> PartWriter | None:
        """Parts as they are; `options.part_size` says how large they were to be."""
        from kpkit import __version__

        if not options.part_size:
            return None
        final = options.final if options.final != Path() else path
        return NativePartWriter(path, final, options.part_size, __version__)

    def write(self, dataset: Dataset, path: Path, options: WriteOptions, collector: Collector) -> None:
        """Write into the empty folder `path`; the description comes last. Equal datasets give equal bytes."""
        from kpkit import __version__

        final = options.final if options.final != Path() else path
        if options.part_size:
            write_parts(dataset, path, final, options.part_size, __version__)
            return
        section = Tables(path / INSTANCES, path / IMAGES, len(dataset), len(dataset.images)).write(dataset)
        names = [IMAGES, INSTANCES]
        if isinstance(dataset.source, RowSource):
            (path / SOURCE).write_bytes(dataset.source.top)
            names.append(SOURCE)
        document = native_document.make(Head.of(dataset, section), path, final, names, __version__)
        (path / NAME).write_bytes(document)
        for name in (*names, NAME):
            sync_file(path / name)


def verify(path: Path) -> None:
    """Compare the checksum of every byte of a dataset; FormatError names the first file that differs."""
    folder = _folder(path)
    document = Document(folder)
    if document.parts is not None:
        Parts(folder, document).verify()
        return
    for name in (IMAGES, INSTANCES, *([SOURCE] if document.source is not None else [])):
        document.check_file(name, whole=True)


def open_parts(path: Path) -> Parts | None:
    """The parts of a dataset, read one at a time; None where its tables are whole.

    Raises FormatError as NativeFormat.read does.
    """
    folder = _folder(path)
    document = Document(folder)
    return None if document.parts is None else Parts(folder, document)


def _folder(path: Path) -> Path:
    folder = path.parent if path.name == NAME and path.is_file() else path
    if not (folder / NAME).is_file():
        there = folder.is_dir()
        kind = FormatError if there else InputError
        raise kind(
            "not a native dataset" if there else "there is no such folder",
            code="KP-NATIVE-MISSING",
            place=str(folder),
            expected=f"a folder with {NAME}",
            got=", ".join(sorted(one.name for one in folder.iterdir())[:5]) or "an empty folder"
            if there
            else "nothing",
            help="make one with kpkit convert SRC native",
        )
    return folder


__all__ = ["NativeFormat", "open_parts", "verify"]
