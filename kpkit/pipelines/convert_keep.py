"""The parts of a conversion that outlive its end: put down as bytes, taken up by a later run, and told from strays."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from kpkit import storage
from kpkit.core import catalog
from kpkit.core.partition import Packer, PartWriter
from kpkit.core.report import Issue, JointLine, Loss
from kpkit.errors import KpkitError
from kpkit.formats.base import Format
from kpkit.formats.native import NativeFormat
from kpkit.formats.native_document import NAME
from kpkit.formats.part_pack import packed, unpacked
from kpkit.guard import read_bytes
from kpkit.pipelines.convert_job import ConvertJob
from kpkit.pipelines.convert_task import SCRATCH, Done, Kept, files_below
from kpkit.pipelines.fingerprint import input_checksum, large_checksum, picture_checksum, versions
from kpkit.pipelines.work_folder import DATA, WorkFolder


class _Packed(msgspec.Struct, forbid_unknown_fields=True):
    """A part that is done as plain data; what its writer says stands beside it. See Done."""

    counts: dict[str, int]
    joints: list[JointLine]
    losses: list[Loss]
    issues: list[Issue]
    names: tuple[str, str]
    via: list[str]
    files: list[Kept]


def pack(done: Done, writer: Packer) -> bytes:
    """A part that is done as bytes; TypeError where it is no plain data."""
    document = {name: getattr(done, name) for name in ("counts", "names", "via")}
    lists = {name: [asdict(one) for one in getattr(done, name)] for name in ("joints", "losses", "issues", "files")}
    return packed(document | lists, writer.pack(done.written))


def unpack(data: bytes, writer: Packer) -> Done:
    """The same again. Raises ValueError or KpkitError for bytes of something else."""
    found, written = unpacked(data, _Packed)
    return Done(**msgspec.structs.asdict(found), written=writer.unpack(written or b""))


class Keeper:
    """Puts finished parts down in a work folder, where their writer knows how; gives those of an earlier run."""

    def __init__(self, work: WorkFolder, writer: PartWriter) -> None:
        self._work = work
        self._packer = writer if isinstance(writer, Packer) else None

    def note(self, number: int, done: Done) -> None:
        """Put down that a part is finished. Raises OSError."""
        if self._packer is None:
            return
        try:
            item = pack(done, self._packer)
        except (TypeError, ValueError, RecursionError):  # no plain data: it is made again when resumed
            return
        self._work.note(str(number), item)

    def earlier(self, number: int) -> Done | None:
        """What an earlier run says of a part."""
        item = self._work.earlier.get(str(number))
        if self._packer is None or item is None:
            return None
        try:
            return unpack(item, self._packer)
        except (ValueError, KpkitError):
            return None

    def remove_strays(self, done: Iterable[Done]) -> None:
        """Away with all files in the work folder that are of no part: an end that was cut, a part that was damaged."""
        ours = {file.name for one in done for file in one.files}
        for folder in (DATA, SCRATCH):
            for name in files_below(self._work.path / folder):
                if f"{folder}/{name}" not in ours:
                    (self._work.path / folder / name).unlink()


def job_parts(
    job: ConvertJob, formats: tuple[Format, Format], inputs: list[Path], size: int, count: int
) -> dict[str, Any]:
    """What the bytes of a conversion's parts depend on.

    size  of a part     count  of parts

    Raises InputError where an input cannot be read.
    """
    tables = {name: getattr(job, name) for name in ("image_sizes", "image_list", "layout")}
    sigmas = Path(job.sigmas) if job.sigmas is not None and Path(job.sigmas).suffix == ".toml" else None
    return {
        "command": "convert",
        "format": [one.name for one in formats],
        "inputs": {
            "names": [_named(path) for path in inputs],
            "content": [_checksum(formats[0], path) for path in inputs],
        },
        "tables": {name: picture_checksum(read_bytes(path)) for name, path in tables.items() if path is not None},
        "images": "" if job.images is None else _named(job.images),
        "skeleton": None if job.skeleton is None else catalog.skeleton(job.skeleton).to_dict(),
        "sigmas": job.sigmas if sigmas is None else picture_checksum(read_bytes(sigmas)),
        "options": {name: getattr(job, name) for name in ("keep_skeleton", "bbox", "bbox_pad")},
        "parts": {"size": size, "count": count},
        "versions": versions(),
    }


def _named(path: Path) -> str:
    """A name that stays the same wherever the command is given: the folder of pictures is told by it."""
    place = storage.origin(path)
    return str(place) if storage.is_remote(place) else os.path.abspath(place)


def _checksum(source: Format, path: Path) -> str:
    if isinstance(source, NativeFormat):
        # It holds the checksums of all other files, and the reader compares them.
        return large_checksum(path / NAME if path.is_dir() else path)
    return input_checksum(path) if path.is_dir() else large_checksum(path)


__all__ = ["Keeper", "job_parts", "pack", "unpack"]
