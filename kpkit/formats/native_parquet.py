"""Parquet files that are written the same way every time, and read with suspicion.

No timestamps, no dictionaries: equal columns give equal bytes, and what the file claims to hold is what it can make a
reader allocate. Every page carries a checksum, so reading one column proves that column without touching the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpkit.errors import FormatError, KpkitError
from kpkit.formats import parquet_footer
from kpkit.formats.jsonrows import runs
from kpkit.formats.native_columns import HELP
from kpkit.guard import input_error

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

ROWS_PER_GROUP = 16_384
LAZY = "source:row"
KEPT_BYTES = 256 << 20

# A column of equal values packs well, but a whole file does not: beyond this it was not made from labels.
UNPACKED_FLOOR = 256 << 20
UNPACKED_RATIO = 1000
ENCODINGS = frozenset({"PLAIN", "RLE", "BIT_PACKED", "BYTE_STREAM_SPLIT"})

# The rows first..last-1 of the column `source:row`.
RawRows = Callable[[int, int], list[bytes | None]]


def write(path: Path, columns: Mapping[str, pa.Array], rows: int, raw: RawRows | None) -> None:
    """Write columns of equal length; raw rows are asked for piece by piece, so that memory never holds them all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = [pa.field(name, array.type, nullable=_nullable(array)) for name, array in columns.items()]
    if raw is not None:
        fields.append(pa.field(LAZY, pa.large_binary()))
    schema = pa.schema(fields)
    with (
        path.open("wb") as stream,
        pq.ParquetWriter(
            stream,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=False,
            use_byte_stream_split=_floats(schema),
            write_page_checksum=True,
            write_statistics=False,
            version="2.6",
        ) as writer,
    ):
        for first in range(0, rows, ROWS_PER_GROUP):
            last = min(first + ROWS_PER_GROUP, rows)
            arrays = [array.slice(first, last - first) for array in columns.values()]
            if raw is not None:
                arrays.append(pa.array(raw(first, last), pa.large_binary()))
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _nullable(array: pa.Array) -> bool:
    return bool(array.null_count)


def _floats(schema: pa.Schema) -> list[str]:
    """Paths of the columns of doubles: split by bytes they pack to half the size."""
    import pyarrow as pa

    found = []
    for field in schema:
        listed = pa.types.is_fixed_size_list(field.type)
        if pa.types.is_float64(field.type.value_type if listed else field.type):
            found.append(f"{field.name}.list.element" if listed else field.name)
    return found


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Whatever goes wrong in reading a Parquet file is a FormatError that names it."""
    import pyarrow as pa

    try:
        yield
    except KpkitError:
        raise
    except FileNotFoundError as error:
        raise input_error(error, path) from error
    # A damaged byte may name any type; for one that numpy lacks, pyarrow raises NotImplementedError itself.
    except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError, OverflowError, NotImplementedError) as error:
        text = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise FormatError(
            f"the file cannot be read: {text}", code="KP-NATIVE-DAMAGED", place=str(path), help=HELP
        ) from error


def open_checked(path: Path, rows: int) -> pq.ParquetFile:
    """The file, once its claims are believable: number of rows, encodings, sizes. Call within `understood`."""
    import pyarrow.parquet as pq

    _check_claims(path, *_stamp(path))
    file = pq.ParquetFile(
        path,
        page_checksum_verification=True,
        thrift_string_size_limit=1 << 24,
        thrift_container_size_limit=1 << 20,
    )
    if file.metadata.num_rows != rows:
        raise FormatError(
            "the number of rows is not the one in dataset.json",
            code="KP-NATIVE-COUNT",
            place=str(path),
            expected=str(rows),
            got=str(file.metadata.num_rows),
            help=HELP,
        )
    return file


@lru_cache(maxsize=64)
def _check_claims(path: Path, *stamp: int) -> None:
    """Raise FormatError for columns that kpkit does not write, or that claim an absurd size.

    stamp  tells a file from what stood there before: a file that was looked at once is not looked at again
    """
    unpacked = 0
    for column in parquet_footer.chunks(path):
        unpacked += column.unpacked
        if not ENCODINGS.issuperset(column.encodings) or column.unpacked < 0:
            raise FormatError(
                f"column '{column.path}' is packed in a way kpkit does not write",
                code="KP-NATIVE-ENCODING",
                place=str(path),
                expected=", ".join(sorted(ENCODINGS)),
                got=", ".join(column.encodings),
                help=HELP,
            )
    allowed = max(UNPACKED_FLOOR, UNPACKED_RATIO * path.stat().st_size)
    if unpacked > allowed:
        raise FormatError(
            "the file claims to unpack to an absurd size",
            code="KP-NATIVE-ABSURD",
            place=str(path),
            expected=f"at most {allowed} bytes",
            got=f"{unpacked} bytes",
            help=HELP,
        )


def read(path: Path, rows: int) -> pa.Table:
    """All columns but the raw rows."""
    with understood(path), open_checked(path, rows) as file:
        names = [name for name in file.schema_arrow.names if name != LAZY]
        return file.read(columns=names)


def footer_digest(path: Path) -> str:
    """SHA-256 of a Parquet file's last part, which says where everything is; pages have checksums of their own."""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - 8))
        length = int.from_bytes(stream.read(8)[:4], "little")
        stream.seek(max(0, size - 8 - length))
        return hashlib.sha256(stream.read()).hexdigest()


class RowCache:
    """Groups of raw rows that were read last, up to `limit` bytes; one for all the files of a dataset."""

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self._limit = limit
        self._groups: dict[tuple[Path, int], Any] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        # What was read need not travel to another process; the files are there, too.
        return RowCache, (self._limit,)

    def get(self, key: tuple[Path, int], read: Callable[[], Any]) -> Any:
        """The group under `key`, read where it is not there."""
        known = self._groups.pop(key, None)
        if known is None:
            known = read()
            while self._groups and sum(one.nbytes for one in self._groups.values()) > self._limit - known.nbytes:
                del self._groups[next(iter(self._groups))]
        # Put last: the first one is the one not used for longest.
        self._groups[key] = known
        return known


class LazyRows:
    """Raw rows that stay in their file until they are asked for.

    path   the Parquet file      rows    how many it has      separator  what stood between two rows in the source
    cache  holds what was read last
    """

    def __init__(self, path: Path, rows: int, separator: bytes = b",", cache: RowCache | None = None) -> None:
        self._path, self._rows, self._separator = path.absolute(), rows, separator
        self._stamp = _stamp(self._path)
        self._cache = cache or RowCache()

    def __len__(self) -> int:
        return self._rows

    def get(self, index: int) -> bytes:
        """One row."""
        group, within = divmod(index, ROWS_PER_GROUP)
        row: bytes | None = self._load(group)[within].as_py()
        return row or b""

    def chunks(self, index: Any) -> Iterator[bytes | memoryview]:
        """Pieces that, put together, are the rows of `index` separated by commas."""
        before = b""
        for first, last in runs(index):
            # Rows of memory or of a JSON file keep what stands between them only in longer runs, too.
            separator = self._separator if last - first > 8 else b","
            while first <= last:
                group, within = divmod(first, ROWS_PER_GROUP)
                count = min(last + 1 - first, ROWS_PER_GROUP - within, 1024)
                rows = self._load(group).slice(within, count).to_pylist()
                yield before + separator.join(row or b"" for row in rows)
                before = separator
                first += count
            before = b","

    def _load(self, group: int) -> Any:
        return self._cache.get((self._path, group), lambda: self._read(group))

    def _read(self, group: int) -> Any:
        with understood(self._path):
            if _stamp(self._path) != self._stamp:
                raise FormatError(
                    "the file was replaced while its raw rows were still needed",
                    code="KP-NATIVE-REPLACED",
                    place=str(self._path),
                    help="read the dataset again",
                )
            with open_checked(self._path, self._rows) as file:
                values = file.read_row_group(group, columns=[LAZY]).column(LAZY).combine_chunks()
            expected = min(ROWS_PER_GROUP, self._rows - group * ROWS_PER_GROUP)
            if len(values) != expected:
                raise FormatError(
                    "the raw rows are not where they should be",
                    code="KP-NATIVE-DAMAGED",
                    place=str(self._path),
                    expected=f"{expected} rows in group {group}",
                    got=str(len(values)),
                    help=HELP,
                )
            return values


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
