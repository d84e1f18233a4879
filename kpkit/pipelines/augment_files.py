"""Files of an augmented dataset: pictures and masks, the format's places for them, and the provenance rows."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from kpkit.augment.images import encode_jpeg, encode_png
from kpkit.augment.rows import SCHEMA_VERSION, Row
from kpkit.core.dataset import Dataset
from kpkit.errors import OutputError, UsageError
from kpkit.formats.base import Format
from kpkit.guard import output_error, read_bytes

# Columns that hold JSON text: small, nested, and read by people.
JSON_COLUMNS = ("drawn", "occluders", "occluded_by", "left_frame")
MAGIC = {".jpg": b"\xff\xd8\xff", ".png": b"\x89PNG\r\n\x1a\n"}
ASIDE = ".moving"
UNFINISHED = ".tmp"

Timed = Callable[[str], AbstractContextManager[None]]
Picture = NDArray[np.uint8]


class Saver:
    """Writes pictures below the folder of the output, each whole or not at all.

    making     folder on the same disk where they are made, there already
    checksums  path in the output -> SHA-256, filled in where it is not None
    """

    def __init__(self, folder: Path, making: Path, checksums: dict[str, str] | None, timed: Timed) -> None:
        self._folder, self._making, self._checksums, self._timed = folder, making, checksums, timed

    def picture(self, name: str, image: Picture, unchanged: Path | None, quality: int) -> None:
        """Write a picture as the ending of `name` says.

        unchanged  the file that the picture was read from, where it is that picture: copied if it is of the same kind,
                   so that nothing is compressed twice for nothing
        """
        suffix = PurePosixPath(name).suffix
        with self._timed("encode"):
            data = read_bytes(unchanged) if unchanged is not None else b""
            if not data.startswith(MAGIC[suffix]):
                data = encode_jpeg(image, quality) if suffix == ".jpg" else encode_png(image)
        self._save(name, data)

    def mask(self, name: str, mask: Picture) -> None:
        """Write a mask ([H,W] uint8, 0 or 255) as PNG."""
        with self._timed("encode"):
            data = encode_png(mask)
        self._save(name, data)

    def _save(self, name: str, data: bytes) -> None:
        path = self._folder / name
        with self._timed("write"):
            try:
                try:
                    _write_whole(path, data, self._making)
                except FileNotFoundError:
                    self._make_folders(path)
                    _write_whole(path, data, self._making)
            except OSError as error:
                raise output_error(error, path) from error
        if self._checksums is not None:
            with self._timed("checksum"):
                self._checksums[name] = hashlib.sha256(data).hexdigest()

    def _make_folders(self, path: Path) -> None:
        if not (self._folder.is_dir() and self._making.is_dir()):
            raise OutputError(
                "the folder of this run is not there",
                code="KP-CLUSTER-SHARED",
                place=str(self._folder),
                expected="a folder that every worker sees, for as long as the run lasts",
                help="put the output on storage that all machines mount at the same path",
            )
        # One by one: a folder of a run that has just ended is not made again.
        inner = path.parent.relative_to(self._folder)
        for folder in [*(self._folder / one for one in reversed(inner.parents)), path.parent]:
            if folder != self._folder:
                folder.mkdir(exist_ok=True)


def _write_whole(path: Path, data: bytes, making: Path) -> None:
    # Renamed, not written in place: on a cluster a worker that was given up may come late with the same bytes.
    temporary = os.path.join(making, f".{secrets.token_hex(8)}{UNFINISHED}")
    try:
        with open(temporary, "wb", buffering=0) as stream:
            rest = memoryview(data)
            while rest:
                rest = rest[stream.write(rest) :]
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def remove_strays(folder: Path, kept: Iterable[str]) -> None:
    """Remove files below `folder` that are not among `kept`: what images that failed, or killed workers, have left."""
    names = set(kept)
    for inside, _, files in os.walk(folder, topdown=False):
        near = Path(inside).relative_to(folder)
        for name in files:
            if (near / name).as_posix() not in names:
                Path(inside, name).unlink()
        if files and near.parts:
            with contextlib.suppress(OSError):
                os.rmdir(inside)


def place_images(folder: Path, dataset: Dataset, target: Format) -> None:
    """Move pictures from images/ to where the format wants them, if that is another place."""
    wanted = {
        f"images/{path}": place
        for path, place in zip(dataset.images.path.tolist(), target.image_targets(dataset), strict=True)
    }
    moves = [(now, place) for now, place in wanted.items() if now != place]
    if not moves:
        return
    # Aside first: one picture's place may be where another still stands.
    for number, (now, _) in enumerate(moves):
        (folder / ASIDE).mkdir(exist_ok=True)
        (folder / now).rename(folder / ASIDE / str(number))
    _remove_empty(folder / "images")
    for number, (_, place) in enumerate(moves):
        out = folder / place
        out.parent.mkdir(parents=True, exist_ok=True)
        (folder / ASIDE / str(number)).rename(out)
    shutil.rmtree(folder / ASIDE)


def _remove_empty(folder: Path) -> None:
    for one in sorted(folder.rglob("*"), reverse=True):
        if one.is_dir():
            with contextlib.suppress(OSError):
                one.rmdir()


def labels_place(target: Format, source: Format, path: Path) -> str:
    """Where the labels stand in the output: the format's usual place, in the variant that the input has.

    path  the input
    """
    default = target.default_output
    suffix = path.suffix.lower()
    same = target.name == source.name and target.kind == "file" and suffix in target.suffixes
    if not same or default.endswith(suffix):
        return default
    fixed = [usual for usual in target.usual if "*" not in usual and usual.endswith(suffix)]
    return fixed[0] if fixed else str(Path(default).with_suffix(suffix))


def check_overlap(output: Path, inputs: Iterable[Path | None]) -> None:
    """Raise UsageError where the output folder holds an input: replacing it would take that away."""
    if not output.is_dir():
        return
    place = output.resolve()
    for one in inputs:
        if one is not None and (one.resolve() == place or place in one.resolve().parents):
            raise UsageError(
                "the output folder holds an input, which --force would delete",
                code="KP-OUTPUT-INPUT",
                place=str(output),
                expected="a folder without inputs",
                got=str(one),
                help="choose another folder with -o",
            )


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
