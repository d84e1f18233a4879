"""kpkit's own dataset: a folder NAME.kpk with two Parquet tables and a description; keeps everything."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.report import Collector
from kpkit.core.table import Column
from kpkit.errors import DefinitionError, FormatError, InputError
from kpkit.formats import native_document, native_parquet
from kpkit.formats.base import Format, Keeps, ReadOptions, WriteOptions
from kpkit.formats.jsonrows import RowSource
from kpkit.formats.native_columns import HELP, IMAGE_KINDS, Reader, encode, encode_extra, instance_kinds, stored_name
from kpkit.formats.native_document import IMAGES, INSTANCES, NAME, SOURCE, Document
from kpkit.formats.native_source import SourceColumns, raw_rows, restore
from kpkit.guard import contained, read_bytes, sync_file

EXTRA = "extra:"


class NativeFormat(Format):
    """The canonical dataset as it is: every column bit for bit, and the raw rows of a COCO source beside them."""

    name = "native"
    title = "kpkit's own dataset: Parquet tables in a folder NAME.kpk"
    kind: ClassVar[Literal["file", "folder"]] = "folder"
    default_output = "dataset.kpk"
    suffixes = (".kpk",)
    usual = ("*.kpk",)
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
        files = document.check_file(INSTANCES), document.check_file(IMAGES)
        images_reader = Reader(native_parquet.read(files[1], document.m), str(files[1]))
        reader = Reader(native_parquet.read(files[0], document.n), str(files[0]))
        images = _images(images_reader, document)
        kinds = instance_kinds(len(document.skeleton))
        columns = {name: reader.column(stored_name(name), kind) for name, kind in kinds.items()}
        source = None
        if document.source is not None:
            top = read_bytes(document.check_file(SOURCE, whole=True))
            parts = (images_reader, document.source, top)
            source = _source(columns, images, reader, files, document, parts)
        try:
            return Dataset(
                skeleton=document.skeleton,
                images=images,
                **columns,
                extras=_extras(reader, document.instance_extras),
                meta=document.meta,
                provenance=tuple(document.provenance),
                source=source,
                image_root=document.image_root,
            )
        except DefinitionError as error:
            raise FormatError(
                error.message,
                code="KP-NATIVE-COLUMN",
                place=f"{files[0]}: {error.place}",
                expected=error.expected,
                got=error.got,
                help=HELP,
            ) from error

    def write(self, dataset: Dataset, path: Path, options: WriteOptions, collector: Collector) -> None:
        """Write into the empty folder `path`; the description comes last. Equal datasets give equal bytes."""
        from kpkit import __version__

        source = dataset.source if isinstance(dataset.source, RowSource) else None
        kept = SourceColumns(dataset, source) if source is not None else None
        _write_images(dataset, path / IMAGES, source, kept)
        _write_instances(dataset, path / INSTANCES, source, kept)
        names = [IMAGES, INSTANCES]
        if source is not None:
            (path / SOURCE).write_bytes(source.top)
            names.append(SOURCE)
        final = options.final if options.final != Path() else path
        document = native_document.make(
            dataset, path, final, None if kept is None else kept.document, names, __version__
        )
        (path / NAME).write_bytes(document)
        for name in (*names, NAME):
            sync_file(path / name)


def verify(path: Path) -> None:
    """Compare the checksum of every byte of a dataset; FormatError names the first file that differs."""
    document = Document(_folder(path))
    for name in (IMAGES, INSTANCES, *([SOURCE] if document.source is not None else [])):
        document.check_file(name, whole=True)


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


def _images(reader: Reader, document: Document) -> ImageTable:
    columns: dict[str, Any] = {name: reader.column(name, kind) for name, kind in IMAGE_KINDS.items()}
    for row, path in enumerate(columns["path"].tolist()):
        place = f"{reader.place}: path[{row}]"
        if not isinstance(path, str):
            raise FormatError("an image has no path", code="KP-NATIVE-COLUMN", place=place, help=HELP)
        if ".." in path or "\\" in path or ":" in path[:2] or "\0" in path or path[:1] == "/":
            contained(path, place=place)
    return ImageTable(**columns, extras=_extras(reader, document.image_extras))


def _extras(reader: Reader, names: list[str]) -> dict[str, Column]:
    found: dict[str, Column] = {}
    for name in names:
        if EXTRA + name not in reader.names:
            raise FormatError(
                f"column '{EXTRA}{name}' is missing", code="KP-NATIVE-COLUMN", place=reader.place, help=HELP
            )
        found[name] = reader.extra(EXTRA + name)
    return found


def _source(
    columns: dict[str, Column],
    images: ImageTable,
    reader: Reader,
    files: tuple[Path, Path],
    document: Document,
    parts: tuple[Reader, dict[str, Any], bytes],
) -> RowSource:
    images_reader, section, top = parts
    try:
        return restore(columns, document.skeleton, images, (reader, images_reader), files, section, top)
    except (DefinitionError, TypeError, KeyError, AttributeError) as error:
        raise FormatError(
            f"the section on the source cannot be used: {error}",
            code="KP-NATIVE-DOCUMENT",
            place=document.place,
            help=HELP,
        ) from error


def _write_images(dataset: Dataset, path: Path, source: RowSource | None, kept: SourceColumns | None) -> None:
    images = dataset.images
    columns: dict[str, Any] = {}
    for name, kind in IMAGE_KINDS.items():
        columns |= encode(name, getattr(images, name), kind)
    columns |= {EXTRA + name: encode_extra(column) for name, column in images.extras.items()}
    columns |= kept.images if kept is not None else {}
    raw = None
    if source is not None and len(source.image_rows):
        raw = raw_rows(source.image_rows, source.image_row_of)
    native_parquet.write(path, columns, len(images), raw)


def _write_instances(dataset: Dataset, path: Path, source: RowSource | None, kept: SourceColumns | None) -> None:
    columns: dict[str, Any] = {}
    for name, kind in instance_kinds(len(dataset.skeleton)).items():
        columns |= encode(stored_name(name), getattr(dataset, name), kind)
    columns |= {EXTRA + name: encode_extra(column) for name, column in dataset.extras.items()}
    columns |= kept.instances if kept is not None else {}
    raw = raw_rows(source.rows, source.row_of) if source is not None and len(dataset) else None
    native_parquet.write(path, columns, len(dataset), raw)


__all__ = ["NativeFormat", "verify"]
