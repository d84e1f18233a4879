"""`dataset.json` of a native dataset: what it is, what made it, and what its files must look like."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpkit import storage
from kpkit.core.dataset import Dataset
from kpkit.core.skeleton import Skeleton
from kpkit.errors import DefinitionError, FormatError
from kpkit.formats.native_parquet import footer_digest
from kpkit.guard import read_bytes

NAME = "dataset.json"
INSTANCES, IMAGES, SOURCE = "instances.parquet", "images.parquet", "source.json"
FORMAT = "kpkit-native"
# A dataset in parts has a version of its own, so that an older kpkit says what it needs.
WHOLE_VERSION, PARTS_VERSION = 1, 2
SCHEMA_VERSION = PARTS_VERSION
LIMIT = 256 << 20
MAX_ROWS = 1 << 40
_KINDS: dict[Any, str] = {dict: "an object", list: "a list", str: "a text"}


@dataclass(frozen=True)
class Head:
    """What a description says of the dataset itself; the fields are those of `Dataset` and of the JSON."""

    counts: Mapping[str, int]
    skeleton: Skeleton
    image_root: str | None
    instance_extras: list[str]
    image_extras: list[str]
    meta: Mapping[str, Any]
    provenance: Sequence[Mapping[str, Any]]
    source: Mapping[str, Any] | None

    @classmethod
    def of(cls, dataset: Dataset, source: Mapping[str, Any] | None) -> Head:
        """Of a dataset in memory; `source` is the section on its raw rows."""
        return cls(
            counts=dataset.counts(),
            skeleton=dataset.skeleton,
            image_root=dataset.image_root,
            instance_extras=list(dataset.extras),
            image_extras=list(dataset.images.extras),
            meta=dataset.meta,
            provenance=dataset.provenance,
            source=source,
        )


def make(
    head: Head, folder: Path, final: Path, names: list[str], version: str, parts: Mapping[str, Any] | None = None
) -> bytes:
    """The document of the files `names` in `folder`, which are complete; `final` is where the folder will stand.

    parts  the section on the parts, where the tables are cut into parts
    """
    document = {
        "format": FORMAT,
        "schema_version": WHOLE_VERSION if parts is None else PARTS_VERSION,
        "kpkit_version": version,
        "counts": dict(head.counts),
        "files": {name: describe(folder / name) for name in names},
        "skeleton": head.skeleton.to_dict(),
        "image_root": _relative(head.image_root, final),
        "instance_extras": head.instance_extras,
        "image_extras": head.image_extras,
        "meta": dict(head.meta),
        "provenance": [dict(step) for step in head.provenance],
        "source": None if head.source is None else dict(head.source),
    }
    if parts is not None:
        document["parts"] = dict(parts)
    return (json.dumps(document, indent=1, default=_plain) + "\n").encode()


def _plain(value: Any) -> Any:
    """Numpy scalars and arrays, and tuples, as JSON has them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def describe(path: Path) -> dict[str, Any]:
    """Size and checksums of a file, as they stand in a description."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    described: dict[str, Any] = {"bytes": path.stat().st_size, "sha256": digest}
    if path.suffix == ".parquet":
        described["footer_sha256"] = footer_digest(path)
    return described


def _relative(root: str | None, final: Path) -> str | None:
    if root is None:
        return None
    remote = storage.is_remote(root) or storage.is_remote(final)
    if remote and Path(root).parts[:2] != final.parts[:2]:
        # From bucket to bucket, or to a disk, no relative path leads.
        return storage.url_of(root) or Path(root).absolute().as_posix()
    try:
        return Path(os.path.relpath(root, final)).as_posix()
    except ValueError:  # another drive
        return Path(root).absolute().as_posix()


def _root(folder: Path, root: str) -> str | None:
    """The folder of the pictures."""
    if storage.is_remote(root):
        return str(Path(root))
    found = storage.lasting(Path(os.path.normpath(folder / root)))
    return None if found is None else str(found)


class Document:
    """A `dataset.json` that was read and checked.

    folder  the dataset      content  the JSON      n, m, skeleton  instances, images, joints
    parts   the section on the parts; None where the tables are whole
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = str(folder / NAME)
        self.content = self._load()
        self.version = self._checked_version()
        counts = self._get("counts", dict)
        self.n, self.m = (self._count(counts, name) for name in ("instances", "images"))
        try:
            self.skeleton = Skeleton.from_dict(self._get("skeleton", dict))
        except (DefinitionError, TypeError, AttributeError) as error:
            raise self.wrong("skeleton", "a skeleton", str(error)) from error
        self.meta: dict[str, Any] = self._get("meta", dict)
        self.provenance: list[dict[str, Any]] = self._get("provenance", list)
        if not all(isinstance(step, dict) for step in self.provenance):
            raise self.wrong("provenance", "a list of objects", "something else")
        self.source: dict[str, Any] | None = self._get("source", dict, none=True)
        self.files = self._get("files", dict)
        self.parts: dict[str, Any] | None = self._get("parts", dict, none=self.version < PARTS_VERSION)
        self.instance_extras = self._names("instance_extras")
        self.image_extras = self._names("image_extras")
        root = self._get("image_root", str, none=True)
        self.image_root = None if root is None else _root(folder, root)

    def _load(self) -> dict[str, Any]:
        data = read_bytes(self.folder / NAME, limit=LIMIT + 1)
        if len(data) > LIMIT:
            raise self.wrong("", f"at most {LIMIT} bytes", "more")
        try:
            content = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise FormatError(
                f"not valid JSON: {error}",
                code="KP-NATIVE-DOCUMENT",
                place=self.place,
                help="the file was changed or damaged: make the dataset again from its source",
            ) from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise self.wrong("format", f"'{FORMAT}'", repr(content)[:40])
        return content

    def _checked_version(self) -> int:
        version = self.content.get("schema_version")
        if type(version) is not int or version < 1:
            raise self.wrong("schema_version", "a number from 1", repr(version))
        if version > SCHEMA_VERSION:
            made_by = self.content.get("kpkit_version", "a newer version")
            raise FormatError(
                "the dataset was written by a newer kpkit",
                code="KP-NATIVE-VERSION",
                place=f"{self.place}: schema_version",
                expected=f"at most {SCHEMA_VERSION}",
                got=f"{version} (kpkit {made_by})",
                help="pip install --upgrade kpkit",
            )
        return version

    def _get(self, key: str, kind: type, *, none: bool = False) -> Any:
        value = self.content.get(key)
        if isinstance(value, kind) or (none and value is None):
            return value
        raise self.wrong(key, _KINDS[kind], repr(value)[:40])

    def _names(self, key: str) -> list[str]:
        names: list[Any] = self._get(key, list)
        if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
            raise self.wrong(key, "a list of different texts", repr(names)[:40])
        return names

    def _count(self, counts: dict[str, Any], name: str) -> int:
        count = counts.get(name)
        if type(count) is not int or not 0 <= count <= MAX_ROWS:
            raise self.wrong(f"counts.{name}", "a number of rows", repr(count)[:40])
        return count

    def wrong(self, key: str, expected: str, got: str) -> FormatError:
        """An error about one entry of the description."""
        return FormatError(
            "the description of the dataset is not what it should be",
            code="KP-NATIVE-DOCUMENT",
            place=f"{self.place}: {key}" if key else self.place,
            expected=expected,
            got=got,
            help="the file was changed or damaged: make the dataset again from its source",
        )

    def check_file(self, name: str, *, whole: bool = False) -> Path:
        """The path of a file of the dataset; FormatError where it is missing, cut short or changed.

        whole  compare the checksum of all of it, not only its size and footer
        """
        known = self.files.get(name)
        if not isinstance(known, dict):
            raise self.wrong(f"files.{name}", "an entry", repr(known))
        return check_file(self.folder / name, known, whole=whole)


def check_file(path: Path, known: Mapping[str, Any], *, whole: bool = False) -> Path:
    """The path, if the file is what `known` says of it; else FormatError. See Document.check_file."""
    if not path.is_file():
        raise _damaged(path, "a file of the dataset is missing", path.name, "nothing")
    if path.stat().st_size != known.get("bytes"):
        message = "a file of the dataset has the wrong size"
        raise _damaged(path, message, f"{known.get('bytes')} bytes", f"{path.stat().st_size} bytes")
    actual = describe(path) if whole else {"footer_sha256": footer_digest(path)} if "footer_sha256" in known else {}
    for key, digest in actual.items():
        if known.get(key) != digest:
            raise _damaged(path, "a file of the dataset was changed", f"{key} {known.get(key)}", str(digest))
    return path


def _damaged(path: Path, message: str, expected: str, got: str) -> FormatError:
    return FormatError(
        message,
        code="KP-NATIVE-DAMAGED",
        place=str(path),
        expected=expected,
        got=got,
        help="copy the dataset again, or make it again from its source",
    )
