"""augment.parquet: a row a person that says what was done."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from kpkit.augment.rows import SCHEMA_VERSION, Row
from kpkit.guard import sync_file

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

ROWS = "augment.parquet"
# Columns that hold JSON text: small, nested, and read by people.
JSON_COLUMNS = ("drawn", "occluders", "occluded_by", "left_frame")
_TYPES = {
    "instance_id": "int64",
    "source_instance_id": "int64",
    "copy": "int32",
    "seed": "int64",
    "mirrored": "bool",
    "warped_beyond": "bool",
    "asked": "float64",
    "own": "float64",
    "neighbour": "float64",
    "lost": "int32",
}


def import_ahead() -> None:
    """Import in a thread what the file will be written with: a third of a second, best spent while others work."""
    threading.Thread(target=_import, name="kpkit-import", daemon=True).start()


def _import() -> None:
    import pyarrow as pa
    import pyarrow.parquet

    # The first array brings pandas with it, where that is installed.
    pa.array([0])


class RowsFile:
    """The file while it is written, group by group.

    text_ids  ids of the source are text, all of them, where any is
    """

    def __init__(self, path: Path, *, text_ids: bool) -> None:
        self._path, self._text_ids = path, text_ids
        self._writer: pq.ParquetWriter | None = None

    def write(self, rows: list[Row]) -> None:
        """Add rows, as a group of their own."""
        import pyarrow.parquet as pq

        table = self._table(rows)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        try:
            self._writer.write_table(table)
        except BaseException:
            self.give_up()
            raise

    def close(self, *, sync: bool = True) -> None:
        """Make the file whole."""
        if self._writer is not None:
            try:
                self._writer.close()
            except BaseException:
                self.give_up()
                raise
            if sync:
                sync_file(self._path)

    def give_up(self) -> None:
        """Let go of the file as it is: the writer would try to end it when nobody listens any more."""
        if self._writer is not None:
            self._writer.is_open = False
            self._writer = None

    def _table(self, rows: list[Row]) -> pa.Table:
        """Nested fields as JSON text."""
        import pyarrow as pa

        columns: dict[str, pa.Array] = {}
        for name in Row.__dataclass_fields__:
            values = [getattr(row, name) for row in rows]
            if name in JSON_COLUMNS:
                columns[name] = pa.array([json.dumps(value) for value in values], pa.string())
            elif name == "matrix":
                columns[name] = pa.array(values, pa.list_(pa.float64(), 6))
            elif name == "source_instance_id" and self._text_ids:
                columns[name] = pa.array([str(value) for value in values], pa.string())
            else:
                columns[name] = pa.array(values, _TYPES.get(name, "string"))
        return pa.table(columns).replace_schema_metadata({"kpkit.augment": str(SCHEMA_VERSION)})


__all__ = ["ROWS", "RowsFile"]
