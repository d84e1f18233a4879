"""Columns of a dataset as Arrow arrays and back, bit for bit.

Numbers keep their type. Ids, names and tracks are int64 or text where all of them are; a mixed column is stored as JSON
texts under `<name>_json`, so that 7 and "7" stay apart. A column that says "unknown" everywhere is left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kpkit.core.table import Column, as_column
from kpkit.errors import FormatError

if TYPE_CHECKING:
    import pyarrow as pa

JSON_SUFFIX = "_json"
HELP = "the file was changed or damaged: make it again from its source"


@dataclass(frozen=True)
class Kind:
    """What a column holds.

    dtype    of numpy; object for ids, names and tracks      shape  of one row
    default  what a column that is left out holds; `needed` columns are never left out
    nullable None is a value (tracks): integers are objects then, too
    """

    dtype: Any
    shape: tuple[int, ...] = ()
    default: Any = None
    needed: bool = False
    nullable: bool = False

    @property
    def width(self) -> int:
        """Values in one row."""
        return math.prod(self.shape)


IMAGE_KINDS: Mapping[str, Kind] = {
    "id": Kind(object, needed=True),
    "path": Kind(object, needed=True),
    "width": Kind(np.int32, needed=True),
    "height": Kind(np.int32, needed=True),
    "split": Kind(object, default=""),
}


def instance_kinds(k: int) -> dict[str, Kind]:
    """The instance columns of a dataset with K joints, by their names in `Dataset`."""
    nan = math.nan
    return {
        "image_index": Kind(np.int64, needed=True),
        "instance_id": Kind(object, needed=True),
        "category_id": Kind(object, needed=True),
        "xy": Kind(np.float64, (k, 2), needed=True),
        "visibility": Kind(np.uint8, (k,), needed=True),
        "truncated": Kind(np.bool_, (k,), False),
        "bbox_xywh": Kind(np.float64, (4,), nan),
        "bbox_source": Kind(np.uint8, (), 0),
        "area": Kind(np.float64, (), nan),
        "area_source": Kind(np.uint8, (), 0),
        "head_box": Kind(np.float64, (4,), nan),
        "track_id": Kind(object, nullable=True),
        "score": Kind(np.float64, (), nan),
        "is_crowd": Kind(np.bool_, (), False),
    }


def stored_name(name: str) -> str:
    """The name of a column in the file: `xy` is called keypoints there."""
    return "keypoints" if name == "xy" else name


def encode(name: str, values: Column, kind: Kind) -> dict[str, pa.Array]:
    """The column under its stored name; nothing where it holds its default everywhere or has no width."""
    import pyarrow as pa

    if kind.width == 0 or (not kind.needed and _is_default(values, kind)):
        return {}
    if kind.dtype is object:
        return encode_objects(name, values, nullable=kind.nullable)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    if not kind.shape:
        return {name: flat}
    element = pa.field("element", flat.type, nullable=False)
    return {name: pa.FixedSizeListArray.from_arrays(flat, type=pa.list_(element, kind.width))}


def _is_default(values: Column, kind: Kind) -> bool:
    if kind.dtype is object:
        return all(value is kind.default or value == kind.default for value in values.tolist())
    default = np.full(values.shape, kind.default, kind.dtype)
    # Bytes, because NaN is not equal to NaN, and NaNs differ.
    return np.ascontiguousarray(values).tobytes() == default.tobytes()


def encode_objects(name: str, values: Column, *, nullable: bool) -> dict[str, pa.Array]:
    """Ids and the like: int64 or text where all are, else JSON texts."""
    import pyarrow as pa

    if values.dtype != object:
        return {name: pa.array(values.astype(np.int64, copy=False))}
    items = values.tolist()
    types = {type(item) for item in items}
    try:
        if types <= {str, type(None)}:
            return {name: pa.array(items, pa.string())}
        if nullable and types <= {int, type(None)}:
            return {name: pa.array(items, pa.int64())}
    except (OverflowError, UnicodeEncodeError, pa.ArrowInvalid):
        pass
    return {name + JSON_SUFFIX: pa.array([json.dumps(_jsonable(item)) for item in items], pa.string())}


def encode_extra(values: Column) -> pa.Array:
    """JSON bytes, null where an instance has no value."""
    import pyarrow as pa

    return pa.array([None if value is None else to_json(value) for value in values.tolist()], pa.large_binary())


_encode_fast = msgspec.json.Encoder(enc_hook=lambda value: _jsonable(value)).encode
_decode_fast = msgspec.json.Decoder().decode


def to_json(value: Any) -> bytes:
    """JSON that reads back equal, NaN and numbers beyond 64 bits included."""
    try:
        text = _encode_fast(value)
        # The fast encoder writes NaN as null.
        if b"null" not in text:
            return text
    except (OverflowError, UnicodeEncodeError, TypeError):
        pass
    return json.dumps(value, default=_jsonable).encode()


def from_json(text: bytes) -> Any:
    """The value of such a text."""
    try:
        return _decode_fast(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json.loads(text)


def _jsonable(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if value is None or isinstance(value, int | str | float | list | dict | bool):
        return value
    raise TypeError(f"{type(value).__name__} has no form in JSON")


class Reader:
    """Decodes the columns of one table; every mismatch is a FormatError that names file and column.

    table  pyarrow.Table    place  the file, for messages
    """

    def __init__(self, table: pa.Table, place: str) -> None:
        self.table, self.place = table, place
        self.names = frozenset(table.column_names)
        if len(self.names) != len(table.column_names):
            raise FormatError("two columns have one name", code="KP-NATIVE-COLUMN", place=place, help=HELP)

    def column(self, name: str, kind: Kind) -> Column:
        """The column, or its default where it is left out."""
        n = self.table.num_rows
        if kind.dtype is object:
            return self._objects(name, kind, n)
        if name not in self.names:
            if kind.needed and kind.width and n:
                raise self._wrong(name, "a column", "none")
            default = np.array(0 if kind.default is None else kind.default, kind.dtype)
            return np.broadcast_to(default, (n, *kind.shape))
        return self._numbers(name, kind, n)

    def _numbers(self, name: str, kind: Kind, n: int) -> NDArray[Any]:
        import pyarrow as pa

        array = self.table.column(name).combine_chunks()
        element = pa.from_numpy_dtype(kind.dtype)
        given = array.type
        expected = f"{element}{list(kind.shape) if kind.shape else ''}"
        if kind.shape:
            if not pa.types.is_fixed_size_list(given) or given.list_size != kind.width:
                raise self._wrong(name, expected, str(given))
            array, given = array.flatten(), given.value_type
        if given != element or array.null_count or len(array) != n * kind.width:
            raise self._wrong(name, expected, f"{given}, {len(array)} values, {array.null_count} of them missing")
        values: NDArray[Any] = array.to_numpy(zero_copy_only=False).reshape(n, *kind.shape)
        return values

    def _objects(self, name: str, kind: Kind, n: int) -> Column:
        import pyarrow as pa

        if name + JSON_SUFFIX in self.names:
            texts = self._texts(name + JSON_SUFFIX, pa.string())
            return as_column([None if text is None else self._json(name, text) for text in texts])
        if name not in self.names:
            if kind.needed and n:
                raise self._wrong(name, "a column", "none")
            return as_column([kind.default] * n)
        column = self.table.column(name)
        if pa.types.is_int64(column.type) and not kind.nullable:
            return self._numbers(name, Kind(np.int64), n)
        if column.type not in (pa.int64(), pa.string()):
            raise self._wrong(name, "int64 or string", str(column.type))
        return as_column(self._list(name))

    def extra(self, name: str) -> Column:
        """A column of JSON bytes."""
        import pyarrow as pa

        texts = self._texts(name, pa.large_binary())
        return as_column([None if text is None else self._json(name, text) for text in texts])

    def _texts(self, name: str, expected: Any) -> list[Any]:
        if self.table.column(name).type != expected:
            raise self._wrong(name, str(expected), str(self.table.column(name).type))
        return self._list(name)

    def _list(self, name: str) -> list[Any]:
        try:
            values: list[Any] = self.table.column(name).to_pylist()
        except UnicodeDecodeError as error:
            raise self._wrong(name, "text in UTF-8", str(error.reason)) from error
        return values

    def _json(self, name: str, text: Any) -> Any:
        try:
            return from_json(text)
        except (ValueError, RecursionError) as error:
            raise self._wrong(name, "JSON", repr(text[:40])) from error

    def _wrong(self, name: str, expected: str, got: str) -> FormatError:
        return FormatError(
            f"column '{name}' is not what it should be",
            code="KP-NATIVE-COLUMN",
            place=self.place,
            expected=expected,
            got=got,
            help=HELP,
        )
