"""The two tables of a native dataset, or of one part of it, read into a Dataset and written from one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset, ImageTable
from kpkit.core.table import Column, as_column
from kpkit.errors import DefinitionError, FormatError
from kpkit.formats import native_parquet
from kpkit.formats.jsonrows import RowSource
from kpkit.formats.native_columns import (
    HELP,
    IMAGE_KINDS,
    Kind,
    Reader,
    encode,
    encode_extra,
    instance_kinds,
    stored_name,
)
from kpkit.formats.native_document import Document
from kpkit.formats.native_parquet import RowCache
from kpkit.formats.native_source import SourceColumns, raw_rows, restore
from kpkit.guard import contained

EXTRA = "extra:"
ROW = "row"


@dataclass(frozen=True)
class Tables:
    """Where the two files are, and how many rows they must have.

    instances, images  files      n, m  their rows      part  they are one part of a dataset: a field that nobody in the
                                                        part has may be missing
    cache              holds raw rows that were read last
    """

    instances: Path
    images: Path
    n: int
    m: int
    part: bool = False
    cache: RowCache | None = None

    def read(
        self, document: Document, section: dict[str, Any] | None, top: bytes
    ) -> tuple[Dataset, NDArray[np.int64] | None]:
        """The dataset, and the column `row` where there is one (in parts: rows in the whole dataset).

        section, top  `source` of dataset.json and the source's top level; None and b"" where there is none

        Raises FormatError for columns that are missing or do not fit.
        """
        images_reader = Reader(native_parquet.read(self.images, self.m), str(self.images))
        reader = Reader(native_parquet.read(self.instances, self.n), str(self.instances))
        images = self._image_table(images_reader, document)
        kinds = instance_kinds(len(document.skeleton))
        columns = {name: reader.column(stored_name(name), kind) for name, kind in kinds.items()}
        source = None
        if section is not None:
            source = self._source(columns, images, (reader, images_reader), document, section, top)
        try:
            dataset = Dataset(
                skeleton=document.skeleton,
                images=images,
                **columns,
                extras=self._extras(reader, document.instance_extras, self.n),
                meta=document.meta,
                provenance=tuple(document.provenance),
                source=source,
                image_root=document.image_root,
            )
        except DefinitionError as error:
            raise FormatError(
                error.message,
                code="KP-NATIVE-COLUMN",
                place=f"{self.instances}: {error.place}",
                expected=error.expected,
                got=error.got,
                help=HELP,
            ) from error
        return dataset, reader.column(ROW, Kind(np.int64)) if ROW in reader.names else None

    def _image_table(self, reader: Reader, document: Document) -> ImageTable:
        columns: dict[str, Any] = {name: reader.column(name, kind) for name, kind in IMAGE_KINDS.items()}
        for row, path in enumerate(columns["path"].tolist()):
            place = f"{reader.place}: path[{row}]"
            if not isinstance(path, str):
                raise FormatError("an image has no path", code="KP-NATIVE-COLUMN", place=place, help=HELP)
            if ".." in path or "\\" in path or ":" in path[:2] or "\0" in path or path[:1] == "/":
                contained(path, place=place)
        return ImageTable(**columns, extras=self._extras(reader, document.image_extras, self.m))

    def _extras(self, reader: Reader, names: list[str], rows: int) -> dict[str, Column]:
        found: dict[str, Column] = {}
        for name in names:
            if EXTRA + name in reader.names:
                found[name] = reader.extra(EXTRA + name)
            elif self.part:
                found[name] = as_column([None] * rows)
            else:
                raise FormatError(
                    f"column '{EXTRA}{name}' is missing", code="KP-NATIVE-COLUMN", place=reader.place, help=HELP
                )
        return found

    def _source(
        self,
        columns: dict[str, Column],
        images: ImageTable,
        readers: tuple[Reader, Reader],
        document: Document,
        section: dict[str, Any],
        top: bytes,
    ) -> RowSource:
        files = self.instances, self.images
        try:
            return restore(columns, document.skeleton, images, readers, files, section, top, self.cache)
        except (DefinitionError, TypeError, KeyError, AttributeError) as error:
            raise FormatError(
                f"the section on the source cannot be used: {error}",
                code="KP-NATIVE-DOCUMENT",
                place=document.place,
                help=HELP,
            ) from error

    def write(self, dataset: Dataset, rows: NDArray[np.int64] | None = None) -> dict[str, Any] | None:
        """Write both files; returns the section `source` of dataset.json, None where the dataset has no source.

        rows  [N]  int64  the column `row`
        """
        source = dataset.source if isinstance(dataset.source, RowSource) else None
        kept = SourceColumns(dataset, source) if source is not None else None
        self._write_images(dataset, source, kept)
        columns: dict[str, Any] = {} if rows is None else encode(ROW, rows, Kind(np.int64, needed=True))
        for name, kind in instance_kinds(len(dataset.skeleton)).items():
            columns |= encode(stored_name(name), getattr(dataset, name), kind)
        columns |= self._encoded_extras(dataset.extras)
        columns |= kept.instances if kept is not None else {}
        raw = raw_rows(source.rows, source.row_of) if source is not None and len(dataset) else None
        native_parquet.write(self.instances, columns, len(dataset), raw)
        return None if kept is None else kept.document

    def _write_images(self, dataset: Dataset, source: RowSource | None, kept: SourceColumns | None) -> None:
        images = dataset.images
        columns: dict[str, Any] = {}
        for name, kind in IMAGE_KINDS.items():
            columns |= encode(name, getattr(images, name), kind)
        columns |= self._encoded_extras(images.extras)
        columns |= kept.images if kept is not None else {}
        raw = None
        if source is not None and len(source.image_rows):
            raw = raw_rows(source.image_rows, source.image_row_of)
        native_parquet.write(self.images, columns, len(images), raw)

    def _encoded_extras(self, extras: Any) -> dict[str, Any]:
        if not self.part:
            return {EXTRA + name: encode_extra(column) for name, column in extras.items()}
        # By name, and only what somebody in the part has: the same bytes however the part came about.
        present = {name: column for name, column in sorted(extras.items()) if any(v is not None for v in column)}
        return {EXTRA + name: encode_extra(column) for name, column in present.items()}


__all__ = ["ROW", "Tables"]
