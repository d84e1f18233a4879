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
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import INSTANCE_COLUMNS, Dataset, ImageTable
from kpkit.core.table import Column, as_column
from kpkit.formats.native_join import IMAGE_TABLE, concatenated
from kpkit.guard import output_error
from kpkit.pipelines.augment_fields import rows_of
from kpkit.pipelines.augment_keep import as_ext, from_ext

# What a small dataset takes stays in memory, and no file is made.
HELD = 16 << 20
_PLAIN, _TEXT = b"p", b"t"


@dataclass(frozen=True)
class Gathered:
    """The persons and images of a block, in the order of the whole dataset.

    dataset  without extras    own_boxes  [N] bool    persons, images  extras by row
    """

    dataset: Dataset
    own_boxes: NDArray[np.bool_]
    persons: list[dict[str, Any]]
    images: list[dict[str, Any]]


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
        persons, images = rows_of(dataset)
        wanted = block_of[dataset.image_index]
        for block in np.unique(block_of).tolist():
            here = np.flatnonzero(block_of == block)
            rows = np.flatnonzero(wanted == block)
            place = np.zeros(len(block_of), np.int64)
            place[here] = np.arange(len(here))
            columns = {name: getattr(dataset, name)[rows] for name in INSTANCE_COLUMNS}
            columns["image_index"] = place[columns["image_index"]]
            columns["own"] = own_boxes[rows]
            table = {name: getattr(dataset.images, name)[here] for name in IMAGE_TABLE}
            fields = [persons[row] for row in rows.tolist()], [images[row] for row in here.tolist()]
            self._write(block, *_packed(columns, table, fields))

    def _write(self, block: int, *texts: bytes) -> None:
        try:
            self._file.seek(self._end)
            for text in texts:
                self._file.write(text)
                self._places[block].extend((self._end, len(text)))
                self._end += len(text)
        except OSError as error:
            folder = Path(tempfile.gettempdir())
            raise output_error(error, folder, None).at(str(folder)) from error

    def take(self, block: int) -> Gathered:
        """Put a block together."""
        pieces = list(self._pieces(block))
        before = np.cumsum([0, *(len(piece.images) for piece in pieces)]).tolist()
        for first, piece in zip(before, pieces, strict=False):
            piece.columns["image_index"] = piece.columns["image_index"] + first
        columns: dict[str, Any] = {name: _joined([one.columns[name] for one in pieces]) for name in INSTANCE_COLUMNS}
        table: dict[str, Any] = {name: _joined([one.table[name] for one in pieces]) for name in IMAGE_TABLE}
        return Gathered(
            self._head.replace(images=ImageTable(**table), **columns),
            _joined([one.columns["own"] for one in pieces]),
            [row for one in pieces for row in one.persons],
            [row for one in pieces for row in one.images],
        )

    def _pieces(self, block: int) -> Iterator[_Piece]:
        places = self._places[block]
        texts = []
        for start, length in zip(places[::2], places[1::2], strict=True):
            self._file.seek(start)
            texts.append(self._file.read(length))
            if len(texts) == 2:
                yield _unpacked(*texts)
                texts = []


@dataclass(frozen=True)
class _Piece:
    """What a part has of a block: columns of persons and of images, and the extras of each."""

    columns: dict[str, Any]
    table: dict[str, Any]
    persons: list[dict[str, Any]]
    images: list[dict[str, Any]]


def _joined(columns: list[Any]) -> Column:
    return concatenated([column if isinstance(column, np.ndarray) else as_column(column) for column in columns])


def _packed(columns: dict[str, Column], table: dict[str, Column], fields: Any) -> tuple[bytes, bytes]:
    """Numbers, and all that is made of Python's objects."""
    both = columns, table
    numbers = [{name: one for name, one in group.items() if one.dtype != object} for group in both]
    others = [{name: one.tolist() for name, one in group.items() if one.dtype == object} for group in both]
    return msgspec.msgpack.encode(numbers, enc_hook=as_ext), _packed_objects([*others, *fields])


def _packed_objects(value: Any) -> bytes:
    try:
        return _PLAIN + msgspec.msgpack.encode(value, enc_hook=as_ext)
    except (OverflowError, UnicodeError):  # integers of more than 64 bits, halves of surrogate pairs
        return _TEXT + json.dumps(value).encode("ascii")


def _unpacked(numbers: bytes, objects: bytes) -> _Piece:
    columns, table = msgspec.msgpack.decode(numbers, ext_hook=from_ext)
    body = memoryview(objects)[1:]
    plain = objects[:1] == _PLAIN
    found = msgspec.msgpack.decode(body, ext_hook=from_ext) if plain else json.loads(bytes(body))
    return _Piece(columns | found[0], table | found[1], found[2], found[3])


__all__ = ["Gathered", "Spool"]
