"""Native datasets in parts, written: each part by itself, in any order and process; the description comes last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kpkit.core.dataset import Dataset
from kpkit.core.partition import Part, cut, split
from kpkit.core.skeleton import Skeleton
from kpkit.core.table import Column
from kpkit.formats import native_document, native_index
from kpkit.formats.jsonrows import RowSource
from kpkit.formats.native_document import NAME, SOURCE, Head, describe
from kpkit.formats.native_index import Entry, File
from kpkit.formats.native_tables import Tables
from kpkit.formats.part_pack import packed, unpacked
from kpkit.guard import sync_file


@dataclass(frozen=True)
class Written:
    """A part that was written.

    entry   its entry in the index          head  what a description of it alone would say, its extras in order
    extras  of instances and of images: name, and the row in the whole dataset that has one first
    top     the source's top level, of the first part only
    """

    entry: Entry
    head: Head
    extras: tuple[list[tuple[int, str]], list[tuple[int, str]]]
    top: bytes | None


class _Packed(msgspec.Struct, forbid_unknown_fields=True):
    """The same as plain data; the source's top level stands beside it."""

    entry: Entry
    extras: tuple[list[tuple[int, str]], list[tuple[int, str]]]
    skeleton: dict[str, Any]
    counts: dict[str, int]
    image_root: str | None
    instance_extras: list[str]
    image_extras: list[str]
    meta: dict[str, Any]
    provenance: tuple[dict[str, Any], ...]
    source: dict[str, Any] | None


@dataclass(frozen=True)
class NativePartWriter:
    """See PartWriter and Packer. folder  the output  final  where it will stand  size  of a part  version  kpkit's"""

    folder: Path
    final: Path
    size: int
    version: str

    def write(self, part: Part, number: int) -> Written:
        """Write the tables of a part, and sync them."""
        dataset = part.dataset
        images = np.arange(part.first_image, part.first_image + len(dataset.images))
        entry, section = write_part(part, self.folder, number)
        source = dataset.source if isinstance(dataset.source, RowSource) and not number else None
        head = Head.of(dataset, section)
        return Written(
            entry=entry,
            # The others say the same.
            head=replace(head, meta={}, provenance=()) if number else head,
            extras=(_first_rows(dataset.extras, part.rows), _first_rows(dataset.images.extras, images)),
            top=None if source is None else source.top,
        )

    def pack(self, written: Written) -> bytes:
        """See Packer."""
        head = {**vars(written.head), "skeleton": written.head.skeleton.to_dict()}
        return packed({"entry": msgspec.to_builtins(written.entry), "extras": written.extras, **head}, written.top)

    def unpack(self, data: bytes) -> Written:
        """See Packer."""
        found, top = unpacked(data, _Packed)
        head = msgspec.structs.asdict(found)
        entry, extras, skeleton = (head.pop(name) for name in ("entry", "extras", "skeleton"))
        return Written(entry, Head(**head, skeleton=Skeleton.from_dict(skeleton)), extras, top)

    def finish(self, written: Sequence[Written]) -> None:
        """Write what stands beside the parts."""
        first = written[0]
        head = replace(
            first.head,
            counts={name: sum(one.head.counts[name] for one in written) for name in first.head.counts},
            instance_extras=_in_order([one.extras[0] for one in written]),
            image_extras=_in_order([one.extras[1] for one in written]),
            source=joint_source([one.head.source for one in written]),
        )
        entries = [one.entry for one in written]
        finish(self.folder, self.final, entries, head, first.top, self.size, self.version)


def _first_rows(extras: Mapping[str, Column], rows: NDArray[np.int64]) -> list[tuple[int, str]]:
    """Names with the first row that has a value; a name without any comes last."""
    found = []
    for name, column in extras.items():
        first = next((i for i, value in enumerate(column) if value is not None), None)
        found.append((int(rows[first]) if first is not None else NOWHERE, name))
    return found


def _in_order(parts: Sequence[list[tuple[int, str]]]) -> list[str]:
    """All names, in the order in which rows of the whole dataset name them first, as its own reader has them."""
    return list(dict.fromkeys(name for _, name in sorted((one for part in parts for one in part), key=itemgetter(0))))


NOWHERE = 1 << 62


def write_part(part: Part, folder: Path, number: int) -> tuple[Entry, dict[str, Any] | None]:
    """Write the tables of part `number` of the dataset in `folder`, and sync them.

    Returns its entry in the index, and the section on its source as for a dataset of its own.
    """
    dataset, rows = part.dataset, part.rows
    files = native_index.place(folder, number)
    files[0].parent.mkdir(parents=True, exist_ok=True)
    follow = not len(rows) or int(rows[-1] - rows[0]) == len(rows) - 1
    tables = Tables(*files, len(dataset), len(dataset.images), part=True)
    section = tables.write(dataset, None if follow else rows)
    described = [File(**describe(path)) for path in files]
    for path in files:
        sync_file(path)
    others = section.pop("other_image_ids", []) if section is not None else []
    entry = Entry(
        images=len(dataset.images),
        instances=len(dataset),
        instances_file=described[0],
        images_file=described[1],
        first_row=(int(rows[0]) if len(rows) else 0) if follow else None,
        other_image_ids=others,
    )
    return entry, section


def finish(
    folder: Path, final: Path, entries: Sequence[Entry], head: Head, top: bytes | None, size: int, version: str
) -> None:
    """Write what stands beside the parts: their index, the source's top level, and at last the description."""
    native_index.check_number(len(entries), size)
    section = native_index.write(folder, entries, size)
    names = []
    if top is not None:
        (folder / SOURCE).write_bytes(top)
        names.append(SOURCE)
    (folder / NAME).write_bytes(native_document.make(head, folder, final, names, version, section))
    for name in (*names, NAME):
        sync_file(folder / name)


def joint_source(sections: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """One section on the source for all parts: they differ only in what stands between rows, where a part has few."""
    kept = [dict(one) for one in sections if one is not None]
    if not kept:
        return None
    joint = kept[0]
    for key in ("separator", "image_separator"):
        joint[key] = next((one[key] for one in kept if one[key] != ","), ",")
    return joint


def write_parts(dataset: Dataset, folder: Path, final: Path, size: int, version: str) -> None:
    """Write a dataset that is in memory, in parts of `size`.

    Raises UsageError where that would make too many parts.
    """
    persons = np.bincount(dataset.image_index, minlength=len(dataset.images))
    native_index.check_number(len(cut(persons, size)), size)
    written = [write_part(part, folder, number) for number, part in enumerate(split(dataset, size))]
    source = joint_source([section for _, section in written])
    top = dataset.source.top if isinstance(dataset.source, RowSource) else None
    finish(folder, final, [entry for entry, _ in written], Head.of(dataset, source), top, size, version)
