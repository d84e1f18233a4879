"""`manifest.json`: what a folder of shards holds. It is written last; a folder without one is not finished."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from kpkit.core.skeleton import Skeleton
from kpkit.errors import FormatError, InputError, KpkitError
from kpkit.guard import contained, publish, read_bytes
from kpkit.targets.base import StoredType
from kpkit.targets.shard_layout import MANIFEST, SCHEMA_VERSION

KIND = "kpkit.shards"
MAX_BYTES = 1 << 28


@dataclass(frozen=True)
class ShardEntry:
    """One shard.

    path         below the folder      samples, bytes  of the file      sha256  of the file, hex
    fingerprint  of the job and of the labels that the shard was made from
    images       SHA-256 over those of its pictures' files, "" where none was opened
    covered      joints that something covers
    failed       keys of the pictures whose samples are missing
    """

    path: str
    samples: int
    bytes: int
    sha256: str
    fingerprint: str
    images: str = ""
    covered: int = 0
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All that holds for the folder as a whole.

    samples      in all shards                  arrays    name -> shape of a sample, dtype, scale, offset
    codec        name, input_size, heatmap_size (height, width), and its parameters
    job          what was asked for, as far as it says what the bytes are; `fingerprint` is its hash
    versions     of kpkit and of the libraries that made the bytes
    left_out     why persons are in no shard -> how many
    failed       pictures that could not be used: key, code
    """

    samples: int
    store: Literal["heatmaps", "params"]
    dtype: StoredType
    compression: str
    codec: dict[str, Any]
    skeleton: dict[str, Any]
    arrays: dict[str, dict[str, Any]]
    job: dict[str, Any]
    fingerprint: str
    versions: dict[str, str]
    shards: list[ShardEntry]
    left_out: dict[str, int] = field(default_factory=dict)
    failed: list[dict[str, str]] = field(default_factory=list)
    kind: str = KIND
    schema_version: int = SCHEMA_VERSION
    checksum: str = "sha256"

    def to_json(self) -> bytes:
        """The file's content: the same manifest, the same bytes."""
        document = {"kind": self.kind, "schema_version": self.schema_version}
        document |= {name: value for name, value in asdict(self).items() if name not in document}
        return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()

    def skeleton_object(self) -> Skeleton:
        """The joints."""
        return Skeleton.from_dict(self.skeleton)


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write it, whole or not at all. Raises OutputError."""
    with publish(folder / MANIFEST, force=True) as temporary:
        temporary.write_bytes(manifest.to_json())


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder of shards.

    Raises InputError where there is none, FormatError where it is damaged or of another version.
    """
    path = folder / MANIFEST
    if not os.path.isfile(path):
        raise _missing(folder)
    try:
        document = msgspec.json.decode(read_bytes(path, limit=MAX_BYTES), type=dict[str, Any])
        version = document.get("schema_version")
        if document.get("kind") != KIND or version != SCHEMA_VERSION:
            raise FormatError(
                "this is no manifest of shards that this kpkit knows",
                code="KP-SHARD-MANIFEST",
                expected=f"kind {KIND}, schema_version {SCHEMA_VERSION}",
                got=f"kind {document.get('kind')}, schema_version {version}",
            )
        manifest: Manifest = msgspec.convert(document, Manifest)
        manifest.skeleton_object()
        for entry in manifest.shards:
            contained(entry.path, place="shards")
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormatError(
            "the manifest is damaged",
            code="KP-SHARD-MANIFEST",
            place=str(path),
            got=str(error)[:200],
            help="make the shards again",
        ) from error
    except KpkitError as error:
        raise error.at(str(path)) from None
    if manifest.samples != sum(entry.samples for entry in manifest.shards):
        raise FormatError(
            "the manifest contradicts itself",
            code="KP-SHARD-MANIFEST",
            place=str(path),
            expected=f"{manifest.samples} samples, as it says",
            got=f"{sum(entry.samples for entry in manifest.shards)} in its shards",
        )
    return manifest


def _missing(folder: Path) -> InputError:
    if not folder.is_dir():
        return InputError(
            "there is no such folder", code="KP-INPUT-READ", place=str(folder), help="make shards with: kpkit heatmaps"
        )
    begun = any(folder.glob("**/shard-*.h5"))
    return InputError(
        "the shards are not finished" if begun else "no shards are here",
        code="KP-SHARD-UNFINISHED" if begun else "KP-SHARD-NONE",
        place=str(folder),
        expected=f"a file {MANIFEST}, which is written last",
        help="run the same kpkit heatmaps again with --resume" if begun else "make them with: kpkit heatmaps",
    )
