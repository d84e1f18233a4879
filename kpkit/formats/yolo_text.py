"""Label rows of YOLO as arrays and back: `class cx cy w h (x y [v]) * K`, everything divided by the image size.

Whole blocks of files are parsed and written at once; a row that is out of the ordinary takes a slower way.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kpkit.core.report import Collector
from kpkit.errors import FormatError, RecordError
from kpkit.guard import input_error

BOX_COLUMNS = 5
BLOCK_BYTES = 4 << 20
FILE_LIMIT = 64 << 20

Floats = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Label rows of many files.

    file, line   [N]      int64    position in the list of files; line in that file, from 1
    columns      [N]      int64    numbers in the row: 5, or 5 + dims * K
    values       [N, 5 + dims * K]  float64  as in the file; NaN beyond `columns`
    """

    file: Index
    line: Index
    columns: Index
    values: Floats

    def take(self, keep: NDArray[np.bool_]) -> Rows:
        """The rows that are kept."""
        return Rows(self.file[keep], self.line[keep], self.columns[keep], self.values[keep])


def read_rows(labels: Sequence[str], k: int, dims: int, collector: Collector) -> Rows:
    """All rows of the files `labels`, in order; RecordError names file and line."""
    width = BOX_COLUMNS + k * dims
    parts = [_parse(block, first, labels, width, (k, dims), collector) for first, block in _blocks(labels)]
    if not parts:
        none = np.zeros(0, np.int64)
        return Rows(none, none, none, np.zeros((0, width)))
    return Rows(
        np.concatenate([part.file for part in parts]),
        np.concatenate([part.line for part in parts]),
        np.concatenate([part.columns for part in parts]),
        np.concatenate([part.values for part in parts]),
    )


def first_width(labels: Sequence[str]) -> int:
    """Number of columns of the first row that has more than a box; 0 where there is none."""
    for _, block in _blocks(labels):
        for text in block:
            for line in text.splitlines():
                if (width := len(line.split())) > BOX_COLUMNS:
                    return width
    return 0


def _blocks(labels: Sequence[str]) -> Iterator[tuple[int, list[bytes]]]:
    """(position of the first file, contents), a few MB at a time; every content ends its last line."""
    first, size, block = 0, 0, list[bytes]()
    for position, label in enumerate(labels):
        text = _content(label).removeprefix(b"\xef\xbb\xbf")
        block.append(text if text.endswith(b"\n") else text + b"\n")
        size += len(text)
        if size >= BLOCK_BYTES:
            yield first, block
            first, size, block = position + 1, 0, []
    if block:
        yield first, block


def _content(label: str) -> bytes:
    try:
        with open(label, "rb", buffering=0) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size <= FILE_LIMIT:
                return stream.readall()
    except OSError as error:
        raise input_error(error, Path(label)) from error
    raise FormatError(
        "the label file is too large",
        code="KP-YOLO-FILE-SIZE",
        place=label,
        expected=f"at most {FILE_LIMIT} bytes",
        got=str(size),
    )


def _parse(
    block: list[bytes], first: int, labels: Sequence[str], width: int, shape: tuple[int, int], collector: Collector
) -> Rows:
    buffer = b"".join(block)
    counts, lines_of_file = _tokens_per_line(buffer, block)
    values = _numbers(buffer, int(counts.sum()))
    filled = counts > 0
    if values is None or not np.isin(counts[filled], (BOX_COLUMNS, width)).all():
        return _parse_slowly(block, first, labels, width, shape, collector)
    file = np.repeat(np.arange(len(block)), lines_of_file)
    starts = np.concatenate(([0], np.cumsum(lines_of_file)[:-1]))
    line = np.arange(len(counts)) - starts[file] + 1
    columns = counts[filled]
    return Rows(file[filled] + first, line[filled], columns, _table(values, columns, width))


def _tokens_per_line(buffer: bytes, block: list[bytes]) -> tuple[Index, Index]:
    """Numbers in each line, and lines in each file."""
    text = np.frombuffer(buffer, np.uint8)
    space = (text == 32) | (text == 10) | (text == 9) | (text == 13)
    begins = ~space
    begins[1:] &= space[:-1]
    ends = np.flatnonzero(text == 10)
    total = np.cumsum(begins, dtype=np.int64)[ends]
    lines = np.searchsorted(ends, np.cumsum([len(one) for one in block]))
    return np.diff(total, prepend=0), np.diff(lines, prepend=0)


def _numbers(buffer: bytes, expected: int) -> Floats | None:
    """All numbers of a text; None where something in it is not a number."""
    if expected == 0:
        return np.zeros(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            values = np.fromstring(buffer, dtype=np.float64, sep=" ")
    except (DeprecationWarning, ValueError):
        return None
    return values if len(values) == expected else None


def _table(values: Floats, columns: Index, width: int) -> Floats:
    if (columns == width).all():
        return values.reshape(len(columns), width)
    starts = np.cumsum(columns) - columns
    table = np.full((len(columns), width), np.nan)
    for size in (BOX_COLUMNS, width):
        rows = np.flatnonzero(columns == size)
        table[rows, :size] = values[starts[rows, None] + np.arange(size)]
    return table


def _parse_slowly(
    block: list[bytes], first: int, labels: Sequence[str], width: int, shape: tuple[int, int], collector: Collector
) -> Rows:
    """Line by line, for a block with something wrong in it: says what and where, and keeps the rest."""
    found: list[tuple[int, int, list[float]]] = []
    for position, text in enumerate(block, first):
        for number, line in enumerate(text.split(b"\n"), 1):
            tokens = line.split()
            if not tokens:
                continue
            place = f"{labels[position]}: line {number}"
            if len(tokens) not in (BOX_COLUMNS, width):
                collector.error(_wrong_length(place, len(tokens), width, shape))
                continue
            try:
                found.append((position, number, [_number(token, place, i) for i, token in enumerate(tokens, 1)]))
            except RecordError as error:
                collector.error(error)
    table = np.full((len(found), width), np.nan)
    for row, (_, _, values) in enumerate(found):
        table[row, : len(values)] = values
    meta = np.array([(position, number, len(values)) for position, number, values in found], np.int64).reshape(-1, 3)
    return Rows(meta[:, 0], meta[:, 1], meta[:, 2], table)


def _number(token: bytes, place: str, column: int) -> float:
    try:
        if b"_" not in token:
            return float(token)
    except ValueError:
        pass
    raise RecordError(
        "not a number",
        code="KP-YOLO-NUMBER",
        place=f"{place}, column {column}",
        expected="a decimal number",
        got=repr(token[:24].decode("utf-8", "replace")),
    )


def _wrong_length(place: str, got: int, width: int, shape: tuple[int, int]) -> RecordError:
    k, dims = shape
    return RecordError(
        "a row has the wrong number of columns",
        code="KP-YOLO-LENGTH",
        place=place,
        expected=f"{width} (class, box, {k} joints of {dims} numbers), or {BOX_COLUMNS} (class, box)",
        got=str(got),
        help="check kpt_shape in data.yaml, or choose the joints with --skeleton",
    )


# "0.000", "0.001", ... "9.999" in the lower five bytes and "000" ... "999" in the upper three of one machine word:
# together the eight characters of a number below ten with six decimals.
_UPPER = np.array([list(f"{i // 1000}.{i % 1000:03d}\0\0\0".encode()) for i in range(10_000)], np.uint8)
_LOWER = np.array([list(f"\0\0\0\0\0{i:03d}".encode()) for i in range(1000)], np.uint8)
_UPPER_WORDS = _UPPER.view("<u8").ravel()
_LOWER_WORDS = _LOWER.view("<u8").ravel()

_CELL = np.dtype([("space", "u1"), ("number", "<u8")])


@dataclass(frozen=True)
class Text:
    """Rows as text.

    fixed   [N, L]  uint8   all rows, each L bytes long; those in `other` are not valid here
    other   row -> its text, for rows that do not fit into the fixed form
    before  [N + 1] int64   how many rows of `other` come before a row
    """

    fixed: NDArray[np.uint8]
    other: dict[int, bytes]
    before: Index

    def span(self, first: int, last: int) -> bytes | memoryview:
        """Text of the rows first..last-1."""
        if first == last:
            return b""
        if self.before[first] == self.before[last]:
            return self.fixed[first:last].data.cast("B")
        return b"".join(self.other.get(row) or self.fixed[row].tobytes() for row in range(first, last))


def write_rows(classes: Index, boxes: Floats, points: Floats, flags: NDArray[np.uint8] | None, bare: Index) -> Text:
    """Label rows as text with six decimals, lines ended by a newline.

    classes  [N]       int64    class numbers
    boxes    [N,4]     float64  cx, cy, w, h divided by the image size
    points   [N,K,2]   float64  x, y divided by the image size, 0 where unlabelled
    flags    [N,K]     uint8    visibility; None: two numbers a joint
    bare     rows that have a box only
    """
    n, k = points.shape[:2]
    numbers = np.concatenate((boxes, points.reshape(n, 2 * k)), axis=1)
    # What rounds to 0 is 0: neither -0 nor a tiny negative number has a sign to write.
    numbers[np.abs(numbers) <= 5e-7] = 0.0
    odd = np.any(~((numbers >= 0) & (numbers < 9.9999)), axis=1) | (classes > 9)
    odd[bare] = True
    micro = _millionths(np.where(odd[:, None], 0.0, numbers))
    words = _UPPER_WORDS[micro // 1000] | _LOWER_WORDS[micro % 1000]
    point = [("x", _CELL), ("y", _CELL)] + ([("space", "u1"), ("flag", "u1")] if flags is not None else [])
    rows = np.empty(n, np.dtype([("class", "u1"), ("box", _CELL, (4,)), ("points", point, (k,)), ("end", "u1")]))
    rows["class"] = np.where(odd, 0, classes) + 48
    rows["box"]["space"] = 32
    rows["box"]["number"] = words[:, :4]
    for axis, name in enumerate("xy"):
        rows["points"][name]["space"] = 32
        rows["points"][name]["number"] = words[:, 4 + axis :: 2]
    if flags is not None:
        rows["points"]["space"] = 32
        rows["points"]["flag"] = flags + 48
    rows["end"] = 10
    short = set(bare.tolist())
    other = {
        row: _plain(int(classes[row]), numbers[row], None if flags is None else flags[row], row in short)
        for row in np.flatnonzero(odd).tolist()
    }
    before = np.concatenate(([0], np.cumsum(odd)))
    return Text(rows.view(np.uint8).reshape(n, rows.dtype.itemsize), other, before)


def _millionths(numbers: Floats) -> Index:
    """Numbers of at least 0 in millionths, rounded as `"%.6f"` rounds them: by their exact value, ties to even.

    Pixels divided by 640 end in a five at the seventh decimal half of the time, so a product that is itself rounded
    would decide many last digits by accident.
    """
    # A double cut into halves of 26 and 27 bits: the products with 10^6 (20 bits) are exact.
    high = (np.ascontiguousarray(numbers).view(np.int64) & -(1 << 27)).view(np.float64)
    low = (numbers - high) * 1e6
    high *= 1e6
    whole = np.floor(high)
    missing = 0.5 - (high - whole)
    micro = whole.astype(np.int64)
    micro += (low > missing) | ((low == missing) & (micro & 1 == 1))
    return micro


def _plain(number: int, values: Floats, flags: NDArray[np.uint8] | None, bare: bool) -> bytes:
    parts = [str(number), *(f"{value:.6f}" for value in values[:4].tolist())]
    if not bare:
        for joint, (x, y) in enumerate(values[4:].reshape(-1, 2).tolist()):
            parts += [f"{x:.6f}", f"{y:.6f}"] + ([] if flags is None else [str(int(flags[joint]))])
    return (" ".join(parts) + "\n").encode()
