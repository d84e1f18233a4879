"""Where the parts of a native dataset stand, and what is known of each.

    dataset.json               counts, and size and checksum of every index
    parts/000/index.json       up to 500 parts: rows, and sizes and checksums of their files
    parts/000/00000.images.parquet, 00000.instances.parquet      part 0

Names follow from numbers and stand in no file, so none can lead elsewhere. A reader of one part reads two small JSON
files, however many parts there are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from kpkit.errors import FormatError, UsageError
from kpkit.formats.native_document import LIMIT, Document, check_file
from kpkit.guard import read_bytes, sync_file

FOLDER, INDEX = "parts", "index.json"
# Two tables a part: a thousand files in a folder.
PARTS_PER_FOLDER = 500
MAX_PARTS = 100_000
DEFAULT_SIZE = 16_384
HELP = "the dataset was changed or damaged: copy it again, or make it again from its source"


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size and checksums of a table."""

    bytes: int
    sha256: str
    footer_sha256: str


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One part: rows of its tables, row of its first person where the others follow it, its files."""

    images: int
    instances: int
    images_file: File
    instances_file: File
    first_row: int | None = None
    other_image_ids: list[int | str] = []


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One folder of parts: how many, their rows, and its index.json."""

    parts: int
    images: int
    instances: int
    bytes: int
    sha256: str


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section `parts` of dataset.json: the size asked for, the number of parts, and their folders."""

    size: int
    count: int
    folders: list[Group]


def place(folder: Path, number: int) -> tuple[Path, Path]:
    """Where the tables of a part stand: instances, images."""
    inside = group_folder(folder, number // PARTS_PER_FOLDER)
    return inside / f"{number:05}.instances.parquet", inside / f"{number:05}.images.parquet"


def group_folder(folder: Path, group: int) -> Path:
    """A folder of parts."""
    return folder / FOLDER / f"{group:03}"


def check_number(count: int, size: int) -> None:
    """Raise UsageError where there would be more parts than a dataset may have."""
    if count > MAX_PARTS:
        raise UsageError(
            f"parts of {size:,} make too many parts",
            code="KP-PARTS-MANY",
            expected=f"at most {MAX_PARTS:,}",
            got=f"{count:,}",
            help=f"make them larger: --part-size {size * -(-count // MAX_PARTS)}",
        )


def write(folder: Path, entries: Sequence[Entry], size: int) -> dict[str, Any]:
    """Write the index of every folder of parts; returns the section `parts` of dataset.json."""
    groups = []
    for at in range(0, len(entries), PARTS_PER_FOLDER):
        some = entries[at : at + PARTS_PER_FOLDER]
        path = group_folder(folder, at // PARTS_PER_FOLDER) / INDEX
        content = (json.dumps(msgspec.to_builtins(some), indent=1) + "\n").encode()
        path.write_bytes(content)
        sync_file(path)
        digest = hashlib.sha256(content).hexdigest()
        images, instances = (sum(getattr(entry, name) for entry in some) for name in ("images", "instances"))
        groups.append(Group(len(some), images, instances, len(content), digest))
    found: dict[str, Any] = msgspec.to_builtins(Section(size, len(entries), groups))
    return found


class Index:
    """The parts of a dataset by number; the index of each folder is read and checked when it is needed.

    Raises FormatError for sections and indexes that are damaged, or whose numbers do not add up.
    """

    def __init__(self, folder: Path, document: Document) -> None:
        self.folder, self._document = folder, document
        try:
            self.section = msgspec.convert(document.parts, Section)
        except (msgspec.ValidationError, UnicodeEncodeError) as error:
            raise document.wrong("parts", "a section on the parts", str(error)) from error
        self._check_section()
        self._known: dict[int, list[Entry]] = {}

    def __len__(self) -> int:
        return self.section.count

    def _check_section(self) -> None:
        section, groups = self.section, self.section.folders
        if not 1 <= section.count <= MAX_PARTS or section.size < 1:
            raise self._document.wrong("parts.count", f"1 to {MAX_PARTS} parts", str(section.count))
        full = [PARTS_PER_FOLDER] * (section.count // PARTS_PER_FOLDER)
        rest = section.count % PARTS_PER_FOLDER
        if [group.parts for group in groups] != full + [rest] * bool(rest):
            numbers = f"{sum(group.parts for group in groups)} in {len(groups)} folders"
            raise self._document.wrong("parts.folders", f"{section.count} parts, 500 a folder", numbers)
        for name, total in (("images", self._document.m), ("instances", self._document.n)):
            stated = [getattr(group, name) for group in groups]
            if min(stated) < 0 or sum(stated) != total:
                raise self._document.wrong(f"parts.folders[].{name}", f"{total} in all", f"{sum(stated)} in all")

    def group(self, number: int) -> list[Entry]:
        """The parts of one folder."""
        if number not in self._known:
            path = group_folder(self.folder, number) / INDEX
            stated = self.section.folders[number]
            inside(self.folder, path)
            if stated.bytes > LIMIT:
                raise self._document.wrong(f"parts.folders[{number}].bytes", f"at most {LIMIT}", str(stated.bytes))
            check_file(path, {"bytes": stated.bytes})
            self._known = {number: _entries(read_bytes(path, limit=stated.bytes), stated, path)}
        return self._known[number]

    def first_image(self, number: int) -> int:
        """Row of the first image of a part in the whole dataset."""
        group, within = divmod(number, PARTS_PER_FOLDER)
        before = sum(one.images for one in self.section.folders[:group])
        return before + sum(one.images for one in self.group(group)[:within])

    def entry(self, number: int) -> Entry:
        """What is known of a part."""
        return self.group(number // PARTS_PER_FOLDER)[number % PARTS_PER_FOLDER]

    def __iter__(self) -> Iterator[Entry]:
        for number in range(len(self)):
            yield self.entry(number)


def _entries(content: bytes, stated: Group, path: Path) -> list[Entry]:
    digest = hashlib.sha256(content).hexdigest()
    if digest != stated.sha256:
        raise wrong(path, "the index of parts was changed", f"sha256 {stated.sha256}", digest)
    try:
        entries = msgspec.json.decode(content, type=list[Entry])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise wrong(path, "the index of parts is not what it should be", "a list of parts", str(error)) from error
    found = [len(entries), *(sum(getattr(one, name) for one in entries) for name in ("images", "instances"))]
    if found != [stated.parts, stated.images, stated.instances] or any(
        min(one.images, one.instances, one.first_row or 0) < 0 for one in entries
    ):
        message = "the index of parts does not add up to what dataset.json says"
        expected = f"{stated.parts} parts, {stated.images} images, {stated.instances} persons"
        raise wrong(path, message, expected, "{} parts, {} images, {} persons".format(*found))
    return entries


def inside(folder: Path, path: Path) -> None:
    """Raise FormatError where a link leads a file of the dataset out of its folder."""
    real, base = path.resolve(), folder.resolve()
    if base not in real.parents:
        raise wrong(path, "a part is a link that leads outside the dataset", f"a file below {folder}", str(real))


def wrong(path: Path, message: str, expected: str, got: str) -> FormatError:
    """An error about a file of a part."""
    return FormatError(message, code="KP-NATIVE-PART", place=str(path), expected=expected, got=got, help=HELP)
