"""Files of an augmented dataset: pictures at the format's places, and the provenance rows."""

from __future__ import annotations

import json
from pathlib import Path

from kpkit.augment.rows import SCHEMA_VERSION, Row
from kpkit.core.dataset import Dataset
from kpkit.formats.base import Format

# Columns that hold JSON text: small, nested, and read by people.
JSON_COLUMNS = ("drawn", "occluders", "occluded_by", "left_frame")


def place_images(folder: Path, dataset: Dataset, target: Format) -> None:
    """Move pictures from images/ to where the format wants them, if that is another place."""
    for path, place in zip(dataset.images.path.tolist(), target.image_targets(dataset), strict=True):
        if place != f"images/{path}":
            out = folder / place
            out.parent.mkdir(parents=True, exist_ok=True)
            (folder / "images" / path).rename(out)


def write_rows(rows: list[Row], path: Path) -> None:
    """The rows as Parquet; nested fields as JSON text, ids as text where any is not an integer."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, pa.Array] = {}
    plain = [row.as_dict() for row in rows]
    for name in Row.__dataclass_fields__:
        values = [row[name] for row in plain]
        if name in JSON_COLUMNS:
            columns[name] = pa.array([json.dumps(value) for value in values], pa.string())
        elif name == "matrix":
            columns[name] = pa.array(values, pa.list_(pa.float64(), 6))
        elif name in {"instance_id", "source_instance_id"} and any(isinstance(value, str) for value in values):
            columns[name] = pa.array([str(value) for value in values], pa.string())
        else:
            columns[name] = pa.array(values, _TYPES.get(name, "string"))
    table = pa.table(columns).replace_schema_metadata({"kpkit.augment": str(SCHEMA_VERSION)})
    pq.write_table(table, path, compression="zstd")


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
