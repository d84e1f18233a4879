"""Native datasets in parts, written: each part by itself, in any order and process; the description comes last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kpkit.core.dataset import Dataset
from kpkit.core.partition import Part, cut, split
from kpkit.formats import native_document, native_index
from kpkit.formats.jsonrows import RowSource
from kpkit.formats.native_document import NAME, SOURCE, Head, describe
from kpkit.formats.native_index import Entry, File
from kpkit.formats.native_tables import Tables
from kpkit.guard import sync_file


@dataclass(frozen=True)
class Written:
    """A part that was written: its entry in the index, and the section on its source as for a dataset of its own."""

    entry: Entry
    source: Mapping[str, Any] | None


def write_part(part: Part, folder: Path, number: int) -> Written:
    """Write the tables of part `number` of the dataset in `folder`, and sync them."""
    dataset, rows = part.dataset, part.rows
    files = native_index.place(folder, number)
    files[0].parent.mkdir(parents=True, exist_ok=True)
    follow = not len(rows) or int(rows[-1] - rows[0]) == len(rows) - 1
    tables = Tables(*files, len(dataset), len(dataset.images), part=True)
    source = tables.write(dataset, None if follow else rows)
    described = [File(**describe(path)) for path in files]
    for path in files:
        sync_file(path)
    section = dict(source) if source is not None else None
    others = section.pop("other_image_ids", []) if section is not None else []
    entry = Entry(
        images=len(dataset.images),
        instances=len(dataset),
        instances_file=described[0],
        images_file=described[1],
        first_row=(int(rows[0]) if len(rows) else 0) if follow else None,
        other_image_ids=others,
    )
    return Written(entry, section)


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
    source = joint_source([one.source for one in written])
    top = dataset.source.top if isinstance(dataset.source, RowSource) else None
    finish(folder, final, [one.entry for one in written], Head.of(dataset, source), top, size, version)
