"""A reader of MATLAB 5 files (`save -v7` and older) that looks only where it is told to.

scipy's loadmat builds one array for every number of a nested struct, which is most of the time MPII costs. Here a
variable is inflated once; structs are views of it (where their elements begin), and the numbers of many structs are
decoded in one go. Nothing is trusted: every offset is checked against the element that holds it.

The layout is that of MathWorks' "MAT-File Format" (version 5): elements of an 8-byte tag (type, bytes) and data padded
to 8; a matrix is an element of flags, dimensions, name and content.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpkit.errors import FormatError

HEADER = 128
LARGEST = (1 << 31) - 1  # a variable of this format cannot be larger
DEEPEST = 16

MATRIX, COMPRESSED = 14, 15
CELL, STRUCT, OBJECT, CHAR = 1, 2, 3, 4
FIRST_NUMBER, LAST_NUMBER = 6, 15
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}

_SHORT_INT32 = 4 << 16 | 5  # the tag of four bytes of int32, kept in the tag's own second half

Offsets = NDArray[np.int64]


class Matrix(NamedTuple):
    """One array: MATLAB's class number, how many elements, rows, where its content begins and where it ends."""

    kind: int
    length: int
    rows: int
    body: int
    end: int
    name: str


class Fields(NamedTuple):
    """A struct array: field names, number of structs, where the first value begins and where the last one ends."""

    names: tuple[str, ...]
    length: int
    start: int
    end: int


class Variable:
    """The bytes of one variable, inflated.

    data   bytes that begin with the tag of the matrix
    order  "<" or ">"
    """

    def __init__(self, data: bytes, order: str) -> None:
        self.data = data
        self.order = order
        self._pair = struct.Struct(f"{order}II")
        self._head = struct.Struct(f"{order}2IQ2IQ2IQ")
        # The tags of flags, of two dimensions and of an empty name, each read as one number.
        tags = struct.pack(f"{order}6I", 6, 8, 5, 8, 1, 0)
        self._flags, self._two, self._nameless = struct.unpack(f"{order}3Q", tags)
        self._four = struct.Struct(f"{order}4I")
        self._names: dict[tuple[int, bytes], tuple[str, ...]] = {}

    def root(self) -> Matrix:
        """The variable itself."""
        return self.matrix(0, len(self.data))

    def element(self, at: int, end: int) -> tuple[int, int, int, int]:
        """(type, start of data, bytes, start of the next element) of the element at `at`, which must end by `end`."""
        if at + 8 > end:
            raise damaged("an element begins behind the end of what holds it")
        kind, size = self._pair.unpack_from(self.data, at)
        if kind >> 16:
            kind, size = kind & 0xFFFF, kind >> 16
            if size > 4:
                raise damaged("a short element claims more than 4 bytes")
            return kind, at + 4, size, at + 8
        if at + 8 + size > end:
            raise damaged("an element is longer than what holds it")
        return kind, at + 8, size, min(end, at + 8 + (size + 7 & ~7))

    def matrix(self, at: int, end: int) -> Matrix:
        """The array whose tag is at `at`."""
        if at + 48 <= end:
            kind, size, flags, sort, _, two, rows, columns, name = self._head.unpack_from(self.data, at)
            # Two dimensions and no name: every array inside a struct or cell.
            if kind == MATRIX and flags == self._flags and two == self._two and name == self._nameless:
                stop = at + 8 + size
                if stop > end or size < 40:
                    raise damaged("an array is longer than what holds it")
                return Matrix(sort & 0xFF, rows * columns, rows, at + 48, stop, "")
        return self._any_matrix(at, end)

    def fields(self, matrix: Matrix) -> Fields:
        """The view of a struct array."""
        at, end = matrix.body, matrix.end
        tag, width, kind, size = self._four.unpack_from(self.data, at) if at + 16 <= end else (0, 0, 0, 0)
        if tag == _SHORT_INT32 and kind == 1 and at + 16 + size <= end:
            start, following = at + 16, at + 16 + (size + 7 & ~7)
        else:
            _, at, size, following = self.element(at, end)
            if size != 4:
                raise damaged("the length of field names is not one number")
            width = self._pair.unpack_from(self.data[at : at + 4] + bytes(4))[0]
            _, start, size, following = self.element(following, end)
        raw = self.data[start : start + size]
        names = self._names.get((width, raw))
        if names is None:
            if width == 0 or size % width:
                raise damaged("the field names do not fill their block")
            cut = (raw[i : i + width].partition(b"\0")[0] for i in range(0, size, width))
            names = self._names[width, raw] = tuple(name.decode("latin-1") for name in cut)
        if matrix.length * max(len(names), 1) * 8 > max(end - following, 8):
            raise damaged("a struct claims more elements than its bytes can hold")
        return Fields(names, matrix.length, following, end)

    def offsets(self, start: int, end: int, count: int) -> list[int]:
        """Where each of `count` consecutive arrays begins."""
        if count * 8 > end - start:
            raise damaged("a cell claims more elements than its bytes can hold")
        found = []
        at = start
        unpack, data = self._pair.unpack_from, self.data
        for _ in range(count):
            # `end - 8` keeps the tag inside; `element` says what is wrong where the quick test fails.
            kind, size = unpack(data, at) if at <= end - 8 else (0, 0)
            following = at + 8 + (size + 7 & ~7)
            if kind != MATRIX or following > end:
                kind, _, _, following = self.element(at, end)
                if kind != MATRIX:
                    raise damaged("an array was expected inside a struct or cell")
            found.append(at)
            at = following
        return found

    def value(self, at: int, end: int, depth: int = 0) -> Any:
        """Any array as plain data: None where empty, number, str, list, or dict for a struct.

        Lists are in MATLAB's column-major order. Raises FormatError for objects, sparse arrays and function handles.
        """
        matrix = self.matrix(at, end)
        if matrix.length == 0:
            return None
        if matrix.kind == CHAR:
            return self.text(matrix)
        if FIRST_NUMBER <= matrix.kind <= LAST_NUMBER:
            values = self.numbers(matrix).tolist()
            return values[0] if len(values) == 1 else values
        if depth > DEEPEST or matrix.kind not in (CELL, STRUCT):
            raise damaged("an array of a class that labels do not have, or nested too deep", f"class {matrix.kind}")
        if matrix.kind == CELL:
            found = self.offsets(matrix.body, matrix.end, matrix.length)
            return [self.value(one, matrix.end, depth + 1) for one in found]
        view = self.fields(matrix)
        found = self.offsets(view.start, view.end, view.length * len(view.names))
        values = [self.value(one, view.end, depth + 1) for one in found]
        step = len(view.names)
        rows = [dict(zip(view.names, values[i * step : (i + 1) * step], strict=True)) for i in range(view.length)]
        return rows[0] if len(rows) == 1 else rows

    def numbers(self, matrix: Matrix) -> NDArray[Any]:
        """The content of a numeric array, flat, as stored."""
        kind, at, size, _ = self.element(matrix.body, matrix.end)
        code = NUMBERS.get(kind)
        if code is None or size != matrix.length * int(code[1]):
            raise damaged("the bytes of a numeric array do not fit its size")
        return np.frombuffer(self.data, self.order + code, matrix.length, at)

    def text(self, matrix: Matrix) -> str | list[str]:
        """A row of characters, or one string a row."""
        if matrix.length == 0:
            return ""
        kind, at, size, _ = self.element(matrix.body, matrix.end)
        codec = TEXTS.get(kind)
        if codec is None:
            raise damaged("text of an unknown encoding", f"type {kind}")
        if codec in ("utf-16", "utf-32"):
            codec += "-le" if self.order == "<" else "-be"
        try:
            text = self.data[at : at + size].decode(codec)
        except UnicodeDecodeError as error:
            raise damaged("text that cannot be decoded", str(error)) from None
        return text if matrix.rows == 1 else [text[row :: matrix.rows] for row in range(min(matrix.rows, len(text)))]

    def _any_matrix(self, at: int, end: int) -> Matrix:
        kind, at, size, _ = self.element(at, end)
        if kind != MATRIX:
            raise damaged("an array was expected", f"type {kind}")
        end = at + size
        if size == 0:
            return Matrix(FIRST_NUMBER, 0, 0, end, end, "")
        kind, flags, size, at = self.element(at, end)
        if kind != 6 or size != 8:
            raise damaged("the flags of an array are damaged")
        kind, start, size, at = self.element(at, end)
        if kind != 5 or size % 4 or not size:
            raise damaged("the dimensions of an array are damaged")
        dimensions = struct.unpack_from(f"{self.order}{size // 4}I", self.data, start)
        _, start, size, at = self.element(at, end)
        count = 1
        for one in dimensions:
            count *= one
        name = self.data[start : start + size].decode("latin-1")
        return Matrix(self._pair.unpack_from(self.data, flags)[0] & 0xFF, count, dimensions[0], at, end, name)


def order_of(head: bytes) -> str | None:
    """The byte order a MATLAB 5 header states, or None where `head` (128 bytes) is no such header."""
    if len(head) < HEADER or head[124:128] not in (b"\x00\x01IM", b"\x01\x00MI"):
        return None
    return "<" if head[126:128] == b"IM" else ">"


def variable_names(path: Path, limit: int = 1000) -> list[str]:
    """Names of the first `limit` variables, reading little of each; [] where the file is none of this format."""
    found: list[str] = []
    with path.open("rb") as stream:
        order = order_of(stream.read(HEADER))
        while order is not None and len(found) < limit:
            tag = stream.read(8)
            if len(tag) < 8:
                break
            kind, size = struct.unpack(f"{order}II", tag)
            head = stream.read(min(size, 4096))
            try:
                found.append(_name(kind, tag + head, order))
            except (FormatError, zlib.error):
                break
            stream.seek(size - len(head), 1)
    return found


def variables(data: bytes, wanted: frozenset[str]) -> Iterator[tuple[str, Variable | None]]:
    """Name and content of every variable, in file order; content only where the name is wanted.

    Raises FormatError where the file is cut short or damaged.
    """
    order = order_of(data)
    if order is None:
        raise damaged("this is no MATLAB 5 file")
    at = HEADER
    while at < len(data):
        if at + 8 > len(data):
            raise cut_short()
        kind, size = struct.unpack_from(f"{order}II", data, at)
        if at + 8 + size > len(data):
            raise cut_short()
        whole = data[at : at + 8 + size]
        at += 8 + size
        name = _name(kind, whole[:4104], order)
        yield name, (_load(kind, whole, order) if name in wanted else None)


def _name(kind: int, head: bytes, order: str) -> str:
    if kind == COMPRESSED:
        try:
            head = zlib.decompressobj().decompress(head[8:], 512)
        except zlib.error as error:
            raise damaged("a compressed variable cannot be inflated", str(error)) from None
    elif kind != MATRIX:
        return ""
    variable = Variable(head + bytes(8), order)
    at = 8
    # flags, dimensions, name: only the head is at hand, so the element's own size is not checked.
    for _ in range(2):
        at = variable.element(at, len(head))[3]
    _, start, size, _ = variable.element(at, len(head))
    return head[start : start + size].decode("latin-1")


def _load(kind: int, whole: bytes, order: str) -> Variable:
    if kind == MATRIX:
        return Variable(whole, order)
    inflate = zlib.decompressobj()
    try:
        head = inflate.decompress(whole[8:], 8)
        size = struct.unpack(f"{order}2I", head.ljust(8, b"\0"))[1]
        if size > LARGEST:
            raise damaged("a variable claims more bytes than the format allows", f"{size} bytes")
        # No more than is claimed is inflated, whatever else the stream holds.
        data = head + inflate.decompress(inflate.unconsumed_tail, max(size, 1))
    except zlib.error as error:
        raise damaged("a compressed variable cannot be inflated", str(error)) from None
    if len(data) < 8 + size:
        raise cut_short()
    return Variable(data, order)


def damaged(message: str, got: str = "") -> FormatError:
    """The error for bytes that contradict the format."""
    return FormatError(message, code="KP-MAT-DAMAGED", got=got, help="download or export the file again")


def cut_short() -> FormatError:
    """The error for a file that ends too early."""
    return FormatError("the file ends too early", code="KP-MAT-CUT", help="download or export the file again")
