"""Labels sorted into blocks by way of a file without a name, however the dataset is cut.

Outputs are ordered by the paths of their pictures, and parts of a dataset are not: a block may need persons of any
part. Each part is taken to pieces, one a block, and a block is put together from its pieces. A run that is killed
leaves nothing behind.
"""

from __future__ import annotations

import json
import tempfile
import weakref
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import INSTANCE_COLUMNS, Dataset, ImageTable
from kpkit.core.partition import cut, pick, rows_by_range
from kpkit.core.table import Column, as_column
from kpkit.formats.native_join import IMAGE_TABLE, concatenated
from kpkit.guard import output_error
from kpkit.pipelines.augment_fields import Fields, rows_of, split_polygons
from kpkit.pipelines.augment_keep import as_ext, from_ext

# What a small dataset takes stays in memory, and no file is made.
HELD = 16 << 20
# Persons, and images, of a piece: what is held as Python's objects at once.
AT_ONCE = 1024
# Persons, and images, whose extras are; a native dataset unpacks as many raw rows together.
DECODED = 4096
OWN = "own_boxes"
_JSON = 3


@dataclass(frozen=True)
class Gathered:
    """The persons and images of a block, in the order of the whole dataset.

    dataset  without extras, which are in `fields`    own_boxes  [N] bool
    """

    dataset: Dataset
    own_boxes: NDArray[np.bool_]
    fields: Fields


class Spool:
    """Pieces by block; put part by part, in the order of the parts.

    head    what all parts have in common          blocks  how many there are

    Raises OutputError where the folder of temporary files is full.
    """

    def __init__(self, head: Dataset, blocks: int) -> None:
        self._head = head
        # Where each piece begins, and how long it is.
        self._places = [array("q") for _ in range(blocks)]
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(HELD, prefix="kpkit-")  # noqa: SIM115
        # It lives as long as this does.
        weakref.finalize(self, self._file.close)
        self._end = 0

    def put(self, dataset: Dataset, own_boxes: NDArray[np.bool_], block_of: NDArray[np.int64]) -> None:
        """Take a part to pieces.

        own_boxes  [N] bool    block_of  [M] int64  block of each image
        """
        persons, images = _packed_fields(dataset)
        bare = dataset.replace(source=None, extras={}, images=replace(dataset.images, extras={}))
        counts = np.bincount(dataset.image_index, minlength=len(block_of))
        pieces = [
            (block, here[first:end])
            for block in np.unique(block_of).tolist()
            for here in [np.flatnonzero(block_of == block)]
            for first, end in cut(counts[here], AT_ONCE)
        ]
        piece_of = np.zeros(len(block_of), np.int64)
        for number, (_, here) in enumerate(pieces):
            piece_of[here] = number
        each = [(number, number + 1) for number in range(len(pieces))]
        for (block, here), rows in zip(pieces, rows_by_range(piece_of[dataset.image_index], each), strict=True):
            fields = [persons[row] for row in rows.tolist()], [images[row] for row in here.tolist()]
            self._write(block, _packed(pick(bare, rows, here), own_boxes[rows], fields))

    def _write(self, block: int, text: bytes) -> None:
        try:
            self._file.seek(self._end)
            self._file.write(text)
        except OSError as error:
            folder = Path(tempfile.gettempdir())
            raise output_error(error, folder, None).at(str(folder)) from error
        self._places[block].extend((self._end, len(text)))
        self._end += len(text)

    def take(self, block: int) -> Gathered:
        """Put a block together."""
        columns: dict[str, list[Any]] = {name: [] for name in (*INSTANCE_COLUMNS, OWN)}
        table: dict[str, list[Any]] = {name: [] for name in IMAGE_TABLE}
        fields, before = Fields([], []), 0
        for piece in self._pieces(block):
            piece.columns["image_index"] = piece.columns["image_index"] + before
            for kept, found in ((columns, piece.columns), (table, piece.table)):
                for name in kept:
                    kept[name].append(found[name])
            # Polygons become arrays here, a few persons' at a time.
            fields.add(split_polygons(piece.persons, piece.images))
            before += len(piece.images)
        own = np.concatenate(columns.pop(OWN))
        joined: dict[str, Any] = {name: _joined(pieces) for name, pieces in columns.items()}
        images: dict[str, Any] = {name: _joined(pieces) for name, pieces in table.items()}
        return Gathered(self._head.replace(images=ImageTable(**images), **joined), own, fields)

    def _pieces(self, block: int) -> Iterator[_Piece]:
        places = self._places[block]
        for start, length in zip(places[::2], places[1::2], strict=True):
            self._file.seek(start)
            yield _Piece(*msgspec.msgpack.decode(self._file.read(length), ext_hook=_from_ext))


@dataclass(frozen=True)
class _Piece:
    """What a part has of a block: columns of persons and of images, and the extras of each."""

    columns: dict[str, Any]
    table: dict[str, Any]
    persons: list[dict[str, Any]]
    images: list[dict[str, Any]]


def _joined(columns: list[Any]) -> Column:
    return concatenated([column if isinstance(column, np.ndarray) else as_column(column) for column in columns])


def _packed(dataset: Dataset, own_boxes: NDArray[np.bool_], fields: tuple[list[bytes], list[bytes]]) -> bytes:
    """A piece; `fields` of its persons and images are packed already."""
    columns = {name: getattr(dataset, name) for name in INSTANCE_COLUMNS} | {OWN: own_boxes}
    table = {name: getattr(dataset.images, name) for name in IMAGE_TABLE}
    packed: list[Any] = [
        {name: msgspec.Raw(_packed_value(_plain(column))) for name, column in group.items()}
        for group in (columns, table)
    ]
    return msgspec.msgpack.encode([*packed, *([msgspec.Raw(one) for one in group] for group in fields)])


def _packed_fields(dataset: Dataset) -> tuple[list[bytes], list[bytes]]:
    """The extras of each person and of each image; read in the order of the images, few at a time."""
    persons, images = [b""] * len(dataset), list[bytes]()
    ranges = cut(np.bincount(dataset.image_index, minlength=len(dataset.images)), DECODED)
    for (first, end), rows in zip(ranges, rows_by_range(dataset.image_index, ranges), strict=True):
        mine, theirs = rows_of(pick(dataset, rows, np.arange(first, end)))
        for row, one in zip(rows.tolist(), mine, strict=True):
            persons[row] = _packed_value(one)
        images += map(_packed_value, theirs)
    return persons, images


def _packed_value(value: Any) -> bytes:
    try:
        return msgspec.msgpack.encode(value, enc_hook=as_ext)
    except (OverflowError, UnicodeError):  # integers of more than 64 bits, halves of surrogate pairs
        return msgspec.msgpack.encode(msgspec.msgpack.Ext(_JSON, json.dumps(value).encode("ascii")))


def _from_ext(code: int, data: memoryview) -> Any:
    return json.loads(bytes(data)) if code == _JSON else from_ext(code, data)


def _plain(column: Column) -> Any:
    return column if column.dtype != object else column.tolist()


__all__ = ["Gathered", "Spool"]
